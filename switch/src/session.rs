//! What a connection's messages mean: each is parsed, decided and answered in one step.
//!
//! Invariant: a message that cannot be read is answered with what is wrong, or counted, never
//! dropped in silence. Source: iso8583 4.10, 4.11.

use std::rc::Rc;

use shared::action_code::{FAILING_FIELD, Reason};
use shared::command::{Authorization, Command};
use shared::effect::Decision;
use shared::ids::Sequence;
use shared::iso8583::mti::{Class, Function, Origin, Version};
use shared::iso8583::{self, Dialect, Fields, FormatError, Framing, Layout, Message, Mti};
use tokio::time::Instant;
use tracing::{debug, error, info};

use crate::clock;
use crate::config::{Direction, Unsigned};
use crate::engine::{Approval, Decided, Gate, Ruling};
use crate::intake::Asked;
use crate::link::connection::Ended;
use crate::link::network_codes::NetworkMeaning;
use crate::link::{Link, LinkRules};
use crate::outbox::Outbox;
use crate::questions::Mailbox;
use crate::reply_fields::ReplyFields;
use crate::shard::{Shard, Waiter};

/// The gate of what no record stands behind.
const AT_ONCE: Gate = Gate::Written(Sequence(0));
/// Messages of one connection that may wait for what partners say: repeats too.
const WAITING_FOR_PARTNERS_MAX: usize = 4 * 1024;

/// What the messages of one connection mean, and what is said to them.
pub struct Session {
    shard: Rc<Shard>,
    link: Rc<Link>,
    layout: Layout,
    /// Answers that wait for the journal, and those that may leave.
    pub(crate) outbox: Outbox,
    /// Messages for which partners are asked.
    asked: Vec<Waiting>,
    mailbox: Rc<Mailbox>,
    sign_on_asked: Option<SignOnAsked>,
    echo_asked: Option<u32>,
    refused: bool,
    unreadable: u32,
}

/// A message whose answer waits for what a partner says.
struct Waiting {
    /// The request that it is, or repeats.
    id: Sequence,
    request: Authorization,
    header: Box<[u8]>,
    frame: Box<[u8]>,
    at: Instant,
}

/// Our sign-on is on its way.
struct SignOnAsked {
    stan: u32,
    until: Instant,
}

