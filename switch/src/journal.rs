//! The journal: every command with its complete effects, hash-chained, group-committed.
//!
//! Invariants: a record is written before its answer leaves, and in `durable` mode synced too; the
//! next group is written only after the one before it is synced, so at most one group is ever at
//! risk; the first failed write or sync ends the process, nothing is retried. Source: durability 1.
//!
//! On disk: segments of fixed length, zero-written ahead of use, each with a header and, once
//! closed, a footer whose hash covers the whole file; a mark file with what is known to be durable.

pub mod frame;
pub mod mark;
pub mod reader;
pub mod scan;
pub mod segment;
mod spare;
mod writer;

use std::path::PathBuf;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use shared::ids::Sequence;
use shared::journal_record::RecordRef;
use tokio::sync::watch;

use self::frame::ChainHash;
use self::mark::Mark;
use self::writer::Writer;

/// Bytes of one record at most; a command and its effects are far below.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;
/// Chunks on their way to the journal thread at most.
const CHUNKS_IN_FLIGHT_MAX: usize = 256;

/// Where the journal lies and how it is cut.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder.
    pub directory: PathBuf,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Of one group that is written and not synced, how many records may be answered early, in
    /// write-behind; a larger group waits for its sync.
    pub unsynced_records_max: u64,
    /// Likewise, how much money, in minor units of each currency.
    pub unsynced_amount_max: i64,
}

/// Where the journal ends: what the next record follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The last record.
    pub sequence: Sequence,
    /// The hash of its frame.
    pub chain: ChainHash,
    /// The next segment's number.
    pub segment: u64,
    /// This start's number; synced before the first frame.
    pub epoch: u32,
}

/// How far the journal thread is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Up to here the kernel has the records, within the caps of write-behind.
    pub written: Sequence,
    /// Up to here they are on disk.
    pub durable: Sequence,
    /// The thread has ended on an error: nothing further will be durable.
    pub failed: bool,
}

/// Records on their way, in order.
#[derive(Default)]
struct Chunk {
    first: Sequence,
    /// Each record behind its length, four bytes.
    bytes: Vec<u8>,
    records: u64,
    /// Money approved by the records that may be answered early, per currency code.
    approved: Vec<(u16, i128)>,
}

/// The engine's end: collects records and hands them over without ever waiting.
pub struct Appender {
    chunks: Sender<Chunk>,
    emptied: Receiver<Chunk>,
    current: Chunk,
    progress: watch::Receiver<Progress>,
    thread: Option<JoinHandle<std::io::Result<Mark>>>,
}

impl Appender {
    /// Opens a fresh segment behind `tail` and starts the journal thread.
    pub fn start(options: Options, tail: Tail) -> std::io::Result<Self> {
        let (chunks, filled) = bounded(CHUNKS_IN_FLIGHT_MAX);
        let (give_back, emptied) = bounded(CHUNKS_IN_FLIGHT_MAX);
        let start = Progress { written: tail.sequence, durable: tail.sequence, failed: false };
        let (publish, progress) = watch::channel(start);
        let mut writer = Writer::open(options, tail)?;
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || {
            let ended = writer.run(&filled, &give_back, &publish);
            publish.send_modify(|progress| progress.failed = ended.is_err());
            ended
        })?;
        Ok(Self { chunks, emptied, current: Chunk::default(), progress, thread: Some(thread) })
    }

    /// Takes a record over; it is on its way at the next [`Self::submit`].
    pub fn append(&mut self, record: &RecordRef<'_>) {
        let chunk = &mut self.current;
        if chunk.records == 0 {
            chunk.first = record.sequence;
        }
        let at = chunk.bytes.len();
        chunk.bytes.extend_from_slice(&[0; 4]);
        record.encode(&mut chunk.bytes);
        let length = chunk.bytes.len() - at - 4;
        assert!(length <= RECORD_BYTES_MAX, "a record is bounded by its command and effects");
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        if let Some(place) = chunk.bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        chunk.records += 1;
    }

    /// Counts an approval that may be answered before its sync.
    pub fn count_early(&mut self, currency: u16, amount: i64) {
        let approved = &mut self.current.approved;
        match approved.iter_mut().find(|(known, _)| *known == currency) {
            Some((_, sum)) => *sum += i128::from(amount),
            None => approved.push((currency, i128::from(amount))),
        }
    }

    /// Hands over what was appended. Where the thread is behind, it stays here and grows until the
    /// next call; the engine takes no new messages meanwhile.
    pub fn submit(&mut self) {
        if self.current.records == 0 {
            return;
        }
        let mut next = self.emptied.try_recv().unwrap_or_default();
        next.bytes.clear();
        next.approved.clear();
        next.records = 0;
        match self.chunks.try_send(std::mem::replace(&mut self.current, next)) {
            Ok(()) => {}
            Err(TrySendError::Full(chunk) | TrySendError::Disconnected(chunk)) => {
                self.current = chunk;
            }
        }
    }

    /// Bytes that wait here because the thread is behind.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.current.bytes.len()
    }

    /// Watches how far the thread is.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Writes everything, closes the segment with its footer and a last mark, and ends the thread.
    pub fn close(mut self) -> std::io::Result<Mark> {
        let ended = "the journal thread ended with a panic";
        if self.current.records > 0 {
            let last = std::mem::take(&mut self.current);
            // A thread that has gone tells why when it is joined.
            self.chunks.send(last).ok();
        }
        let (closed, _) = bounded(0);
        drop(std::mem::replace(&mut self.chunks, closed));
        let thread = self.thread.take().ok_or_else(|| std::io::Error::other(ended))?;
        thread.join().map_err(|_panic| std::io::Error::other(ended))?
    }
}
