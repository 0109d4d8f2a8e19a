//! What a connection's messages mean: each is parsed, decided and answered in one step.
//!
//! Invariant: a message that cannot be read is answered with what is wrong, or counted, never
//! dropped in silence. Source: iso8583 4.10, 4.11.

use std::rc::Rc;

use shared::action_code::Reason;
use shared::command::{Authorization, Command};
use shared::effect::Decision;
use shared::ids::Sequence;
use shared::iso8583::mti::{Class, Function, Origin, Version};
use shared::iso8583::{self, FormatError, Framing, Layout, Message, Mti};
use tokio::time::Instant;
use tracing::{debug, info};

use crate::clock;
use crate::config::{Direction, Unsigned};
use crate::engine::{Decided, Gate};
use crate::intake::Asked;
use crate::link::Link;
use crate::link::connection::Ended;
use crate::link::network_codes::NetworkMeaning;
use crate::outbox::{Approval, Outbox};
use crate::reply_fields::ReplyFields;
use crate::shard::Shard;

/// The gate of what no record stands behind.
const AT_ONCE: Gate = Gate::Written(Sequence(0));

/// What the messages of one connection mean, and what is said to them.
pub struct Session {
    shard: Rc<Shard>,
    link: Rc<Link>,
    layout: Layout,
    /// Answers that wait for the journal, and those that may leave.
    pub(crate) outbox: Outbox,
    sign_on_asked: Option<SignOnAsked>,
    echo_asked: Option<u32>,
    refused: bool,
    unreadable: u32,
}

/// Our sign-on is on its way.
struct SignOnAsked {
    stan: u32,
    until: Instant,
}

impl Session {
    /// Of a connection that was just made.
    #[must_use]
    pub fn new(shard: Rc<Shard>, link: Rc<Link>) -> Self {
        Self {
            shard,
            link,
            layout: Layout::new(),
            outbox: Outbox::default(),
            sign_on_asked: None,
            echo_asked: None,
            refused: false,
            unreadable: 0,
        }
    }

    /// Says what is ours to say first: on a connection that we opened, the sign-on.
    pub fn greet(&mut self, now: Instant) {
        match self.link.rules.direction {
            Direction::Listen => {}
            Direction::Connect if self.link.is_served() => {}
            Direction::Connect => {
                let until = now + self.link.rules.reply_deadline;
                // One that the dialect cannot say is as good as one that is not answered.
                let stan = self.send_network(NetworkMeaning::SignOn, now).unwrap_or_default();
                self.sign_on_asked = Some(SignOnAsked { stan, until });
            }
        }
    }

    /// When our sign-on must have been answered.
    #[must_use]
    pub fn sign_on_deadline(&self) -> Option<Instant> {
        self.sign_on_asked.as_ref().map(|asked| asked.until)
    }

    /// Asks whether the peer is there.
    pub fn send_echo(&mut self, now: Instant) {
        match self.send_network(NetworkMeaning::Echo, now) {
            Ok(stan) => self.echo_asked = Some(stan),
            Err(error) => debug!(link = self.link.rules.name, %error, "no echo can be asked for"),
        }
    }

    /// Sends a frame without a message.
    pub fn send_empty_frame(&mut self, now: Instant) {
        let framing = self.link.rules.framing;
        let until = now + self.link.rules.reply_deadline;
        let sent = self.outbox.push(AT_ONCE, until, None, |out| {
            let at = framing.reserve_header(out, None);
            framing.put_header(at, out)
        });
        if let Err(error) = sent {
            debug!(link = self.link.rules.name, %error, "no empty frame can be sent");
        }
    }

    /// Why the connection must end now, if it must.
    #[must_use]
    pub fn over(&self) -> Option<Ended> {
        if self.unreadable > self.link.rules.unreadable_frames_max {
            Some(Ended::Unreadable(self.unreadable))
        } else if self.refused {
            Some(Ended::SignOnRefused)
        } else {
            None
        }
    }