impl Session {
    /// Of a connection that was just made.
    #[must_use]
    pub fn new(shard: Rc<Shard>, link: Rc<Link>, waiter: &Rc<Waiter>) -> Self {
        Self {
            shard,
            link,
            asked: Vec::new(),
            mailbox: Mailbox::new(Rc::clone(waiter)),
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

    /// Asks whether the peer is there; false where the dialect cannot ask.
    pub fn send_echo(&mut self, now: Instant) -> bool {
        match self.send_network(NetworkMeaning::Echo, now) {
            Ok(stan) => self.echo_asked = Some(stan),
            Err(error) => debug!(link = self.link.rules.name, %error, "no echo can be asked for"),
        }
        self.echo_asked.is_some()
    }

    /// Sends a frame without a message.
    pub fn send_empty_frame(&mut self, now: Instant) {
        let framing = self.link.rules.framing;
        let until = now + self.link.rules.reply_deadline;
        let sent = self.outbox.push(AT_ONCE, until, None, |out| {
            framing.put_empty(out);
            Ok::<(), FormatError>(())
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
            .and_then(|message| self.answer(&message, frame, arrival));
        if outcome.is_ok() {
            self.unreadable = 0;
        } else if let Err(error) = outcome {
            shard.metrics.refused();
            debug!(link = link.rules.name, %error, "message refused");
            let salvage = layout.salvaged(link.rules.dialect, frame);
            let deadline = now + link.rules.reply_deadline;
            let mut answered = false;
            let refused = self.outbox.push(AT_ONCE, deadline, None, |out| {
                let at = link.rules.framing.reserve_header(out, Some(header));
                answered = refuse(&link.rules, salvage, &error, out)?.is_some();
                if answered { put_header(link.rules.framing, at, out, &error) } else { Err(error) }
            });
            if refused.is_err() {
                self.unreadable += 1;
                shard.metrics.unreadable();
            }
        }
        self.layout = layout;
    }

    /// How many messages wait for what partners say.
    #[must_use]
    pub fn waiting_for_partners(&self) -> usize {
        self.asked.len()
    }

    /// Answers the messages whose partners have been asked and that are decided now.
    pub fn answer_decided(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        for (id, decided) in self.mailbox.take() {
            let place = self.asked.iter().position(|waiting| waiting.id == id);
            let Some(waiting) = place.map(|place| self.asked.swap_remove(place)) else { continue };
            let arrival = Arrival { header: &waiting.header, at: waiting.at };
            let answer = Answer { request: Some(waiting.request), ..Answer::of(&decided) };
            let mut layout = std::mem::take(&mut self.layout);
            let dialect = self.link.rules.dialect;
            // It was read before, from the same bytes.
            let told = iso8583::parse(dialect, &waiting.frame, &mut layout)
                .and_then(|message| self.tell(&message, &answer, arrival));
            if let Err(error) = told {
                error!(link = self.link.rules.name, %error, "an answer cannot be written");
            }
            self.layout = layout;
        }
    }

    /// The connection is gone: every approval of which no byte reached the socket.
    pub fn abandon(&mut self) -> impl Iterator<Item = Approval> {
        let undelivered = self.mailbox.take().into_iter().filter_map(|(_, it)| it.approval);
        std::mem::take(&mut self.outbox).abandon().chain(undelivered)
    }

    fn answer(
        &mut self,
        message: &Message<'_>,
        frame: &[u8],
        arrival: Arrival<'_>,
    ) -> Result<(), FormatError> {
        let mti = message.mti();
        match (mti.class, mti.function) {
            (Class::NetworkManagement, Function::Request | Function::Advice)
                if !message.is_taken() =>
            {
                let answer = Answer::at_once(Reason::UnknownTransactionType);
                return self.reply(message, &answer, arrival);
            }
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
        let asked = link.rules.reading.read(message, shard.engine().ledger())?;
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
        let ruling = self.shard.engine().decide(&command);
        let answer = match (ruling, &command) {
            (Some(Ruling::Decided(decided)), Command::Authorize(request)) => {
                Answer { request: Some(*request), ..Answer::of(&decided) }
            }
            (Some(Ruling::Asked(id)), Command::Authorize(request))
                if self.asked.len() < WAITING_FOR_PARTNERS_MAX =>
            {
                let (header, frame, at) = (arrival.header.into(), frame.into(), arrival.at);
                self.asked.push(Waiting { id, request: *request, header, frame, at });
                shard.listeners.add(id, &self.mailbox);
                return Ok(());
            }
            (Some(Ruling::Decided(decided)), _) => Answer::of(&decided),
            // The message that it repeats waits.
            (Some(Ruling::Asked(id)), _) if self.asked.iter().any(|it| it.id == id) => {
                return Ok(());
            }
            // Nobody waits for it here: what is agreed to is taken back.
            (Some(Ruling::Asked(_)), _) => Answer::at_once(Reason::Unavailable),
            (None, _) => Answer::at_once(Reason::UnknownError),
        };
        self.tell(message, &answer, arrival)
    }

    /// Tells what was decided; where the link's own tables cannot say it, it did not leave.
    fn tell(
        &mut self,
        message: &Message<'_>,
        answer: &Answer,
        arrival: Arrival<'_>,
    ) -> Result<(), FormatError> {
        let Err(error) = self.reply(message, answer, arrival) else { return Ok(()) };
        error!(link = self.link.rules.name, %error, "an answer cannot be written");
        if let Some(approval) = answer.approval {
            self.shard.void(approval);
        }
        self.reply(message, &Answer::at_once(Reason::UnknownError), arrival)
    }

    fn network_management(&mut self, message: &Message<'_>) -> Reason {
        let codes = &self.link.rules.network_codes;
        let mut scratch = [0; 8];
        let code = message.text(codes.field(), &mut scratch);
        match code.and_then(|code| codes.meaning(code)) {
            Some(NetworkMeaning::SignOn) => self.link.sign_on(),
            Some(NetworkMeaning::SignOff) => self.link.sign_off(),
            Some(NetworkMeaning::Echo) => {}
            Some(NetworkMeaning::CutOver) => {
                info!(link = self.link.rules.name, "the network's business day changes");
            }
            Some(NetworkMeaning::KeyChange) | None => return Reason::UnknownTransactionType,
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
        let code = codes.code(meaning);
        self.outbox.push(AT_ONCE, now + link.rules.reply_deadline, None, |out| {
            let at = link.rules.framing.reserve_header(out, None);
            let mti = write_network(link.rules.dialect, (codes.field(), &code), stan, out)?;
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
            let data = (rules.data.field, rules.data.text(answer.decision.reason).as_bytes());
            fields.with(data, |set| iso8583::reply(rules.dialect, echoed, mti, set, out))?;
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
        let Decided { decision, gate, approval } = *decided;
        Self { decision, gate, approval, request: None }
    }
}

/// Appends the refusal of what could not be read.
fn refuse(
    rules: &LinkRules,
    salvage: Fields<'_>,
    error: &FormatError,
    out: &mut Vec<u8>,
) -> Result<Option<Mti>, FormatError> {
    let code = rules.reading.codes.code(Reason::FormatError);
    let text = rules.data.text(Reason::FormatError);
    let text = text.replace(FAILING_FIELD, &format!("{:03}", error.field));
    let mut set = vec![(39, code.as_bytes())];
    if !text.is_empty() {
        set.push((rules.data.field, text.as_bytes()));
        set.sort_unstable_by_key(|(field, _)| *field);
    }
    iso8583::refuse(rules.dialect, salvage, error, &set, out)
}

/// Appends a network management request with this code in its field.
///
/// # Errors
/// The dialect has no such field, or the code is not of its form.
pub(crate) fn write_network(
    dialect: &Dialect,
    code: (u8, &[u8]),
    stan: u32,
    out: &mut Vec<u8>,
) -> Result<Mti, FormatError> {
    let width = dialect.field(11).map_or(0, |spec| usize::from(spec.length.max()));
    let digits = format!("{stan:0width$}");
    let sent_at = clock::transmission_time(clock::now());
    let mut fields: [(u8, &[u8]); 3] = [(7, &sent_at), (11, digits.as_bytes()), code];
    fields.sort_unstable_by_key(|(field, _)| *field);
    let origin = match dialect.version() {
        Version::V1987 => Origin::Acquirer,
        Version::V1993 | Version::V2003 => Origin::Other,
    };
    let mti = Mti { origin, ..Mti::NETWORK_REQUEST.in_version(dialect.version()) };
    iso8583::encode(dialect, mti, &fields, out)?;
    Ok(mti)
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
