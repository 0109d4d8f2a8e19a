//! The management API's lane into the same engine, and the event stream out.
//!
//! Invariants: an outcome is told only when its record is durable; a change sent again gets its
//! first outcome; events are read from the journal, so a slow reader costs the path nothing.
//! Source: authorization 6.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use shared::control::{FRAME_BYTES_MAX, Query, Reply, Request, VERSION, View, put_event_frame};
use shared::ids::Sequence;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::codec::{Decoder, Encoder, Framed, LengthDelimitedCodec};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::config::Control;
use crate::engine::Gate;
use crate::journal::Progress;
use crate::journal::reader::Reader;
use crate::retell::{Retelling, Told};
use crate::shard::Shard;

use futures_util::{SinkExt, StreamExt};

/// Answers of one connection that may wait for the journal.
const WAITING_MAX: usize = 4096;
/// Questions are taken within this, or nobody takes them.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);
/// Groups of events between the reader and the socket.
const EVENTS_QUEUED_MAX: usize = 2;
/// Records read from the journal at once.
const EVENTS_READ_MAX: usize = 512;

/// Makes the socket, readable by its owner only. A socket left over by an earlier process is
/// replaced: the journal's lock says that it has gone.
pub fn listen(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Accepts until the drain begins.
pub async fn serve(
    listener: UnixListener,
    shard: Rc<Shard>,
    journal: PathBuf,
    bounds: Control,
    sessions: TaskTracker,
) {
    let permits = Arc::new(Semaphore::new(bounds.connections_max));
    let retelling = Rc::new(Retelling::new(&journal, bounds.explained_max));
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
            Some((listener.accept().await.ok()?.0, permit))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = shard.draining.cancelled() => return,
        };
        let Some((stream, permit)) = accepted else {
            warn!("accept failed on the control socket");
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        if !is_allowed(&stream) {
            warn!("a process of another user was refused on the control socket");
            continue;
        }
        let lane = Lane::new(Rc::clone(&shard), (journal.clone(), Rc::clone(&retelling)), stream);
        let cut = shard.cut.clone();
        sessions.spawn_local(async move {
            match cut.run_until_cancelled_owned(lane.run()).await {
                Some(Ok(())) => info!("control connection closed"),
                Some(Err(error)) => warn!(%error, "control connection ended"),
                None => warn!("control connection cut off by the stop"),
            }
            drop(permit);
        });
    }
}

