//! The message type: version, class, function and origin, one decimal digit each on the wire.
//!
//! Invariant: an [`Mti`] holds only digits that the standard assigns; reserved ones do not parse.
//! Source: ISO 8583 (1987, 1993, 2003), message type identifier.

use std::fmt;

/// What a message is, such as 0100: an authorization request of the 1987 standard, sent by the
/// acquirer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mti {
    pub version: Version,
    pub class: Class,
    pub function: Function,
    pub origin: Origin,
}

/// First digit: the edition of the standard that the fields follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Version {
    V1987 = b'0',
    V1993 = b'1',
    V2003 = b'2',
}

/// Second digit: the business the message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    Authorization = b'1',
    Financial = b'2',
    FileAction = b'3',
    Reversal = b'4',
    Reconciliation = b'5',
    Administrative = b'6',
    FeeCollection = b'7',
    NetworkManagement = b'8',
}

/// Third digit: what the receiver must do. A request asks for a decision; an advice reports one
/// that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Function {
    Request = b'0',
    Response = b'1',
    Advice = b'2',
    AdviceResponse = b'3',
    Notification = b'4',
    NotificationAcknowledgement = b'5',
    Acknowledgement = b'8',
    NegativeAcknowledgement = b'9',
}

/// Fourth digit: who sent the message, and whether it was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Origin {
    Acquirer = b'0',
    AcquirerRepeat = b'1',
    Issuer = b'2',
    IssuerRepeat = b'3',
    Other = b'4',
    OtherRepeat = b'5',
}

impl Mti {
    /// 0100
    pub const AUTHORIZATION_REQUEST: Self = Self::acquirer(Class::Authorization, Function::Request);
    /// 0120
    pub const AUTHORIZATION_ADVICE: Self = Self::acquirer(Class::Authorization, Function::Advice);
    /// 0400
    pub const REVERSAL_REQUEST: Self = Self::acquirer(Class::Reversal, Function::Request);
    /// 0420
    pub const REVERSAL_ADVICE: Self = Self::acquirer(Class::Reversal, Function::Advice);
    /// 0800
    pub const NETWORK_REQUEST: Self = Self::acquirer(Class::NetworkManagement, Function::Request);

    /// A first sending by the acquirer, in the 1987 edition.
    pub const fn acquirer(class: Class, function: Function) -> Self {
        Self { version: Version::V1987, class, function, origin: Origin::Acquirer }
    }

    /// The type that four ASCII digits stand for; `None` if one of them is no digit or is reserved
    /// by the standard.
    pub const fn from_ascii(digits: [u8; 4]) -> Option<Self> {
        let [version, class, function, origin] = digits;
        let (Some(version), Some(class), Some(function), Some(origin)) = (
            Version::from_ascii(version),
            Class::from_ascii(class),
            Function::from_ascii(function),
            Origin::from_ascii(origin),
        ) else {
            return None;
        };
        Some(Self { version, class, function, origin })
    }

    /// The four ASCII digits.
    pub const fn to_ascii(self) -> [u8; 4] {
        [self.version as u8, self.class as u8, self.function as u8, self.origin as u8]
    }

    /// The type that answers this one, with the repeat mark cleared: 0110 for 0100 and 0101, 0430
    /// for 0420 and 0421. `None` for what takes no answer: responses, notifications,
    /// acknowledgements and network management advices.
    pub const fn response(self) -> Option<Self> {
        let function = match self.function {
            Function::Request => Function::Response,
            Function::Advice => match self.class {
                Class::NetworkManagement => return None,
                Class::Authorization
                | Class::Financial
                | Class::FileAction
                | Class::Reversal
                | Class::Reconciliation
                | Class::Administrative
                | Class::FeeCollection => Function::AdviceResponse,
            },
            Function::Response
            | Function::AdviceResponse
            | Function::Notification
            | Function::NotificationAcknowledgement
            | Function::Acknowledgement
            | Function::NegativeAcknowledgement => return None,
        };
        Some(Self { function, origin: self.origin.first_sending(), ..self })
    }

    /// Whether the sender marks this as sent before (0101, 0421).
    pub const fn is_repeat(self) -> bool {
        match self.origin {
            Origin::AcquirerRepeat | Origin::IssuerRepeat | Origin::OtherRepeat => true,
            Origin::Acquirer | Origin::Issuer | Origin::Other => false,
        }
    }

    /// The same type in another edition: 1100 for 0100.
    #[must_use]
    pub const fn in_version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// The same type marked as sent before: 0101 for 0100.
    pub const fn repeated(self) -> Self {
        let origin = match self.origin {
            Origin::Acquirer | Origin::AcquirerRepeat => Origin::AcquirerRepeat,
            Origin::Issuer | Origin::IssuerRepeat => Origin::IssuerRepeat,
            Origin::Other | Origin::OtherRepeat => Origin::OtherRepeat,
        };
        Self { origin, ..self }
    }
}

