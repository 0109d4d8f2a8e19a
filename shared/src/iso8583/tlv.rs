//! What private fields and chip data hold inside: elements of tag, length and value.
//!
//! Invariant: reading never goes beyond the content, never fails, and never loops: the elements end
//! where the content ends or the first of them is not whole.

/// Elements of two digits of tag, two digits of length and so many characters, as in field 48 of
/// many links.
#[derive(Clone, Debug)]
pub struct Subelements<'a> {
    rest: &'a [u8],
}

/// Elements of BER-TLV, as in field 55; those that hold others are not opened. Source: EMV Book 3,
/// annex B.
#[derive(Clone, Debug)]
pub struct Ber<'a> {
    rest: &'a [u8],
}

/// The first byte of a tag that goes on has these bits.
const TAG_GOES_ON: u8 = 0x1F;
/// A further byte of a tag, or the first of a length, that goes on has this bit.
const GOES_ON: u8 = 0x80;
const TAG_BYTES_MAX: usize = 4;
const LENGTH_BYTES_MAX: usize = 4;
/// What may stand between elements, as filler.
const FILLERS: [u8; 2] = [0x00, 0xFF];

/// The value of the first subelement with this tag.
pub fn subelement<'a>(content: &'a [u8], tag: &[u8; 2]) -> Option<&'a [u8]> {
    Subelements::new(content).find(|(found, _)| *found == tag).map(|(_, value)| value)
}

/// The value of the first element with this tag, such as 0x9F26, that is not inside another.
pub fn ber(content: &[u8], tag: u32) -> Option<&[u8]> {
    Ber::new(content).find(|(found, _)| *found == tag).map(|(_, value)| value)
}

impl<'a> Subelements<'a> {
    pub fn new(content: &'a [u8]) -> Self {
        Self { rest: content }
    }

    fn read(&mut self) -> Option<(&'a [u8; 2], &'a [u8])> {
        let (tag, rest) = self.rest.split_first_chunk::<2>()?;
        let ([tens, ones], rest) = rest.split_first_chunk::<2>()?;
        let digits = [*tag, [*tens, *ones]];
        if !digits.as_flattened().iter().all(u8::is_ascii_digit) {
            return None;
        }
        let length = usize::from(tens & 0x0F) * 10 + usize::from(ones & 0x0F);
        let (value, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some((tag, value))
    }
}

impl<'a> Iterator for Subelements<'a> {
    type Item = (&'a [u8; 2], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.read();
        if element.is_none() {
            self.rest = &[];
        }
        element
    }
}

impl<'a> Ber<'a> {
    pub fn new(content: &'a [u8]) -> Self {
        Self { rest: content }
    }

    fn read(&mut self) -> Option<(u32, &'a [u8])> {
        let filler = self.rest.iter().take_while(|byte| FILLERS.contains(byte)).count();
        let (tag, rest) = tag(self.rest.get(filler..)?)?;
        let (length, rest) = length(rest)?;
        let (value, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some((tag, value))
    }
}

impl<'a> Iterator for Ber<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.read();
        if element.is_none() {
            self.rest = &[];
        }
        element
    }
}

fn tag(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let mut tag = u32::from(*first);
    if first & TAG_GOES_ON != TAG_GOES_ON {
        return Some((tag, rest));
    }
    for _ in 1..TAG_BYTES_MAX {
        let (byte, behind) = rest.split_first()?;
        tag = tag << 8 | u32::from(*byte);
        rest = behind;
        if byte & GOES_ON == 0 {
            return Some((tag, rest));
        }
    }
    None
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if first & GOES_ON == 0 {
        return Some((usize::from(*first), rest));
    }
    let count = usize::from(first & !GOES_ON);
    if !(1..=LENGTH_BYTES_MAX).contains(&count) {
        return None;
    }
    let (bytes, rest) = rest.split_at_checked(count)?;
    let length = bytes.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    Some((usize::try_from(length).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subelements_are_found_by_their_tag() {
        let content = b"0103ABC3704202161030427";
        assert_eq!(subelement(content, b"01"), Some(&b"ABC"[..]));
        assert_eq!(subelement(content, b"37"), Some(&b"2021"[..]));
        assert_eq!(subelement(content, b"99"), None);
        let check = |content: &[u8], tags: &[&[u8; 2]]| {
            assert_eq!(Subelements::new(content).map(|(tag, _)| tag).collect::<Vec<_>>(), tags);
        };
        check(b"", &[]);
        check(b"0100", &[b"01"]);
        check(b"0100020", &[b"01"]);
        check(b"0101A0202B", &[b"01"]);
        check(b"01X1A", &[]);
        check(b"T420701032", &[]);
    }

    #[test]
    fn chip_data_is_found_by_its_tag() {
        let content = [
            &[0x9F, 0x26, 0x02, 0xA1, 0xB2, 0x00, 0x00][..],
            &[0x82, 0x02, 0x3C, 0x00, 0xDF, 0x81, 0x29, 0x01, 0x07],
            &[0x70, 0x81, 0x80],
            &[0x5A; 0x80],
            &[0x95, 0x82, 0x00, 0x01, 0x99],
        ]
        .concat();
        assert_eq!(ber(&content, 0x9F26), Some(&[0xA1, 0xB2][..]));
        assert_eq!(ber(&content, 0x82), Some(&[0x3C, 0x00][..]));
        assert_eq!(ber(&content, 0x00DF_8129), Some(&[0x07][..]));
        assert_eq!(ber(&content, 0x70).map(<[u8]>::len), Some(0x80));
        assert_eq!(ber(&content, 0x95), Some(&[0x99][..]));
        assert_eq!(ber(&content, 0x5A), None, "what stands inside another is not opened");
    }

    #[test]
    fn broken_chip_data_ends_the_elements() {
        let check = |content: &[u8], count| assert_eq!(Ber::new(content).count(), count);
        check(&[], 0);
        check(&[0; 300], 0);
        check(&[0x82], 0);
        check(&[0x82, 0x02, 0x3C], 0);
        check(&[0x82, 0x01, 0x3C, 0x9F], 1);
        check(&[0x9F, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], 0);
        check(&[0x82, 0x80, 0x01], 0);
        check(&[0x82, 0x85, 0, 0, 0, 0, 1, 7], 0);
        check(&[0x82, 0x84, 0xFF, 0xFF, 0xFF, 0xFF, 7], 0);
    }
}
