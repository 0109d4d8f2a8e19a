//! One processor connection: frames in, answers out, run to completion on the shard's thread.
//!
//! Invariants: input, output and time are bounded; whatever the peer sends, nobody else waits for
//! it; a message that cannot be read is answered with what is wrong, or counted, never dropped in
//! silence. Source: security 4.6, iso8583 4.10, 4.11.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use shared::action_code::{Reason, ResponseCodes};
use shared::command::Command;
use shared::ids::LinkId;
use shared::iso8583::mti::{Class, Function};
use shared::iso8583::{self, Dialect, FormatError, Framing, FramingError, Layout, Message};
use shared::pan::TokenKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::debug;

use crate::engine::{Decided, Gate};
use crate::intake;
use crate::outbox::Outbox;
use crate::shard::{Shard, Waiter};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Answers of one connection that may wait for the journal.
const WAITING_ANSWERS_MAX: usize = 16 * 1024;
/// Bytes of answers that one connection may have outstanding: some thousand answers, and not so much
/// that a link full of peers that never read would take the machine's memory.
const HELD_BYTES_MAX: usize = 512 << 10;

/// After its last answer, a peer has this long to close.
const LINGER: Duration = Duration::from_secs(1);

/// A link's settings, compiled.
pub struct LinkRules {
    /// For logs and metrics.
    pub name: String,
    /// Part of every message key.
    pub id: LinkId,
    /// Its fields.
    pub dialect: &'static Dialect,
    /// Its frames.
    pub framing: Framing,
    /// Its DE39 values.
    pub codes: ResponseCodes,
    /// Makes card numbers into tokens.
    pub token_key: TokenKey,
    /// Whether messages are refused before a sign-on.
    pub sign_on_required: bool,
    /// A frame that has begun must be whole within this time.
    pub frame_deadline: Duration,
    /// A peer must take its answers within this time.
    pub write_deadline: Duration,
    /// An answer later than this is not sent.
    pub reply_deadline: Duration,
    /// Unreadable frames after which a connection is closed.
    pub unreadable_frames_max: u32,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The peer closed it.
    #[error("closed by the peer")]
    ByPeer,
    /// We are stopping and everything was answered.
    #[error("drained")]
    Drained,
    /// A frame was begun and not finished in time.
    #[error("a frame was not finished in time")]
    HalfFrame,
    /// We are stopping, and the peer did not take its answers while we waited.
    #[error("cut off by the stop")]
    Cut,
    /// Answers were not taken in time.
    #[error("answers were not taken in time")]
    NotReading,
    /// A frame beyond the link's bound.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// Too many frames that are no messages.
    #[error("{0} frames could not be read")]
    Unreadable(u32),
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] io::Error),
}

/// One connection.
pub struct Session {
    shard: Rc<Shard>,
    link: Rc<LinkRules>,
    stream: TcpStream,
    layout: Layout,
    input: BytesMut,
    /// When the incomplete frame at the start of the input began.
    begun: Option<Instant>,
    outbox: Outbox,
    waiter: Rc<Waiter>,
    /// Since when answers have been ready without the peer taking any.
    stuck: Option<Instant>,
    signed_on: bool,
    unreadable: u32,
    void: Vec<Command>,
}

impl Session {
    /// On an accepted socket.
    #[must_use]
    pub fn new(shard: Rc<Shard>, link: Rc<LinkRules>, stream: TcpStream) -> Self {
        Self {
            shard,
            link,
            stream,
            layout: Layout::new(),
            input: BytesMut::with_capacity(READ_BYTES),
            begun: None,
            outbox: Outbox::default(),
            waiter: Rc::default(),
            stuck: None,
            signed_on: false,
            unreadable: 0,
            void: Vec::new(),
        }
    }

    /// Until the peer, the drain or a bound ends it; what never left is voided.
    pub async fn run(mut self) -> Ended {
        let ended = loop {
            match self.turn().await {
                Ok(()) => tokio::task::yield_now().await,
                Err(ended) => break ended,
            }
        };
        debug!(link = self.link.name, reason = %ended, "connection ended");
        if matches!(ended, Ended::Drained) {
            self.linger().await;
        }
        let mut engine = self.shard.engine();
        for command in self.outbox.abandon() {
            if engine.void(&command) {
                self.shard.metrics.voided();
            }
        }
        engine.submit();
        ended
    }

