//! The ledger's own tests: order of records, effects that do not fit, drift, sums.

use super::*;
use crate::action_code::Reason;
use crate::books::Account;
use crate::command::{
    Acceptance, Authorization, Change, Collateral, Credentials, MessageClass, MessageKey, NewCard,
    Policy, References,
};
use crate::control::{Query, Refusal};
use crate::effect::{
    CardChange, Decision, Direction, Transaction, TransactionSlot, TransactionState,
};
use crate::ids::LinkId;
use crate::limits::TEST;
use crate::money::{Amount, Money};

const EUR: Currency = Currency(978);

/// Applies `changes`, one command each, at rising times; their records.
fn applied(ledger: &mut Ledger, changes: Vec<Change>) -> Vec<Record> {
    let first = u128::from(ledger.last().sequence.0);
    changes.into_iter().zip(first + 1..).map(|(change, id)| manage(ledger, id, change)).collect()
}

fn manage(ledger: &mut Ledger, id: u128, change: Change) -> Record {
    let command = Command::Manage(CommandId(id), change);
    let mut effects = Vec::new();
    let now = Timestamp(ledger.last().at.0 + 10);
    let (stamp, answer) = ledger.apply(&command, now, &mut effects);
    Record { sequence: stamp.sequence, at: stamp.at, command, effects, answer }
}

fn opening() -> Vec<Change> {
    let (id, customer) = (BalanceId(1), CustomerId(1));
    let (partner, currency, program) = (PartnerId(1), EUR, ConfigId(1));
    let (collateral, policy) = (Collateral::None, Policy::default());
    vec![
        Change::PutPartner(partner),
        Change::PutCustomer { id: customer, verified: true, aml_locked: false },
        Change::OpenBalance { id, customer, currency },
        Change::PutProgram(Program { id: program, partner, currency, collateral, policy }),
        Change::OpenPartnerBalance {
            id: PartnerBalanceId(1),
            partner,
            kind: PartnerBalanceKind::Deposit,
            currency,
        },
        Change::IssueCard(NewCard {
            id: CardId(1),
            token: PanToken([1; 16]),
            program,
            balance: id,
            expiry: YearMonth { year: 2029, month: 7 },
            state: CardState::Active,
        }),
        Change::TopUp { balance: id, money: Money::new(500, EUR) },
    ]
}

fn key(stan: u32) -> MessageKey {
    let (link, class, stan) = (LinkId(1), MessageClass::Authorization, u64::from(stan));
    MessageKey { link, class, stan, sent_at: 1, acquirer: 1, forwarder: 1 }
}

/// A hold that names no balance.
fn hold(stan: u32) -> Transaction {
    Transaction {
        key: key(stan),
        content: 1,
        life_cycle: 0,
        retrieval: 0,
        id: Sequence(1),
        at: Timestamp(1),
        state: TransactionState::Authorized,
        direction: Direction::Debit,
        decision: Decision::bare(Reason::Approved),
        flagged: None,
        card: None,
        balance: None,
        deposit: None,
        currency: EUR,
        base: None,
        spoken_of: false,
        requested: Amount(5),
        authorised: Amount(5),
        captured: Amount::ZERO,
        released: Amount::ZERO,
        returned: Amount::ZERO,
        expires_at: Timestamp(1_000),
    }
}

fn put(ledger: &mut Ledger, slot: u32, entry: &Transaction) {
    assert!(ledger.transactions.insert(TransactionSlot(slot), entry, None).is_some());
}

fn posted(from: Account, to: Account) -> Effect {
    Effect::Posted { from, to, amount: Amount(1), currency: EUR }
}

#[test]
fn a_record_that_is_missing_repeated_or_of_an_earlier_time_is_out_of_order() {
    let records = applied(&mut Ledger::new(TEST), opening());
    let mut ledger = Ledger::new(TEST);
    let [first, second, ..] = records.as_slice() else { panic!("four records") };
    for (record, last) in [(second, 0), (first, 0), (first, 1)] {
        let (last, found) = (Sequence(last), record.sequence);
        let expected = if found == last.next() {
            Ok(())
        } else {
            Err(ReplayError::OutOfOrder { last, found })
        };
        assert_eq!(ledger.replay(record), expected);
    }
    let early = Record { at: Timestamp(first.at.0 - 1), ..second.clone() };
    assert!(matches!(ledger.replay(&early), Err(ReplayError::OutOfOrder { .. })));
    assert_eq!(ledger.replay(second), Ok(()));
    assert_eq!(ledger.last(), Stamp { sequence: Sequence(2), at: second.at });
}

