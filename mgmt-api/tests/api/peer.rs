//! The switch's end of the control link, with the real core behind it and faults on demand.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use shared::action_code::Reason;
use shared::command::{Authorization, Change, Command};
use shared::control::{ClockView, FRAME_BYTES_MAX, Query, Question, Reply, Request, VERSION, View};
use shared::effect::{Decision, Effect};
use shared::ids::{Sequence, Timestamp};
use shared::journal_record::{Answer, Record};
use shared::ledger::Ledger;
use shared::limits::PRODUCTION;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

/// What the peer does with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Applies and answers.
    Answer,
    /// Applies and says nothing.
    Swallow,
    /// Neither.
    Ignore,
    /// Says that it is busy.
    Busy,
}

/// What the peer answers to who asks why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Explanations {
    /// Why.
    Here,
    /// That it is not ready yet.
    Busy,
    /// That there is none.
    TooFarBehind,
}

pub(crate) struct Peer {
    socket: PathBuf,
    state: Arc<State>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    core: Mutex<Core>,
    appended: watch::Sender<u64>,
    received: watch::Sender<usize>,
    /// Questions that nobody took yet, and how many take them.
    questions: Mutex<VecDeque<Question>>,
    takers: watch::Sender<usize>,
    asked: Notify,
    kick: Notify,
}

struct Core {
    ledger: Ledger,
    records: Vec<Record>,
    mode: Mode,
    explanations: Explanations,
    skip_event: Option<Sequence>,
    subscriptions: usize,
}

/// Ask again.
struct NotYet;

impl Core {
    fn view(&self, query: Query) -> Result<Option<View>, NotYet> {
        if query == Query::Clock {
            let now = now();
            let next_expiry = self.ledger.next_expiry();
            return Ok(Some(View::Clock(ClockView { now, ahead_ms: 0, next_expiry })));
        }
        let Query::Retold(sequence) = query else { return Ok(self.ledger.view(query)) };
        match self.explanations {
            Explanations::Here => {}
            Explanations::Busy => return Err(NotYet),
            Explanations::TooFarBehind => return Ok(None),
        }
        let mut ledger = Ledger::new(PRODUCTION);
        for record in &self.records {
            if record.sequence == sequence {
                return Ok(Some(View::Retold(Box::new(ledger.retell(record).unwrap()))));
            }
            ledger.replay(record).unwrap();
        }
        Ok(None)
    }
}

impl Peer {
    pub(crate) fn start(socket: PathBuf) -> Self {
        let core = Core {
            ledger: Ledger::new(PRODUCTION),
            records: Vec::new(),
            mode: Mode::Answer,
            explanations: Explanations::Here,
            skip_event: None,
            subscriptions: 0,
        };
        let state = State {
            core: Mutex::new(core),
            appended: watch::Sender::new(0),
            received: watch::Sender::new(0),
            questions: Mutex::default(),
            takers: watch::Sender::new(0),
            asked: Notify::new(),
            kick: Notify::new(),
        };
        let peer = Self { socket, state: Arc::new(state), accepting: Mutex::default() };
        peer.resume();
        peer
    }

    /// Listens again after [`Peer::stop`], with the same state.
    pub(crate) fn resume(&self) {
        std::fs::remove_file(&self.socket).ok();
        let listener = UnixListener::bind(&self.socket).unwrap();
        let task = tokio::spawn(accept(listener, Arc::clone(&self.state)));
        *self.accepting.lock().unwrap() = Some(task);
    }

    /// Goes away: the socket is gone and every connection is cut.
    pub(crate) fn stop(&self) {
        let task = self.accepting.lock().unwrap().take();
        task.unwrap().abort();
        std::fs::remove_file(&self.socket).unwrap();
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self) {
        self.state.kick.notify_waiters();
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.state.lock().mode = mode;
    }

    pub(crate) fn set_explanations(&self, explanations: Explanations) {
        self.state.lock().explanations = explanations;
    }

    /// Leaves one event out, once.
    pub(crate) fn skip_event(&self, sequence: u64) {
        self.state.lock().skip_event = Some(Sequence(sequence));
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.state.lock().subscriptions
    }

    pub(crate) fn last_sequence(&self) -> u64 {
        self.state.lock().ledger.last().sequence.0
    }

    /// Applies a change as another client of the switch would.
    pub(crate) fn apply(&self, command: Command) {
        self.state.apply(command);
    }