    /// Answers one frame.
    pub fn message(&mut self, header: &[u8], frame: &[u8], now: Instant) {
        let arrival = Arrival { header, at: now };
        let mut layout = std::mem::take(&mut self.layout);
        let (shard, link) = (Rc::clone(&self.shard), Rc::clone(&self.link));
        let outcome = iso8583::parse(link.rules.dialect, frame, &mut layout)
            .and_then(|message| self.answer(&message, arrival));
        if let Err(error) = outcome {
            shard.metrics.refused();
            debug!(link = link.rules.name, %error, "message refused");
            let salvage = layout.salvaged(link.rules.dialect, frame);
            let deadline = now + link.rules.reply_deadline;
            let mut answered = false;
            let refused = self.outbox.push(AT_ONCE, deadline, None, |out| {
                let at = link.rules.framing.reserve_header(out, Some(header));
                let (rules, code) =
                    (&link.rules, link.rules.reading.codes.code(Reason::FormatError));
                let code = code.as_bytes();
                answered = iso8583::refuse(rules.dialect, salvage, &error, code, out)?.is_some();
                if answered { put_header(link.rules.framing, at, out, &error) } else { Err(error) }
            });
            if refused.is_err() {
                self.unreadable += 1;
                shard.metrics.unreadable();
            }
        }
        self.layout = layout;
    }

    fn answer(&mut self, message: &Message<'_>, arrival: Arrival<'_>) -> Result<(), FormatError> {
        let mti = message.mti();
        match (mti.class, mti.function) {
            (Class::NetworkManagement, Function::Request) => {
                message.validate()?;
                let reason = self.network_management(message);
                return self.reply(message, &Answer::at_once(reason), arrival);
            }
            (Class::NetworkManagement, Function::Advice) => {
                message.validate()?;
                if self.network_management(message) != Reason::NetworkManagementDone {
                    self.shard.metrics.ignored();
                }
                return Ok(());
            }
            (Class::NetworkManagement, Function::Response) => {
                self.network_answer(message);
                return Ok(());
            }
            _ if !self.link.is_served() => return self.unsigned(message, arrival),
            _ => {}
        }
        let link = Rc::clone(&self.link);
        let shard = Rc::clone(&self.shard);
        let asked =
            link.rules.reading.read(message, |token| shard.engine().verified_against(token))?;
        let command = match asked {
            Asked::Command(command) => command,
            Asked::Note => {
                self.shard.metrics.ignored();
                return Ok(());
            }
            Asked::Administrative => {
                return self.reply(message, &Answer::at_once(Reason::AdministrativeTaken), arrival);
            }
            Asked::NotTaken => {
                return self.reply(
                    message,
                    &Answer::at_once(Reason::UnknownTransactionType),
                    arrival,
                );
            }
        };
        let decided = self.shard.engine().decide(&command);
        let answer = match (decided, &command) {
            (Some(decided), Command::Authorize(request)) => {
                let approved = decided.decision.reason.is_approval();
                Answer {
                    approval: approved.then_some((request.key, decided.sequence)),
                    request: Some(*request),
                    ..Answer::of(&decided)
                }
            }
            (Some(decided), _) => Answer::of(&decided),
            (None, _) => Answer::at_once(Reason::UnknownError),
        };
        self.reply(message, &answer, arrival)
    }

    fn network_management(&mut self, message: &Message<'_>) -> Reason {
        let codes = &self.link.rules.network_codes;
        let mut scratch = [0; 8];
        let code = message.text(codes.field(), &mut scratch);
        match code.and_then(|code| codes.meaning(code)) {
            Some(NetworkMeaning::SignOn) => self.link.sign_on(),
            Some(NetworkMeaning::SignOff) => self.link.sign_off(),
            Some(NetworkMeaning::Echo) => {}
            Some(NetworkMeaning::KeyChange | NetworkMeaning::CutOver) | None => {
                return Reason::UnknownTransactionType;
            }
        }
        Reason::NetworkManagementDone
    }

    fn unsigned(&mut self, message: &Message<'_>, arrival: Arrival<'_>) -> Result<(), FormatError> {
        match self.link.rules.unsigned {
            Unsigned::Refuse => self.reply(message, &Answer::at_once(Reason::Unavailable), arrival),
            Unsigned::Drop => {
                self.link.metrics.unsigned_dropped();
                Ok(())
            }
        }
    }

