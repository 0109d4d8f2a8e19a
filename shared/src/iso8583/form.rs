//! What one field looks like on a link: its length prefix and its content, read and written.
//!
//! Invariant: reading and writing are each other's inverse. Of every content there is one form, so
//! whatever is read and given back is the same bytes; a half byte of padding that is not what the
//! dialect says is refused like any other wrong byte.

use super::encoding::{DigitEncoding, Encoding, Pad, Padding, TextEncoding};
use super::field::{Content, FieldSpec, Length};
use super::message::Rule;
use super::sound::{Sound, Stretch, are_letters_digits};

/// The most digits of which a number is made.
const NUMBER_DIGITS_MAX: usize = 19;

/// What reading and writing a field needs of its definition, small enough that the whole table
/// stays in the first-level cache. Also of several fields that stand side by side, if one check
/// does for all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) length: Length,
    pub(super) content: Content,
    pub(super) prefix: DigitEncoding,
    pub(super) form: Form,
    pub(super) sound: Sound,
    /// Letters and digits as they are, with spaces or without: checked by [`are_letters_digits`].
    pub(super) letters: Option<bool>,
}

/// How content is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is: ASCII, or raw bytes.
    Plain,
    /// Each character one byte of EBCDIC.
    Ebcdic,
    /// Two digits a byte; for tracks their code is the low half of the ASCII character.
    Packed(Pad),
    /// One character of sign, then two digits a byte.
    SignedPacked(TextEncoding),
}

/// Where the content of one field lies, relative to its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Bytes of length prefix.
    pub(super) prefix: u16,
    /// Bytes of content.
    pub(super) content: u16,
}

/// What is wrong with a field, in bytes from its first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flaw {
    pub(super) at: usize,
    pub(super) rule: Rule,
}

impl Pad {
    /// Whether it is in the first or last half byte, where it belongs.
    #[inline]
    pub(super) fn is_in(self, content: &[u8]) -> bool {
        match (self, content) {
            (_, []) => false,
            (Self::Left0, [first, ..]) => *first <= 0x0F,
            (Self::Right0, [.., last]) => last & 0x0F == 0,
            (Self::RightF, [.., last]) => last & 0x0F == 0x0F,
        }
    }
}

impl Shape {
    pub(super) fn new(field: &FieldSpec, encoding: Encoding, padding: Padding) -> Self {
        let (content, length) = (field.content, field.length);
        let form = form_of(content, length, encoding, padding);
        let sound = sound_of(content, length, form);
        let letters = match (form, content) {
            (Form::Plain, Content::LettersDigits) => Some(false),
            (Form::Plain, Content::LettersDigitsSpace) => Some(true),
            (..) => None,
        };
        Self { length, content, prefix: encoding.length, form, sound, letters }
    }

    /// What may stand in each byte of a field of fixed length, if that is all there is to say of it:
    /// then fields side by side are checked at once.
    pub(super) fn sounds(self) -> Option<Vec<Sound>> {
        let Length::Fixed(characters) = self.length else { return None };
        let mut sounds = vec![self.sound; usize::from(self.fixed_bytes()?)];
        match (self.form, self.content) {
            (_, Content::Binary)
            | (Form::Plain, Content::Digits | Content::Letters | Content::Printable)
            | (Form::Ebcdic, Content::Digits) => {}
            (Form::Plain, Content::SignedDigits) => {
                sounds.fill(Sound::range(b'0', b'9'));
                *sounds.first_mut()? = Sound::range(b'C', b'D');
            }
            (Form::Packed(pad), Content::Digits) => {
                sounds.fill(Sound::PACKED);
                match pad {
                    _ if characters % 2 == 0 => {}
                    Pad::Left0 => *sounds.first_mut()? = Sound::range(0, 9),
                    Pad::Right0 => *sounds.last_mut()? = Sound::packed_in_front_of(0),
                    Pad::RightF => *sounds.last_mut()? = Sound::packed_in_front_of(0x0F),
                }
            }
            _ => return None,
        }
        Some(sounds)
    }

