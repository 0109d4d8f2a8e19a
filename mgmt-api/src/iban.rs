//! International bank account numbers: made of a program's prefix and a serial number, with the
//! check digits of ISO 7064 mod 97-10. Source: ISO 13616-1, requirements #34.
//!
//! Invariant: what is made has its country's length and checks.

/// Characters of a number, by country. Source: SWIFT IBAN registry, release 97.
const LENGTHS: [(&str, usize); 36] = [
    ("AT", 20),
    ("BE", 16),
    ("BG", 22),
    ("CH", 21),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("EE", 20),
    ("ES", 24),
    ("FI", 18),
    ("FR", 27),
    ("GB", 22),
    ("GI", 23),
    ("GR", 27),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IS", 26),
    ("IT", 27),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MT", 31),
    ("NL", 18),
    ("NO", 15),
    ("PL", 28),
    ("PT", 25),
    ("RO", 24),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("UA", 29),
];
/// Digits of the serial part at least, so that a prefix does not run out.
const SERIAL_DIGITS_MIN: usize = 8;

/// Characters of a number that are shown at its beginning and at its end.
const SHOWN: usize = 4;

/// A number of which only country, check digits and end are shown; nothing of one too short.
#[must_use]
pub fn masked(iban: &str) -> String {
    let hidden = iban.chars().count().saturating_sub(2 * SHOWN);
    if hidden == 0 {
        return "*".repeat(iban.chars().count());
    }
    let mask = |(at, char)| if (SHOWN..SHOWN + hidden).contains(&at) { '*' } else { char };
    iban.chars().enumerate().map(mask).collect()
}

/// The number of `serial` under `prefix`, the country's letters and the first characters behind the
/// check digits; `None` where the prefix is of no known country, leaves no room, or is full.
#[must_use]
pub fn make(prefix: &str, serial: u64) -> Option<String> {
    let (country, bank) = prefix.split_at_checked(2)?;
    let (_, length) = LENGTHS.iter().find(|(known, _)| *known == country)?;
    let room = length.checked_sub(4 + bank.len())?;
    let is_plain = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    let serial = format!("{serial:0room$}");
    if room < SERIAL_DIGITS_MIN || serial.len() > room || !bank.bytes().all(is_plain) {
        return None;
    }
    let account = format!("{bank}{serial}");
    let check = 98 - remainder(&format!("{account}{country}00"))?;
    Some(format!("{country}{check:02}{account}"))
}

/// Whether a number has its country's length and its check digits are right.
#[must_use]
pub fn is_valid(iban: &str) -> bool {
    let known =
        LENGTHS.iter().any(|(country, length)| iban.starts_with(country) && iban.len() == *length);
    let turned = iban.split_at_checked(4).map(|(front, rest)| format!("{rest}{front}"));
    known && turned.and_then(|turned| remainder(&turned)) == Some(1)
}

/// The remainder by 97 of the text as a number, where A is 10 and Z is 35.
fn remainder(text: &str) -> Option<u32> {
    text.chars().try_fold(0, |rest, letter| {
        let value = letter.to_digit(36).filter(|_value| !letter.is_ascii_lowercase())?;
        let shift = if value < 10 { 10 } else { 100 };
        Some((rest * shift + value) % 97)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_numbers_check_and_changed_ones_do_not() {
        // Source: examples of the SWIFT IBAN registry.
        for good in [
            "PL61109010140000071219812874",
            "DE89370400440532013000",
            "LT121000011101001000",
            "NL91ABNA0417164300",
            "GB29NWBK60161331926819",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert!(is_valid(good), "{good}");
            for place in 2..good.len() {
                let mut changed = good.as_bytes().to_vec();
                changed[place] = if changed[place] == b'7' { b'8' } else { b'7' };
                assert!(!is_valid(&String::from_utf8(changed).unwrap()), "{good} at {place}");
            }
            assert!(!is_valid(&good[1..]) && !is_valid(&good.to_lowercase()));
        }
    }

    #[test]
    fn what_is_made_checks_and_keeps_its_prefix() {
        assert_eq!(make("PL10901014", 71_219_812_874).unwrap(), "PL61109010140000071219812874");
        for (prefix, serial) in [("PL10901014", 1), ("DE37040044", 9_999_999), ("NLABNA", 7)] {
            let made = make(prefix, serial).unwrap();
            assert!(is_valid(&made) && made.contains(&prefix[2..]), "{made}");
        }
        assert_eq!(make("DE37040044", 99_999_999_999), None, "full");
        for bad in ["", "P", "XX123", "PL1090-014", "pl10901014", "DE37040044123"] {
            assert_eq!(make(bad, 1), None, "{bad}");
        }
    }
}
