//! Verification values and PINs through the key provider: the published vectors, every way in which
//! a value can be wrong, and what cannot be printed. Source: security 4.2 and 4.3.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "credential/malformed_blocks.rs"]
mod malformed_blocks;
#[path = "credential/unprintable.rs"]
mod unprintable;

use proptest::prelude::*;
use shared::card::YearMonth;
use shared::credential::pin_block::ZoneKeys;
use shared::credential::software::SoftwareKeys;
use shared::credential::{
    CredentialResult, Cvv, CvvKind, KeyProvider, Pin, PinBlock, Pvv, ServiceCode, Unavailable,
    next_cvv2_generation,
};
use shared::key_file::KeyFile;
use shared::pan::Pan;

const PUBLISHED: u128 = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
const PUBLISHED_AES: u128 = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff;
const EXPIRY: YearMonth = YearMonth { year: 2028, month: 12 };

/// The published keys, the printed value's pair included.
fn keys() -> SoftwareKeys {
    let mut keys = KeyFile::from_bytes(&[0; KeyFile::BYTES]);
    for key in [&mut keys.cvk, &mut keys.cvk_cvc2, &mut keys.pvk, &mut keys.zone_pin] {
        *key = PUBLISHED.to_be_bytes();
    }
    keys.zone_pin_aes = PUBLISHED_AES.to_be_bytes();
    SoftwareKeys::new(&keys)
}

fn zone() -> ZoneKeys {
    ZoneKeys::new(&PUBLISHED.to_be_bytes(), &PUBLISHED_AES.to_be_bytes())
}

fn pan(digits: &str) -> Pan {
    Pan::parse(digits.as_bytes()).unwrap()
}

fn cvv(digits: &str) -> Cvv {
    Cvv::parse(digits.as_bytes()).unwrap()
}

fn pin(digits: &str) -> Pin {
    Pin::parse(digits.as_bytes()).unwrap()
}

fn pvv(pvki: u8, digits: &str) -> Pvv {
    Pvv::parse(b'0' + pvki, digits.as_bytes()).unwrap()
}

fn stripe(service: &str) -> CvvKind {
    CvvKind::Cvv1(ServiceCode::parse(service.as_bytes()).unwrap())
}

fn printed(generation: u16) -> CvvKind {
    CvvKind::Cvv2 { generation }
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    core::array::from_fn(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap())
}

/// Every text that differs from `digits` in one digit.
fn neighbours(digits: &str) -> impl Iterator<Item = String> {
    digits.bytes().enumerate().flat_map(move |(place, right)| {
        (b'0'..=b'9').filter(move |digit| *digit != right).map(move |digit| {
            format!("{}{}{}", &digits[..place], char::from(digit), &digits[place + 1..])
        })
    })
}

#[test]
fn the_published_verification_values_are_right() {
    let keys = keys();
    for (number, expiry, kind, value) in [
        ("4123456789012345", 8701, stripe("101"), "561"),
        ("4999988887777000", 9105, stripe("111"), "245"),
        ("4666655554444111", 9206, stripe("120"), "664"),
        ("4333322221111222", 9307, stripe("141"), "382"),
        ("4123456789012345", 2812, stripe("201"), "197"),
        ("4123456789012345", 2812, CvvKind::Icvv, "863"),
        ("4123456789012345", 2812, printed(0), "431"),
    ] {
        let expiry = YearMonth::from_yymm(expiry).unwrap();
        let check = |value: &str| keys.verify_cvv(&cvv(value), kind, &pan(number), expiry);
        assert_eq!(check(value), CredentialResult::Ok, "{number} {value}");
        for wrong in neighbours(value) {
            assert_eq!(check(&wrong), CredentialResult::Bad, "{number} {wrong}");
        }
    }
}

#[test]
fn the_published_pins_are_right_in_blocks_of_both_formats() {
    let (keys, zone) = (keys(), zone());
    for (number, digits, pvki, value) in [
        ("4123456789012345", "1234", 1, "1894"),
        ("4123456789012345", "0000", 2, "7937"),
        ("4123456789012345", "9999", 6, "4505"),
        ("1122334455667788", "4524", 3, "4021"),
    ] {
        let (pan, pin) = (pan(number), pin(digits));
        assert_eq!(keys.pvv_under(pvki, &pan, &pin), Some(pvv(pvki, value)));
        for block in [zone.seal_iso0(&pin, &pan), zone.seal_iso4(&pin, &pan, [0x5a; 8])] {
            let check = |value| keys.verify_pin(&block, &pan, value);
            assert_eq!(check(pvv(pvki, value)), CredentialResult::Ok, "{digits}");
            assert_eq!(check(Pvv::NONE), CredentialResult::Bad, "a card without a PIN");
            assert_eq!(check(pvv(pvki % 6 + 1, value)), CredentialResult::Bad, "other PVKI");
            for wrong in neighbours(value) {
                assert_eq!(check(pvv(pvki, &wrong)), CredentialResult::Bad, "{wrong}");
            }
        }
    }
}

