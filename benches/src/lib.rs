//! What the benches start from: an issuer with cards, messages for them, and a journal of both.
//!
//! Invariant: every bench asserts the answer it times before it times it.

use std::path::Path;

use shared::card::{CardState, YearMonth};
use shared::command::{
    Acceptance, Authorization, Change, Channel, Collateral, Command, Credentials, EntryMode,
    MessageClass, MessageKey, NewCard, PartnerBalanceKind, Policy, Program, References,
};
use shared::effect::Effect;
use shared::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, LinkId, PartnerBalanceId, PartnerId,
    Sequence, Timestamp,
};
use shared::iso8583::{Dialect, Framing, FramingKind, HeaderKind, Mti, encode};
use shared::journal_record::{Answer, RecordRef};
use shared::ledger::Ledger;
use shared::limits;
use shared::money::{Amount, Currency, Money};
use shared::pan::{Pan, PanToken, TokenKey, check_digit};
use switch::journal::frame::ChainHash;
use switch::journal::{Appender, Options, Tail};

/// The key of the token of every card here.
pub const TOKEN_KEY: [u8; 32] = [7; 32];
/// 2026-11-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp(1_793_491_200_000);
const EURO: Currency = Currency(978);
const PROGRAM: ConfigId = ConfigId(19_167_985);
const DEPOSIT: PartnerBalanceId = PartnerBalanceId(1);
const DEPOSITED: i64 = 1_000_000_000_000_000;

/// The number of card `place`.
#[must_use]
pub fn pan(place: u64) -> Pan {
    let payload = format!("999999{place:09}");
    let digit = char::from(check_digit(payload.as_bytes()));
    Pan::parse(format!("{payload}{digit}").as_bytes()).expect("sixteen digits")
}

/// Everything that an issuer with `cards` funded cards on one partner deposit was told.
pub fn setup(cards: u64) -> impl Iterator<Item = Change> {
    let key = TokenKey::new(&TOKEN_KEY);
    let partner = [
        Change::PutPartner(PartnerId(1)),
        Change::PutProgram(Program {
            id: PROGRAM,
            partner: PartnerId(1),
            currency: EURO,
            collateral: Collateral::Deposit,
            policy: Policy::default(),
        }),
        Change::OpenPartnerBalance {
            id: DEPOSIT,
            partner: PartnerId(1),
            kind: PartnerBalanceKind::Deposit,
            currency: EURO,
        },
        Change::Reload { balance: DEPOSIT, money: Money::new(DEPOSITED, EURO) },
        Change::PutCustomer { id: CustomerId(1), verified: true, aml_locked: false },
    ];
    let card = move |place: u64| {
        let balance = BalanceId(u128::from(place) + 1);
        [
            Change::OpenBalance { id: balance, customer: CustomerId(1), currency: EURO },
            Change::IssueCard(NewCard {
                id: CardId(place),
                token: key.token(&pan(place)),
                program: PROGRAM,
                balance,
                expiry: YearMonth { year: 2029, month: 12 },
                state: CardState::Active,
            }),
            Change::TopUp { balance, money: Money::new(DEPOSITED, EURO) },
        ]
    };
    partner.into_iter().chain((0..cards).flat_map(card))
}

/// A ledger in that state.
#[must_use]
pub fn ledger(cards: u64) -> Ledger {
    let mut ledger = Ledger::new(limits::PRODUCTION);
    let mut effects = Vec::new();
    for (id, change) in (1..).zip(setup(cards)) {
        let command = Command::Manage(CommandId(id), change);
        let (_, answer) = ledger.apply(&command, NOW, &mut effects);
        assert_accepted(&answer);
    }
    ledger
}

/// A closed journal of that state in `directory`.
pub fn journal(directory: &Path, cards: u64) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut ledger = Ledger::new(limits::PRODUCTION);
    let mut appender = Appender::start(options(directory), tail())?;
    let mut effects = Vec::new();
    for (id, change) in (1..).zip(setup(cards)) {
        let command = Command::Manage(CommandId(id), change);
        append(&mut ledger, &mut appender, &command, &mut effects);
        appender.submit();
    }
    appender.close()?;
    Ok(())
}

