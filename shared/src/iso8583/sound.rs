//! The fast check of content: sixteen bytes at a time.
//!
//! Invariant: it allows nothing that the slow one, which finds the offending byte, would refuse.

/// How many bytes of content are checked at once.
pub(super) const BLOCK: usize = 16;
/// Two blocks of which all bytes count, two of which none do, and two of which all do again: cut by
/// [`Stretch::first_block`] and [`Stretch::last_block`].
const COUNTED: [u8; 6 * BLOCK] = {
    let mut counted = [0xFF; 6 * BLOCK];
    let (_, rest) = counted.split_at_mut(2 * BLOCK);
    let (middle, _) = rest.split_at_mut(2 * BLOCK);
    middle.copy_from_slice(&[0; 2 * BLOCK]);
    counted
};

/// Content where it lies: what is around it lets it be checked by whole blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch<'a> {
    around: &'a [u8],
    /// Behind its last byte.
    end: usize,
    length: usize,
}

impl<'a> Stretch<'a> {
    /// `length` bytes from the one at `start`, if they are there.
    #[inline(always)]
    pub(super) fn new(around: &'a [u8], start: usize, length: u16) -> Option<Self> {
        let length = usize::from(length);
        let end = start.wrapping_add(length);
        (start <= end && end <= around.len()).then_some(Self { around, end, length })
    }

    /// Content with nothing around it.
    #[inline]
    pub(super) fn alone(content: &'a [u8]) -> Self {
        Self { around: content, end: content.len(), length: content.len() }
    }

    #[inline(always)]
    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        self.around.get(self.end.checked_sub(self.length)?..self.end)
    }

    /// The block that it begins, and which of its bytes count: `None` if it has more than two
    /// blocks, or begins within the last one.
    #[inline(always)]
    fn first_block(self) -> Option<Block<'a>> {
        let counted = COUNTED.get((2 * BLOCK).checked_sub(self.length)?..)?.first_chunk()?;
        let block = self.around.get(self.end.checked_sub(self.length)?..)?.first_chunk()?;
        Some((block, counted))
    }

    /// The block that it ends, and which of its bytes count: `None` if it has more than two blocks,
    /// or ends within the first one.
    #[inline(always)]
    fn last_block(self) -> Option<Block<'a>> {
        let counted = COUNTED.get((3 * BLOCK).wrapping_add(self.length)..)?.first_chunk()?;
        Some((self.around.get(..self.end)?.last_chunk()?, counted))
    }

    /// The same, if it has no more than that block.
    #[inline(always)]
    fn only_block(self) -> Option<Block<'a>> {
        if self.length <= BLOCK { self.last_block() } else { None }
    }
}

/// Bytes of content and around it, and a mask of those that count.
type Block<'a> = (&'a [u8; BLOCK], &'static [u8; BLOCK]);

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

    /// Capital and small, of ASCII.
    pub(super) const LETTERS: Self = Self { mask: !0x20, first: b'A', span: 25, last: 0xFF };

    /// A digit and the half byte behind it.
    pub(super) const fn packed_in_front_of(half: u8) -> Self {
        Self { mask: 0x0F, first: half, span: 0, last: 0x9F }
    }

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
        }
    }
}

/// What may stand in each byte of a block, each part of a [`Sound`] once for each. Aligned, so that
/// the processor's instructions take them from memory.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub(super) struct Lanes {
    mask: [u8; BLOCK],
    first: [u8; BLOCK],
    span: [u8; BLOCK],
    last: [u8; BLOCK],
}

impl Lanes {
    /// One for each byte.
    pub(super) fn each(sounds: &[Sound; BLOCK]) -> Self {
        Self {
            mask: sounds.map(|sound| sound.mask),
            first: sounds.map(|sound| sound.first),
            span: sounds.map(|sound| sound.span),
            last: sounds.map(|sound| sound.last),
        }
    }

