//! Follows the journal while it is written: every durable record behind a sequence, in order,
//! across segments. The event stream reads here, so that a slow reader never stalls the path.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use shared::ids::Sequence;

use super::frame;
use super::segment::{self, HEADER_BYTES, Header};

/// Bytes read at once; more than one frame of any size.
const WINDOW_BYTES: usize = 256 * 1024;

/// A place in the journal, moving forward.
pub struct Reader {
    directory: PathBuf,
    segment: Option<(File, Header)>,
    at: u64,
    last: Sequence,
    /// Records up to here are passed over.
    after: Sequence,
    window: Vec<u8>,
}

impl Reader {
    /// Behind record `after`; 0 for all.
    pub fn open(directory: &Path, after: Sequence) -> io::Result<Self> {
        let mut reader = Self {
            directory: directory.to_owned(),
            segment: None,
            at: 0,
            last: Sequence(0),
            after,
            window: Vec::new(),
        };
        for index in segment::list(directory)?.into_iter().rev() {
            let header = reader.enter(index)?;
            if header.first <= after.next() {
                return Ok(reader);
            }
        }
        Ok(reader)
    }

    /// Gives the bytes of up to `count` records that are at most `durable` to `take`; fewer where
    /// there are no more yet. The last one that was read, or passed over.
    pub fn read(
        &mut self,
        durable: Sequence,
        count: usize,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Sequence> {
        let mut rest = count;
        while self.last < durable && rest > 0 {
            if self.read_window(durable, &mut rest, &mut take)? == 0 {
                let next = self.segment.as_ref().map_or(1, |(_, header)| header.index + 1);
                let expected = self.last.next();
                let header = self.enter(next)?;
                if header.first != expected {
                    return Err(io::Error::other(format!(
                        "segment {next} begins with record {}, not {expected}",
                        header.first
                    )));
                }
            }
        }
        Ok(self.last)
    }

    fn read_window(
        &mut self,
        durable: Sequence,
        rest: &mut usize,
        take: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<usize> {
        let Some((file, header)) = &self.segment else { return Ok(0) };
        self.window.resize(WINDOW_BYTES, 0);
        let length = read_at_most(file, &mut self.window, self.at)?;
        let mut window = self.window.get(..length).unwrap_or_default();
        let mut passed = 0;
        while self.last < durable && *rest > 0 {
            let Ok(frame) = frame::read(window, header.salt) else { break };
            self.last = frame.position.sequence;
            if self.last > self.after {
                take(frame.payload)?;
                *rest -= 1;
            }
            passed += frame.length;
            window = window.get(frame.length..).unwrap_or_default();
        }
        self.at += passed as u64;
        Ok(passed)
    }

    fn enter(&mut self, index: u64) -> io::Result<Header> {
        let path = segment::path(&self.directory, index);
        let file = File::open(&path)?;
        let mut bytes = [0; HEADER_BYTES];
        file.read_exact_at(&mut bytes, 0)?;
        let damaged = || io::Error::other(format!("{}: damaged header", path.display()));
        let header = Header::decode(&bytes).ok_or_else(damaged)?;
        self.segment = Some((file, header));
        self.at = HEADER_BYTES as u64;
        self.last = Sequence(header.first.0.saturating_sub(1));
        Ok(header)
    }
}

fn read_at_most(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) else {
            return Ok(filled);
        };
        match file.read_at(rest, at + filled as u64)? {
            0 => return Ok(filled),
            read => filled += read,
        }
    }
}
