//! The journal's records as bytes: damage is a typed error and never a panic, and nothing that a
//! record is made of can carry a secret. Source: durability 1.2, security 4.2.

use std::collections::BTreeSet;

use proptest::prelude::*;
use shared::action_code::Reason;
use shared::books::Account;
use shared::card::{CardState, YearMonth};
use shared::command::{
    Acceptance, Advice, Advised, Authorization, Change, Channel, Collateral, Command, Counts,
    Credentials, Custody, EntryMode, LockOutside, MessageClass, MessageKey, NewCard, OnSilence,
    PartnerAnswer, PartnerBalanceKind, PartnerRefusal, Policy, Program, References, Reversal,
    ReversalKind,
};
use shared::control::{Outcome, Refusal};
use shared::credential::{CredentialResult, Pvv};
use shared::effect::{
    ApprovalCode, BalanceSlot, CardChange, CardSlot, Decision, Detail, Direction, Effect,
    Exception, ExceptionKind, PartnerBalanceSlot, RuleSlot, Transaction, TransactionSlot,
    TransactionState,
};
use shared::fee::{Charge, ChargedFee, Fee, Payer, Terms};
use shared::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, FeeId, LinkId, PartnerBalanceId, PartnerId,
    RuleId, Sequence, Timestamp,
};
use shared::journal_record::{Answer, Record, RecordError, RecordRef, VERSION};
use shared::ledger::Ledger;
use shared::limits::TEST;
use shared::lock_code::{Lock, LockCode, LockSource};
use shared::money::{Amount, Currency, Money};
use shared::pan::PanToken;
use shared::rule::{Bound, Filter, Period, Rule, Subject, Window};

const EUR: Currency = Currency(978);
const COUNTS: Counts = Counts { balances_max: 1, cards_max: 1 };
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
/// value or chip data (DE55). `pin` and `verification_value` are findings
/// ([`CredentialResult`]: ok, bad, absent, unavailable); `pvv` is what a PIN is verified against, of
/// a type that cannot be printed; `zone` is the name of a time zone.
const FIELDS: &str = "
    acceptance acquirer advised aml_locked amount answer answer_ms approval at authorised available balance balances_max
    base billed billing blocked bound captured card cards_max cash_back cash_hold_hours channel channels charge class code
    collateral command content converted count countries country credentials credit_hold_hours currency customer decision
    deposit detail direction due effects end entry expires_at expiry fee filter fixed flagged forwarder from generation id
    incremental instant_credit_max key kind ledger life_cycle link lock max mcc mccs merchant merchants message money
    month more_to_come new_billing new_total on_silence original over partial_allowed partial_approval partner payer
    period pin pin_tries_max policy processing_code program purchase_hold_hours pvv rate_ppm reason references released
    repeat requested reserved result retrieval returned rrn rule sent_at sequence since source spoken_of stan start state
    subject taken terminal terms to token transaction until verification verification_value verified window window_start
    year zone";