#[test]
fn an_effect_that_does_not_fit_is_named() {
    for effect in [
        Effect::PartnerPut(PartnerId(1)),
        Effect::BalanceOpened { id: BalanceId(1), customer: CustomerId(1), currency: EUR },
        Effect::BalanceClosed(BalanceSlot(9)),
        Effect::CardChanged(CardSlot(9), CardChange::Unlocked),
        posted(Account::Funding, Account::User(BalanceSlot(9))),
        posted(Account::Partner(PartnerBalanceSlot(9)), Account::Bank),
        Effect::Remembered(TransactionSlot(0), hold(1)),
        Effect::Released(TransactionSlot(0), Amount(1)),
        Effect::Forgotten(TransactionSlot(0)),
    ] {
        let mut ledger = Ledger::new(TEST);
        let mut records = applied(&mut ledger, opening());
        let last = records.pop().unwrap();
        let effects = vec![effect.clone()];
        let record = Record { sequence: last.sequence.next(), effects, ..last };
        let (sequence, effect) = (record.sequence, format!("{effect:?}"));
        assert_eq!(ledger.replay(&record), Err(ReplayError::Unfitting { sequence, effect }));
    }
}

#[test]
fn a_record_that_makes_money_is_unbalanced() {
    let mut ledger = Ledger::new(TEST);
    let last = applied(&mut ledger, opening()).pop().unwrap();
    let effects = vec![posted(Account::Bank, Account::User(BalanceSlot(0)))];
    let record = Record { sequence: last.sequence.next(), effects, ..last };
    assert!(matches!(ledger.replay(&record), Err(ReplayError::Unbalanced { .. })));
}

#[test]
fn a_record_that_is_decided_otherwise_now_is_a_drift_and_changes_nothing() {
    let records = applied(&mut Ledger::new(TEST), opening());
    let mut ledger = Ledger::new(TEST);
    let spoilt = Record { answer: Answer::Noted, ..records[0].clone() };
    assert!(matches!(ledger.verify(&spoilt), Err(ReplayError::Drift { .. })));
    let spoilt = Record { effects: Vec::new(), ..records[0].clone() };
    assert!(matches!(ledger.verify(&spoilt), Err(ReplayError::Drift { .. })));
    assert_eq!(ledger.state_hash(), Ledger::new(TEST).state_hash());
    for record in &records {
        assert_eq!(ledger.verify(record), Ok(()));
    }
}

#[test]
fn the_time_of_a_command_never_goes_back() {
    let mut ledger = Ledger::new(TEST);
    applied(&mut ledger, opening());
    let before = ledger.last();
    let command = Command::Manage(CommandId(99), Change::UnlockCard(CardId(1)));
    let (stamp, _) = ledger.apply(&command, Timestamp(0), &mut Vec::new());
    assert_eq!(stamp, Stamp { sequence: before.sequence.next(), at: before.at });
}

#[test]
fn every_command_changes_the_state_hash_and_the_same_ones_give_the_same() {
    let mut ledger = Ledger::new(TEST);
    let mut seen = vec![ledger.state_hash()];
    for change in opening() {
        applied(&mut ledger, vec![change]);
        seen.push(ledger.state_hash());
    }
    let mut again = Ledger::new(TEST);
    again.reserve_transactions(1_000_000);
    applied(&mut again, opening());
    assert_eq!(again.state_hash(), ledger.state_hash());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), opening().len() + 1);
}

#[test]
fn any_card_may_be_foreseen_and_nothing_changes() {
    let mut ledger = Ledger::new(TEST);
    ledger.foresee(core::iter::once(PanToken([1; 16])));
    applied(&mut ledger, opening());
    let before = ledger.state_hash();
    let hold = Transaction { card: Some(CardSlot(0)), balance: Some(BalanceSlot(0)), ..hold(1) };
    for tokens in [0, 1, FORESEEN_MAX, 2 * FORESEEN_MAX] {
        ledger.foresee((0..tokens).map(|one| PanToken([u8::try_from(one).unwrap(); 16])));
    }
    assert_eq!(ledger.state_hash(), before);
    ledger.apply_effect(&Effect::Remembered(TransactionSlot(0), hold), Timestamp(0)).unwrap();
    let before = ledger.state_hash();
    ledger.foresee(core::iter::once(PanToken([1; 16])));
    assert_eq!(ledger.state_hash(), before);
}