/// Applies a command and appends its record.
pub fn append(
    ledger: &mut Ledger,
    appender: &mut Appender,
    command: &Command,
    effects: &mut Vec<Effect>,
) {
    let (stamp, answer) = ledger.apply(command, NOW, effects);
    assert_accepted(&answer);
    appender.append(&RecordRef {
        sequence: stamp.sequence,
        at: stamp.at,
        command,
        effects,
        answer,
    });
}

/// A journal in `directory` with segments as in production.
#[must_use]
pub fn options(directory: &Path) -> Options {
    Options {
        directory: directory.to_owned(),
        segment_bytes: 64 << 20,
        unsynced_records_max: 10_000,
        unsynced_amount_max: i64::MAX,
    }
}

/// Where an empty journal ends.
#[must_use]
pub fn tail() -> Tail {
    Tail { sequence: Sequence(0), chain: ChainHash::default(), segment: 1, epoch: 1 }
}

/// Authorizations that come in a second: DE7 goes on after as many.
const A_SECOND: u64 = 10_000;

/// DE7 and DE11 of authorization `number`: from 1 November on, `A_SECOND` of them a second.
fn trace(number: u64) -> (u64, u64) {
    let second = number / A_SECOND;
    let (minute, hour, day) = (second / 60, second / 3_600, second / 86_400);
    let clock = hour % 24 * 10_000 + minute % 60 * 100 + second % 60;
    (1_101_000_000 + day % 28 * 1_000_000 + clock, number % 1_000_000)
}

/// Authorization `number` of 1.00 EUR on a card with this token.
#[must_use]
pub fn authorization(number: u64, token: PanToken) -> Command {
    let (sent_at, stan) = trace(number);
    Command::Authorize(Authorization {
        key: MessageKey {
            link: LinkId(1),
            class: MessageClass::Authorization,
            stan,
            sent_at,
            acquirer: 12_345,
            forwarder: 0,
        },
        repeat: false,
        token,
        processing_code: 0,
        transaction: Money::new(100, EURO),
        billing: None,
        cash_back: Amount::ZERO,
        expiry: None,
        verification: false,
        incremental: false,
        partial_allowed: false,
        credentials: Credentials::default(),
        original: None,
        references: References {
            rrn: *b"123456789012",
            terminal: *b"TERM0001",
            ..References::default()
        },
        acceptance: Acceptance {
            channel: Channel::Pos,
            entry: EntryMode::Chip,
            mcc: 5411,
            country: 616,
            merchant: *b"MERCHANT0000001",
        },
    })
}

/// The frame of authorization `number` on card `card`: 19 fields, about 330 bytes.
#[must_use]
pub fn frame(number: u64, card: u64) -> Vec<u8> {
    let framing = Framing::new(FramingKind::Binary2, HeaderKind::None, 4096);
    let mut out = Vec::new();
    let at = framing.reserve_header(&mut out, None);
    out.extend_from_slice(&body(number, card));
    framing.put_header(at, &mut out).expect("the frame is short");
    out
}

/// The message in that frame.
#[must_use]
pub fn body(number: u64, card: u64) -> Vec<u8> {
    let (sent_at, stan) = trace(number);
    let (pan, stan, sent_at) = (pan(card), format!("{stan:06}"), format!("{sent_at:010}"));
    let digits = core::str::from_utf8(pan.expose()).expect("digits");
    let track = format!("{digits}=29121010000000000000");
    let fields: [(u8, &[u8]); 19] = [
        (2, pan.expose()),
        (3, b"000000"),
        (4, b"000000000100"),
        (7, sent_at.as_bytes()),
        (11, stan.as_bytes()),
        (12, b"120000"),
        (13, b"1101"),
        (14, b"2912"),
        (18, b"5411"),
        // A track by air, whose value does not count: what verifying costs is not asked here.
        (22, b"911"),
        (25, b"00"),
        (32, b"12345"),
        (35, track.as_bytes()),
        (37, b"123456789012"),
        (41, b"TERM0001"),
        (42, b"MERCHANT0000001"),
        (43, b"A SHOP WITH A NAME       A TOWN       PL"),
        (49, b"978"),
        (55, &[0x9f; 80]),
    ];
    let mut out = Vec::new();
    encode(Dialect::iso87_ascii(), Mti::AUTHORIZATION_REQUEST, &fields, &mut out)
        .expect("the fields are of the dialect");
    out
}