    /// Bytes of length prefix.
    #[inline]
    pub(super) fn prefix_len(self) -> u16 {
        self.prefix.bytes_of(self.length.prefix_digits())
    }

    /// Bytes of a content of so many characters.
    #[inline]
    pub(super) fn bytes_of(self, characters: u16) -> u16 {
        match self.form {
            Form::Plain | Form::Ebcdic => characters,
            Form::Packed(_) => characters.div_ceil(2),
            Form::SignedPacked(_) => 1 + characters.saturating_sub(1).div_ceil(2),
        }
    }

    /// Bytes of a field of fixed length; `None` for others.
    #[inline]
    pub(super) fn fixed_bytes(self) -> Option<u16> {
        match self.length {
            Length::Fixed(characters) => Some(self.bytes_of(characters)),
            Length::Ll(_) | Length::Lll(_) => None,
        }
    }

    /// How far the field reaches that begins at a place of a frame, if it is all there and sound.
    /// What is wrong with one that is not is for [`Self::flaw`] to find, so that the path of sound
    /// messages carries no error.
    #[inline(never)]
    pub(super) fn read(self, frame: &[u8], at: u16) -> Option<Extent> {
        let (start, prefix) = (usize::from(at), self.prefix_len());
        let characters = self.characters(frame.get(start..)?);
        let characters = characters.filter(|count| *count <= self.length.max())?;
        let extent = Extent { prefix, content: self.bytes_of(characters) };
        let content = Stretch::new(frame, start + usize::from(prefix), extent.content)?;
        self.is_sound(content, characters).then_some(extent)
    }

    /// What is wrong with the field that begins `rest`.
    #[cold]
    pub(super) fn flaw(self, rest: &[u8]) -> Flaw {
        let prefix = usize::from(self.prefix_len());
        let Some(bytes) = rest.get(prefix..) else {
            return Flaw { at: 0, rule: Rule::Truncated };
        };
        let Some(characters) = self.characters(rest) else {
            return Flaw { at: 0, rule: Rule::LengthNotDigits };
        };
        let max = self.length.max();
        if characters > max {
            return Flaw { at: 0, rule: Rule::OverMax { max } };
        }
        let content = bytes.get(..usize::from(self.bytes_of(characters)));
        match content.and_then(|content| self.first_fault(content, characters)) {
            Some(at) => Flaw { at: prefix + at, rule: Rule::Content(self.content) },
            None => Flaw { at: 0, rule: Rule::Truncated },
        }
    }

    /// The length of the content of the field that begins `rest`, in characters.
    #[inline]
    fn characters(self, rest: &[u8]) -> Option<u16> {
        match self.length {
            Length::Fixed(characters) => Some(characters),
            Length::Ll(_) | Length::Lll(_) => match (self.prefix, rest) {
                (DigitEncoding::Ascii, [tens, ones, ..]) if self.length.prefix_digits() == 2 => {
                    DigitEncoding::Ascii.value(&[*tens, *ones])
                }
                (prefix, rest) => prefix.value(rest.get(..usize::from(self.prefix_len()))?),
            },
        }
    }

    /// Whether each byte may stand where it stands.
    #[inline]
    fn is_sound(self, content: Stretch<'_>, characters: u16) -> bool {
        if let Some(spaces) = self.letters {
            return are_letters_digits(content, spaces);
        }
        let padded = match self.form {
            Form::Packed(pad) if characters % 2 == 1 => {
                content.bytes().is_some_and(|bytes| pad.is_in(bytes))
            }
            Form::Plain | Form::Ebcdic | Form::Packed(_) | Form::SignedPacked(_) => true,
        };
        let fast = padded && self.sound != Sound::NOTHING;
        fast && self.sound.lanes().have_all(content)
            || content.bytes().is_some_and(|bytes| self.is_sound_slowly(bytes, characters))
    }

    #[inline(never)]
    pub(super) fn is_sound_slowly(self, content: &[u8], characters: u16) -> bool {
        self.first_fault(content, characters).is_none()
    }