#[test]
fn states_that_differ_in_one_thing_differ_in_their_hash() {
    let changes: [fn(&mut Ledger); 16] = [
        |_| {},
        |ledger| ledger.last.at.0 += 1,
        |ledger| ledger.last.sequence.0 += 1,
        |ledger| {
            assert!(
                ledger
                    .partners
                    .push(PartnerId(9), Partner { id: PartnerId(9), ruled: false })
                    .is_some()
            )
        },
        |ledger| ledger.programs.at_mut(0).unwrap().program.currency = Currency(985),
        |ledger| ledger.customers.at_mut(0).unwrap().aml_locked = true,
        |ledger| ledger.balances.at_mut(0).unwrap().closed = true,
        |ledger| ledger.partner_balances.at_mut(0).unwrap().funds.held = Amount(1),
        |ledger| ledger.cards.at_mut(CardSlot(0)).unwrap().state = CardState::Removed,
        |ledger| assert!(ledger.commands_in_order.pop_front().is_some()),
        |ledger| ledger.books.of(EUR).bank += 1,
        |ledger| put(ledger, 0, &hold(0)),
        |ledger| put(ledger, 0, &hold(1)),
        |ledger| ended(ledger, [0, 1], 0),
        |ledger| ended(ledger, [1, 0], 0),
        |ledger| ended(ledger, [0, 1], 2),
    ];
    let mut seen = Vec::new();
    for change in changes {
        let mut ledger = Ledger::new(TEST);
        applied(&mut ledger, opening());
        change(&mut ledger);
        seen.push(ledger.state_hash());
    }
    let mut ledger = Ledger::new(TEST);
    applied(&mut ledger, opening());
    ended(&mut ledger, [1, 0], 2);
    seen.push(ledger.state_hash());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), changes.len() + 1);
}

/// Two transactions that ended in this order, and this many of them forgotten since.
fn ended(ledger: &mut Ledger, order: [u32; 2], forgotten: usize) {
    for stan in 0..2 {
        put(ledger, stan, &hold(stan));
        let slot = TransactionSlot(stan);
        let release = |entry: &mut Transaction| {
            entry.released = Amount(5);
            Some(())
        };
        assert!(ledger.transactions.change(slot, release).is_some());
    }
    let slots = order.map(TransactionSlot);
    for slot in slots {
        assert!(ledger.transactions.close(slot, TransactionState::Voided, Timestamp(1)).is_some());
    }
    assert!(slots.iter().take(forgotten).all(|slot| ledger.transactions.forget(*slot).is_some()));
}

#[test]
fn command_ids_are_forgotten_past_their_retention_only_and_a_full_table_refuses() {
    let mut ledger = Ledger::new(TEST);
    let bound = u128::try_from(TEST.commands_max).unwrap();
    for id in 0..bound {
        manage(&mut ledger, id, Change::PutPartner(PartnerId(1)));
    }
    let refused = manage(&mut ledger, bound, Change::PutPartner(PartnerId(2)));
    let Answer::Outcome(outcome) = refused.answer else { panic!("{refused:?}") };
    assert_eq!((outcome.result, refused.effects.len()), (Err(Refusal::TableFull), 0));
    assert_eq!(ledger.outcome_of(CommandId(bound)), None, "it may be sent again");
    let command = Command::Manage(CommandId(bound), Change::PutPartner(PartnerId(2)));
    let retained = ledger.outcome_of(CommandId(1)).unwrap().at.0 + TEST.command_retention_ms;
    ledger.apply(&command, Timestamp(retained), &mut Vec::new());
    assert!(ledger.outcome_of(CommandId(1)).is_none(), "by their age, two at a time");
    assert!(ledger.outcome_of(CommandId(2)).is_some());
    assert!(ledger.outcome_of(CommandId(bound)).is_some());
}

#[test]
#[should_panic(expected = "money is conserved by every command")]
fn a_command_on_books_that_do_not_balance_stops_the_process() {
    let mut ledger = Ledger::new(TEST);
    applied(&mut ledger, opening());
    ledger.books.of(EUR).users += 1;
    manage(&mut ledger, 99, Change::PutPartner(PartnerId(1)));
}