#[test]
fn the_published_blocks_are_made_and_opened() {
    let (keys, zone) = (keys(), zone());
    let (card, four) = (pan("4123456789012345"), pin("1234"));
    assert_eq!(zone.seal_iso0(&four, &card).expose(), hex::<8>("DDDED427C7FC1DC9"));
    let block = PinBlock::parse(&hex::<8>("DDDED427C7FC1DC9")).unwrap();
    assert_eq!(keys.verify_pin(&block, &card, pvv(1, "1894")), CredentialResult::Ok);

    let card = pan("1234567890123456");
    let published = hex::<16>("7CDF645C86CAF763AE34637A66997534");
    assert_eq!(
        keys.pvv_of_block(&card, &PinBlock::Iso4(published)),
        Ok(Some(keys.pvv(&card, &four).unwrap()))
    );
    let padding = hex("1122334455667788");
    assert_eq!(zone.seal_iso4(&four, &card, padding).expose(), published);
}

#[test]
fn a_stripe_that_names_the_chips_or_the_printed_service_code_is_bad() {
    let (keys, card) = (keys(), pan("4123456789012345"));
    for (service, value) in [("999", "863"), ("000", "431")] {
        assert_eq!(keys.cvv(stripe(service), &card, EXPIRY).expose(), value.as_bytes());
        let got = keys.verify_cvv(&cvv(value), stripe(service), &card, EXPIRY);
        assert_eq!(got, CredentialResult::Bad, "{service}");
    }
}

#[test]
fn the_printed_value_has_keys_of_its_own() {
    let mut file = KeyFile::from_bytes(&[3; KeyFile::BYTES]);
    file.cvk_cvc2 = PUBLISHED.to_be_bytes();
    let (keys, card) = (SoftwareKeys::new(&file), pan("4123456789012345"));
    assert_eq!(keys.cvv2(&card, EXPIRY, 0).unwrap().expose(), b"431");
    assert_ne!(keys.cvv(CvvKind::Icvv, &card, EXPIRY).expose(), b"863");
}

#[test]
fn a_reset_prints_another_value_and_spoils_the_old_one() {
    let (keys, card) = (keys(), pan("4123456789012345"));
    let mut skipped = 0;
    let mut generation = 0;
    for _reset in 0..3_000 {
        let old = keys.cvv2(&card, EXPIRY, generation).unwrap();
        let next = next_cvv2_generation(&keys, &card, EXPIRY, generation).unwrap().unwrap();
        skipped += next - generation - 1;
        for left_out in generation + 1..next {
            assert!(old.is(&keys.cvv2(&card, EXPIRY, left_out).unwrap()));
        }
        assert_eq!(keys.verify_cvv(&old, printed(next), &card, EXPIRY), CredentialResult::Bad);
        let new = keys.cvv2(&card, EXPIRY, next).unwrap();
        assert_eq!(keys.verify_cvv(&new, printed(next), &card, EXPIRY), CredentialResult::Ok);
        assert_eq!(
            keys.verify_cvv(&new, printed(generation), &card, EXPIRY),
            CredentialResult::Bad
        );
        generation = next;
    }
    assert!(skipped > 0, "one in a thousand equals its predecessor");
    let last = next_cvv2_generation(&keys, &card, EXPIRY, u16::MAX - 1).unwrap();
    assert_eq!(last, Some(u16::MAX));
    assert_eq!(next_cvv2_generation(&keys, &card, EXPIRY, u16::MAX), Ok(None));
}

/// A provider whose HSM is gone.
struct Disconnected;

impl KeyProvider for Disconnected {
    fn verify_cvv(&self, _: &Cvv, _: CvvKind, _: &Pan, _: YearMonth) -> CredentialResult {
        CredentialResult::Unavailable
    }

    fn verify_pin(&self, _: &PinBlock, _: &Pan, _: Pvv) -> CredentialResult {
        CredentialResult::Unavailable
    }

    fn cvv2(&self, _: &Pan, _: YearMonth, _: u16) -> Result<Cvv, Unavailable> {
        Err(Unavailable)
    }

    fn pvv(&self, _: &Pan, _: &Pin) -> Result<Pvv, Unavailable> {
        Err(Unavailable)
    }

    fn pvv_of_block(&self, _: &Pan, _: &PinBlock) -> Result<Option<Pvv>, Unavailable> {
        Err(Unavailable)
    }
}

#[test]
fn a_reset_without_keys_is_told_from_the_last_generation() {
    let providers: [(Box<dyn KeyProvider>, _); 2] =
        [(Box::new(Disconnected), Err(Unavailable)), (Box::new(keys()), Ok(None))];
    for (keys, expected) in providers {
        let card = pan("4123456789012345");
        assert_eq!(next_cvv2_generation(&*keys, &card, EXPIRY, u16::MAX), expected);
    }
}

