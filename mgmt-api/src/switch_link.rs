//! The control link: changes and queries to the switch, answered or sent again.
//!
//! Invariants: what is under way is bounded; a change that was sent and not answered is sent again
//! under the same command id after a reconnect, until its caller's deadline; no answer in time is
//! an error that is safe to repeat. Source: authorization 6.

mod events;
mod questions;
mod wire;

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use shared::command::Change;
use shared::control::{ClockView, Outcome, Query, Reply, Request, View};
use shared::ids::CommandId;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use self::events::{EventError, Events};
pub(crate) use self::questions::Questions;
use self::wire::{Reader, Writer};
use crate::config::SwitchLinkConfig;
use crate::metrics;

/// A connection and its hellos take this long at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Before the first reconnect; doubled each time.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(25);
/// Between two reconnects at most.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Before a change that the switch was too busy for is sent again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// No answer from the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// The deadline passed.
    #[error("no durable answer in time")]
    Deadline,
    /// The link is shut down.
    #[error("the link is shut down")]
    Closed,
    /// An answer of another kind than was asked for.
    #[error("the answer does not fit the question")]
    Mismatch,
}

/// The link; clones share it.
#[derive(Clone)]
pub struct SwitchLink {
    calls: mpsc::Sender<Call>,
    permits: Arc<Semaphore>,
    up: watch::Receiver<bool>,
    deadline: Duration,
}

/// A question on its way.
struct Call {
    question: Question,
    answer: oneshot::Sender<Reply>,
}

#[derive(Clone)]
enum Question {
    Change(CommandId, Change),
    Query(Query),
    SetClockAhead(u64),
}

/// What was sent and not answered, by request id.
#[derive(Default)]
struct Unanswered {
    next_request: u64,
    calls: BTreeMap<u64, Call>,
}

/// The task behind a [`SwitchLink`].
pub struct LinkTask {
    socket: PathBuf,
    calls: mpsc::Receiver<Call>,
    up: watch::Sender<bool>,
    unanswered: Mutex<Unanswered>,
}

impl SwitchLink {
    /// The link and the task that runs it.
    #[must_use]
    pub fn new(config: &SwitchLinkConfig) -> (Self, LinkTask) {
        let (calls, receiver) = mpsc::channel(config.in_flight_max);
        let (up_sender, up) = watch::channel(false);
        let permits = Arc::new(Semaphore::new(config.in_flight_max));
        let deadline = Duration::from_millis(config.deadline_ms);
        let task = LinkTask {
            socket: config.socket.clone(),
            calls: receiver,
            up: up_sender,
            unanswered: Mutex::default(),
        };
        (Self { calls, permits, up, deadline }, task)
    }

    /// Whether the switch has answered our hello.
    #[must_use]
    pub fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    /// Waits until the switch has answered our hello.
    pub async fn until_up(&self) -> Result<(), LinkError> {
        let mut up = self.up.clone();
        up.wait_for(|up| *up).await.map(drop).map_err(|_gone| LinkError::Closed)
    }

    /// Waits until the link is cut.
    pub async fn until_down(&self) -> Result<(), LinkError> {
        let mut up = self.up.clone();
        up.wait_for(|up| !*up).await.map(drop).map_err(|_gone| LinkError::Closed)
    }

    /// Asks for a change; the outcome is durable.
    pub async fn change(&self, id: CommandId, change: Change) -> Result<Outcome, LinkError> {
        match self.ask(Question::Change(id, change)).await? {
            Reply::Outcome { outcome, .. } => Ok(outcome),
            Reply::Welcome { .. }
            | Reply::Rejected { .. }
            | Reply::Busy { .. }
            | Reply::View { .. }
            | Reply::Event(_)
            | Reply::Question(_) => Err(LinkError::Mismatch),
        }
    }

    /// Asks for state; `None` where there is no such thing.
    pub async fn query(&self, query: Query) -> Result<Option<View>, LinkError> {
        self.ask_for_view(Question::Query(query)).await
    }

    /// Lets the switch's clock run ahead by so much at least; `None` where it may not.
    pub async fn set_clock_ahead(&self, ahead_ms: u64) -> Result<Option<ClockView>, LinkError> {
        let view = self.ask_for_view(Question::SetClockAhead(ahead_ms)).await?;
        Ok(view.and_then(View::into_clock))
    }

    async fn ask_for_view(&self, question: Question) -> Result<Option<View>, LinkError> {
        match self.ask(question).await? {
            Reply::View { view, .. } => Ok(view),
            Reply::Welcome { .. }
            | Reply::Rejected { .. }
            | Reply::Busy { .. }
            | Reply::Outcome { .. }
            | Reply::Event(_)
            | Reply::Question(_) => Err(LinkError::Mismatch),
        }
    }

    /// The same, for one kind of view.
    pub async fn view<T>(
        &self,
        query: Query,
        pick: impl FnOnce(View) -> Option<T>,
    ) -> Result<Option<T>, LinkError> {
        match self.query(query).await? {
            Some(view) => pick(view).map(Some).ok_or(LinkError::Mismatch),
            None => Ok(None),
        }
    }

