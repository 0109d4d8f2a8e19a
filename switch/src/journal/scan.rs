//! Reads a whole journal from its first segment and checks every byte on the way.
//!
//! Invariant: there are three outcomes only: intact; intact with a torn tail, none of which was
//! acknowledged; refused, naming the place. A file that is written while it is read may look
//! damaged (what was read early is older than what was read late): only what a second reading shows
//! at the same place is damage. Source: durability 1.5 and 1.7.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise};
use shared::ids::Sequence;
use thiserror::Error;

use super::frame::{self, ALIGNMENT, ChainHash, Frame, NoFrame};
use super::mark::Mark;
use super::segment::{self, Footer, HEADER_BYTES, Header};

/// Where and how a journal is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// The file.
    pub file: PathBuf,
    /// In bytes from its start.
    pub offset: u64,
    /// The record that should stand there, or the last one before it.
    pub sequence: Sequence,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, sequence, what } = self;
        write!(f, "{} at offset {offset}, sequence {sequence}: {what}", file.display())
    }
}

/// Why a journal was not read to its end.
#[derive(Debug, Error)]
pub enum ScanError {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is damaged.
    #[error("REFUSED: {0}")]
    Corrupt(Corruption),
}

/// What a scan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The last record.
    pub last: Sequence,
    /// The hash of its frame.
    pub chain: ChainHash,
    /// The highest segment; 0 where there is none.
    pub segment: u64,
    /// The highest epoch in a header.
    pub epoch: u32,
    /// The last segment, where it was not closed.
    pub open: Option<OpenSegment>,
}

/// A last segment without a footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSegment {
    /// Its header.
    pub header: Header,
    /// Where its last intact frame ends.
    pub used: u64,
    /// Bytes behind that up to the last that is not zero: a write that never completed.
    pub torn: u64,
}

/// Reads every record under `directory` in order. `visit` refuses a record by saying why.
pub fn scan(
    directory: &Path,
    mark: Mark,
    visit: &mut dyn FnMut(&Frame<'_>) -> Result<(), String>,
) -> Result<Scan, ScanError> {
    scan_as_read(directory, mark, visit, &mut read_from_disk)
}

/// The same, with `read` for each reading of a file.
fn scan_as_read(
    directory: &Path,
    mark: Mark,
    visit: &mut dyn FnMut(&Frame<'_>) -> Result<(), String>,
    read: &mut dyn FnMut(&Path, &mut Vec<u8>) -> io::Result<()>,
) -> Result<Scan, ScanError> {
    let io_error = |path: &Path| {
        let path = path.to_owned();
        move |source| ScanError::Io { path, source }
    };
    let indexes = segment::list(directory).map_err(io_error(directory))?;
    let mut state =
        Scan { last: Sequence(0), chain: ChainHash::default(), segment: 0, epoch: 0, open: None };
    let mut bytes = Vec::new();
    for index in indexes {
        let path = segment::path(directory, index);
        let (mut at, mut suspect) = (0, None);
        loop {
            read(&path, &mut bytes).map_err(io_error(&path))?;
            let mut walk = Walk { path: &path, bytes: &bytes, at, state, mark, visit: &mut *visit };
            let walked = walk.segment(index);
            (at, state) = (walk.at, walk.state);
            match walked {
                Ok(()) => break,
                // Before what stood behind it was read, it had been written and synced: read again,
                // it is there, or it is damaged.
                Err(Refusal::Unread(found)) if suspect != Some(found.offset) => {
                    suspect = Some(found.offset);
                }
                Err(Refusal::Unread(found) | Refusal::Unfit(found)) => {
                    return Err(ScanError::Corrupt(found));
                }
            }
        }
    }
    if state.last < mark.sequence {
        return Err(ScanError::Corrupt(Corruption {
            file: directory.join("mark"),
            offset: 0,
            sequence: state.last,
            what: format!("records up to {} were durable and are gone", mark.sequence),
        }));
    }
    Ok(state)
}

/// Reads a file as the disk has it: what the page cache holds after a failed sync may not be there.
fn read_from_disk(path: &Path, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut file = File::open(path)?;
    file.sync_data()?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    bytes.clear();
    file.read_to_end(bytes).map(drop)
}

/// Why a segment was not read to its end.
enum Refusal {
    /// Its bytes are not what was written, as far as was read.
    Unread(Corruption),
    /// A record that was read whole does not fit those before it.
    Unfit(Corruption),
}

impl From<Corruption> for Refusal {
    fn from(found: Corruption) -> Self {
        Self::Unread(found)
    }
}

/// One segment being read.
struct Walk<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
    state: Scan,
    mark: Mark,
    visit: &'a mut dyn FnMut(&Frame<'_>) -> Result<(), String>,
}