    /// Says that nothing more comes, and passes over what is still under way: a socket that is
    /// closed with unread input is reset, and its last answers are lost with it.
    async fn linger(&mut self) {
        let passed_over = async {
            self.stream.shutdown().await?;
            while self.stream.read_buf(&mut self.input).await? > 0 {
                self.input.clear();
            }
            io::Result::Ok(())
        };
        // A peer that neither closes nor stops sending has had its time.
        tokio::time::timeout(LINGER, passed_over).await.ok();
    }

    /// Writes what may leave, then waits for the next thing to do and does it.
    async fn turn(&mut self) -> Result<(), Ended> {
        self.release();
        self.write()?;
        let draining = self.shard.draining.is_cancelled();
        if draining && self.outbox.is_empty() {
            return Err(Ended::Drained);
        }
        let may_read = !draining && self.may_read();
        if !may_read || self.outbox.waiting() > 0 {
            self.shard.wait(&self.waiter);
        }
        let deadline = self.deadline(may_read);
        tokio::select! {
            biased;
            () = self.waiter.woken() => Ok(()),
            writable = self.stream.writable(), if self.stuck.is_some() => Ok(writable?),
            readable = self.stream.readable(), if may_read => {
                readable?;
                self.read()
            }
            () = self.shard.draining.cancelled(), if !draining => Ok(()),
            () = self.shard.cut.cancelled() => Err(Ended::Cut),
            () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)),
                if deadline.is_some() => self.overdue(may_read),
        }
    }

    fn may_read(&self) -> bool {
        self.outbox.waiting() < WAITING_ANSWERS_MAX
            && self.outbox.held_bytes() < HELD_BYTES_MAX
            && self.shard.engine().has_room(self.shard.progress())
    }

    /// A peer is not late with a frame while we do not read.
    fn deadline(&self, may_read: bool) -> Option<Instant> {
        let begun = self.begun.filter(|_| may_read);
        let frame = begun.map(|since| since + self.link.frame_deadline);
        let write = self.stuck.map(|since| since + self.link.write_deadline);
        frame.into_iter().chain(write).min()
    }

    fn overdue(&self, may_read: bool) -> Result<(), Ended> {
        let now = Instant::now();
        if self.stuck.is_some_and(|since| now >= since + self.link.write_deadline) {
            Err(Ended::NotReading)
        } else if may_read
            && self.begun.is_some_and(|since| now >= since + self.link.frame_deadline)
        {
            Err(Ended::HalfFrame)
        } else {
            Ok(())
        }
    }

    fn release(&mut self) {
        if self.outbox.waiting() == 0 {
            return;
        }
        self.outbox.release(self.shard.progress(), Instant::now(), &mut self.void);
        if !self.void.is_empty() {
            let mut engine = self.shard.engine();
            for command in self.void.drain(..) {
                if engine.void(&command) {
                    self.shard.metrics.voided();
                }
            }
            engine.submit();
        }
    }

    fn write(&mut self) -> Result<(), Ended> {
        while !self.outbox.ready().is_empty() {
            match self.stream.try_write(self.outbox.ready()) {
                Ok(0) => return Err(Ended::ByPeer),
                Ok(taken) => {
                    self.outbox.took(taken);
                    self.stuck = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stuck.get_or_insert_with(Instant::now);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.stuck = None;
        Ok(())
    }

    /// Takes what the socket has and answers every whole frame in it.
    fn read(&mut self) -> Result<(), Ended> {
        self.input.reserve(READ_BYTES);
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) => return Err(Ended::ByPeer),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        let input = std::mem::take(&mut self.input);
        let mut rest = &*input;
        let framing = self.link.framing;
        let result = loop {
            match framing.next(rest) {
                Ok(Some(frame)) => {
                    if !frame.is_keep_alive() {
                        self.message(frame.body(rest), now);
                    }
                    rest = rest.get(frame.len()..).unwrap_or_default();
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(Ended::from(error)),
            }
            if self.unreadable > self.link.unreadable_frames_max {
                break Err(Ended::Unreadable(self.unreadable));
            }
        };
        let (consumed, left) = (input.len() - rest.len(), rest.len());
        self.input = input;
        self.input.advance(consumed);
        self.shard.engine().submit();
        self.begun = match (left, consumed) {
            (0, _) => None,
            (_, 0) => self.begun.or(Some(now)),
            (_, _) => Some(now),
        };
        result
    }

    /// Answers one frame.
    fn message(&mut self, frame: &[u8], now: Instant) {
        let mut layout = std::mem::take(&mut self.layout);
        let (shard, link) = (Rc::clone(&self.shard), Rc::clone(&self.link));
        let outcome = iso8583::parse(link.dialect, frame, &mut layout)
            .and_then(|message| self.answer(&message, now));
        if let Err(error) = outcome {
            shard.metrics.refused();
            debug!(link = link.name, %error, "message refused");
            let salvage = layout.salvaged(frame);
            let gate = Gate::Written(shared::ids::Sequence(0));
            let deadline = now + link.reply_deadline;
            let mut answered = false;
            let refused = self.outbox.push(gate, deadline, None, |out| {
                let at = link.framing.reserve_header(out);
                answered = iso8583::reply::refuse(link.dialect, salvage, &error, out)?.is_some();
                if answered { put_header(link.framing, at, out, &error) } else { Err(error) }
            });
            if refused.is_err() {
                self.unreadable += 1;
                shard.metrics.unreadable();
            }
        }
        self.layout = layout;
    }

    fn answer(&mut self, message: &Message<'_>, now: Instant) -> Result<(), FormatError> {
        let mti = message.mti();
        let command = match (mti.class, mti.function) {
            (Class::NetworkManagement, Function::Request) => {
                let reason = self.network_management(message);
                return self.reply(message, Answer::at_once(reason), now);
            }
            _ if self.link.sign_on_required && !self.signed_on => {
                return self.reply(message, Answer::at_once(Reason::Unavailable), now);
            }
            (Class::Authorization, Function::Request) => {
                intake::authorization(message, self.link.id, &self.link.token_key)?
            }
            (Class::Reversal, Function::Request) => intake::reversal(message, self.link.id, false)?,
            (Class::Reversal, Function::Advice) => intake::reversal(message, self.link.id, true)?,
            _ => return self.reply(message, Answer::at_once(Reason::UnknownTransactionType), now),
        };
        let decided = self.shard.engine().decide(&command);
        let answer = match (decided, &command) {
            (Some(decided), Command::Authorize(request)) => {
                let approved = decided.decision.reason.is_approval();
                Answer {
                    approval: approved.then_some((request.key, decided.sequence)),
                    ..Answer::of(&decided)
                }
            }
            (Some(decided), _) => Answer::of(&decided),
            (None, _) => Answer::at_once(Reason::UnknownError),
        };
        self.reply(message, answer, now)
    }

    fn network_management(&mut self, message: &Message<'_>) -> Reason {
        match message.bytes(70) {
            Some(b"001") => self.signed_on = true,
            Some(b"002") => self.signed_on = false,
            Some(b"301") => {}
            Some(_) | None => return Reason::UnknownTransactionType,
        }
        Reason::NetworkManagementDone
    }

    fn reply(
        &mut self,
        message: &Message<'_>,
        answer: Answer,
        now: Instant,
    ) -> Result<(), FormatError> {
        let Some(mti) = message.mti().response() else {
            self.shard.metrics.ignored();
            return Ok(());
        };
        self.shard.metrics.answered(answer.reason);
        let link = Rc::clone(&self.link);
        let code = link.codes.code(answer.reason);
        let both: [(u8, &[u8]); 2] = [(38, &answer.approval_code.unwrap_or_default()), (39, &code)];
        let set = if answer.approval_code.is_some() { &both[..] } else { &both[1..] };
        let echoed = message.received().only(iso8583::reply::echo_of(message.mti()));
        self.outbox.push(answer.gate, now + link.reply_deadline, answer.approval, |out| {
            let at = link.framing.reserve_header(out);
            iso8583::reply(link.dialect, echoed, mti, set, out)?;
            let too_long = FormatError {
                mti: Some(mti),
                field: 0,
                offset: 0,
                rule: iso8583::Rule::MessageTooLong,
            };
            put_header(link.framing, at, out, &too_long)
        })
    }
}

/// What goes into a reply besides the echo.
struct Answer {
    reason: Reason,
    approval_code: Option<[u8; 6]>,
    gate: Gate,
    /// Voided if the reply never leaves.
    approval: Option<(shared::command::MessageKey, shared::ids::Sequence)>,
}

impl Answer {
    fn at_once(reason: Reason) -> Self {
        let gate = Gate::Written(shared::ids::Sequence(0));
        Self { reason, approval_code: None, gate, approval: None }
    }

    fn of(decided: &Decided) -> Self {
        Self {
            reason: decided.decision.reason,
            approval_code: decided.decision.approval.map(|code| code.wire()),
            gate: decided.gate,
            approval: None,
        }
    }
}

fn put_header(
    framing: Framing,
    at: usize,
    out: &mut Vec<u8>,
    too_long: &FormatError,
) -> Result<(), FormatError> {
    framing.put_header(at, out).map_err(|_too_long| *too_long)
}