/// Only the user that the switch runs as, and root.
fn is_allowed(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

/// One connection of the management API.
struct Lane {
    shard: Rc<Shard>,
    journal: PathBuf,
    retelling: Rc<Retelling>,
    framed: Framed<UnixStream, Codec>,
    welcomed: bool,
    waiting: VecDeque<(Gate, Reply)>,
    events: Option<mpsc::Receiver<Events>>,
    /// Here while questions to partners are taken on this connection.
    taker: Option<Taker>,
}

/// Takes questions to partners, until it is dropped.
struct Taker(Rc<Shard>);

impl Taker {
    fn new(shard: &Rc<Shard>) -> Self {
        shard.engine().questions.join();
        Self(Rc::clone(shard))
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.0.engine().questions.leave();
    }
}

/// Frames of events, one behind the other.
struct Events(Vec<u8>);

/// Requests in; replies and events out.
struct Codec(LengthDelimitedCodec);

impl Decoder for Codec {
    type Item = BytesMut;
    type Error = std::io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> std::io::Result<Option<BytesMut>> {
        self.0.decode(source)
    }
}

impl Encoder<Bytes> for Codec {
    type Error = std::io::Error;

    fn encode(&mut self, reply: Bytes, out: &mut BytesMut) -> std::io::Result<()> {
        self.0.encode(reply, out)
    }
}

impl Encoder<Events> for Codec {
    type Error = std::io::Error;

    fn encode(&mut self, Events(frames): Events, out: &mut BytesMut) -> std::io::Result<()> {
        out.extend_from_slice(&frames);
        Ok(())
    }
}

impl Lane {
    fn new(
        shard: Rc<Shard>,
        (journal, retelling): (PathBuf, Rc<Retelling>),
        stream: UnixStream,
    ) -> Self {
        let codec = LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES_MAX).new_codec();
        let framed = Framed::new(stream, Codec(codec));
        let (welcomed, waiting, events, taker) = (false, VecDeque::new(), None, None);
        Self { shard, journal, retelling, framed, welcomed, waiting, events, taker }
    }

    async fn run(mut self) -> anyhow::Result<()> {
        let mut progress = self.shard.watch();
        loop {
            if !self.waiting.is_empty() {
                self.send_open(*progress.borrow_and_update()).await?;
            }
            if self.taker.is_some() {
                let progress = *progress.borrow_and_update();
                // One that takes none must not keep questions for as long as they live.
                tokio::time::timeout(TAKEN_WITHIN, self.send_questions(progress)).await??;
            }
            let draining = self.shard.draining.is_cancelled();
            // What partners were asked for is still told.
            let answers = self.taker.is_some() && self.shard.engine().open_questions() > 0;
            if draining && self.waiting.is_empty() && !answers {
                return Ok(());
            }
            let may_read = (!draining || answers) && self.waiting.len() < WAITING_MAX;
            let events = async {
                match &mut self.events {
                    Some(events) => events.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = progress.changed() => changed?,
                frame = self.framed.next(), if may_read => match frame {
                    Some(frame) => self.request(&frame?).await?,
                    None => return Ok(()),
                },
                event = events => match event {
                    // A peer that takes no events must not hold up the stop.
                    Some(events) => tokio::select! {
                        sent = self.framed.send(events) => sent?,
                        () = self.shard.draining.cancelled(), if !draining => {}
                    },
                    None => anyhow::bail!("the event stream cannot go on"),
                },
                () = self.shard.draining.cancelled(), if !draining => {}
            }
        }
    }

    /// Sends every reply whose record is durable, in order.
    async fn send_open(&mut self, progress: Progress) -> anyhow::Result<()> {
        while self.waiting.front().is_some_and(|(gate, _)| gate.is_open(progress)) {
            if let Some((_, reply)) = self.waiting.pop_front() {
                self.framed.feed(encode(&reply)?).await?;
            }
        }
        SinkExt::<Bytes>::flush(&mut self.framed).await?;
        Ok(())
    }

    /// Sends every question whose record is durable.
    async fn send_questions(&mut self, progress: Progress) -> anyhow::Result<()> {
        let mut sent = false;
        loop {
            let next = {
                let mut engine = self.shard.engine();
                let now = engine.now();
                engine.next_question(progress.durable, now)
            };
            let Some(question) = next else { break };
            self.framed.feed(encode(&Reply::Question(Box::new(question)))?).await?;
            sent = true;
        }
        if sent {
            SinkExt::<Bytes>::flush(&mut self.framed).await?;
        }
        Ok(())
    }

    async fn request(&mut self, frame: &BytesMut) -> anyhow::Result<()> {
        let request = match postcard::from_bytes(frame) {
            Ok(Request::Hello { version: VERSION }) => {
                self.welcomed = true;
                return Ok(self.framed.send(encode(&Reply::Welcome { version: VERSION })?).await?);
            }
            Ok(Request::Hello { version }) => {
                return self.reject(format!("version {version}, this switch has {VERSION}")).await;
            }
            Ok(request) if self.welcomed => request,
            Ok(_) => return self.reject("the first frame must be a hello".to_owned()).await,
            Err(error) => return self.reject(error.to_string()).await,
        };
        let mut engine = self.shard.engine();
        match request {
            Request::Change { request, id, change } => {
                let reply = if engine.has_room_for_change(self.shard.progress()) {
                    self.shard.metrics.changed();
                    engine
                        .change(id, change)
                        .map(|(outcome, gate)| (gate, Reply::Outcome { request, outcome }))
                } else {
                    None
                };
                let busy = (Gate::Written(Sequence(0)), Reply::Busy { request });
                self.waiting.push_back(reply.unwrap_or(busy));
                engine.submit();
            }
            Request::Query { request, query: Query::Retold(sequence) } => {
                let durable = self.shard.progress().durable >= sequence;
                let told = if durable { self.retelling.ask(sequence) } else { Told::None };
                let reply = match told {
                    Told::Busy => Reply::Busy { request },
                    Told::None => Reply::View { request, view: None },
                    Told::Here(retold) => Reply::View { request, view: Some(View::Retold(retold)) },
                };
                self.waiting.push_back((Gate::Written(Sequence(0)), reply));
            }
            Request::Query { request, query: Query::Clock } => {
                let (view, gate) = engine.clock_view();
                self.waiting.push_back((gate, Reply::View { request, view: Some(view) }));
            }
            Request::SetClockAhead { request, ahead_ms } => {
                let done = engine.set_clock_ahead(ahead_ms);
                let (view, gate) = engine.clock_view();
                let view = done.then_some(view);
                self.waiting.push_back((gate, Reply::View { request, view }));
            }
            Request::Query { request, query } => {
                let (view, gate) = engine.view(query);
                self.waiting.push_back((gate, Reply::View { request, view }));
            }
            Request::Subscribe { after } => {
                drop(engine);
                self.events = Some(self.follow(after));
            }
            Request::TakeQuestions => {
                drop(engine);
                self.taker = Some(Taker::new(&self.shard));
            }
            Request::Answered { key, id, answer } => {
                engine.answered(key, id, answer);
                drop(engine);
                self.shard.submit();
            }
            Request::Hello { .. } => {}
        }
        Ok(())
    }

    async fn reject(&mut self, detail: String) -> anyhow::Result<()> {
        let reply = Reply::Rejected { detail: detail.clone() };
        self.framed.send(encode(&reply)?).await?;
        anyhow::bail!("rejected: {detail}")
    }

    /// Starts reading the journal behind `after`; ends when nobody listens any more.
    fn follow(&self, after: Sequence) -> mpsc::Receiver<Events> {
        let (send, receive) = mpsc::channel(EVENTS_QUEUED_MAX);
        let mut progress = self.shard.watch();
        let journal = self.journal.clone();
        tokio::task::spawn_local(async move {
            let followed = async {
                let mut reader =
                    tokio::task::spawn_blocking(move || Reader::open(&journal, after)).await??;
                let mut last = after;
                loop {
                    let durable = progress.wait_for(|now| now.durable > last).await?.durable;
                    // Copied as they are: decoding them is for whoever asks.
                    let read = tokio::task::spawn_blocking(move || {
                        let mut frames = Vec::new();
                        let read = reader.read(durable, EVENTS_READ_MAX, |record| {
                            put_event_frame(record, &mut frames).map_err(std::io::Error::other)
                        });
                        (reader, read, frames)
                    });
                    let (returned, read, frames) = read.await?;
                    (reader, last) = (returned, read?);
                    if !frames.is_empty() && send.send(Events(frames)).await.is_err() {
                        return anyhow::Ok(());
                    }
                }
            };
            if let Err(error) = followed.await {
                warn!(%error, "the event stream ended");
            }
        });
        receive
    }
}

fn encode(reply: &Reply) -> anyhow::Result<Bytes> {
    Ok(Bytes::from(postcard::to_stdvec(reply)?))
}