/// Types that those fields, and the variants without names, are of.
const TYPES: &str = "
    Acceptance Account Advice Advised Amount Answer ApprovalCode Authorization BalanceId BalanceSlot Bound CardChange
    CardId CardSlot CardState Change Channel Charge ChargedFee Collateral Command CommandId ConfigId Counts
    CredentialResult Credentials Currency Custody CustomerId Decision Detail Direction Effect EntryMode Exception
    ExceptionKind Fee FeeId Filter LinkId Lock LockCode LockOutside LockSource MessageClass MessageKey Money NewCard
    OnSilence Option Outcome PanToken PartnerAnswer PartnerBalanceId PartnerBalanceKind PartnerBalanceSlot PartnerId
    PartnerRefusal Payer Period Policy Program Pvv Reason References Refusal Result Reversal ReversalKind Rule RuleId
    RuleSlot Sequence String Subject Terms Timestamp Transaction TransactionSlot TransactionState Vec Window YearMonth
    bool i64 u128 u16 u32 u64 u8";

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
        only("Rule Subject Filter Bound Period Window", include_str!("../src/rule.rs")),
        only("Fee Terms Payer Charge ChargedFee", include_str!("../src/fee.rs")),
        include_str!("../src/command.rs").to_owned(),
        include_str!("../src/command/program.rs").to_owned(),
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
        let mut found = known(FIELDS).into_iter().filter(named);
        let harmless = ["pin", "pin_tries_max"];
        assert_eq!(found.find(|name| !harmless.contains(name)), None, "{word}");
    }
    assert!(!known(TYPES).contains("Pan"));
    let command = include_str!("../src/command.rs");
    assert!(command.contains("pub verification_value: CredentialResult,"));
    assert!(command.contains("pub pin: CredentialResult,"));
    let rule = include_str!("../src/rule.rs").split("#[cfg(test)]").next().unwrap_or_default();
    assert_eq!(rule.matches(": String").count(), 1, "the time zone's name alone is a text");
    assert!(
        !command.contains(": String") && !include_str!("../src/effect.rs").contains(": String")
    );
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
        found.extend([&rest[..end], "\n}\n"]);
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
    let balances =
        Detail::Balances { ledger: Amount(5), available: Amount(-5), currency: Currency(978) };
    let part = Detail::Partial { transaction: Amount(5), billed: Amount(6) };
    let decided = |detail| {
        let approval = Some(ApprovalCode(42));
        Answer::Decision(Decision { reason: Reason::Approved, approval, detail })
    };
    let answers = [
        decided(Detail::None),
        decided(balances),
        decided(part),
        Answer::Outcome(refused),
        Answer::Noted,
        Answer::Asked(Sequence(77)),
    ];
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
    let references =
        References { life_cycle: [b'x'; 16], rrn: *b"123456789012", terminal: *b"T1234567" };
    let acceptance = Acceptance {
        channel: Channel::Ecommerce,
        entry: EntryMode::StoredCredential,
        mcc: 5411,
        country: 616,
        merchant: [b'M'; 15],
    };
    let authorization = Authorization {
        key: KEY,
        repeat: true,
        token: PanToken([7; 16]),
        processing_code: 90_000,
        transaction: Money::new(500, EUR),
        billing: Some(Money::new(120, Currency(985))),
        cash_back: Amount(20),
        expiry: Some(YearMonth { year: 2029, month: 7 }),
        verification: true,
        incremental: true,
        partial_allowed: true,
        credentials: Credentials {
            verification_value: CredentialResult::Unavailable,
            pin: CredentialResult::Bad,
        },
        original: Some(KEY),
        references,
        acceptance,
    };
    let reversal = Reversal {
        key: MessageKey { class: MessageClass::Reversal, ..KEY },
        repeat: true,
        original: KEY,
        kind: ReversalKind::NegativeAcknowledgement,
        token: Some(PanToken([7; 16])),
        references,
        transaction: Some(Amount(500)),
        new_total: Some(Amount(200)),
        new_billing: Some(Amount(100)),
    };
    let message = Authorization {
        key: MessageKey { class: MessageClass::FinancialAdvice, ..KEY },
        ..authorization
    };
    let lock = LockOutside {
        key: MessageKey { class: MessageClass::FileAction, ..KEY },
        token: PanToken([7; 16]),
        lock: Some(LockCode::SuspectedFraud),
    };
    let mut commands = vec![
        Command::Authorize(authorization),
        Command::Advise(Advice { message, advised: Advised::Unknown, more_to_come: true }),
        Command::Reverse(reversal),
        Command::LockOutside(lock),
        Command::Void(KEY, Sequence(12)),
        Command::Expire,
        Command::Answered(KEY, Sequence(77), PartnerAnswer::Has(Amount(5))),
        Command::Answered(
            KEY,
            Sequence(77),
            PartnerAnswer::Declined(PartnerRefusal::FraudsDetected),
        ),
    ];
    commands
        .extend(changes().into_iter().map(|change| Command::Manage(CommandId(1 << 100), change)));
    commands
}