    /// A message as a link would bring it.
    pub(crate) fn message(&self, command: Command) -> Decision {
        match self.state.apply(command) {
            Answer::Decision(decision) => decision,
            answer @ (Answer::Outcome(_) | Answer::Noted | Answer::Asked(_)) => {
                panic!("{answer:?}")
            }
        }
    }

    /// A request for which the partner is asked, as a link would bring it.
    pub(crate) fn ask(&self, request: Authorization) {
        let command = Command::Authorize(request);
        assert!(matches!(self.state.apply(command), Answer::Asked(_)));
        let question = {
            let core = self.state.lock();
            let effects = &core.records.last().unwrap().effects;
            let slot = effects.iter().find_map(|effect| {
                if let Effect::Asked(slot, _) = effect { Some(*slot) } else { None }
            });
            core.ledger.question(slot.unwrap(), &request).unwrap()
        };
        self.state.questions.lock().unwrap().push_back(question);
        self.state.asked.notify_one();
    }

    /// What was decided of a request for which the partner was asked; none before that is.
    pub(crate) fn decided(&self, request: Authorization) -> Option<Reason> {
        match self.state.apply(Command::Authorize(request)) {
            Answer::Decision(decision) => Some(decision.reason),
            Answer::Asked(_) => None,
            answer @ (Answer::Outcome(_) | Answer::Noted) => panic!("{answer:?}"),
        }
    }

    /// Lets the time of questions and holds be over.
    pub(crate) fn expire(&self) {
        self.state.apply(Command::Expire);
    }

    /// The same, as if so many days had gone by; what comes later is not earlier than that.
    pub(crate) fn expire_in(&self, days: u64) {
        self.state.apply_at(Command::Expire, Timestamp(now().0 + days * 86_400_000));
    }

    /// Waits until somebody takes questions.
    pub(crate) async fn until_taken(&self) {
        let mut takers = self.state.takers.subscribe();
        takers.wait_for(|takers| *takers > 0).await.unwrap();
    }

    /// What `pick` takes of the newest change that has it.
    pub(crate) fn last_change<T>(&self, pick: impl Fn(&Change) -> Option<T>) -> Option<T> {
        let core = self.state.lock();
        core.records.iter().rev().find_map(|record| match &record.command {
            Command::Manage(_, change) => pick(change),
            Command::Authorize(_)
            | Command::Advise(_)
            | Command::LockOutside(_)
            | Command::Expire
            | Command::Reverse(_)
            | Command::Void(..)
            | Command::Answered(..) => None,
        })
    }

    /// State as the switch has it.
    pub(crate) fn view(&self, query: Query) -> Option<View> {
        self.state.lock().ledger.view(query)
    }

    /// Applied changes that `is_it` picks, one for each command id.
    pub(crate) fn count_changes(&self, is_it: impl Fn(&Change) -> bool) -> usize {
        let core = self.state.lock();
        let mut ids: Vec<_> = core
            .records
            .iter()
            .filter_map(|record| match &record.command {
                Command::Manage(id, change) if is_it(change) => Some(*id),
                Command::Manage(..)
                | Command::Authorize(_)
                | Command::Advise(_)
                | Command::LockOutside(_)
                | Command::Expire
                | Command::Reverse(_)
                | Command::Void(..)
                | Command::Answered(..) => None,
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    }

    /// Changes that came in, whatever became of them.
    pub(crate) fn received(&self) -> usize {
        *self.state.received.borrow()
    }

    /// Waits until `count` changes came in.
    pub(crate) async fn until_received(&self, count: usize) {
        let mut received = self.state.received.subscribe();
        received.wait_for(|now| *now >= count).await.unwrap();
    }

    /// Waits until the journal has reached `sequence`.
    pub(crate) async fn until_sequence(&self, sequence: u64) {
        let mut appended = self.state.appended.subscribe();
        appended.wait_for(|last| *last >= sequence).await.unwrap();
    }
}

impl State {
    fn lock(&self) -> std::sync::MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, command: Command) -> Answer {
        self.apply_at(command, now())
    }

    fn apply_at(&self, command: Command, now: Timestamp) -> Answer {
        let mut core = self.lock();
        let mut effects = Vec::new();
        let (stamp, answer) = core.ledger.apply(&command, now, &mut effects);
        core.records.push(Record {
            sequence: stamp.sequence,
            at: stamp.at,
            command,
            effects,
            answer,
        });
        self.appended.send_replace(stamp.sequence.0);
        answer
    }
}

fn now() -> Timestamp {
    let now = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    Timestamp(u64::try_from(now).unwrap())
}

async fn accept(listener: UnixListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        connections.spawn(async move {
            tokio::select! {
                () = state.kick.notified() => {}
                ended = serve(stream, Arc::clone(&state)) => drop(ended),
            }
        });
    }
}

