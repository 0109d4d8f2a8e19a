//! One record's frame: header, payload, hash; each frame holds the hash of the one before it.
//!
//! Invariant: a frame is accepted only at the place it was written for: segment salt, epoch,
//! sequence, chain and its own hash must all fit, so a stale or misdirected block never reads as a
//! record. Source: durability 1.3 and 4 (pitfall 3).

use std::fmt;

use shared::ids::Sequence;

use super::RECORD_BYTES_MAX;

/// First bytes of a frame.
const MAGIC: [u8; 4] = *b"PMJ1";
/// Bytes in front of the payload.
pub const HEADER_BYTES: usize = 56;
/// Bytes of the hash behind the payload.
const HASH_BYTES: usize = 16;
/// Frames start at multiples of this, so that a scan can find them.
pub const ALIGNMENT: usize = 8;

/// The first 128 bits of a BLAKE3 hash; each covers the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainHash(pub [u8; HASH_BYTES]);

impl ChainHash {
    /// Of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; HASH_BYTES];
        for (to, from) in hash.iter_mut().zip(blake3::hash(bytes).as_bytes()) {
            *to = *from;
        }
        Self(hash)
    }
}

/// What every frame of a place shares with the segment and the group it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The segment's random salt.
    pub salt: u64,
    /// The start in which it was written.
    pub epoch: u32,
    /// Its record.
    pub sequence: Sequence,
    /// The first record of the group that was synced together.
    pub group_first: Sequence,
    /// The hash of the frame before it.
    pub previous: ChainHash,
}

/// A frame as read.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Where it belongs.
    pub position: Position,
    /// The record's bytes.
    pub payload: &'a [u8],
    /// Its hash, which the next frame holds.
    pub hash: ChainHash,
    /// Its length with padding.
    pub length: usize,
}

/// Why there is no frame at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFrame {
    /// Zeros: nothing was written here.
    Empty,
    /// Something that is not a frame of this segment.
    Damaged(&'static str),
}

impl fmt::Display for NoFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing was written here"),
            Self::Damaged(what) => f.write_str(what),
        }
    }
}

/// Bytes that a payload takes with header, hash and padding.
#[must_use]
pub fn length_of(payload: usize) -> usize {
    (HEADER_BYTES + payload + HASH_BYTES).next_multiple_of(ALIGNMENT)
}

/// Appends a frame and returns its hash.
pub fn append(out: &mut Vec<u8>, position: &Position, payload: &[u8]) -> ChainHash {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&position.salt.to_le_bytes());
    out.extend_from_slice(&position.sequence.0.to_le_bytes());
    out.extend_from_slice(&position.group_first.0.to_le_bytes());
    out.extend_from_slice(&u64::from(position.epoch).to_le_bytes());
    out.extend_from_slice(&position.previous.0);
    out.extend_from_slice(payload);
    let hash = ChainHash::of(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&hash.0);
    out.resize(start + length_of(payload.len()), 0);
    hash
}

/// Reads the frame at the start of `bytes`: any intact frame of the segment with this salt.
pub fn read(bytes: &[u8], salt: u64) -> Result<Frame<'_>, NoFrame> {
    let mut rest = bytes;
    let magic = take::<4>(&mut rest)?;
    if magic == [0; 4] && bytes.iter().take(HEADER_BYTES).all(|byte| *byte == 0) {
        return Err(NoFrame::Empty);
    }
    if magic != MAGIC {
        return Err(NoFrame::Damaged("no frame begins here"));
    }
    let length = u32::from_le_bytes(take(&mut rest)?) as usize;
    let found_salt = u64::from_le_bytes(take(&mut rest)?);
    let sequence = Sequence(u64::from_le_bytes(take(&mut rest)?));
    let group_first = Sequence(u64::from_le_bytes(take(&mut rest)?));
    let epoch = u64::from_le_bytes(take(&mut rest)?);
    let previous = ChainHash(take(&mut rest)?);
    if found_salt != salt {
        return Err(NoFrame::Damaged("the frame belongs to another segment"));
    }
    if length > RECORD_BYTES_MAX {
        return Err(NoFrame::Damaged("the frame's length is beyond the bound"));
    }
    let hashed = bytes.get(..HEADER_BYTES + length).ok_or(CUT)?;
    let payload = hashed.get(HEADER_BYTES..).ok_or(CUT)?;
    let hash = bytes.get(HEADER_BYTES + length..).and_then(|tail| tail.first_chunk()).ok_or(CUT)?;
    let hash = ChainHash(*hash);
    if ChainHash::of(hashed) != hash {
        return Err(NoFrame::Damaged("the frame's hash does not match"));
    }
    let length = length_of(length);
    let padding = bytes.get(hashed.len() + HASH_BYTES..length).ok_or(CUT)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(NoFrame::Damaged("the frame's padding is not zero"));
    }
    let epoch =
        u32::try_from(epoch).map_err(|_beyond| NoFrame::Damaged("the frame's epoch is beyond"))?;
    let position = Position { salt, epoch, sequence, group_first, previous };
    Ok(Frame { position, payload, hash, length })
}

const CUT: NoFrame = NoFrame::Damaged("the frame is cut off");

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], NoFrame> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(CUT)?;
    *rest = tail;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Position = Position {
        salt: 7,
        epoch: 3,
        sequence: Sequence(9),
        group_first: Sequence(8),
        previous: ChainHash([5; 16]),
    };

    #[test]
    fn a_frame_reads_back() {
        let mut bytes = Vec::new();
        let hash = append(&mut bytes, &PLACE, b"payload");
        let frame = read(&bytes, 7).unwrap();
        assert_eq!((frame.position, frame.payload, frame.hash), (PLACE, &b"payload"[..], hash));
        assert_eq!(frame.length, bytes.len());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let mut bytes = Vec::new();
        append(&mut bytes, &PLACE, b"payload!");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped, 7).is_err(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut], 7).is_err(), "cut at {cut}");
        }
        assert!(matches!(read(&bytes, 8), Err(NoFrame::Damaged(_))), "another segment's salt");
        assert!(matches!(read(&[0; 64], 7), Err(NoFrame::Empty)));
    }
}