    async fn ask(&self, question: Question) -> Result<Reply, LinkError> {
        let answered = timeout(self.deadline, self.ask_until_answered(question)).await;
        answered.unwrap_or(Err(LinkError::Deadline))
    }

    async fn ask_until_answered(&self, question: Question) -> Result<Reply, LinkError> {
        let permit = self.permits.acquire().await.map_err(|_closed| LinkError::Closed)?;
        loop {
            let (answer, reply) = oneshot::channel();
            let call = Call { question: question.clone(), answer };
            self.calls.send(call).await.map_err(|_closed| LinkError::Closed)?;
            let reply = reply.await.map_err(|_dropped| LinkError::Closed)?;
            if !matches!(reply, Reply::Busy { .. }) {
                drop(permit);
                return Ok(reply);
            }
            sleep(BUSY_PAUSE).await;
        }
    }
}

impl LinkTask {
    /// Runs until `stop`, connecting again whenever the connection ends.
    pub async fn run(mut self, stop: CancellationToken) {
        let work = async {
            let mut backoff = BACKOFF_MIN;
            loop {
                match connect(&self.socket).await {
                    Ok((mut reader, mut writer)) => {
                        tracing::info!("control link up");
                        backoff = BACKOFF_MIN;
                        self.set_up(true);
                        let end =
                            converse(&self.unanswered, &mut self.calls, &mut reader, &mut writer);
                        let error = end.await;
                        self.set_up(false);
                        tracing::warn!(%error, "control link down");
                    }
                    Err(error) => tracing::debug!(%error, "control link does not connect"),
                }
                sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    fn set_up(&self, up: bool) {
        self.up.send_replace(up);
        metrics::set_link_up(up);
    }
}

/// Connects within the time that a connection may take.
async fn connect(socket: &Path) -> std::io::Result<(Reader, Writer)> {
    timeout(CONNECT_TIMEOUT, wire::connect(socket)).await?
}

/// Reads and writes until either fails; gives back why.
async fn converse(
    unanswered: &Mutex<Unanswered>,
    calls: &mut mpsc::Receiver<Call>,
    reader: &mut Reader,
    writer: &mut Writer,
) -> std::io::Error {
    let ended = tokio::select! {
        ended = read_answers(unanswered, reader) => ended,
        ended = write_questions(unanswered, calls, writer) => ended,
    };
    match ended {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn read_answers(
    unanswered: &Mutex<Unanswered>,
    reader: &mut Reader,
) -> std::io::Result<core::convert::Infallible> {
    loop {
        let reply = reader.next().await?;
        let request = match &reply {
            Reply::Outcome { request, .. }
            | Reply::Busy { request }
            | Reply::View { request, .. } => *request,
            Reply::Rejected { detail } => return Err(std::io::Error::other(detail.clone())),
            Reply::Welcome { .. } | Reply::Event(_) | Reply::Question(_) => continue,
        };
        // An answer to nobody is a caller that gave up.
        if let Some(call) = locked(unanswered).calls.remove(&request) {
            let _gone = call.answer.send(reply);
        }
    }
}

async fn write_questions(
    unanswered: &Mutex<Unanswered>,
    calls: &mut mpsc::Receiver<Call>,
    writer: &mut Writer,
) -> std::io::Result<core::convert::Infallible> {
    {
        let mut unanswered = locked(unanswered);
        unanswered.calls.retain(|_request, call| !call.answer.is_closed());
        for (request, call) in &unanswered.calls {
            writer.put(&frame(*request, &call.question))?;
        }
    }
    loop {
        writer.flush().await?;
        let Some(call) = calls.recv().await else {
            return Err(std::io::Error::other("nobody asks any more"));
        };
        put_call(unanswered, writer, call)?;
        while let Ok(call) = calls.try_recv() {
            put_call(unanswered, writer, call)?;
        }
    }
}

fn put_call(
    unanswered: &Mutex<Unanswered>,
    writer: &mut Writer,
    call: Call,
) -> std::io::Result<()> {
    if call.answer.is_closed() {
        return Ok(());
    }
    let mut unanswered = locked(unanswered);
    let request = unanswered.next_request;
    unanswered.next_request += 1;
    let frame = frame(request, &call.question);
    unanswered.calls.insert(request, call);
    writer.put(&frame)
}

fn frame(request: u64, question: &Question) -> Request {
    match question {
        Question::Change(id, change) => {
            Request::Change { request, id: *id, change: change.clone() }
        }
        Question::Query(query) => Request::Query { request, query: *query },
        Question::SetClockAhead(ahead_ms) => {
            Request::SetClockAhead { request, ahead_ms: *ahead_ms }
        }
    }
}

fn locked(unanswered: &Mutex<Unanswered>) -> std::sync::MutexGuard<'_, Unanswered> {
    unanswered.lock().unwrap_or_else(PoisonError::into_inner)
}