#[test]
fn only_digits_of_the_right_number_are_credentials() {
    for bad in ["", "12", "1234", "12x", " 12"] {
        assert!(Cvv::parse(bad.as_bytes()).is_none(), "{bad}");
        assert!(ServiceCode::parse(bad.as_bytes()).is_none(), "{bad}");
    }
    for bad in ["", "123", "1234567890123", "12x4", "123\u{663}"] {
        assert!(Pin::parse(bad.as_bytes()).is_none(), "{bad}");
    }
    for (pvki, digits) in [(b'0', "1234"), (b'7', "1234"), (b'x', "1234"), (0, "1234"), (1, "1234")]
        .into_iter()
        .chain([(b'1', "123"), (b'1', "12345"), (b'1', "12x4")])
    {
        assert!(Pvv::parse(pvki, digits.as_bytes()).is_none(), "{pvki} {digits}");
    }
    for length in (0..=20).filter(|length| ![8, 16].contains(length)) {
        assert!(PinBlock::parse(&vec![0; length]).is_none(), "{length}");
    }
}

#[test]
fn a_pvv_is_stored_and_read_back_or_refused() {
    for value in [Pvv::NONE, pvv(1, "0000"), pvv(6, "9999"), pvv(3, "4021")] {
        let bytes = postcard::to_stdvec(&value).unwrap();
        assert!(postcard::from_bytes::<Pvv>(&bytes).unwrap() == value);
        assert_eq!(value.is_set(), value != Pvv::NONE);
    }
    assert_eq!(Pvv::default(), Pvv::NONE);
    for changed in [(0, 1), (7, 1), (1, 10_000), (1, u16::MAX), (u8::MAX, u16::MAX)] {
        let bytes = postcard::to_stdvec(&changed).unwrap();
        assert!(postcard::from_bytes::<Pvv>(&bytes).is_err(), "{changed:?}");
    }
}

proptest! {
    #[test]
    fn every_single_digit_change_of_a_right_cvv_is_bad(
        bytes in proptest::collection::vec(any::<u8>(), KeyFile::BYTES),
        number in "[0-9]{14,19}",
        service in "[0-9]{3}",
        (year, month, generation) in (0_u16..100, 1_u16..13, any::<u16>()),
    ) {
        let keys = SoftwareKeys::new(&KeyFile::from_bytes(&bytes.try_into().unwrap()));
        let (card, expiry) = (pan(&number), YearMonth::from_yymm(year * 100 + month).unwrap());
        for kind in [stripe(&service), CvvKind::Icvv, printed(generation)] {
            let right = keys.cvv(kind, &card, expiry);
            let is_foreign = kind == stripe("000") || kind == stripe("999");
            let expected = if is_foreign { CredentialResult::Bad } else { CredentialResult::Ok };
            prop_assert_eq!(keys.verify_cvv(&right, kind, &card, expiry), expected);
            for wrong in neighbours(core::str::from_utf8(right.expose()).unwrap()) {
                let got = keys.verify_cvv(&cvv(&wrong), kind, &card, expiry);
                prop_assert_eq!(got, CredentialResult::Bad);
            }
        }
    }

    /// A PVV has four digits, so that one wrong PIN in ten thousand has the right one's: a change
    /// is bad exactly where its own PVV is another. Digits behind the fourth do not count.
    #[test]
    fn every_single_digit_change_of_a_right_pin_is_bad(
        bytes in proptest::collection::vec(any::<u8>(), KeyFile::BYTES),
        number in "[0-9]{14,19}",
        digits in "[0-9]{4,12}",
        padding in any::<[u8; 8]>(),
    ) {
        let file = KeyFile::from_bytes(&bytes.try_into().unwrap());
        let zone = ZoneKeys::new(&file.zone_pin, &file.zone_pin_aes);
        let (keys, card) = (SoftwareKeys::new(&file), pan(&number));
        let stored = keys.pvv(&card, &pin(&digits)).unwrap();
        let blocks = |pin: &Pin| [zone.seal_iso0(pin, &card), zone.seal_iso4(pin, &card, padding)];
        for block in blocks(&pin(&digits)) {
            prop_assert_eq!(keys.verify_pin(&block, &card, stored), CredentialResult::Ok);
        }
        let mut bad = 0;
        for wrong in neighbours(&digits).take(4 * 9) {
            let wrong = pin(&wrong);
            let has_same_pvv = keys.pvv(&card, &wrong).unwrap() == stored;
            let expected = if has_same_pvv { CredentialResult::Ok } else { CredentialResult::Bad };
            bad += u32::from(!has_same_pvv);
            for block in blocks(&wrong) {
                prop_assert_eq!(keys.verify_pin(&block, &card, stored), expected);
                prop_assert_eq!(keys.verify_pin(&block, &card, Pvv::NONE), CredentialResult::Bad);
            }
        }
        prop_assert!(bad >= 34, "{} of 36", bad);
    }
}
