//! Reading the tracks of a magnetic stripe, as DE35 and DE45 carry them.
//!
//! Invariants: any bytes give a track or a typed error with the place of the fault, never a panic;
//! a track cannot be printed or serialized, and its number and value wipe themselves.
//! Source: ISO/IEC 7813, security 4.2.

use thiserror::Error;

use super::{Cvv, Pvv, ServiceCode};
use crate::card::YearMonth;
use crate::pan::Pan;

/// Characters of a track 1 at most, without its sentinels and check character.
pub const TRACK_1_CHARACTERS_MAX: usize = 76;
/// Characters of a track 2 at most, without its sentinels and check character.
pub const TRACK_2_CHARACTERS_MAX: usize = 37;
/// Characters of the holder's name on track 1.
const NAME_CHARACTERS_MAX: usize = 26;
/// The only format code of track 1 for payment cards.
const FORMAT_CODE: &[u8; 1] = b"B";
const TRACK_1_SEPARATORS: &[u8] = b"^";
/// As characters, and as the digit that packed tracks have in its place.
const TRACK_2_SEPARATORS: &[u8] = b"=D";

/// Where an issuer puts its values: characters behind the service code, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Of the PVKI (1 digit), which the PVV (4 digits) follows.
    pub pvki: usize,
    /// Of the verification value (3 digits).
    pub cvv: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Self { pvki: 0, cvv: 5 }
    }
}

/// What a track says.
#[derive(Clone)]
pub struct Track {
    /// The card's number.
    pub pan: Pan,
    /// Its last month.
    pub expiry: YearMonth,
    /// What the stripe may be used for.
    pub service_code: ServiceCode,
    /// The value of the PIN that the stripe was written with; `None` where it ends before it, or
    /// its PVKI stands for no key. It is stale once the PIN was changed: the card's own counts.
    pub pvv: Option<Pvv>,
    /// The stripe's or the chip's verification value; `None` where the track ends before it.
    pub cvv: Option<Cvv>,
}

/// The part of a track that is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it: longer than the standard allows. The offset is the first place too many.
    Length,
    /// Track 1 does not begin with `B`.
    FormatCode,
    /// The number does not have 14 to 19 digits, or no separator ends it.
    CardNumber,
    /// The holder's name is longer than 26 characters, or no separator ends it.
    Name,
    /// Not four digits YYMM of a month.
    Expiry,
    /// Not three digits.
    ServiceCode,
    /// A character that the track cannot hold, or a verification value that is not digits.
    Discretionary,
}

impl Part {
    const fn fault(self) -> &'static str {
        match self {
            Self::Length => "more characters than it can hold",
            Self::FormatCode => "no format code B",
            Self::CardNumber => "no card number of 14 to 19 digits and its separator",
            Self::Name => "no name of at most 26 characters and its separator",
            Self::Expiry => "no expiry YYMM",
            Self::ServiceCode => "no service code",
            Self::Discretionary => "a character that cannot stand there",
        }
    }
}

/// Why bytes are not a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("track {track}: {} at offset {offset}", part.fault())]
pub struct TrackError {
    /// 1 or 2.
    pub track: u8,
    /// What is at fault.
    pub part: Part,
    /// Where it begins, in characters.
    pub offset: usize,
}

impl Track {
    /// Reads DE35: number, `=` or `D`, expiry, service code, discretionary digits. An `F` that
    /// fills up the last byte of a chip's track is left out; in BCD it reads as `?`.
    pub fn parse_2(text: &[u8], layout: Layout) -> Result<Self, TrackError> {
        let filled = text.strip_suffix(b"F").or(text.strip_suffix(b"?"));
        let text = filled.unwrap_or(text);
        let mut cursor = Cursor::over(2, text, TRACK_2_CHARACTERS_MAX)?;
        let pan = cursor.card_number(TRACK_2_SEPARATORS)?;
        cursor.finish(pan, layout, u8::is_ascii_digit)
    }

    /// Reads DE45: format code `B`, number, `^`, name, `^`, expiry, service code, discretionary
    /// characters.
    pub fn parse_1(text: &[u8], layout: Layout) -> Result<Self, TrackError> {
        let mut cursor = Cursor::over(1, text, TRACK_1_CHARACTERS_MAX)?;
        cursor.format_code()?;
        let pan = cursor.card_number(TRACK_1_SEPARATORS)?;
        cursor.name()?;
        cursor.finish(pan, layout, |byte| matches!(byte, b' '..=b'_'))
    }
}

