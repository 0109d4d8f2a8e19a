//! Writes random credentials with what our code makes of them, as CSV, for
//! `fixtures/clients/check_credentials.py` to make again with psec:
//!
//!     cargo run --release -p shared --example credential_cases -- 100000 1 > cases.csv
//!
//! Arguments are the number of cases and the seed; the same ones give the same file. Every case has
//! keys of its own, drawn for it and for nothing else.

use std::error::Error;
use std::io::{BufWriter, Write, stdout};

use aes::Aes128;
use des::TdesEde2;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use fastrand::Rng;
use shared::card::YearMonth;
use shared::credential::pin_block::ZoneKeys;
use shared::credential::software::SoftwareKeys;
use shared::credential::{
    CredentialResult, Cvv, CvvKind, KeyProvider, Pin, PinBlock, Pvv, ServiceCode,
};
use shared::key_file::KeyFile;
use shared::pan::Pan;

const COLUMNS: &str = "cvk,cvk_cvc2,pvk,zone_pin,zone_pin_aes,pan,expiry,service,generation,pin,\
pvki,padding,cvv1,icvv,cvv2,cvv2_reset,pvv,iso0,iso4,cvv_asked,cvv_result,pvv_stored,\
iso0_any,iso0_opened,iso0_result,iso4_any,iso4_opened,iso4_result";

/// What a case is drawn as.
struct Case {
    file: KeyFile,
    number: String,
    expiry: YearMonth,
    service: String,
    generation: u16,
    pin: String,
    pvki: u8,
    padding: [u8; 8],
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let cases: u32 = arguments.next().ok_or("how many cases?")?.parse()?;
    let mut rng = Rng::with_seed(arguments.next().ok_or("which seed?")?.parse()?);
    let mut out = BufWriter::new(stdout().lock());
    writeln!(out, "{COLUMNS}")?;
    for _case in 0..cases {
        let row = row(&mut rng).ok_or("a drawn credential is not well-formed")?;
        writeln!(out, "{}", row.join(","))?;
    }
    Ok(out.flush()?)
}

fn draw(rng: &mut Rng) -> Option<Case> {
    let mut bytes = [0; KeyFile::BYTES];
    rng.fill(&mut bytes);
    let mut padding = [0; 8];
    rng.fill(&mut padding);
    let (pan_digits, pin_digits) = (rng.usize(14..=19), rng.usize(4..=12));
    Some(Case {
        file: KeyFile::from_bytes(&bytes),
        number: digits(rng, pan_digits),
        expiry: YearMonth::from_yymm(rng.u16(0..100) * 100 + rng.u16(1..=12))?,
        service: rng
            .choice(["000", "999"])
            .filter(|_| rng.u8(..) < 8)
            .map_or_else(|| digits(rng, 3), str::to_owned),
        generation: rng.u16(..),
        pin: digits(rng, pin_digits),
        pvki: rng.u8(1..=6),
        padding,
    })
}

fn row(rng: &mut Rng) -> Option<Vec<String>> {
    let case = draw(rng)?;
    let keys = SoftwareKeys::new(&case.file);
    let zone = ZoneKeys::new(&case.file.zone_pin, &case.file.zone_pin_aes);
    let (pan, pin) = (Pan::parse(case.number.as_bytes())?, Pin::parse(case.pin.as_bytes())?);
    let stripe = CvvKind::Cvv1(ServiceCode::parse(case.service.as_bytes())?);
    let value = |kind| text(keys.cvv(kind, &pan, case.expiry).expose());
    let pvv = keys.pvv_under(case.pvki, &pan, &pin)?;

    let asked = one_of(rng, value(stripe), |rng| digits(rng, 3));
    let cvv = Cvv::parse(asked.as_bytes())?;
    let stored = one_of(rng, decimal(pvv), |rng| digits(rng, 4));
    let stored_pvv = Pvv::parse(b'0' + case.pvki, stored.as_bytes())?;
    let mut row = vec![
        hex(&case.file.cvk),
        hex(&case.file.cvk_cvc2),
        hex(&case.file.pvk),
        hex(&case.file.zone_pin),
        hex(&case.file.zone_pin_aes),
        case.number.clone(),
        format!("{:04}", case.expiry.yymm()),
        case.service.clone(),
        case.generation.to_string(),
        case.pin.clone(),
        case.pvki.to_string(),
        hex(&case.padding),
        value(stripe),
        value(CvvKind::Icvv),
        value(CvvKind::Cvv2 { generation: 0 }),
        value(CvvKind::Cvv2 { generation: case.generation }),
        decimal(pvv),
        hex(zone.seal_iso0(&pin, &pan).expose()),
        hex(zone.seal_iso4(&pin, &pan, case.padding).expose()),
        asked,
        name(keys.verify_cvv(&cvv, stripe, &pan, case.expiry)),
        stored,
    ];
    for block in [any_iso0(rng, &case)?, any_iso4(rng, &case)?] {
        row.push(hex(block.expose()));
        row.push(keys.pvv_of_block(&pan, &block).ok()?.map_or_else(String::new, decimal));
        row.push(name(keys.verify_pin(&block, &pan, stored_pvv)));
    }
    Some(row)
}

/// The right one half of the time.
fn one_of(rng: &mut Rng, right: String, other: impl FnOnce(&mut Rng) -> String) -> String {
    if rng.bool() { right } else { other(rng) }
}

/// A PIN field of which some digits may be wrong.
fn any_field(rng: &mut Rng, case: &Case, control: char, fill: &str) -> Option<u64> {
    let field = format!("{control}{:x}{}{}", case.pin.len(), case.pin, fill.repeat(14));
    let mut field = u64::from_str_radix(field.get(..16)?, 16).ok()?;
    for _change in 0..rng.u8(0..3) {
        let shift = rng.u32(0..16) * 4;
        field = field & !(0xf << shift) | rng.u64(0..16) << shift;
    }
    Some(field)
}

fn any_iso0(rng: &mut Rng, case: &Case) -> Option<PinBlock> {
    let end = case.number.len() - 1;
    let pan_field = u64::from_str_radix(case.number.get(end - 12..end)?, 16).ok()?;
    let clear = any_field(rng, case, '0', "f")? ^ pan_field;
    let mut block = clear.to_be_bytes().into();
    TdesEde2::new((&case.file.zone_pin).into()).encrypt_block(&mut block);
    PinBlock::parse(&block)
}

fn any_iso4(rng: &mut Rng, case: &Case) -> Option<PinBlock> {
    let cipher = Aes128::new((&case.file.zone_pin_aes).into());
    let pan_field = format!("{:x}{:0<31}", case.number.len() - 12, case.number);
    let pan_field = u128::from_str_radix(&pan_field, 16).ok()?;
    let padding = u128::from(u64::from_be_bytes(case.padding));
    let clear = u128::from(any_field(rng, case, '4', "a")?) << 64 | padding;
    let mut block = clear.to_be_bytes().into();
    cipher.encrypt_block(&mut block);
    let mut block = (u128::from_be_bytes(block.0) ^ pan_field).to_be_bytes().into();
    cipher.encrypt_block(&mut block);
    PinBlock::parse(&block)
}

fn digits(rng: &mut Rng, count: usize) -> String {
    core::iter::repeat_with(|| rng.digit(10)).take(count).collect()
}

fn decimal(pvv: Pvv) -> String {
    let (_pvki, value) = pvv.into();
    format!("{value:04}")
}

fn name(result: CredentialResult) -> String {
    format!("{result:?}")
}

fn text(ascii: &[u8]) -> String {
    String::from_utf8_lossy(ascii).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
