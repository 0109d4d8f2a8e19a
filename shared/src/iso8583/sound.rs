//! The fast check of content: sixteen bytes at a time.
//!
//! Invariant: it allows nothing that the slow one, which finds the offending byte, would refuse.

/// How many bytes of content are checked at once.
const BLOCK: usize = 16;
/// Cut so that its first part has the length of the content: which bytes of a block count.
const COUNTED: [u8; 2 * BLOCK] = {
    let mut counted = [0; 2 * BLOCK];
    let (head, _) = counted.split_at_mut(BLOCK);
    head.copy_from_slice(&[0xFF; BLOCK]);
    counted
};

/// Bytes that may stand anywhere in a content: those whose masked part is from `first` to `span`
/// above it, and that are at most `last`. For most classes these are all that may stand; for the
/// others they are the usual ones, and the slow check has the last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sound {
    mask: u8,
    first: u8,
    span: u8,
    last: u8,
}

impl Sound {
    /// Nothing is known to be.
    pub(super) const NOTHING: Self = Self { mask: 0, first: 1, span: 0, last: 0 };
    /// Whatever it is.
    pub(super) const ANYTHING: Self = Self { mask: 0, first: 0, span: 0, last: 0xFF };
    /// Two digits a byte.
    pub(super) const PACKED: Self = Self { mask: 0x0F, first: 0, span: 9, last: 0x9F };

    /// The bytes from the first to the last.
    pub(super) const fn range(first: u8, last: u8) -> Self {
        assert!(first <= last, "a range has a byte");
        Self { mask: 0xFF, first, span: last - first, last: 0xFF }
    }

    /// In the form in which it checks.
    #[inline(always)]
    pub(super) const fn lanes(self) -> Lanes {
        Lanes {
            mask: [self.mask; BLOCK],
            first: [self.first; BLOCK],
            span: [self.span; BLOCK],
            last: [self.last; BLOCK],
            anything: self.mask == 0 && self.last == 0xFF,
        }
    }
}

/// A [`Sound`], each part once for each byte of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes {
    mask: [u8; BLOCK],
    first: [u8; BLOCK],
    span: [u8; BLOCK],
    last: [u8; BLOCK],
    anything: bool,
}

impl Lanes {
    /// Whether the first `length` bytes, which must be there, are sound. What lies behind them does
    /// not matter, but if it is there, short content is checked as one block.
    #[inline(always)]
    pub(super) fn have_all(&self, bytes: &[u8], length: u16) -> bool {
        if self.anything {
            return true;
        }
        let length = usize::from(length);
        if length <= BLOCK
            && let Some(block) = bytes.first_chunk::<BLOCK>()
            && let Some(counted) = COUNTED.get(BLOCK - length..)
            && let Some(counted) = counted.first_chunk::<BLOCK>()
        {
            return self.excess(block, counted) == 0;
        }
        self.have_all_of_many(bytes, length)
    }

    /// For content that is longer than a block, or at the end of a message.
    #[inline(never)]
    fn have_all_of_many(&self, bytes: &[u8], length: usize) -> bool {
        let Some(bytes) = bytes.get(..length) else { return false };
        let Some(last) = bytes.last_chunk::<BLOCK>() else {
            let mut block = [0; BLOCK];
            block.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
            let counted = COUNTED.get(BLOCK - length..).and_then(|rest| rest.first_chunk());
            return counted.is_some_and(|counted| self.excess(&block, counted) == 0);
        };
        for block in bytes.as_chunks::<BLOCK>().0 {
            if self.excess(block, &[0xFF; BLOCK]) != 0 {
                return false;
            }
        }
        self.excess(last, &[0xFF; BLOCK]) == 0
    }

    /// Not zero if a counted byte is not sound. Without a branch, so that it becomes a handful of
    /// vector instructions.
    #[inline(always)]
    fn excess(&self, block: &[u8; BLOCK], counted: &[u8; BLOCK]) -> u8 {
        let limits = self.mask.iter().zip(&self.first).zip(self.span.iter().zip(&self.last));
        let bytes = block.iter().zip(counted);
        bytes.zip(limits).fold(0, |sum, ((byte, counted), ((mask, first), (span, last)))| {
            let outside = (byte & mask).wrapping_sub(*first).saturating_sub(*span);
            sum | ((outside | byte.saturating_sub(*last)) & counted)
        })
    }
}

/// Whether the first `length` bytes, which must be there, are ASCII letters or digits, or spaces
/// where they may stand: too many ranges for [`Lanes`]. As there, what lies behind them lets short
/// content be checked as one block.
pub(super) fn are_letters_digits(bytes: &[u8], length: u16, spaces: bool) -> bool {
    let space = if spaces { b' ' } else { b'0' };
    let length = usize::from(length);
    if length <= BLOCK
        && let Some(block) = bytes.first_chunk::<BLOCK>()
        && let Some(counted) = COUNTED.get(BLOCK - length..)
        && let Some(counted) = counted.first_chunk::<BLOCK>()
    {
        return strange_to_letters_digits(block, counted, space) == 0;
    }
    let Some(bytes) = bytes.get(..length) else { return false };
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut block = [b'0'; BLOCK];
    block.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
    let mut all = blocks.iter().chain([&block]);
    all.all(|block| strange_to_letters_digits(block, &[0xFF; BLOCK], space) == 0)
}

/// Not zero if a counted byte is no letter, no digit and not `space`.
#[inline(always)]
fn strange_to_letters_digits(block: &[u8; BLOCK], counted: &[u8; BLOCK], space: u8) -> u8 {
    block.iter().zip(counted).fold(0, |sum, (byte, counted)| {
        let digit = byte.wrapping_sub(b'0').saturating_sub(9);
        let letter = (byte & !0x20).wrapping_sub(b'A').saturating_sub(25);
        sum | digit.min(letter).min(byte ^ space) & counted
    })
}
