//! The journal's records as bytes: damage is a typed error and never a panic, and nothing that a
//! record is made of can carry a secret. Source: durability 1.2, security 4.2.

use std::collections::BTreeSet;

use proptest::prelude::*;
use shared::action_code::Reason;
use shared::card::{CardState, YearMonth};
use shared::command::{
    Acceptance, Authorization, Change, Collateral, Command, MessageClass, MessageKey, NewCard,
    PartnerBalanceKind, Program, Reversal,
};
use shared::control::{Outcome, Refusal};
use shared::effect::{
    Account, ApprovalCode, BalanceSlot, CardSlot, Decision, Effect, PartnerBalanceSlot,
    Transaction, TransactionSlot, TransactionState,
};
use shared::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, LinkId, PartnerBalanceId, PartnerId,
    Sequence, Timestamp,
};
use shared::journal_record::{Answer, Record, RecordError, RecordRef, VERSION};
use shared::ledger::Ledger;
use shared::limits::TEST;
use shared::lock_code::{Lock, LockCode, LockSource};
use shared::money::{Amount, Currency, Money};
use shared::pan::PanToken;

const EUR: Currency = Currency(978);
const KEY: MessageKey = MessageKey {
    link: LinkId(1),
    class: MessageClass::Authorization,
    stan: 123_456,
    sent_at: 1_215_120_000,
    acquirer: 44_455,
    forwarder: 0,
};

#[test]
fn a_record_is_read_back_as_it_was_written() {
    for record in samples() {
        let bytes = encoded(&record);
        assert_eq!(Record::decode(&bytes).as_ref(), Ok(&record));
        assert_eq!(encoded(&Record::decode(&bytes).unwrap()), bytes);
    }
}

#[test]
fn a_truncated_record_is_malformed_at_every_length() {
    for record in samples() {
        let bytes = encoded(&record);
        for length in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..length]), Err(RecordError::Malformed), "{length}");
        }
    }
}

#[test]
fn bytes_behind_a_record_are_told() {
    let mut bytes = encoded(&samples()[0]);
    for more in 1..4 {
        bytes.push(0);
        assert_eq!(Record::decode(&bytes), Err(RecordError::Trailing(more)));
    }
}

#[test]
fn another_version_is_not_guessed_at() {
    let mut bytes = encoded(&samples()[0]);
    for version in (0..=u8::MAX).filter(|version| *version != VERSION) {
        bytes[0] = version;
        assert_eq!(Record::decode(&bytes), Err(RecordError::Version(version)));
    }
}

#[test]
fn no_flipped_bit_makes_decoding_or_replay_panic() {
    for record in samples() {
        let bytes = encoded(&record);
        for place in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[place / 8] ^= 1 << (place % 8);
            if let Ok(read) = Record::decode(&damaged) {
                assert_ne!(read, record, "a flipped bit changes something");
                replay(read);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut versioned = vec![VERSION];
        versioned.extend(&bytes);
        for bytes in [bytes, versioned] {
            if let Ok(record) = Record::decode(&bytes) {
                prop_assert_eq!(Record::decode(&encoded(&record)), Ok(record));
            }
        }
    }

    #[test]
    fn no_bytes_written_over_a_record_make_decoding_or_replay_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        over in proptest::collection::vec(any::<u8>(), 1..12),
    ) {
        let samples = samples();
        let mut bytes = encoded(&samples[which.index(samples.len())]);
        let start = at.index(bytes.len() - 1) + 1;
        for (to, from) in bytes[start..].iter_mut().zip(over) {
            *to = from;
        }
        if let Ok(record) = Record::decode(&bytes) {
            replay(record);
        }
    }
}

/// Every field that a record can be made of. A new one has to be entered here by someone who knows
/// that it is not a card number (DE2), a track (DE35, DE45), a PIN block (DE52), a verification
/// value or chip data (DE55).
const FIELDS: &str = "
    acceptance acquirer advice aml_locked amount answer approval at authorised balance billing card
    class code collateral command content currency customer decision deposit effects entry_mode
    expiry forwarder from id key kind link lock_code mcc merchant money month new_total original
    partner processing_code program reason released requested result rrn sent_at sequence since source stan
    state terminal to token transaction verification verified year";

/// Types that those fields, and the variants without names, are of.
const TYPES: &str = "
    Acceptance Account Amount Answer ApprovalCode Authorization BalanceId BalanceSlot CardId
    CardSlot CardState Change Collateral Command CommandId ConfigId Currency CustomerId Decision
    Effect LinkId Lock LockCode LockSource MessageClass MessageKey Money NewCard Option Outcome
    PanToken PartnerBalanceId PartnerBalanceKind PartnerBalanceSlot PartnerId Program Reason
    Refusal Result Reversal Sequence Timestamp Transaction TransactionSlot TransactionState Vec
    YearMonth bool u8 u16 u32 u64 u128 i64";