    /// Reads the answer to what we asked.
    fn network_answer(&mut self, message: &Message<'_>) {
        let stan = message.number(11).ok().flatten();
        let is_of = |asked: u32| stan == Some(u64::from(asked));
        if self.sign_on_asked.as_ref().is_some_and(|asked| is_of(asked.stan)) {
            self.sign_on_asked = None;
            let done = self.link.rules.reading.codes.code(Reason::NetworkManagementDone);
            if message.text(39, &mut [0; 8]) == Some(done.as_bytes()) {
                info!(link = self.link.rules.name, "signed on");
                self.link.sign_on();
            } else {
                self.refused = true;
            }
        } else if self.echo_asked.is_some_and(is_of) {
            self.echo_asked = None;
        } else {
            self.shard.metrics.ignored();
        }
    }

    /// Sends a network management request; its STAN.
    fn send_network(&mut self, meaning: NetworkMeaning, now: Instant) -> Result<u32, FormatError> {
        let link = Rc::clone(&self.link);
        let (codes, stan) = (&link.rules.network_codes, link.next_stan());
        let digits = format!("{stan:06}");
        let sent_at = clock::transmission_time(clock::now());
        let code = codes.code(meaning);
        let mut fields: [(u8, &[u8]); 3] =
            [(7, &sent_at), (11, digits.as_bytes()), (codes.field(), &code)];
        fields.sort_unstable_by_key(|(field, _)| *field);
        let version = link.rules.dialect.version();
        let origin = match version {
            Version::V1987 => Origin::Acquirer,
            Version::V1993 | Version::V2003 => Origin::Other,
        };
        let mti = Mti { origin, ..Mti::NETWORK_REQUEST.in_version(version) };
        self.outbox.push(AT_ONCE, now + link.rules.reply_deadline, None, |out| {
            let at = link.rules.framing.reserve_header(out, None);
            iso8583::encode(link.rules.dialect, mti, &fields, out)?;
            put_header(link.rules.framing, at, out, &too_long(mti))
        })?;
        Ok(stan)
    }

    fn reply(
        &mut self,
        message: &Message<'_>,
        answer: &Answer,
        arrival: Arrival<'_>,
    ) -> Result<(), FormatError> {
        let Some(mti) = message.mti().response() else {
            self.shard.metrics.ignored();
            return Ok(());
        };
        self.shard.metrics.answered(answer.decision.reason);
        let link = Rc::clone(&self.link);
        let rules = &link.rules;
        let code = rules.reading.codes.code(answer.decision.reason);
        let echo = rules.dialect.echo_of(message.mti());
        let (gate, approval) = (answer.gate, answer.approval);
        self.outbox.push(gate, arrival.at + rules.reply_deadline, approval, |out| {
            let at = rules.framing.reserve_header(out, Some(arrival.header));
            let mut fields = ReplyFields::default();
            fields.fill(&answer.decision, answer.request.as_ref(), code);
            let echoed = message.received().only(fields.echo(echo));
            fields.with(|set| iso8583::reply(rules.dialect, echoed, mti, set, out))?;
            put_header(rules.framing, at, out, &too_long(mti))
        })
    }
}

/// Beside a message: when it came, and the header that its reply gives back.
#[derive(Clone, Copy)]
struct Arrival<'a> {
    header: &'a [u8],
    at: Instant,
}

/// What goes into a reply besides the echo.
struct Answer {
    decision: Decision,
    gate: Gate,
    /// Voided if the reply never leaves.
    approval: Option<Approval>,
    /// The request, where its amounts go into the reply.
    request: Option<Authorization>,
}

impl Answer {
    fn at_once(reason: Reason) -> Self {
        Self { decision: Decision::bare(reason), gate: AT_ONCE, approval: None, request: None }
    }

    fn of(decided: &Decided) -> Self {
        Self { decision: decided.decision, gate: decided.gate, approval: None, request: None }
    }
}

fn too_long(mti: Mti) -> FormatError {
    FormatError { mti: Some(mti), field: 0, offset: 0, rule: iso8583::Rule::MessageTooLong }
}

fn put_header(
    framing: Framing,
    at: usize,
    out: &mut Vec<u8>,
    too_long: &FormatError,
) -> Result<(), FormatError> {
    framing.put_header(at, out).map_err(|_too_long| *too_long)
}
