//! The durable mark: a small file that says up to where the journal was known to be on disk.
//!
//! Invariant: two slots are written in turn, so that one is always intact; a bad frame at or below
//! the mark is corruption and never a torn write. Source: durability 1.3, 1.7, 1.8.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use shared::ids::Sequence;

use super::frame::ChainHash;

const MAGIC: [u8; 8] = *b"PMMARK01";
const SLOT_BYTES: usize = 64;
/// The slots lie in different blocks of the disk.
const SLOT_DISTANCE: u64 = 4096;

/// What is known to be on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Counts the marks; the higher one is the later.
    pub generation: u64,
    /// The start that wrote it.
    pub epoch: u32,
    /// The last durable record.
    pub sequence: Sequence,
    /// The hash of its frame.
    pub chain: ChainHash,
}

/// The open mark file.
pub struct MarkFile {
    file: File,
    last: Mark,
}

impl MarkFile {
    /// Opens or makes the file and reads the later intact slot.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join("mark");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let last = later_slot(&file);
        Ok(Self { file, last })
    }

    /// Reads the later intact mark without making the file; zeros where there is none.
    pub fn read(directory: &Path) -> io::Result<Mark> {
        match File::open(directory.join("mark")) {
            Ok(file) => Ok(later_slot(&file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Mark::default()),
            Err(error) => Err(error),
        }
    }

    /// The later intact mark; zeros where there is none.
    #[must_use]
    pub fn last(&self) -> Mark {
        self.last
    }

    /// Writes the next mark into the older slot and syncs it.
    pub fn write(&mut self, epoch: u32, sequence: Sequence, chain: ChainHash) -> io::Result<Mark> {
        let mark = Mark { generation: self.last.generation + 1, epoch, sequence, chain };
        self.file.write_all_at(&encode(&mark), mark.generation % 2 * SLOT_DISTANCE)?;
        self.file.sync_all()?;
        self.last = mark;
        Ok(mark)
    }
}

fn later_slot(file: &File) -> Mark {
    let slots = [0, SLOT_DISTANCE].map(|at| {
        let mut bytes = [0; SLOT_BYTES];
        // A slot that was never written is one that does not decode.
        file.read_exact_at(&mut bytes, at).ok()?;
        decode(&bytes)
    });
    slots.into_iter().flatten().max_by_key(|mark| mark.generation).unwrap_or_default()
}

fn encode(mark: &Mark) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SLOT_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&mark.generation.to_le_bytes());
    bytes.extend_from_slice(&u64::from(mark.epoch).to_le_bytes());
    bytes.extend_from_slice(&mark.sequence.0.to_le_bytes());
    bytes.extend_from_slice(&mark.chain.0);
    let hash = ChainHash::of(&bytes);
    bytes.extend_from_slice(&hash.0);
    bytes
}

fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<Mark> {
    let (body, hash) = bytes.split_at_checked(SLOT_BYTES - 16)?;
    if ChainHash::of(body).0 != hash {
        return None;
    }
    let rest = body.strip_prefix(&MAGIC)?;
    let (generation, rest) = rest.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    Some(Mark {
        generation: u64::from_le_bytes(*generation),
        epoch: u32::try_from(u64::from_le_bytes(*epoch)).ok()?,
        sequence: Sequence(u64::from_le_bytes(*sequence)),
        chain: ChainHash(*rest.first_chunk()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_slot_leaves_the_other_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut marks = MarkFile::open(folder.path()).unwrap();
        marks.write(1, Sequence(5), ChainHash([1; 16])).unwrap();
        let later = marks.write(1, Sequence(9), ChainHash([2; 16])).unwrap();
        assert_eq!(MarkFile::open(folder.path()).unwrap().last(), later);
        marks.file.write_all_at(&[0xff], later.generation % 2 * SLOT_DISTANCE + 20).unwrap();
        assert_eq!(MarkFile::open(folder.path()).unwrap().last().sequence, Sequence(5));
    }
}