async fn serve(stream: UnixStream, state: Arc<State>) -> std::io::Result<()> {
    let (mut read, mut write) = stream.into_split();
    let mut codec = LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES_MAX).new_codec();
    let mut buffer = BytesMut::new();
    loop {
        let Some(request) = next(&mut read, &mut codec, &mut buffer).await? else { return Ok(()) };
        match request {
            Request::Hello { version } => {
                assert_eq!(version, VERSION);
                send(&mut write, &Reply::Welcome { version }).await?;
            }
            Request::Change { request, id, change } => {
                state.received.send_modify(|count| *count += 1);
                let mode = state.lock().mode;
                if mode == Mode::Busy {
                    send(&mut write, &Reply::Busy { request }).await?;
                } else if mode != Mode::Ignore {
                    let answer = state.apply(Command::Manage(id, change));
                    let Answer::Outcome(outcome) = answer else { panic!("{answer:?}") };
                    if mode == Mode::Answer {
                        send(&mut write, &Reply::Outcome { request, outcome }).await?;
                    }
                }
            }
            Request::Query { request, query } => {
                let reply = match state.lock().view(query) {
                    Ok(view) => Reply::View { request, view },
                    Err(NotYet) => Reply::Busy { request },
                };
                send(&mut write, &reply).await?;
            }
            // As a switch whose clock may not run ahead.
            Request::SetClockAhead { request, .. } => {
                send(&mut write, &Reply::View { request, view: None }).await?;
            }
            Request::TakeQuestions => {
                state.takers.send_modify(|takers| *takers += 1);
                let asked = forward(&mut write, &state);
                let answered = take_answers(&mut read, &mut codec, &mut buffer, &state);
                let ended = tokio::select! {
                    ended = asked => ended,
                    ended = answered => ended,
                };
                state.takers.send_modify(|takers| *takers -= 1);
                return ended;
            }
            Request::Answered { .. } => panic!("questions are taken first"),
            Request::Subscribe { after } => {
                state.lock().subscriptions += 1;
                return stream_events(&mut write, &state, after).await;
            }
        }
    }
}

async fn forward(write: &mut OwnedWriteHalf, state: &State) -> std::io::Result<()> {
    loop {
        let next = state.questions.lock().unwrap().pop_front();
        match next {
            Some(question) => send(write, &Reply::Question(Box::new(question))).await?,
            None => state.asked.notified().await,
        }
    }
}

async fn take_answers(
    read: &mut OwnedReadHalf,
    codec: &mut LengthDelimitedCodec,
    buffer: &mut BytesMut,
    state: &State,
) -> std::io::Result<()> {
    while let Some(request) = next(read, codec, buffer).await? {
        let Request::Answered { key, id, answer } = request else { panic!("{request:?}") };
        state.apply(Command::Answered(key, id, answer));
    }
    Ok(())
}

async fn stream_events(
    write: &mut OwnedWriteHalf,
    state: &State,
    after: Sequence,
) -> std::io::Result<()> {
    let mut next = after.0;
    let mut appended = state.appended.subscribe();
    loop {
        let last = *appended.borrow_and_update();
        while next < last {
            let (record, skip) = {
                let mut core = state.lock();
                let record = core.records[usize::try_from(next).unwrap()].clone();
                let skip = core.skip_event == Some(record.sequence);
                if skip {
                    core.skip_event = None;
                }
                (record, skip)
            };
            if !skip {
                send(write, &Reply::Event(Box::new(record))).await?;
            }
            next += 1;
        }
        if appended.changed().await.is_err() {
            return Ok(());
        }
    }
}

async fn next(
    read: &mut OwnedReadHalf,
    codec: &mut LengthDelimitedCodec,
    buffer: &mut BytesMut,
) -> std::io::Result<Option<Request>> {
    loop {
        if let Some(frame) = codec.decode(buffer)? {
            return Ok(Some(postcard::from_bytes(&frame).unwrap()));
        }
        if read.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

async fn send(write: &mut OwnedWriteHalf, reply: &Reply) -> std::io::Result<()> {
    let mut codec = LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES_MAX).new_codec();
    let mut buffer = BytesMut::new();
    codec.encode(Bytes::from(postcard::to_allocvec(reply).unwrap()), &mut buffer)?;
    write.write_all(&buffer).await
}