#[test]
fn no_field_of_a_record_can_carry_a_secret() {
    let (mut fields, mut types) = (BTreeSet::new(), BTreeSet::new());
    for source in [
        only("Record Answer", include_str!("../src/journal_record.rs")),
        only("Outcome Refusal", include_str!("../src/control.rs")),
        only("Lock LockCode LockSource", include_str!("../src/lock_code.rs")),
        only("CardState YearMonth", include_str!("../src/card.rs")),
        only("Amount Currency Money", include_str!("../src/money.rs")),
        only("PanToken", include_str!("../src/pan.rs")),
        include_str!("../src/command.rs").to_owned(),
        include_str!("../src/effect.rs").to_owned(),
    ] {
        collect(&source, &mut fields, &mut types);
    }
    let known = |list: &'static str| list.split_whitespace().collect::<BTreeSet<_>>();
    let strangers = |found: &BTreeSet<String>, list| {
        found
            .iter()
            .filter(|name| !known(list).contains(name.as_str()))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(strangers(&fields, FIELDS), Vec::<String>::new(), "new fields");
    assert_eq!(strangers(&types, TYPES), Vec::<String>::new(), "new types");
    for needed in ["token", "merchant", "amount", "effects", "new_total", "authorised"] {
        assert!(fields.contains(needed), "the fields were found: {fields:?}");
    }
    for word in ["pan", "track", "pin", "cvv", "cvc", "chip", "digits", "secret"] {
        let named = |name: &&str| name.split('_').any(|part| part == word);
        assert_eq!(known(FIELDS).into_iter().find(named), None, "{word}");
    }
    assert!(!known(TYPES).contains("Pan") && !known(TYPES).contains("String"));
}

/// The declarations of these public types.
fn only(names: &str, source: &str) -> String {
    let mut found = String::new();
    for name in names.split(' ') {
        let start = source
            .find(&format!("pub struct {name} "))
            .or_else(|| source.find(&format!("pub struct {name}(")))
            .or_else(|| source.find(&format!("pub enum {name} ")))
            .unwrap_or_else(|| unreachable!("{name} is declared"));
        let rest = &source[start..];
        let end = rest.find("\n}\n").unwrap_or(rest.len()).min(match rest.find(");\n") {
            Some(tuple) if tuple < rest.find('\n').unwrap_or(0) => tuple,
            _ => usize::MAX,
        });
        found.push_str(&rest[..end]);
        found.push_str("\n}\n");
    }
    found
}

/// Field names, and the types they are of, of all structs and enums declared in `source`.
fn collect(source: &str, fields: &mut BTreeSet<String>, types: &mut BTreeSet<String>) {
    let mut inside = false;
    for line in source.lines().take_while(|line| !line.starts_with("#[cfg(test)]")) {
        let code = line.split("//").next().unwrap_or_default().trim_end();
        let declares = code.contains("pub struct ") || code.contains("pub enum ");
        inside = (inside || declares) && !code.starts_with('}');
        if !inside || code.trim_start().starts_with('#') {
            continue;
        }
        let mut stated = code.trim_start().trim_start_matches("pub ");
        if let Some((name, kind)) = stated.split_once(": ") {
            fields.insert(name.to_owned());
            stated = kind;
        } else if let Some((_, of)) = stated.split_once('(') {
            stated = of;
        } else {
            stated = "";
        }
        let words = stated.split(|c: char| !c.is_alphanumeric() && c != '$' && c != '_');
        types.extend(words.filter(|word| is_type(word)).map(str::to_owned));
        inside &= !code.ends_with(");") && !code.ends_with(';');
    }
}

fn is_type(word: &str) -> bool {
    let primitive = word.starts_with(['u', 'i', 'f']) && word[1..].parse::<u8>().is_ok();
    primitive
        || word == "bool"
        || word == "str"
        || word.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Whether it fits or not is for the ledger to say, as a value.
fn replay(record: Record) {
    let first = Record { sequence: Sequence(1), ..record };
    drop(Ledger::new(TEST).replay(&first));
}

fn encoded(record: &Record) -> Vec<u8> {
    let Record { sequence, at, command, effects, answer } = record;
    let mut bytes = Vec::new();
    RecordRef { sequence: *sequence, at: *at, command, effects, answer: *answer }
        .encode(&mut bytes);
    bytes
}

/// One record of each command, each effect and each answer.
fn samples() -> Vec<Record> {
    let effects = effects();
    let refused = Outcome {
        sequence: Sequence(9),
        at: Timestamp(7),
        result: Err(Refusal::CardStateForbidden {
            from: CardState::Ordered,
            to: CardState::Active,
        }),
    };
    let decision = Decision { reason: Reason::Approved, approval: Some(ApprovalCode(42)) };
    let answers = [Answer::Decision(decision), Answer::Outcome(refused), Answer::Noted];
    let records = commands().into_iter().zip(answers.iter().cycle()).zip(1_u64..);
    records
        .map(|((command, answer), number)| Record {
            sequence: Sequence(number * 1_000_003),
            at: Timestamp(1_797_292_800_000),
            command,
            effects: effects.clone(),
            answer: *answer,
        })
        .collect()
}

fn commands() -> Vec<Command> {
    let authorization = Authorization {
        key: KEY,
        token: PanToken([7; 16]),
        processing_code: 90_000,
        transaction: Money::new(500, EUR),
        billing: Some(Money::new(120, Currency(985))),
        expiry: Some(YearMonth { year: 2029, month: 7 }),
        verification: true,
        acceptance: Acceptance { mcc: 5411, rrn: *b"123456789012", ..Acceptance::default() },
    };
    let reversal = Reversal {
        key: MessageKey { class: MessageClass::Reversal, ..KEY },
        original: KEY,
        advice: true,
        transaction: Some(Amount(500)),
        new_total: Some(Amount(200)),
    };
    let mut commands = vec![
        Command::Authorize(authorization),
        Command::Reverse(reversal),
        Command::Void(KEY, Sequence(12)),
    ];
    commands
        .extend(changes().into_iter().map(|change| Command::Manage(CommandId(1 << 100), change)));
    commands
}

fn changes() -> Vec<Change> {
    let (balance, partner) = (BalanceId(1 << 90), PartnerId(3));
    let money = Money::new(i64::MAX, EUR);
    let (currency, collateral) = (EUR, Collateral::Credit);
    vec![
        Change::PutPartner(partner),
        Change::PutProgram(Program { id: ConfigId(19_167_984), partner, currency, collateral }),
        Change::PutCustomer { id: CustomerId(5), verified: true, aml_locked: true },
        Change::OpenBalance { id: balance, customer: CustomerId(5), currency },
        Change::CloseBalance(balance),
        Change::OpenPartnerBalance {
            id: PartnerBalanceId(6),
            partner,
            kind: PartnerBalanceKind::Credit,
            currency,
        },
        Change::IssueCard(new_card()),
        Change::SetCardState { card: CardId(7), state: CardState::Removed },
        Change::LockCard { card: CardId(7), code: LockCode::Replaced, source: LockSource::Switch },
        Change::UnlockCard(CardId(7)),
        Change::TopUp { balance, money },
        Change::Reload { balance: PartnerBalanceId(6), money },
    ]
}

fn new_card() -> NewCard {
    NewCard {
        id: CardId(7),
        token: PanToken([9; 16]),
        program: ConfigId(19_167_984),
        balance: BalanceId(1 << 90),
        expiry: YearMonth { year: 2029, month: 7 },
        state: CardState::Ordered,
    }
}

fn effects() -> Vec<Effect> {
    let (partner, currency) = (PartnerId(3), EUR);
    let lock = Lock { code: LockCode::Lost, source: LockSource::Admin, since: Timestamp(5) };
    let outcome = Outcome { sequence: Sequence(1), at: Timestamp(2), result: Ok(()) };
    let entry = Transaction {
        key: KEY,
        content: u64::MAX,
        id: Sequence(1),
        at: Timestamp(2),
        state: TransactionState::Authorized,
        decision: Decision { reason: Reason::Approved, approval: Some(ApprovalCode(1)) },
        card: Some(CardSlot(0)),
        balance: Some(BalanceSlot(0)),
        deposit: Some(PartnerBalanceSlot(0)),
        requested: Amount(100),
        authorised: Amount(100),
        released: Amount::ZERO,
    };
    let posted = |from, to| Effect::Posted { from, to, amount: Amount(500), currency };
    let (user, deposit) = (Account::User(BalanceSlot(0)), Account::Partner(PartnerBalanceSlot(0)));
    vec![
        Effect::PartnerPut(partner),
        Effect::ProgramPut(Program {
            id: ConfigId(19_167_984),
            partner,
            currency,
            collateral: Collateral::Deposit,
        }),
        Effect::CustomerPut { id: CustomerId(5), verified: true, aml_locked: false },
        Effect::BalanceOpened { id: BalanceId(1 << 90), customer: CustomerId(5), currency },
        Effect::PartnerBalanceOpened {
            id: PartnerBalanceId(6),
            partner,
            kind: PartnerBalanceKind::Deposit,
            currency,
        },
        Effect::CardIssued(new_card()),
        Effect::BalanceCovered(BalanceSlot(0), partner),
        Effect::CardStateSet(CardSlot(0), CardState::Linked),
        Effect::LockSet(CardSlot(0), lock),
        Effect::LockCleared(CardSlot(0)),
        posted(Account::Funding, user),
        posted(Account::Bank, deposit),
        posted(Account::Bank, Account::UsersCover),
        Effect::Remembered(TransactionSlot(0), entry),
        Effect::Released(TransactionSlot(0), Amount(100)),
        Effect::Closed(TransactionSlot(0), TransactionState::Reversed),
        Effect::Forgotten(TransactionSlot(0)),
        Effect::BalanceClosed(BalanceSlot(0)),
        Effect::CommandRemembered(CommandId(8), outcome),
        Effect::CommandForgotten,
    ]
}

#[test]
fn the_samples_are_a_history_that_replays() {
    let record = Record { sequence: Sequence(1), ..samples().remove(0) };
    assert_eq!(Ledger::new(TEST).replay(&record), Ok(()));
}
