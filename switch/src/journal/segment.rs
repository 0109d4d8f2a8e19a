//! A segment file: header, frames, zeros, footer.
//!
//! Invariant: a closed segment's footer hash covers every byte of the file in front of it, padding
//! included, so that one flipped bit anywhere is seen. Source: durability 1.3 and 1.7.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use shared::ids::Sequence;

use super::frame::{ALIGNMENT, ChainHash};

const MAGIC: [u8; 8] = *b"PMSEG001";
const FOOTER_MAGIC: [u8; 8] = *b"PMFOOT01";
/// Bytes in front of the first frame.
pub const HEADER_BYTES: usize = 80;
/// Bytes at the end of a closed segment.
pub const FOOTER_BYTES: usize = 88;
/// A segment that is closed early ends at a multiple of this, so that its footer lies in one
/// sector.
pub const BLOCK_BYTES: usize = 512;
/// The smallest segment: room for several records of any size.
pub const BYTES_MIN: u64 = 256 * 1024;

/// What a segment says of itself at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its number, from 1 without a gap.
    pub index: u64,
    /// The start in which it was written.
    pub epoch: u32,
    /// Drawn anew for each use of the file.
    pub salt: u64,
    /// The first record it is for.
    pub first: Sequence,
    /// The hash of the frame before that.
    pub previous: ChainHash,
}

/// What a closed segment says of itself at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// The segment's number.
    pub index: u64,
    /// Its last record; the one before its first where it is empty.
    pub last: Sequence,
    /// Where its frames end, in bytes.
    pub used: u64,
    /// The file's length.
    pub length: u64,
    /// Over everything in front of the footer.
    pub hash: [u8; 32],
}

/// The file of segment `index`.
#[must_use]
pub fn path(directory: &Path, index: u64) -> PathBuf {
    directory.join(format!("{index:012}.seg"))
}

/// The numbers of all segment files in the folder, ascending.
pub fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let index = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        found.extend(index.and_then(|digits| digits.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

impl Header {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.index.to_le_bytes());
        bytes.extend_from_slice(&u64::from(self.epoch).to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.first.0.to_le_bytes());
        bytes.extend_from_slice(&self.previous.0);
        bytes.resize(HEADER_BYTES - 16, 0);
        let hash = ChainHash::of(&bytes);
        bytes.extend_from_slice(&hash.0);
        bytes
    }

    /// Reads it from the start of a segment; `None` where it is not intact.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, hash) = bytes.get(..HEADER_BYTES)?.split_at_checked(HEADER_BYTES - 16)?;
        if ChainHash::of(body).0 != hash {
            return None;
        }
        let rest = body.strip_prefix(&MAGIC)?;
        let (index, rest) = number(rest)?;
        let (epoch, rest) = number(rest)?;
        let (salt, rest) = number(rest)?;
        let (first, rest) = number(rest)?;
        let previous = ChainHash(*rest.first_chunk()?);
        let epoch = u32::try_from(epoch).ok()?;
        Some(Self { index, epoch, salt, first: Sequence(first), previous })
    }
}

impl Footer {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER_BYTES);
        bytes.extend_from_slice(&FOOTER_MAGIC);
        bytes.extend_from_slice(&self.index.to_le_bytes());
        bytes.extend_from_slice(&self.last.0.to_le_bytes());
        bytes.extend_from_slice(&self.used.to_le_bytes());
        bytes.extend_from_slice(&self.length.to_le_bytes());
        bytes.extend_from_slice(&self.hash);
        let hash = ChainHash::of(&bytes);
        bytes.extend_from_slice(&hash.0);
        bytes
    }

    /// Reads it from the end of a segment; `None` where it is not intact.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, hash) = bytes.get(..FOOTER_BYTES)?.split_at_checked(FOOTER_BYTES - 16)?;
        if ChainHash::of(body).0 != hash {
            return None;
        }
        let rest = body.strip_prefix(&FOOTER_MAGIC)?;
        let (index, rest) = number(rest)?;
        let (last, rest) = number(rest)?;
        let (used, rest) = number(rest)?;
        let (length, rest) = number(rest)?;
        let hash = *rest.first_chunk()?;
        Some(Self { index, last: Sequence(last), used, length, hash })
    }
}

/// Where the frames of a file end and its footer begins, for a file of this length.
#[must_use]
pub fn footer_at(length: u64) -> u64 {
    length.saturating_sub(FOOTER_BYTES as u64)
}

/// Closes a segment whose frames end at `used` before its full length: cuts the file to what is
/// used and writes the footer. `hasher` has been fed everything up to `used`.
///
/// Wherever this is cut short, the file still ends in zeros or in the footer: what was torn is
/// overwritten, and that synced, before the end of the file moves there.
pub fn close_short(
    file: &File,
    header: &Header,
    last: Sequence,
    used: u64,
    hasher: blake3::Hasher,
) -> io::Result<()> {
    let length = (used + FOOTER_BYTES as u64).next_multiple_of(BLOCK_BYTES as u64);
    let zeros = [0; FOOTER_BYTES + BLOCK_BYTES];
    let rest = usize::try_from(length - used).unwrap_or(zeros.len());
    file.write_all_at(zeros.get(..rest).unwrap_or(&zeros), used)?;
    file.sync_data()?;
    file.set_len(length)?;
    close(file, header, (last, used, length), hasher)
}

/// Writes the footer of a segment of `length` bytes whose frames end at `used`, and syncs.
pub fn close(
    file: &File,
    header: &Header,
    (last, used, length): (Sequence, u64, u64),
    mut hasher: blake3::Hasher,
) -> io::Result<()> {
    let at = footer_at(length);
    let mut padding = at.saturating_sub(used);
    let zeros = [0; 4096];
    while padding > 0 {
        let part = usize::try_from(padding.min(4096)).unwrap_or(4096);
        hasher.update(zeros.get(..part).unwrap_or_default());
        padding -= part as u64;
    }
    let hash = *hasher.finalize().as_bytes();
    let footer = Footer { index: header.index, last, used, length, hash };
    file.write_all_at(&footer.encode(), at)?;
    file.sync_all()
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, tail) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*head), tail))
}

const _: () = assert!(HEADER_BYTES.is_multiple_of(ALIGNMENT));
