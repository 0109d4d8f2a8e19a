//! The journal thread: takes all records there are, writes them as one group, syncs, tells.
//!
//! Invariant: group n+1 is written only after group n is synced; a group never spans two segments;
//! any error ends the thread.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use shared::ids::Sequence;
use tokio::sync::watch;

use super::frame::{self, ChainHash, Position};
use super::mark::{Mark, MarkFile};
use super::segment::{self, FOOTER_BYTES, Header};
use super::spare::Spares;
use super::{Chunk, Options, Progress, Tail};

/// Records of one group at most.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// After this long without a record, the mark is brought up to date.
const IDLE: Duration = Duration::from_millis(5);

pub(super) struct Writer {
    options: Options,
    spares: Spares,
    marks: MarkFile,
    segment: Segment,
    epoch: u32,
    last: Sequence,
    chain: ChainHash,
    frames: Vec<u8>,
}

struct Segment {
    file: File,
    header: Header,
    /// Where the next frame goes.
    at: u64,
    /// Fed everything up to there.
    hasher: blake3::Hasher,
}

impl Writer {
    /// Syncs the new epoch, then opens the segment behind `tail`.
    pub(super) fn open(options: Options, tail: Tail) -> io::Result<Self> {
        let mut marks = MarkFile::open(&options.directory)?;
        marks.write(tail.epoch, tail.sequence, tail.chain)?;
        let mut spares = Spares::start(&options.directory, options.segment_bytes)?;
        let segment = open_segment(&options, &mut spares, tail)?;
        Ok(Self {
            options,
            spares,
            marks,
            segment,
            epoch: tail.epoch,
            last: tail.sequence,
            chain: tail.chain,
            frames: Vec::with_capacity(1 << 20),
        })
    }

    /// Until the engine's end is dropped; then closes the segment.
    pub(super) fn run(
        &mut self,
        filled: &Receiver<Chunk>,
        give_back: &Sender<Chunk>,
        publish: &watch::Sender<Progress>,
    ) -> io::Result<Mark> {
        let mut group = Vec::new();
        loop {
            let first = if self.marks.last().sequence == self.last {
                filled.recv().map_err(|_closed| RecvTimeoutError::Disconnected)
            } else {
                filled.recv_timeout(IDLE)
            };
            match first {
                Ok(chunk) => group.push(chunk),
                Err(RecvTimeoutError::Timeout) => {
                    self.marks.write(self.epoch, self.last, self.chain)?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return self.close(),
            }
            let mut bytes = 0;
            while bytes < GROUP_BYTES_MAX
                && let Ok(chunk) = filled.try_recv()
            {
                bytes += chunk.bytes.len();
                group.push(chunk);
            }
            self.write_group(&group, publish)?;
            for chunk in group.drain(..) {
                // Where the engine has enough empty chunks, this one is dropped.
                give_back.try_send(chunk).ok();
            }
        }
    }

    fn write_group(
        &mut self,
        group: &[Chunk],
        publish: &watch::Sender<Progress>,
    ) -> io::Result<()> {
        self.frames.clear();
        let mut group_first = self.last.next();
        for chunk in group {
            assert_eq!(chunk.first, self.last.next(), "chunks come in the order of their records");
            let mut rest = chunk.bytes.as_slice();
            while let Some((length, tail)) = rest.split_first_chunk() {
                let length = u32::from_le_bytes(*length) as usize;
                let (payload, tail) = tail.split_at_checked(length).unwrap_or((tail, &[]));
                rest = tail;
                if !self.fits(payload.len()) {
                    self.flush()?;
                    self.roll()?;
                    group_first = self.last.next();
                }
                let position = Position {
                    salt: self.segment.header.salt,
                    epoch: self.epoch,
                    sequence: self.last.next(),
                    group_first,
                    previous: self.chain,
                };
                self.chain = frame::append(&mut self.frames, &position, payload);
                self.last = position.sequence;
            }
        }
        self.write_frames()?;
        if self.within_caps(group) {
            publish.send_modify(|progress| progress.written = self.last);
        }
        self.segment.file.sync_data()?;
        publish.send_modify(|progress| {
            progress.written = self.last;
            progress.durable = self.last;
        });
        Ok(())
    }

    /// Whether what this group would lose in a power cut is within what write-behind may lose.
    fn within_caps(&self, group: &[Chunk]) -> bool {
        let records: u64 = group.iter().map(|chunk| chunk.records).sum();
        let mut sums: Vec<(u16, i128)> = Vec::new();
        for (currency, amount) in group.iter().flat_map(|chunk| &chunk.approved) {
            match sums.iter_mut().find(|(known, _)| known == currency) {
                Some((_, sum)) => *sum += amount,
                None => sums.push((*currency, *amount)),
            }
        }
        let amount_max = i128::from(self.options.unsynced_amount_max);
        records <= self.options.unsynced_records_max
            && sums.iter().all(|(_, sum)| *sum <= amount_max)
    }

    fn fits(&self, payload: usize) -> bool {
        let frames = (self.frames.len() + frame::length_of(payload) + FOOTER_BYTES) as u64;
        self.segment.at + frames <= self.options.segment_bytes
    }

    fn write_frames(&mut self) -> io::Result<()> {
        self.segment.file.write_all_at(&self.frames, self.segment.at)?;
        self.segment.hasher.update(&self.frames);
        self.segment.at += self.frames.len() as u64;
        self.frames.clear();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_frames()?;
        self.segment.file.sync_data()
    }

    /// Closes the full segment and opens the next one.
    fn roll(&mut self) -> io::Result<()> {
        let Segment { file, header, at, hasher } = &self.segment;
        let extent = (self.last, *at, self.options.segment_bytes);
        segment::close(file, header, extent, hasher.clone())?;
        let tail = Tail {
            sequence: self.last,
            chain: self.chain,
            segment: header.index + 1,
            epoch: self.epoch,
        };
        self.segment = open_segment(&self.options, &mut self.spares, tail)?;
        self.marks.write(self.epoch, self.last, self.chain).map(drop)
    }

    fn close(&mut self) -> io::Result<Mark> {
        let Segment { file, header, at, hasher } = &self.segment;
        segment::close_short(file, header, self.last, *at, hasher.clone())?;
        self.marks.write(self.epoch, self.last, self.chain)
    }
}

fn open_segment(options: &Options, spares: &mut Spares, tail: Tail) -> io::Result<Segment> {
    let header = Header {
        index: tail.segment,
        epoch: tail.epoch,
        salt: random()?,
        first: tail.sequence.next(),
        previous: tail.chain,
    };
    let bytes = header.encode();
    let file = spares.take(&segment::path(&options.directory, tail.segment), &bytes)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes);
    Ok(Segment { file, header, at: bytes.len() as u64, hasher })
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    io::Read::read_exact(&mut File::open("/dev/urandom")?, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