fn fee_set(transaction: TransactionSlot, (reserved, sum): (i64, i64), taken: i64) -> Effect {
    let (reserved, sum, taken) = (Amount(reserved), Amount(sum), Amount(taken));
    let fee = ChargedFee { fee: FeeId(4), terms: fee().terms, reserved, taken: sum };
    Effect::FeeSet { transaction, fee, taken }
}

fn fee() -> Fee {
    let terms = Terms { fixed: Amount(50), rate_ppm: 25_000, payer: Payer::Holder };
    let filter = Filter { channels: vec![Channel::Atm], ..Filter::default() };
    Fee { id: FeeId(4), program: ConfigId(19_167_984), filter, converted: true, terms }
}

fn changes() -> Vec<Change> {
    let (balance, partner) = (BalanceId(1 << 90), PartnerId(3));
    let money = Money::new(i64::MAX, EUR);
    let (currency, collateral, policy) = (EUR, Collateral::Technical, Policy::default());
    let (id, card) = (ConfigId(19_167_984), CardId(7));
    let charge = Charge { fee: FeeId(4), money, payer: Payer::Holder };
    vec![
        Change::PutPartner(partner),
        Change::PutProgram(Program { id, partner, currency, collateral, policy }),
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
        Change::UnlockCard(card),
        Change::SetPin { card, pvv: pvv() },
        Change::ResetCvv2 { card, generation: 2 },
        Change::RenewCard { card, expiry: YearMonth { year: 2031, month: 1 } },
        Change::PutRule(rule()),
        Change::RemoveRule(RuleId(1 << 99)),
        Change::ResolveException(Sequence(77)),
        Change::TopUp { balance, money },
        Change::CreditTransfer { balance, money },
        Change::Reload { balance: PartnerBalanceId(6), money },
        Change::Withdraw { balance, money },
        Change::Transfer { from: balance, to: BalanceId(9), money },
        Change::PutFee(fee()),
        Change::RemoveFee(ConfigId(10), FeeId(4)),
        Change::ChargeFee { balance, charge },
        Change::TransferCharged { from: balance, to: BalanceId(9), money, charge },
        Change::PutCustody(ConfigId(3), custody(OnSilence::LetNetworkStandIn)),
        Change::EntrustBalance(balance),
        Change::BlockBalance { balance, blocked: true, source: LockSource::Admin },
        Change::LockByHolder { card, lock: Some(LockCode::Lost), over: vec![LockSource::User] },
        Change::PutCounts(COUNTS),
    ]
}

fn custody(on_silence: OnSilence) -> Custody {
    Custody { answer_ms: 2_000, on_silence }
}

fn pvv() -> Pvv {
    Pvv::parse(b'1', b"1234").expect("a key index and four digits")
}

