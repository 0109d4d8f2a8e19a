//! What the benches start from: an issuer with cards, messages for them, and a journal of both.
//!
//! Invariant: every bench asserts the answer it times before it times it.

use std::path::Path;

use shared::card::{CardState, YearMonth};
use shared::command::{
    Acceptance, Authorization, Change, Collateral, Command, MessageClass, MessageKey, NewCard,
    PartnerBalanceKind, Program,
};
use shared::effect::Effect;
use shared::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, LinkId, PartnerBalanceId, PartnerId,
    Sequence, Timestamp,
};
use shared::iso8583::{Dialect, Framing, Mti, encode};
use shared::journal_record::{Answer, RecordRef};
use shared::ledger::Ledger;
use shared::limits;
use shared::money::{Currency, Money};
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

/// Authorization `number` of 1.00 EUR on a card with this token.
#[must_use]
pub fn authorization(number: u64, token: PanToken) -> Command {
    Command::Authorize(Authorization {
        key: MessageKey {
            link: LinkId(1),
            class: MessageClass::Authorization,
            stan: u32::try_from(number % 1_000_000).unwrap_or_default(),
            sent_at: 1_101_000_000 + number / 1_000_000,
            acquirer: 12_345,
            forwarder: 0,
        },
        token,
        processing_code: 0,
        transaction: Money::new(100, EURO),
        billing: None,
        expiry: None,
        verification: false,
        acceptance: Acceptance {
            mcc: 5411,
            entry_mode: 51,
            rrn: *b"123456789012",
            terminal: *b"TERM0001",
            merchant: *b"MERCHANT0000001",
        },
    })
}

/// The frame of authorization `number` on card `card`: 19 fields, about 330 bytes.
#[must_use]
pub fn frame(number: u64, card: u64) -> Vec<u8> {
    let (pan, stan) = (pan(card), format!("{:06}", number % 1_000_000));
    let sent_at = format!("{:010}", 1_101_000_000 + number / 1_000_000);
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
        (22, b"051"),
        (25, b"00"),
        (32, b"12345"),
        (35, b"9999990000000000=29121010000000000000"),
        (37, b"123456789012"),
        (41, b"TERM0001"),
        (42, b"MERCHANT0000001"),
        (43, b"A SHOP WITH A NAME       A TOWN       PL"),
        (49, b"978"),
        (55, &[0x9f; 80]),
    ];
    let framing = Framing::new(4096);
    let mut out = Vec::new();
    let at = framing.reserve_header(&mut out);
    encode(Dialect::iso87_ascii(), Mti::AUTHORIZATION_REQUEST, &fields, &mut out)
        .expect("the fields are of the dialect");
    framing.put_header(at, &mut out).expect("the frame is short");
    out
}

fn assert_accepted(answer: &Answer) {
    let accepted = match answer {
        Answer::Outcome(outcome) => outcome.result.is_ok(),
        Answer::Decision(decision) => decision.reason.is_approval(),
        Answer::Noted => true,
    };
    assert!(accepted, "{answer:?}");
}
