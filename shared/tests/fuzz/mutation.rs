//! Random changes to bytes and text, the same for the same seed.

/// Bytes that mean something somewhere: digits, half bytes, separators, extremes.
const TELLING: &[u8] = b"\x00\x01\x0F\x10\x1F\x7F\x80\x99\x9A\xA0\xF0\xF9\xFF09:;=?@ADFZaz ~";
const GROWTH_MAX: usize = 64;

/// SplitMix64.
#[derive(Clone, Copy)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap();
        usize::try_from(self.next() % bound).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub(crate) fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// Changes `bytes` in one to four places; `other` is what parts are taken from.
pub(crate) fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        match random.below(9) {
            0 if !bytes.is_empty() => bytes[at] = random.byte(),
            1 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            2 if !bytes.is_empty() => bytes[at] = *random.one_of(TELLING),
            3 => bytes.truncate(at),
            4 => bytes.insert(at, *random.one_of(TELLING)),
            5 if !bytes.is_empty() => {
                bytes.remove(at);
            }
            6 => {
                let from = random.below(other.len());
                let to = (from + random.below(GROWTH_MAX)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            7 => {
                let to = (at + random.below(GROWTH_MAX)).min(bytes.len());
                bytes.drain(at..to);
            }
            _ => {
                let from = random.below(other.len());
                let part = other[from..].iter().take(1 + random.below(16));
                bytes[at..].iter_mut().zip(part).for_each(|(place, byte)| *place = *byte);
            }
        }
    }
}