impl<'a> Walk<'a> {
    /// Goes on where the reading before this one ended.
    fn segment(&mut self, index: u64) -> Result<(), Refusal> {
        if self.at == 0 {
            self.enter(index)?;
        }
        let header = self.header()?;
        let footer_at = usize::try_from(segment::footer_at(self.bytes.len() as u64)).unwrap_or(0);
        let tail = self.bytes.get(footer_at..).unwrap_or_default();
        match Footer::decode(tail) {
            Some(footer) => self.closed(&header, &footer, footer_at),
            None if tail.iter().all(|byte| *byte == 0) => self.open(&header),
            None => {
                let what = "the segment's footer is damaged".to_owned();
                Err(self.corrupt(footer_at, what).into())
            }
        }
    }

    fn enter(&mut self, index: u64) -> Result<(), Corruption> {
        if let Some(open) = self.state.open {
            return Err(
                self.corrupt(0, format!("segment {} before it has no footer", open.header.index))
            );
        }
        if index != self.state.segment + 1 {
            return Err(self.corrupt(0, format!("segment {} is missing", self.state.segment + 1)));
        }
        let header = self.header()?;
        let follows = header.index == index
            && header.first == self.state.last.next()
            && header.previous == self.state.chain
            && header.epoch >= self.state.epoch;
        if !follows {
            return Err(self.corrupt(0, "the segment does not follow the one before it".to_owned()));
        }
        self.state.segment = index;
        self.state.epoch = header.epoch;
        self.at = HEADER_BYTES;
        Ok(())
    }

    fn header(&self) -> Result<Header, Corruption> {
        let damaged = || self.corrupt(0, "the segment's header is damaged".to_owned());
        Header::decode(self.bytes).ok_or_else(damaged)
    }

    fn closed(
        &mut self,
        header: &Header,
        footer: &Footer,
        footer_at: usize,
    ) -> Result<(), Refusal> {
        let body = self.bytes.get(..footer_at).unwrap_or_default();
        let intact = blake3::hash(body).as_bytes() == &footer.hash
            && footer.length == self.bytes.len() as u64
            && footer.index == header.index;
        if !intact {
            let before = (self.at, self.state);
            let found = self.locate(header, footer, footer_at);
            (self.at, self.state) = before;
            return Err(found.into());
        }
        let used = usize::try_from(footer.used).unwrap_or(usize::MAX);
        while self.at < used {
            match self.next_frame(header) {
                Ok(frame) => self.accept(&frame)?,
                Err(found) => return Err(self.corrupt(self.at, found.to_string()).into()),
            }
        }
        if self.state.last != footer.last {
            let what = "the footer names another last record".to_owned();
            return Err(self.corrupt(self.at, what).into());
        }
        Ok(())
    }

    /// Finds where a closed segment whose hash does not match is damaged; leaves the walk there.
    fn locate(&mut self, header: &Header, footer: &Footer, footer_at: usize) -> Corruption {
        let used = usize::try_from(footer.used).unwrap_or(usize::MAX);
        while self.at < used {
            match self.next_frame(header) {
                Ok(frame) => self.pass(&frame),
                Err(found) => return self.corrupt(self.at, found.to_string()),
            }
        }
        let padding = self.bytes.get(self.at..footer_at).unwrap_or_default();
        match padding.iter().position(|byte| *byte != 0) {
            Some(place) => self.corrupt(self.at + place, "the padding is not zero".to_owned()),
            None => self.corrupt(footer_at, "the file's hash does not match".to_owned()),
        }
    }

    fn open(&mut self, header: &Header) -> Result<(), Refusal> {
        while let Ok(frame) = self.next_frame(header) {
            self.accept(&frame)?;
        }
        let missing = self.state.last.next();
        if missing <= self.mark.sequence {
            let what = "a record at or below the durable mark is damaged".to_owned();
            return Err(self.corrupt(self.at, what).into());
        }
        if let Some(place) = self.later_group(header, missing) {
            let what = format!("a damaged record, and a later group intact at offset {place}");
            return Err(self.corrupt(self.at, what).into());
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let torn = rest.iter().rposition(|byte| *byte != 0).map_or(0, |place| place + 1);
        self.state.open =
            Some(OpenSegment { header: *header, used: self.at as u64, torn: torn as u64 });
        Ok(())
    }

    /// An intact frame behind the damage whose group began after the missing record: that record
    /// had been synced before the group was written.
    fn later_group(&self, header: &Header, missing: Sequence) -> Option<usize> {
        (self.at..self.bytes.len()).step_by(ALIGNMENT).find(|place| {
            let bytes = self.bytes.get(*place..).unwrap_or_default();
            frame::read(bytes, header.salt).is_ok_and(|frame| frame.position.group_first > missing)
        })
    }

    /// The frame at the current place, if it is the one that belongs there.
    fn next_frame(&self, header: &Header) -> Result<Frame<'a>, NoFrame> {
        let frame = frame::read(self.bytes.get(self.at..).unwrap_or_default(), header.salt)?;
        if frame.position.sequence != self.state.last.next()
            || frame.position.previous != self.state.chain
            || frame.position.epoch != header.epoch
        {
            return Err(NoFrame::Damaged("the frame does not follow the one before it"));
        }
        Ok(frame)
    }

