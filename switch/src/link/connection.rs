//! One connection of a link: bytes in, frames to the session, answers out when they may leave; run
//! to completion on the shard's thread.
//!
//! Invariants: input, output and time are bounded; whatever the peer sends, nobody else waits for
//! it. A peer that sends no more still gets its answers; only one that has reset the connection, or
//! takes nothing, loses them, and the approvals among them are voided. Source: security 4.6.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use shared::iso8583::FramingError;
use tokio::time::Instant;
use tracing::debug;

use super::stream::Stream;
use super::{Link, LinkRules, Member};
use crate::config::KeepAlive;
use crate::engine::Approval;
use crate::session::Session;
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

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The peer closed it, and has its answers.
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
    /// The peer sends no more, and its answers are still not ready.
    #[error("closed by the peer, and its answers came too late")]
    TooLate,
    /// Nothing came, and an echo was not answered.
    #[error("an echo was not answered")]
    Silent,
    /// Our sign-on was not answered in time.
    #[error("the sign-on was not answered")]
    SignOnUnanswered,
    /// Our sign-on was answered, and not with a yes.
    #[error("the sign-on was refused")]
    SignOnRefused,
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
pub struct Connection {
    shard: Rc<Shard>,
    link: Rc<Link>,
    stream: Stream,
    session: Session,
    input: BytesMut,
    /// When the incomplete frame at the start of the input began.
    begun: Option<Instant>,
    waiter: Rc<Waiter>,
    /// Since when answers have been ready without the peer taking any.
    stuck: Option<Instant>,
    /// Since when the peer sends nothing more.
    input_ended: Option<Instant>,
    silence: Silence,
    heard: bool,
    void: Vec<Approval>,
    /// Behind everything that may still need it.
    _member: Member,
}

/// How long nothing came.
struct Silence {
    /// Since this: the last input, or the last keep-alive.
    since: Instant,
    /// An echo went out then, and nothing came yet.
    echo_asked: bool,
}

impl Connection {
    /// On an accepted or opened socket, its TLS handshake done.
    #[must_use]
    pub fn new(shard: Rc<Shard>, link: Rc<Link>, stream: Stream) -> Self {
        let waiter = Rc::default();
        Self {
            session: Session::new(Rc::clone(&shard), Rc::clone(&link), &waiter),
            input: BytesMut::with_capacity(READ_BYTES),
            begun: None,
            waiter,
            stuck: None,
            input_ended: None,
            silence: Silence { since: Instant::now(), echo_asked: false },
            heard: false,
            void: Vec::new(),
            _member: link.join(),
            shard,
            link,
            stream,
        }
    }

    /// Whether the peer ever sent a whole frame, and did not refuse us.
    #[must_use]
    pub fn was_served(&self) -> bool {
        self.heard && self.link.is_served()
    }

    /// Until the peer, the drain or a bound ends it; what never left is voided.
    pub async fn run(&mut self) -> Ended {
        self.session.greet(Instant::now());
        let ended = loop {
            match self.turn().await {
                Ok(()) => tokio::task::yield_now().await,
                Err(ended) => break ended,
            }
        };
        debug!(link = self.link.rules.name, reason = %ended, "connection ended");
        if matches!(ended, Ended::Drained | Ended::ByPeer) {
            // A peer that neither closes nor stops sending has had its time.
            tokio::time::timeout(LINGER, self.stream.close()).await.ok();
        }
        for approval in self.session.abandon() {
            self.shard.void(approval);
        }
        self.shard.submit();
        ended
    }

    fn rules(&self) -> &LinkRules {
        &self.link.rules
    }