    /// The position of the first byte that may not stand where it stands, in a content of so many
    /// characters.
    pub(super) fn first_fault(self, content: &[u8], characters: u16) -> Option<usize> {
        match self.form {
            Form::Plain => plain_fault(self.content, content),
            Form::Ebcdic => content.iter().enumerate().position(|(at, byte)| {
                let character = TextEncoding::Ebcdic.to_ascii(*byte);
                character == 0 || !self.content.allows(character, at)
            }),
            Form::Packed(pad) => packed_fault(self.content, content, characters, pad),
            Form::SignedPacked(text) => match content {
                [sign, digits @ ..] if self.content.allows(text.to_ascii(*sign), 0) => {
                    packed_fault(Content::Digits, digits, characters - 1, Pad::Left0)
                        .map(|at| at + 1)
                }
                _ => Some(0),
            },
        }
    }

    /// The value of a field of digits, as on the wire with its length prefix; `None` if it is
    /// empty, above 19 digits, or not of digits.
    #[inline]
    pub(super) fn number(self, wire: &[u8]) -> Option<u64> {
        let content = wire.get(usize::from(self.prefix_len())..)?;
        match self.form {
            Form::Plain | Form::Ebcdic => {
                let known = self.content == Content::Digits;
                let zero = if self.form == Form::Plain { b'0' } else { 0xF0 };
                number_of(content, zero, known)
            }
            Form::Packed(pad) => packed_number(content, self.characters(wire)?, pad),
            Form::SignedPacked(_) => None,
        }
    }

    /// The content in ASCII: where it lies, or decoded into `scratch` from the wire form with its
    /// length prefix. `None` for raw bytes, and if the scratch is too short.
    pub(super) fn text<'s>(self, wire: &'s [u8], scratch: &'s mut [u8]) -> Option<&'s [u8]> {
        let content = wire.get(usize::from(self.prefix_len())..)?;
        if self.content == Content::Binary {
            return None;
        }
        if self.form == Form::Plain {
            return Some(content);
        }
        let out = scratch.get_mut(..usize::from(self.characters(wire)?))?;
        match (self.form, content, &mut *out) {
            (Form::Plain | Form::Ebcdic, content, out) => {
                for (character, byte) in out.iter_mut().zip(content) {
                    *character = TextEncoding::Ebcdic.to_ascii(*byte);
                }
            }
            (Form::Packed(pad), content, out) => unpack(content, pad, out),
            (Form::SignedPacked(text), [first, content @ ..], [sign, out @ ..]) => {
                *sign = text.to_ascii(*first);
                unpack(content, Pad::Left0, out);
            }
            (Form::SignedPacked(_), _, _) => return None,
        }
        Some(out)
    }

    /// Appends the field for a value in ASCII.
    pub(super) fn write(self, value: &[u8], out: &mut Vec<u8>) -> Result<(), Rule> {
        let characters = self.length.check(value.len())?;
        if !self.allows_value(value) {
            return Err(Rule::Content(self.content));
        }
        let digits = three_digits(characters);
        match self.length {
            Length::Fixed(_) => {}
            Length::Ll(_) => self.prefix.write(digits.get(1..).unwrap_or_default(), out),
            Length::Lll(_) => self.prefix.write(&digits, out),
        }
        match (self.form, value) {
            (Form::Plain, value) => out.extend_from_slice(value),
            (Form::Ebcdic, value) => {
                out.extend(value.iter().map(|character| TextEncoding::Ebcdic.of_ascii(*character)));
            }
            (Form::Packed(pad), value) => pack(value, pad, out),
            (Form::SignedPacked(text), [sign, digits @ ..]) => {
                out.push(text.of_ascii(*sign));
                pack(digits, Pad::Left0, out);
            }
            (Form::SignedPacked(_), []) => {}
        }
        Ok(())
    }

    #[inline]
    fn allows_value(self, value: &[u8]) -> bool {
        if let Some(spaces) = self.letters {
            return are_letters_digits(Stretch::alone(value), spaces);
        }
        let fast = self.form == Form::Plain && self.sound != Sound::NOTHING;
        fast && self.sound.lanes().have_all(Stretch::alone(value))
            || plain_fault(self.content, value).is_none()
    }
}

