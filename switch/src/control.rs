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

use bytes::{Bytes, BytesMut};
use shared::control::{FRAME_BYTES_MAX, Reply, Request, VERSION};
use shared::ids::Sequence;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::engine::Gate;
use crate::journal::Progress;
use crate::journal::reader::Reader;
use crate::shard::Shard;

use futures_util::{SinkExt, StreamExt};

/// Answers of one connection that may wait for the journal.
const WAITING_MAX: usize = 4096;
/// Events between the reader and the socket.
const EVENTS_QUEUED_MAX: usize = 1024;
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
    connections_max: usize,
    sessions: TaskTracker,
) {
    let permits = Arc::new(Semaphore::new(connections_max));
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
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        };
        if !is_allowed(&stream) {
            warn!("a process of another user was refused on the control socket");
            continue;
        }
        let lane = Lane::new(Rc::clone(&shard), journal.clone(), stream);
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
    framed: Framed<UnixStream, LengthDelimitedCodec>,
    welcomed: bool,
    waiting: VecDeque<(Gate, Reply)>,
    events: Option<mpsc::Receiver<Reply>>,
}

impl Lane {
    fn new(shard: Rc<Shard>, journal: PathBuf, stream: UnixStream) -> Self {
        let codec = LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES_MAX).new_codec();
        let framed = Framed::new(stream, codec);
        Self { shard, journal, framed, welcomed: false, waiting: VecDeque::new(), events: None }
    }

    async fn run(mut self) -> anyhow::Result<()> {
        let mut progress = self.shard.watch();
        loop {
            if !self.waiting.is_empty() {
                self.send_open(*progress.borrow_and_update()).await?;
            }
            let draining = self.shard.draining.is_cancelled();
            if draining && self.waiting.is_empty() {
                return Ok(());
            }
            let may_read = !draining && self.waiting.len() < WAITING_MAX;
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
                    Some(event) => tokio::select! {
                        sent = self.framed.send(encode(&event)?) => sent?,
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
            Request::Query { request, query } => {
                let (view, gate) = engine.view(query);
                self.waiting.push_back((gate, Reply::View { request, view }));
            }
            Request::Subscribe { after } => {
                drop(engine);
                self.events = Some(self.follow(after));
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
    fn follow(&self, after: Sequence) -> mpsc::Receiver<Reply> {
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
                    let read = tokio::task::spawn_blocking(move || {
                        let records = reader.read(durable, EVENTS_READ_MAX);
                        (reader, records)
                    });
                    let (returned, records) = read.await?;
                    reader = returned;
                    let records = records?;
                    if records.is_empty() {
                        last = durable;
                    }
                    for record in records {
                        last = record.sequence;
                        if send.send(Reply::Event(Box::new(record))).await.is_err() {
                            return anyhow::Ok(());
                        }
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