/// Authorization `number` in a dialect: one of four kinds (with billing amounts, without a track,
/// without chip data, with a PIN), cards of 15 to 19 digits, other lengths and letters.
#[must_use]
pub fn varied(dialect: &Dialect, number: u64) -> Vec<u8> {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let part = |shift: u32, below: u64| usize::try_from((mixed >> shift) % below).unwrap_or(0);
    let pan = format!("999999{:013}", mixed >> 24);
    let pan = pan.get(..15 + part(3, 5)).unwrap_or_default();
    let first = ["6", "A", " "].get(part(9, 3)).copied().unwrap_or_default();
    let rrn = format!("{first}{:011}", mixed >> 32);
    let track = format!("{}=2912101{:010}", pan.get(..15).unwrap_or_default(), mixed >> 32);
    let chip = vec![0x9F; 60 + part(13, 90)];
    let amount = format!("{:012}", 1 + mixed % 100_000);
    let acquirer =
        format!("{}", 10_000 + mixed % 10_u64.pow(3 + part(21, 4).try_into().unwrap_or(0)));
    let length = |field: u8| dialect.field(field).map_or(0, |spec| usize::from(spec.length.max()));
    let digits = |field: u8, value: u64| format!("{value:0width$}", width = length(field));
    let (stan, time) = (digits(11, number), digits(12, 120_000));
    let (entry, date) = (digits(22, 51), digits(13, 1101));
    let name = if length(43) == 40 {
        "A SHOP WITH A NAME       A TOWN       PL"
    } else {
        "A SHOP\\A STREET\\A TOWN\\1000 PL"
    };
    let fields: [(u8, bool, &[u8]); 23] = [
        (2, true, pan.as_bytes()),
        (3, true, b"000000"),
        (4, true, amount.as_bytes()),
        (6, number.is_multiple_of(4), amount.as_bytes()),
        (7, true, b"1101000000"),
        (11, true, stan.as_bytes()),
        (12, true, time.as_bytes()),
        (13, true, date.as_bytes()),
        (14, true, b"2912"),
        (22, true, entry.as_bytes()),
        (26, true, digits_of(length(26))),
        (32, true, acquirer.as_bytes()),
        (35, number % 4 != 1, track.as_bytes()),
        (37, true, rrn.as_bytes()),
        (41, true, b"TERM0001"),
        (42, true, b"MERCHANT0000001"),
        (43, true, name.as_bytes()),
        (48, number % 4 != 2, b"0103ABC37042021"),
        (49, true, b"978"),
        (51, number.is_multiple_of(4), b"978"),
        (52, number % 4 == 3, &[0xA5; 8]),
        (55, number % 4 != 2, &chip),
        (62, number % 4 == 2, b"TRANSACTION REFERENCE"),
    ];
    let fields: Vec<(u8, &[u8])> = fields
        .into_iter()
        .filter(|(_, is_there, _)| *is_there)
        .map(|(field, _, value)| (field, value))
        .collect();
    let mti = Mti::AUTHORIZATION_REQUEST.in_version(dialect.version());
    let mut out = Vec::new();
    encode(dialect, mti, &fields, &mut out).expect("the fields are of the dialect");
    out
}

fn digits_of(length: usize) -> &'static [u8] {
    b"5411".get(..length).unwrap_or_default()
}

fn assert_accepted(answer: &Answer) {
    let accepted = match answer {
        Answer::Outcome(outcome) => outcome.result.is_ok(),
        Answer::Decision(decision) => decision.reason.is_approval(),
        Answer::Noted | Answer::Asked(_) => true,
    };
    assert!(accepted, "{answer:?}");
}