fn form_of(content: Content, length: Length, encoding: Encoding, padding: Padding) -> Form {
    let digits = |packed| match encoding.digits {
        DigitEncoding::Ascii => Form::Plain,
        DigitEncoding::Ebcdic => Form::Ebcdic,
        DigitEncoding::Bcd => packed,
    };
    match content {
        Content::Digits if length.is_fixed() => digits(Form::Packed(padding.fixed)),
        Content::Digits => digits(Form::Packed(padding.variable)),
        Content::Track => digits(Form::Packed(padding.track)),
        Content::SignedDigits => digits(Form::SignedPacked(encoding.text)),
        Content::Letters
        | Content::LettersDigits
        | Content::LettersDigitsSpace
        | Content::Printable => match encoding.text {
            TextEncoding::Ascii => Form::Plain,
            TextEncoding::Ebcdic => Form::Ebcdic,
        },
        Content::Binary => Form::Plain,
    }
}

fn sound_of(content: Content, length: Length, form: Form) -> Sound {
    match (form, content) {
        (_, Content::SignedDigits) | (Form::SignedPacked(_), _) => Sound::NOTHING,
        (_, Content::Binary) => Sound::ANYTHING,
        (Form::Plain, Content::LettersDigits | Content::LettersDigitsSpace) => Sound::NOTHING,
        (Form::Plain, Content::Digits) => Sound::range(b'0', b'9'),
        (Form::Plain, Content::Letters) => Sound::LETTERS,
        (Form::Plain, Content::Printable) => Sound::range(0x20, 0x7E),
        (Form::Plain, Content::Track) => Sound::range(0x30, 0x3F),
        (Form::Ebcdic, Content::Letters) => Sound::range(0xC1, 0xC9),
        (Form::Ebcdic, _) => Sound::range(0xF0, 0xF9),
        (Form::Packed(_), Content::Track) => Sound::ANYTHING,
        (Form::Packed(Pad::Left0), _) => Sound::PACKED,
        // An odd length ends in a half byte that need be no digit.
        (Form::Packed(Pad::Right0 | Pad::RightF), _) => match length {
            Length::Fixed(digits) if digits % 2 == 1 => Sound::NOTHING,
            Length::Fixed(_) | Length::Ll(_) | Length::Lll(_) => Sound::PACKED,
        },
    }
}

fn plain_fault(class: Content, content: &[u8]) -> Option<usize> {
    let fault = content.iter().enumerate().position(|(at, byte)| !class.allows(*byte, at));
    // An empty content has no byte to fault, and a signed amount has a sign.
    fault.or((class == Content::SignedDigits && content.is_empty()).then_some(0))
}

/// The half bytes of packed content, without padding: each with the byte it is in.
fn halves(content: &[u8], pad: Pad, characters: u16) -> impl Iterator<Item = (usize, u8)> {
    let skipped = usize::from(characters % 2 == 1 && pad == Pad::Left0);
    let halves = content.iter().enumerate();
    let halves = halves.flat_map(|(at, byte)| [(at, byte >> 4), (at, byte & 0x0F)]);
    halves.skip(skipped).take(usize::from(characters))
}

fn packed_fault(class: Content, content: &[u8], characters: u16, pad: Pad) -> Option<usize> {
    let last = content.len().checked_sub(1)?;
    let padding = match pad {
        Pad::Left0 => content.first().filter(|byte| *byte >> 4 != 0).map(|_| 0),
        Pad::Right0 => content.last().filter(|byte| *byte & 0x0F != 0).map(|_| last),
        Pad::RightF => content.last().filter(|byte| *byte & 0x0F != 0x0F).map(|_| last),
    };
    let padding = padding.filter(|_| characters % 2 == 1);
    let fault = halves(content, pad, characters)
        .find(|(_, half)| class == Content::Digits && *half > 9)
        .map(|(at, _)| at);
    fault.into_iter().chain(padding).min()
}