#[test]
fn the_audit_finds_every_sum_that_is_wrong() {
    let spoils: [fn(&mut Ledger); 6] = [
        |ledger| ledger.balances.at_mut(0).unwrap().funds.held = Amount(1),
        |ledger| ledger.balances.at_mut(0).unwrap().funds.ledger = Amount(1),
        |ledger| ledger.partner_balances.at_mut(0).unwrap().funds.held = Amount(1),
        |ledger| ledger.partner_balances.at_mut(0).unwrap().funds.ledger = Amount(1),
        |ledger| ledger.books.of(EUR).bank += 1,
        |ledger| {
            let entry = Transaction { balance: Some(BalanceSlot(0)), ..hold(0) };
            put(ledger, 0, &entry);
        },
    ];
    for spoil in spoils {
        let mut ledger = Ledger::new(TEST);
        applied(&mut ledger, opening());
        assert_eq!(ledger.audit(), Ok(()));
        spoil(&mut ledger);
        assert!(ledger.audit().is_err());
    }
}

/// A purchase without a hold, with the card of this token.
fn sale(token: u8, stan: u32) -> Command {
    let key = MessageKey { class: MessageClass::Financial, ..key(stan) };
    Command::Authorize(Authorization {
        key,
        repeat: false,
        token: PanToken([token; 16]),
        processing_code: 0,
        transaction: Money::new(5, EUR),
        billing: None,
        cash_back: Amount::ZERO,
        expiry: None,
        verification: false,
        incremental: false,
        partial_allowed: false,
        credentials: Credentials::default(),
        original: None,
        references: References::default(),
        acceptance: Acceptance::default(),
    })
}

#[test]
fn what_is_told_of_a_message_is_not_of_another_that_stood_in_its_place() {
    let mut ledger = Ledger::new(TEST);
    let mut records = applied(&mut ledger, opening());
    let other = BalanceId(2);
    records.extend(applied(
        &mut ledger,
        vec![
            Change::OpenBalance { id: other, customer: CustomerId(1), currency: EUR },
            Change::IssueCard(NewCard {
                id: CardId(2),
                token: PanToken([2; 16]),
                program: ConfigId(1),
                balance: other,
                expiry: YearMonth { year: 2029, month: 7 },
                state: CardState::Active,
            }),
            Change::TopUp { balance: other, money: Money::new(500, EUR) },
        ],
    ));
    let mut now = ledger.last().at;
    for (token, stan) in [(1, 1), (2, 2)] {
        let (command, mut effects) = (sale(token, stan), Vec::new());
        let (stamp, answer) = ledger.apply(&command, now, &mut effects);
        records.push(Record { sequence: stamp.sequence, at: stamp.at, command, effects, answer });
        // Past every retention, so that the second takes the first one's place.
        now = Timestamp(now.0 + 400 * 86_400_000);
    }
    let (last, before) = records.split_last().unwrap();
    let places = |record: &Record| {
        record.effects.iter().find_map(|effect| {
            if let Effect::Remembered(slot, _) = effect { Some(*slot) } else { None }
        })
    };
    assert_eq!(places(last), before.last().and_then(places), "the place is used again");
    let mut again = Ledger::new(TEST);
    before.iter().for_each(|record| again.replay(record).unwrap());
    let accounts: Vec<_> =
        again.retell(last).unwrap().accounts.iter().map(|touched| touched.account).collect();
    assert_eq!(accounts, [Query::Balance(other)]);
}

#[test]
fn a_transfer_is_told_with_both_balances() {
    let mut ledger = Ledger::new(TEST);
    let mut records = applied(&mut ledger, opening());
    let (from, to) = (BalanceId(1), BalanceId(2));
    let money = Money::new(7, EUR);
    records.extend(applied(
        &mut ledger,
        vec![
            Change::OpenBalance { id: to, customer: CustomerId(1), currency: EUR },
            Change::Transfer { from, to, money },
        ],
    ));
    let (last, before) = records.split_last().unwrap();
    let mut again = Ledger::new(TEST);
    before.iter().for_each(|record| again.replay(record).unwrap());
    let retold = again.retell(last).unwrap();
    let seen: Vec<_> = retold
        .accounts
        .iter()
        .map(|it| (it.account, it.after.ledger.0 - it.before.ledger.0))
        .collect();
    assert_eq!(seen, [(Query::Balance(from), -7), (Query::Balance(to), 7)]);
}