impl fmt::Display for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ascii().iter().try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

impl Version {
    const fn from_ascii(digit: u8) -> Option<Self> {
        match digit {
            b'0' => Some(Self::V1987),
            b'1' => Some(Self::V1993),
            b'2' => Some(Self::V2003),
            _ => None,
        }
    }
}

impl Class {
    const fn from_ascii(digit: u8) -> Option<Self> {
        match digit {
            b'1' => Some(Self::Authorization),
            b'2' => Some(Self::Financial),
            b'3' => Some(Self::FileAction),
            b'4' => Some(Self::Reversal),
            b'5' => Some(Self::Reconciliation),
            b'6' => Some(Self::Administrative),
            b'7' => Some(Self::FeeCollection),
            b'8' => Some(Self::NetworkManagement),
            _ => None,
        }
    }
}

impl Function {
    const fn from_ascii(digit: u8) -> Option<Self> {
        match digit {
            b'0' => Some(Self::Request),
            b'1' => Some(Self::Response),
            b'2' => Some(Self::Advice),
            b'3' => Some(Self::AdviceResponse),
            b'4' => Some(Self::Notification),
            b'5' => Some(Self::NotificationAcknowledgement),
            b'8' => Some(Self::Acknowledgement),
            b'9' => Some(Self::NegativeAcknowledgement),
            _ => None,
        }
    }
}

impl Origin {
    const fn from_ascii(digit: u8) -> Option<Self> {
        match digit {
            b'0' => Some(Self::Acquirer),
            b'1' => Some(Self::AcquirerRepeat),
            b'2' => Some(Self::Issuer),
            b'3' => Some(Self::IssuerRepeat),
            b'4' => Some(Self::Other),
            b'5' => Some(Self::OtherRepeat),
            _ => None,
        }
    }

    const fn first_sending(self) -> Self {
        match self {
            Self::Acquirer | Self::AcquirerRepeat => Self::Acquirer,
            Self::Issuer | Self::IssuerRepeat => Self::Issuer,
            Self::Other | Self::OtherRepeat => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_and_advice_has_its_answer() {
        let table = "
            0100 0110    0101 0110    0120 0130    0121 0130    0200 0210    0220 0230
            0302 0312    0400 0410    0401 0410    0420 0430    0421 0430    0422 0432
            0423 0432    0500 0510    0520 0530    0600 0610    0800 0810    0801 0810
            1100 1110    1804 1814    2421 2430
            0110 -       0130 -       0180 -       0190 -       0410 -       0430 -
            0644 -       0810 -       0820 -";
        let words: Vec<&str> = table.split_whitespace().collect();
        for pair in words.chunks(2) {
            let answer = mti(pair[0]).and_then(Mti::response).map_or("-".into(), |m| m.to_string());
            assert_eq!(answer, pair[1], "the answer to {}", pair[0]);
        }
    }

    #[test]
    fn what_is_written_reads_back_and_everything_else_is_refused() {
        let mut known = 0;
        for number in 0..=9999 {
            let text = format!("{number:04}");
            if let Some(mti) = mti(&text) {
                assert_eq!(mti.to_string(), text);
                known += 1;
            }
        }
        assert_eq!(known, 3 * 8 * 8 * 6, "versions, classes, functions, origins");
        for text in ["    ", "010A", "9100", "0000", "0900", "0160", "0106", "\0\0\0\0"] {
            assert_eq!(mti(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_repeat_is_told_from_a_first_sending() {
        for (first, repeat) in [("0100", "0101"), ("0422", "0423"), ("0804", "0805")] {
            let (first, repeat) = (mti(first).unwrap(), mti(repeat).unwrap());
            assert!(!first.is_repeat() && repeat.is_repeat());
            assert_eq!((first.repeated(), repeat.repeated()), (repeat, repeat));
        }
    }

    #[test]
    fn the_named_types_are_what_their_names_say() {
        let named = [
            Mti::AUTHORIZATION_REQUEST,
            Mti::AUTHORIZATION_ADVICE,
            Mti::REVERSAL_REQUEST,
            Mti::REVERSAL_ADVICE,
            Mti::NETWORK_REQUEST,
        ];
        let digits: Vec<String> = named.iter().map(Mti::to_string).collect();
        assert_eq!(digits, ["0100", "0120", "0400", "0420", "0800"]);
    }

    fn mti(text: &str) -> Option<Mti> {
        Mti::from_ascii(text.as_bytes().try_into().unwrap())
    }
}