    /// Leaves a place of the sum as it is where the byte is sound, and makes it not zero where not.
    #[inline(always)]
    pub(super) fn add_excess(&self, block: &[u8; BLOCK], sum: &mut [u8; BLOCK]) {
        let limits = self.mask.iter().zip(&self.first).zip(self.span.iter().zip(&self.last));
        for ((sum, byte), ((mask, first), (span, last))) in sum.iter_mut().zip(block).zip(limits) {
            let outside = (byte & mask).wrapping_sub(*first).saturating_sub(*span);
            *sum |= outside | byte.saturating_sub(*last);
        }
    }

    /// Whether every byte is sound.
    #[inline(always)]
    pub(super) fn have_all(&self, content: Stretch<'_>) -> bool {
        match content.only_block() {
            Some(block) => self.excess(block) == 0,
            None => content.bytes().is_some_and(|bytes| self.have_all_of_many(bytes)),
        }
    }

    /// The same, for content of which a block may be too short: two are checked without asking how
    /// long it is, as card numbers of 15 to 19 digits would keep a branch guessing.
    #[inline(always)]
    pub(super) fn have_all_of_long(&self, content: Stretch<'_>) -> bool {
        match (content.first_block(), content.last_block()) {
            (Some(first), Some(last)) => self.excess(first) | self.excess(last) == 0,
            _ => content.bytes().is_some_and(|bytes| self.have_all_of_many(bytes)),
        }
    }

    /// For content that is longer, or too near to an end of the message.
    #[inline(never)]
    fn have_all_of_many(&self, bytes: &[u8]) -> bool {
        let Some(last) = bytes.last_chunk::<BLOCK>() else {
            let mut padded = [0; 2 * BLOCK];
            let (room, _) = padded.split_at_mut(bytes.len());
            room.copy_from_slice(bytes);
            let alone = Stretch { around: &padded, end: bytes.len(), length: bytes.len() };
            return alone.first_block().is_some_and(|block| self.excess(block) == 0);
        };
        let all = &[0xFF; BLOCK];
        let mut blocks = bytes.as_chunks::<BLOCK>().0.iter();
        blocks.all(|block| self.excess((block, all)) == 0) && self.excess((last, all)) == 0
    }

    /// Not zero if a counted byte is not sound. Without a branch, so that it becomes a handful of
    /// vector instructions.
    #[inline(always)]
    fn excess(&self, (block, counted): Block<'_>) -> u8 {
        let limits = self.mask.iter().zip(&self.first).zip(self.span.iter().zip(&self.last));
        let bytes = block.iter().zip(counted);
        let mut excess = 0;
        for ((byte, counted), ((mask, first), (span, last))) in bytes.zip(limits) {
            let outside = (byte & mask).wrapping_sub(*first).saturating_sub(*span);
            excess |= (outside | byte.saturating_sub(*last)) & counted;
        }
        excess
    }
}

/// Whether every byte is an ASCII letter or digit, or a space where they may stand: too many ranges
/// for [`Lanes`].
#[inline(always)]
pub(super) fn are_letters_digits(content: Stretch<'_>, spaces: bool) -> bool {
    let space = if spaces { b' ' } else { b'0' };
    match content.only_block() {
        Some(block) => strange_to_letters_digits(block, space) == 0,
        None => content.bytes().is_some_and(|bytes| are_many_letters_digits(bytes, space)),
    }
}

#[inline(never)]
fn are_many_letters_digits(bytes: &[u8], space: u8) -> bool {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut block = [b'0'; BLOCK];
    block.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
    let mut all = blocks.iter().chain([&block]);
    all.all(|block| strange_to_letters_digits((block, &[0xFF; BLOCK]), space) == 0)
}

/// Not zero if a counted byte is no letter, no digit and not `space`.
#[inline(always)]
fn strange_to_letters_digits((block, counted): Block<'_>, space: u8) -> u8 {
    let mut strange = 0;
    for (byte, counted) in block.iter().zip(counted) {
        let digit = byte.wrapping_sub(b'0').saturating_sub(9);
        let letter = (byte & !0x20).wrapping_sub(b'A').saturating_sub(25);
        strange |= digit.min(letter).min(byte ^ space) & counted;
    }
    strange
}