    /// Writes what may leave, then waits for the next thing to do and does it.
    async fn turn(&mut self) -> Result<(), Ended> {
        self.session.answer_decided();
        self.release();
        self.write()?;
        let draining = self.shard.draining.is_cancelled();
        let asked = self.session.waiting_for_partners();
        if self.session.outbox.is_empty() && self.stuck.is_none() && asked == 0 {
            if self.input_ended.is_some() {
                return Err(Ended::ByPeer);
            }
            if draining {
                return Err(Ended::Drained);
            }
        }
        let may_read = !draining && self.may_read();
        if !may_read || self.session.outbox.waiting() > 0 {
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
        self.input_ended.is_none()
            && self.session.outbox.waiting() < WAITING_ANSWERS_MAX
            && self.session.outbox.held_bytes() < HELD_BYTES_MAX
            && self.shard.engine().has_room(self.shard.progress())
    }

    /// A peer is neither late with a frame nor silent while we do not read.
    fn deadline(&self, may_read: bool) -> Option<Instant> {
        let rules = self.rules();
        let frame = self.begun.filter(|_| may_read).map(|since| since + rules.frame_deadline);
        let write = self.stuck.map(|since| since + rules.write_deadline);
        // While the peer is slow to take them, its own deadline holds.
        let ended = self.input_ended.filter(|_| self.stuck.is_none());
        let answers = ended.map(|since| since + rules.reply_deadline);
        let silence = if may_read { self.silence_deadline() } else { None };
        let sign_on = if may_read { self.session.sign_on_deadline() } else { None };
        [frame, write, answers, silence, sign_on].into_iter().flatten().min()
    }

    /// When an echo must have been answered, or else when the next keep-alive is due.
    fn silence_deadline(&self) -> Option<Instant> {
        let rules = self.rules();
        match rules.keep_alive {
            KeepAlive::None => None,
            KeepAlive::Echo if self.silence.echo_asked => {
                Some(self.silence.since + rules.reply_deadline)
            }
            KeepAlive::Echo | KeepAlive::EmptyFrame => {
                Some(self.silence.since + rules.keep_alive_interval)
            }
        }
    }

    fn overdue(&mut self, may_read: bool) -> Result<(), Ended> {
        let now = Instant::now();
        let rules = self.rules();
        let is_over =
            |since: Option<Instant>, deadline| since.is_some_and(|since| now >= since + deadline);
        if is_over(self.stuck, rules.write_deadline) {
            return Err(Ended::NotReading);
        }
        if self.stuck.is_none() && is_over(self.input_ended, rules.reply_deadline) {
            return Err(Ended::TooLate);
        }
        if !may_read {
            return Ok(());
        }
        if is_over(self.begun, rules.frame_deadline) {
            return Err(Ended::HalfFrame);
        }
        if self.session.sign_on_deadline().is_some_and(|deadline| now >= deadline) {
            return Err(Ended::SignOnUnanswered);
        }
        if self.silence_deadline().is_some_and(|deadline| now >= deadline) {
            return self.keep_alive(now);
        }
        Ok(())
    }

    fn keep_alive(&mut self, now: Instant) -> Result<(), Ended> {
        let echo_asked = match self.rules().keep_alive {
            KeepAlive::None => false,
            KeepAlive::EmptyFrame => {
                self.session.send_empty_frame(now);
                false
            }
            KeepAlive::Echo if self.silence.echo_asked => return Err(Ended::Silent),
            KeepAlive::Echo => self.session.send_echo(now),
        };
        self.silence = Silence { since: now, echo_asked };
        Ok(())
    }

    fn release(&mut self) {
        if self.session.outbox.is_empty() {
            return;
        }
        self.session.outbox.release(self.shard.progress(), Instant::now(), &mut self.void);
        if !self.void.is_empty() {
            for approval in self.void.drain(..) {
                self.shard.void(approval);
            }
            self.shard.submit();
        }
    }

    fn write(&mut self) -> Result<(), Ended> {
        while !self.session.outbox.ready().is_empty() {
            match self.stream.try_write(self.session.outbox.ready()) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(taken) => {
                    self.session.outbox.took(taken);
                    self.stuck = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stuck.get_or_insert_with(Instant::now);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        if self.stream.try_flush()? {
            self.stuck = None;
        } else {
            self.stuck.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Takes what the socket has and answers every whole frame in it.
    fn read(&mut self) -> Result<(), Ended> {
        self.input.reserve(READ_BYTES);
        match self.stream.try_read(&mut self.input) {
            Ok(0) => {
                // What it began and did not finish is nothing.
                self.begun = None;
                self.input_ended = Some(Instant::now());
                return Ok(());
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        let input = std::mem::take(&mut self.input);
        let mut rest = &*input;
        self.silence = Silence { since: now, echo_asked: false };
        let framing = self.link.rules.framing;
        let result = loop {
            match framing.next(rest) {
                Ok(Some(frame)) => {
                    self.heard = true;
                    if !frame.is_keep_alive() {
                        self.session.message(frame.header(rest), frame.body(rest), now);
                    }
                    rest = rest.get(frame.len()..).unwrap_or_default();
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(Ended::from(error)),
            }
            if let Some(ended) = self.session.over() {
                break Err(ended);
            }
        };
        let (consumed, left) = (input.len() - rest.len(), rest.len());
        self.input = input;
        self.input.advance(consumed);
        self.shard.submit();
        self.begun = match (left, consumed) {
            (0, _) => None,
            (_, 0) => self.begun.or(Some(now)),
            (_, _) => Some(now),
        };
        result
    }
}