    fn pass(&mut self, frame: &Frame<'_>) {
        self.at += frame.length;
        self.state.last = frame.position.sequence;
        self.state.chain = frame.hash;
    }

    fn accept(&mut self, frame: &Frame<'_>) -> Result<(), Refusal> {
        (self.visit)(frame).map_err(|why| Refusal::Unfit(self.corrupt(self.at, why)))?;
        self.pass(frame);
        Ok(())
    }

    fn corrupt(&self, at: usize, what: String) -> Corruption {
        let sequence = if at == 0 { self.state.last } else { self.state.last.next() };
        Corruption { file: self.path.to_owned(), offset: at as u64, sequence, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::frame::Position;

    const LENGTH: usize = 4096;

    /// A segment of six records, each a group of its own, and where each frame ends.
    fn six_groups() -> (Header, Vec<u8>, Vec<usize>) {
        let header = Header {
            index: 1,
            epoch: 1,
            salt: 7,
            first: Sequence(1),
            previous: ChainHash::default(),
        };
        let (mut bytes, mut previous, mut ends) = (header.encode(), header.previous, Vec::new());
        for number in 1..=6 {
            let sequence = Sequence(number);
            let place = Position { salt: 7, epoch: 1, sequence, group_first: sequence, previous };
            previous = frame::append(&mut bytes, &place, &[7; 20]);
            ends.push(bytes.len());
        }
        bytes.resize(LENGTH, 0);
        (header, bytes, ends)
    }

    /// Scans with one version of the file for each reading; the last one stays.
    fn scan_versions(versions: &[Vec<u8>]) -> (Result<Scan, ScanError>, Vec<u64>, usize) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(segment::path(folder.path(), 1), []).unwrap();
        let (mut seen, mut readings) = (Vec::new(), 0);
        let found = scan_as_read(
            folder.path(),
            Mark::default(),
            &mut |frame| {
                seen.push(frame.position.sequence.0);
                Ok(())
            },
            &mut |_, bytes| {
                bytes.clone_from(versions.get(readings).or(versions.last()).unwrap());
                readings += 1;
                Ok(())
            },
        );
        (found, seen, readings)
    }

    fn without(bytes: &[u8], from: usize, to: usize) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        bytes[from..to].fill(0);
        bytes
    }

    #[test]
    fn what_was_read_before_it_was_written_is_read_again() {
        let (header, whole, ends) = six_groups();
        let second_and_fifth =
            [without(&whole, ends[0], ends[1]), without(&whole, ends[3], ends[4]), whole.clone()];
        let (found, seen, readings) = scan_versions(&second_and_fifth);
        assert_eq!((found.unwrap().last, readings), (Sequence(6), 3));
        assert_eq!(seen, [1, 2, 3, 4, 5, 6], "each record once");

        // The segment was closed between the reading of its body and that of its footer.
        let used = ends[5] as u64;
        let footer_at = LENGTH - segment::FOOTER_BYTES;
        let hash = *blake3::hash(&whole[..footer_at]).as_bytes();
        let footer =
            Footer { index: header.index, last: Sequence(6), used, length: LENGTH as u64, hash };
        let mut closed = whole.clone();
        closed[footer_at..].copy_from_slice(&footer.encode());
        let (found, seen, readings) =
            scan_versions(&[without(&closed, ends[4], ends[5]), closed.clone()]);
        assert_eq!((found.unwrap().last, readings), (Sequence(6), 2));
        assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
        let (found, _, readings) = scan_versions(&[
            without(&whole, ends[2], ends[3]),
            without(&closed, footer_at + 40, LENGTH),
            closed,
        ]);
        assert_eq!((found.unwrap().last, readings), (Sequence(6), 3));
    }

    #[test]
    fn what_a_second_reading_shows_too_is_damage() {
        let (_, whole, ends) = six_groups();
        let (found, seen, readings) = scan_versions(&[without(&whole, ends[2], ends[3])]);
        let Err(ScanError::Corrupt(found)) = found else { panic!("{found:?}") };
        assert_eq!((found.offset, found.sequence), (ends[2] as u64, Sequence(4)));
        assert_eq!((seen, readings), (vec![1, 2, 3], 2));
    }

    #[test]
    fn a_record_that_was_read_whole_and_is_refused_is_not_read_again() {
        let (_, whole, ends) = six_groups();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(segment::path(folder.path(), 1), whole).unwrap();
        let mut seen = Vec::new();
        let found = scan(folder.path(), Mark::default(), &mut |frame| {
            seen.push(frame.position.sequence.0);
            if seen.len() < 3 { Ok(()) } else { Err("enough".to_owned()) }
        });
        let Err(ScanError::Corrupt(found)) = found else { panic!("{found:?}") };
        assert_eq!((found.offset, found.what.as_str()), (ends[1] as u64, "enough"));
        assert_eq!(seen, [1, 2, 3]);
    }
}