/// What is left of a track, and how far it is read.
struct Cursor<'a> {
    track: u8,
    offset: usize,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn over(track: u8, text: &'a [u8], characters_max: usize) -> Result<Self, TrackError> {
        if text.len() > characters_max {
            return Err(TrackError { track, part: Part::Length, offset: characters_max });
        }
        Ok(Self { track, offset: 0, rest: text })
    }

    /// A fault at the place that was read up to.
    const fn fault(&self, part: Part) -> TrackError {
        TrackError { track: self.track, part, offset: self.offset }
    }

    fn take<const N: usize>(&mut self, part: Part) -> Result<&'a [u8; N], TrackError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(self.fault(part))?;
        self.rest = rest;
        self.offset += N;
        Ok(taken)
    }

    /// What stands before the next separator; goes on behind it.
    fn until(&mut self, separators: &[u8], part: Part) -> Result<&'a [u8], TrackError> {
        let place = self.rest.iter().position(|byte| separators.contains(byte));
        let (taken, behind) =
            place.and_then(|place| self.rest.split_at_checked(place)).ok_or(self.fault(part))?;
        self.rest = behind.get(1..).unwrap_or_default();
        self.offset += taken.len() + 1;
        Ok(taken)
    }

    fn format_code(&mut self) -> Result<(), TrackError> {
        let fault = self.fault(Part::FormatCode);
        if self.take(Part::FormatCode)? == FORMAT_CODE { Ok(()) } else { Err(fault) }
    }

    fn card_number(&mut self, separators: &[u8]) -> Result<Pan, TrackError> {
        let fault = self.fault(Part::CardNumber);
        Pan::parse(self.until(separators, Part::CardNumber)?).ok_or(fault)
    }

    fn name(&mut self) -> Result<(), TrackError> {
        let fault = self.fault(Part::Name);
        let characters = self.until(TRACK_1_SEPARATORS, Part::Name)?.len();
        if characters > NAME_CHARACTERS_MAX { Err(fault) } else { Ok(()) }
    }

    fn expiry(&mut self) -> Result<YearMonth, TrackError> {
        let fault = self.fault(Part::Expiry);
        let digits = self.take::<4>(Part::Expiry)?;
        let number = |value, digit: &u8| value * 10 + u16::from(digit & 0x0f);
        let is_number = digits.iter().all(u8::is_ascii_digit);
        let month = YearMonth::from_yymm(digits.iter().fold(0, number)).filter(|_| is_number);
        month.ok_or(fault)
    }

    fn service_code(&mut self) -> Result<ServiceCode, TrackError> {
        let fault = self.fault(Part::ServiceCode);
        ServiceCode::parse(self.take::<3>(Part::ServiceCode)?).ok_or(fault)
    }

    /// Everything behind the number and the name.
    fn finish(
        mut self,
        pan: Pan,
        layout: Layout,
        is_allowed: fn(&u8) -> bool,
    ) -> Result<Track, TrackError> {
        let (expiry, service_code) = (self.expiry()?, self.service_code()?);
        let fault =
            |place| TrackError { offset: self.offset + place, ..self.fault(Part::Discretionary) };
        if let Some(place) = self.rest.iter().position(|byte| !is_allowed(byte)) {
            return Err(fault(place));
        }
        let cvv = match self.at::<3>(layout.cvv) {
            Some(digits) => Some(Cvv::parse(digits).ok_or_else(|| fault(layout.cvv))?),
            None => None,
        };
        let pvv = self
            .at(layout.pvki)
            .and_then(|[pvki, digits @ ..]: &[u8; 5]| Pvv::parse(*pvki, digits));
        Ok(Track { pan, expiry, service_code, pvv, cvv })
    }

    /// The characters at an offset of what is left.
    fn at<const N: usize>(&self, offset: usize) -> Option<&'a [u8; N]> {
        self.rest.get(offset..)?.first_chunk()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACK_1: &str = "B4123456789012345^NOWAK/EWA^281220111894197000";
    const TRACK_2: &str = "4123456789012345=281220111894197";

    fn parse(number: u8, text: &str, layout: Layout) -> Result<Track, TrackError> {
        match number {
            1 => Track::parse_1(text.as_bytes(), layout),
            _ => Track::parse_2(text.as_bytes(), layout),
        }
    }

    fn read(number: u8, text: &str) -> Result<Track, TrackError> {
        parse(number, text, Layout::default())
    }

    fn fault_of(number: u8, text: &str) -> Option<TrackError> {
        read(number, text).err()
    }

    #[test]
    fn both_tracks_say_the_same() {
        let chip = format!("{}F", TRACK_2.replace('=', "D"));
        for (number, text) in [(1, TRACK_1), (2, TRACK_2), (2, chip.as_str())] {
            let track = read(number, text).ok().unwrap();
            assert_eq!(track.pan.expose(), b"4123456789012345");
            assert_eq!(track.expiry, YearMonth { year: 2028, month: 12 });
            assert!(track.service_code == ServiceCode::parse(b"201").unwrap());
            assert_eq!(track.cvv.unwrap().expose(), b"197");
            assert_eq!(track.pvv, Pvv::parse(b'1', b"1894"));
        }
    }

    #[test]
    fn an_issuer_puts_its_values_where_it_likes() {
        let layout = Layout { pvki: 4, cvv: 1 };
        let track = parse(2, "4123456789012345=2812201x197311894", layout);
        assert_eq!(track.err().unwrap().part, Part::Discretionary);
        let track = parse(2, "4123456789012345=2812201019711894", layout).ok().unwrap();
        assert_eq!(track.cvv.unwrap().expose(), b"197");
        assert_eq!(track.pvv, Pvv::parse(b'1', b"1894"));
        let far = Layout { pvki: usize::MAX, cvv: usize::MAX };
        let track = parse(2, TRACK_2, far).ok().unwrap();
        assert!(track.cvv.is_none() && track.pvv.is_none());
    }

    #[test]
    fn values_that_the_track_ends_before_are_absent() {
        for (text, has_pvv, has_cvv) in [
            ("4123456789012345=2812201", false, false),
            ("4123456789012345=28122011189", false, false),
            ("4123456789012345=281220111894", true, false),
            ("4123456789012345=28122011189419", true, false),
            ("4123456789012345=281220101894197", false, true),
            ("4123456789012345=281220171894197", false, true),
        ] {
            let track = read(2, text).ok().unwrap();
            assert_eq!((track.pvv.is_some(), track.cvv.is_some()), (has_pvv, has_cvv), "{text}");
        }
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        use Part::{CardNumber, Discretionary, Expiry, FormatCode, Length, Name, ServiceCode};
        let long = format!("{TRACK_2}{}", "0".repeat(6));
        let long_name = TRACK_1.replace("NOWAK/EWA", &"N".repeat(27));
        for (track, text, part, offset) in [
            (2, "", CardNumber, 0),
            (2, "4123456789012345", CardNumber, 0),
            (2, "4123456789012=28122011189", CardNumber, 0),
            (2, "41234567890123456789=2812201", CardNumber, 0),
            (2, "412345678901234x=2812201", CardNumber, 0),
            (2, "4123456789012345=", Expiry, 17),
            (2, "4123456789012345=281", Expiry, 17),
            (2, "4123456789012345=2813201", Expiry, 17),
            (2, "4123456789012345==201", Expiry, 17),
            (2, "4123456789012345=:8012201", Expiry, 17),
            (2, "4123456789012345=281220", ServiceCode, 21),
            (2, "4123456789012345=2812=11894197", ServiceCode, 21),
            (2, "4123456789012345=2812201118941=7", Discretionary, 30),
            (2, long.as_str(), Length, 37),
            (1, "", FormatCode, 0),
            (1, "A4123456789012345^NOWAK/EWA^2812201", FormatCode, 0),
            (1, "B4123456789012345", CardNumber, 1),
            (1, "B4123456789012345^NOWAK/EWA", Name, 18),
            (1, long_name.as_str(), Name, 18),
            (1, "B4123456789012345^NOWAK/EWA^28", Expiry, 28),
            (1, "B4123456789012345^NOWAK/EWA^2812x01", ServiceCode, 32),
            (1, "B4123456789012345^NOWAK/EWA^281220111894x97", Discretionary, 40),
            (1, "B4123456789012345^NOWAK/EWA^281220111894\u{1}97", Discretionary, 40),
            (1, "B4123456789012345^NOWAK/EWA^281220111894A97", Discretionary, 40),
        ] {
            let got = fault_of(track, text).unwrap();
            assert_eq!(got, TrackError { track, part, offset }, "{text}");
            assert!(!got.to_string().contains("4123"), "{got}");
        }
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_read_or_refused() {
        let mut read_ones = 0;
        for (number, text) in [(1, TRACK_1), (2, TRACK_2)] {
            for place in 0..text.len() {
                let mut bytes = text.as_bytes().to_vec();
                for byte in 0..=u8::MAX {
                    bytes[place] = byte;
                    let one = Track::parse_1(&bytes, Layout::default()).is_ok();
                    let two = Track::parse_2(&bytes, Layout::default()).is_ok();
                    assert!(!(one && two), "a track is of one kind");
                    read_ones += u32::from(one || two);
                }
                assert!(number == 1 || place > 23 || fault_of(2, &text[..place]).is_some());
            }
        }
        assert!(read_ones > 500, "changed digits are still digits: {read_ones}");
    }
}