fn unpack(content: &[u8], pad: Pad, out: &mut [u8]) {
    let odd = out.len() % 2 == 1;
    let (content, out) = match (content, &mut *out) {
        ([first, content @ ..], [character, out @ ..]) if odd && pad == Pad::Left0 => {
            *character = b'0' | first & 0x0F;
            (content, out)
        }
        (content, out) => (content, out),
    };
    let (pairs, last) = out.as_chunks_mut::<2>();
    for ([high, low], byte) in pairs.iter_mut().zip(content) {
        (*high, *low) = (b'0' | byte >> 4, b'0' | byte & 0x0F);
    }
    if let ([character], Some(byte)) = (last, content.last()) {
        *character = b'0' | byte >> 4;
    }
}

fn pack(value: &[u8], pad: Pad, out: &mut Vec<u8>) {
    // A separator that was given as the letter is the half byte of its value.
    let half = |character: u8| if character == b'D' { 0x0D } else { character & 0x0F };
    let odd = value.len() % 2;
    let front = if pad == Pad::Left0 { odd } else { 0 };
    let (first, rest) = value.split_at_checked(front).unwrap_or_default();
    out.extend(first.iter().map(|character| half(*character)));
    let (pairs, last) = rest.as_chunks::<2>();
    out.extend(pairs.iter().map(|[high, low]| half(*high) << 4 | half(*low)));
    let filler = if pad == Pad::RightF { 0x0F } else { 0 };
    out.extend(last.iter().map(|character| half(*character) << 4 | filler));
}

/// The value of digits of which each is a byte, `zero` the first of them; `known` to be digits or
/// still to be checked.
#[inline]
fn number_of(digits: &[u8], zero: u8, known: bool) -> Option<u64> {
    if !(1..=NUMBER_DIGITS_MAX).contains(&digits.len()) {
        return None;
    }
    if !known && !Sound::range(zero, zero + 9).lanes().have_all(Stretch::alone(digits)) {
        return None;
    }
    let (words, rest) = digits.as_chunks::<8>();
    let mut sum = words.iter().fold(0, |sum: u64, word| sum * 100_000_000 + word_to_number(*word));
    let (halves, rest) = rest.as_chunks::<4>();
    for [a, b, c, d] in halves {
        sum = sum * 10_000 + word_to_number([b'0', b'0', b'0', b'0', *a, *b, *c, *d]);
    }
    Some(rest.iter().fold(sum, |sum, digit| sum * 10 + u64::from(digit & 0x0F)))
}

fn packed_number(content: &[u8], characters: u16, pad: Pad) -> Option<u64> {
    if !(1..=NUMBER_DIGITS_MAX).contains(&usize::from(characters)) {
        return None;
    }
    let (content, last) = match content {
        [content @ .., last] if characters % 2 == 1 && pad != Pad::Left0 => (content, Some(last)),
        content => (content, None),
    };
    let mut sum = 0;
    for byte in content {
        let (high, low) = (u64::from(byte >> 4), u64::from(byte & 0x0F));
        if high > 9 || low > 9 {
            return None;
        }
        sum = sum * 100 + high * 10 + low;
    }
    match last.map(|last| u64::from(last >> 4)) {
        None => Some(sum),
        Some(half) => (half <= 9).then_some(sum * 10 + half),
    }
}

/// Eight digits to their value: neighbours are joined into pairs, pairs into fours, fours into the
/// whole.
#[inline]
fn word_to_number(digits: [u8; 8]) -> u64 {
    let ones = u64::from_le_bytes(digits) & 0x0F0F_0F0F_0F0F_0F0F;
    let pairs = (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

/// A number below a thousand as three digits.
fn three_digits(number: u16) -> [u8; 3] {
    let digit = |value: u16| b"0123456789".get(usize::from(value % 10)).copied().unwrap_or(b'0');
    [digit(number / 100), digit(number / 10), digit(number)]
}

#[cfg(test)]
mod tests;