fn rule() -> Rule {
    Rule {
        id: RuleId(1 << 99),
        subject: Subject::Card(CardId(7)),
        filter: Filter {
            channels: vec![Channel::Atm],
            mccs: vec![(4000, 4999)],
            countries: vec![616],
            merchants: vec![[b'M'; 15]],
        },
        bound: Bound::Amount { period: Period::Month, currency: EUR, max: Amount(500) },
        zone: "Europe/Warsaw".to_owned(),
    }
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

#[expect(clippy::too_many_lines, reason = "one of every effect")]
fn effects() -> Vec<Effect> {
    let (partner, currency) = (PartnerId(3), EUR);
    let lock = Lock { code: LockCode::Lost, source: LockSource::Admin, since: Timestamp(5) };
    let outcome = Outcome { sequence: Sequence(1), at: Timestamp(2), result: Ok(()) };
    let entry = Transaction {
        key: KEY,
        content: u64::MAX,
        life_cycle: 1,
        retrieval: 2,
        id: Sequence(1),
        at: Timestamp(2),
        state: TransactionState::Authorized,
        direction: Direction::Debit,
        decision: Decision {
            approval: Some(ApprovalCode(1)),
            ..Decision::bare(Reason::ApprovedPartially)
        },
        flagged: Some(Reason::CardLost),
        card: Some(CardSlot(0)),
        balance: Some(BalanceSlot(0)),
        deposit: Some(PartnerBalanceSlot(0)),
        currency,
        base: None,
        spoken_of: false,
        requested: Amount(100),
        authorised: Amount(100),
        captured: Amount::ZERO,
        released: Amount::ZERO,
        returned: Amount::ZERO,
        expires_at: Timestamp(3_600_002),
    };
    let asked = Transaction { state: TransactionState::Asked, ..entry };
    let (slot, until) = (TransactionSlot(0), Timestamp(7_200_002));
    let exception = Exception {
        sequence: Sequence(1),
        at: Timestamp(2),
        kind: ExceptionKind::Flagged(Reason::AmlException),
        amount: Amount(100),
    };
    let (rule_slot, transaction) = (RuleSlot(0), slot);
    let window = Window { start: 1, end: 100 };
    let changed = |change| Effect::CardChanged(CardSlot(0), change);
    let posted = |from, to| Effect::Posted { from, to, amount: Amount(500), currency };
    let (user, deposit) = (Account::User(BalanceSlot(0)), Account::Partner(PartnerBalanceSlot(0)));
    vec![
        Effect::PartnerPut(partner),
        Effect::ProgramPut(Program {
            id: ConfigId(19_167_984),
            partner,
            currency,
            collateral: Collateral::Deposit,
            policy: Policy::default(),
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
        changed(CardChange::State(CardState::Linked)),
        changed(CardChange::Locked(lock)),
        changed(CardChange::Unlocked),
        changed(CardChange::PinTries(2)),
        changed(CardChange::Pin(pvv())),
        changed(CardChange::Cvv2Generation(2)),
        changed(CardChange::Renewed(YearMonth { year: 2031, month: 1 })),
        Effect::RulePut(rule_slot, rule()),
        posted(Account::Funding, user),
        posted(Account::Bank, deposit),
        posted(Account::Bank, Account::UsersCover),
        posted(Account::IbanTechnical, user),
        Effect::Remembered(slot, entry),
        Effect::RuleCharged { rule: rule_slot, transaction, window, amount: Amount(100), count: 1 },
        Effect::Raised { transaction, amount: Amount(50), requested: Amount(60), until },
        Effect::Captured(slot, Amount(30)),
        Effect::Settled(slot, Amount(10)),
        Effect::Returned(slot, Amount(5)),
        Effect::Released(slot, Amount(110)),
        Effect::RuleGivenBack {
            rule: rule_slot,
            transaction,
            window_start: 1,
            amount: Amount(70),
            count: 0,
        },
        Effect::FeePut(fee()),
        fee_set(slot, (5, 6), 6),
        fee_set(slot, (0, 4), -2),
        Effect::FeeCharged {
            fee: FeeId(4),
            balance: BalanceSlot(0),
            payer: Payer::Partner,
            due: Amount(5),
            taken: Amount(4),
        },
        posted(Account::Invoiced, Account::Fees),
        Effect::FeeRemoved(fee().program, FeeId(4)),
        Effect::Closed(slot, TransactionState::Cleared),
        Effect::ExceptionRaised(exception),
        Effect::ExceptionResolved(Sequence(1)),
        Effect::RuleRemoved(rule_slot),
        Effect::Forgotten(slot),
        Effect::CustodyPut(ConfigId(19_167_984), custody(OnSilence::Decline)),
        Effect::BalanceEntrusted(BalanceSlot(0)),
        Effect::BalanceBlocked(BalanceSlot(0), Some(LockSource::Partner)),
        Effect::CountsPut(COUNTS),
        Effect::Remembered(TransactionSlot(0), asked),
        Effect::Asked(TransactionSlot(0), 9),
        Effect::Decided {
            transaction: TransactionSlot(0),
            decision: Decision::bare(Reason::PartnerSilent),
            state: TransactionState::Answered,
            until: Timestamp(0),
        },
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
