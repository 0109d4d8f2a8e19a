//! A hold whose time is over ends by itself, as soon as somebody looks at the clock. A journal is
//! written here with an old date, and the switch is started on it.

use std::time::{SystemTime, UNIX_EPOCH};

use shared::command::{
    Acceptance, Authorization, Command, Credentials, MessageClass, MessageKey, References,
};
use shared::ids::{LinkId, Timestamp};
use shared::money::{Amount, Currency, Money};
use shared::pan::{Pan, TokenKey};

use crate::rig::{Book, Home, Issuer, PAN_TOKEN, balance_id, pan, purchase};

const HOUR_MS: u64 = 3_600_000;
const SEGMENT_BYTES: u64 = 262_144;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_millis()).unwrap())
}

fn authorization(card: u64, stan: u64, processing_code: u32, amount: i64) -> Command {
    Command::Authorize(Authorization {
        key: MessageKey {
            link: LinkId(1),
            class: MessageClass::Authorization,
            stan,
            sent_at: 314_092_653,
            acquirer: 990_001,
            forwarder: 0,
        },
        repeat: false,
        token: TokenKey::new(&PAN_TOKEN).token(&Pan::parse(pan(card).as_bytes()).unwrap()),
        processing_code,
        transaction: Money::new(amount, Currency(978)),
        billing: None,
        cash_back: Amount::ZERO,
        expiry: None,
        verification: false,
        incremental: false,
        partial_allowed: false,
        credentials: Credentials::default(),
        original: None,
        references: References::default(),
        acceptance: Acceptance { merchant: *b"MERCHANT0000001", ..Acceptance::default() },
    })
}

#[test]
fn a_hold_past_its_time_is_gone_soon_after_the_start_and_its_end_is_journaled() {
    let home = Home::new("", "");
    let running = home.start();
    running.stop();
    std::fs::remove_dir_all(home.journal()).unwrap();
    let age = |hours: u64| Timestamp(now().0 - hours * HOUR_MS);
    let mut book = Book::open(&home.journal(), SEGMENT_BYTES);
    // A purchase lives 168 hours, cash 72.
    book.set_clock(age(169));
    Issuer::write(&mut book, &[1, 2], 100_000);
    for stan in 1..=70 {
        book.append(&authorization(1, stan, 0, 10));
    }
    book.set_clock(age(100));
    book.append(&authorization(1, 71, 10_000, 500));
    book.append(&authorization(1, 72, 0, 2_000));
    book.append(&authorization(2, 73, 0, 3_000));
    book.submit();
    let last = book.close().last().sequence;
    let running = home.start();
    let mut events = running.control();
    events.subscribe(last);
    // More than one command may end: each ends a few.
    let mut ended = 0;
    let mut commands = 0;
    while ended < 71 {
        let record = events.event().unwrap();
        assert_eq!(record.command, Command::Expire);
        let closed = |effect: &&shared::effect::Effect| {
            matches!(effect, shared::effect::Effect::Closed(_, state)
                if *state == shared::effect::TransactionState::Expired)
        };
        ended += record.effects.iter().filter(closed).count();
        commands += 1;
    }
    assert!(commands > 1, "{commands}");
    let mut control = running.control();
    let held = |control: &mut crate::rig::Control, card| control.balance(balance_id(card)).held.0;
    assert_eq!((held(&mut control, 1), held(&mut control, 2)), (2_000, 3_000));
    // What was cleared afterwards is posted all the same; a repeat hears its first answer.
    let mut client = running.connect();
    let original = purchase(&pan(1), 1, 10);
    assert_eq!(client.ask(&original.clone().typed("0101")).text(39), "00");
    assert_eq!(client.ask(&original.typed("0220")).text(39), "00");
    let balance = control.balance(balance_id(1));
    assert_eq!((balance.ledger.0, balance.held.0), (99_990, 2_000));
    running.stop();
}
