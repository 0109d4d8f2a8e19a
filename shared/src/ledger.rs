//! All state, and the only place where it changes.
//!
//! [`Ledger::apply`] decides a command and applies its effects; [`Ledger::replay`] applies the
//! effects of a journaled record and nothing else; [`Ledger::verify`] decides it again and
//! compares. Invariants: the same commands at the same times give the same state, slot by slot;
//! money is conserved after every command, or the process stops.

mod applying;
mod management;
mod state_hash;
mod views;

use std::collections::VecDeque;
use std::hash::Hash;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::authorization;
use crate::balance::{Balance, PartnerBalance};
use crate::books::{Books, Imbalance};
use crate::card::{CardState, YearMonth};
use crate::command::{Command, PartnerBalanceKind, Program};
use crate::control::Outcome;
use crate::effect::{BalanceSlot, CardSlot, Effect, PartnerBalanceSlot, TransactionState};
use crate::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, PartnerBalanceId, PartnerId, Sequence,
    Timestamp,
};
use crate::journal_record::{Answer, Record};
use crate::limits::Limits;
use crate::lock_code::Lock;
use crate::money::Currency;
use crate::pan::PanToken;
use crate::transactions::Transactions;

type Map<K, V> = HashMap<K, V, FixedState>;

/// Place and time of the command that is being decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its place.
    pub sequence: Sequence,
    /// Its time, never before that of the command ahead of it.
    pub at: Timestamp,
}

/// A card as the ledger holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) id: CardId,
    pub(crate) token: PanToken,
    pub(crate) program: ProgramSlot,
    pub(crate) balance: BalanceSlot,
    pub(crate) expiry: YearMonth,
    pub(crate) state: CardState,
    pub(crate) lock: Option<Lock>,
    /// The card issued before it on the same balance.
    pub(crate) earlier: Option<CardSlot>,
}

/// A cardholder's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) id: CustomerId,
    pub(crate) verified: bool,
    pub(crate) aml_locked: bool,
}

/// Place of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ProgramSlot(pub(crate) u32);

/// Which partner balance: its owner, kind and currency.
pub(crate) type PartnerBalanceKey = (PartnerId, PartnerBalanceKind, Currency);

/// Records in order of arrival with an index by key.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    rows: Vec<V>,
    index: Map<K, u32>,
}

impl<K: Hash + Eq + Copy, V> Table<K, V> {
    fn new(seed: u64) -> Self {
        Self { rows: Vec::new(), index: Map::with_hasher(FixedState::with_seed(seed)) }
    }

    fn slot(&self, key: K) -> Option<u32> {
        self.index.get(&key).copied()
    }

    fn at(&self, slot: u32) -> Option<&V> {
        self.rows.get(slot as usize)
    }

    fn get(&self, key: K) -> Option<&V> {
        self.at(self.slot(key)?)
    }

    fn at_mut(&mut self, slot: u32) -> Option<&mut V> {
        self.rows.get_mut(slot as usize)
    }

    /// Appends a row; `None` where the key is taken.
    fn push(&mut self, key: K, row: V) -> Option<u32> {
        let slot = u32::try_from(self.rows.len()).ok()?;
        if self.index.contains_key(&key) {
            return None;
        }
        self.index.insert(key, slot);
        self.rows.push(row);
        Some(slot)
    }

    fn len(&self) -> usize {
        self.rows.len()
    }
}

/// The state of one shard.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) limits: Limits,
    last: Stamp,
    partners: Table<PartnerId, PartnerId>,
    programs: Table<ConfigId, Program>,
    customers: Table<CustomerId, Customer>,
    balances: Table<BalanceId, Balance>,
    partner_balances: Table<PartnerBalanceId, PartnerBalance>,
    partner_balance_slots: Map<PartnerBalanceKey, PartnerBalanceSlot>,
    cards: Table<PanToken, Card>,
    cards_by_id: Map<CardId, CardSlot>,
    pub(crate) transactions: Transactions,
    commands: Map<CommandId, Outcome>,
    commands_in_order: VecDeque<CommandId>,
    books: Books,
}

/// Why a record cannot be applied: the journal and this state do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// A record is missing, or stands twice.
    #[error("record {found} follows {last}")]
    OutOfOrder {
        /// The last one applied.
        last: Sequence,
        /// The one that came.
        found: Sequence,
    },
    /// An effect does not fit the state.
    #[error("an effect of record {sequence} does not fit the state: {effect}")]
    Unfitting {
        /// Of which record.
        sequence: Sequence,
        /// The effect.
        effect: String,
    },
    /// Money is not conserved behind the record.
    #[error("behind record {sequence}: {imbalance}")]
    Unbalanced {
        /// Behind which record.
        sequence: Sequence,
        /// Where.
        imbalance: Imbalance,
    },
    /// Deciding again gives something else than was recorded.
    #[error("record {sequence} is decided otherwise now: recorded {recorded}, now {now}")]
    Drift {
        /// Which record.
        sequence: Sequence,
        /// What the journal says.
        recorded: String,
        /// What the rules say now.
        now: String,
    },
}

impl Ledger {
    /// Nothing known yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            last: Stamp { sequence: Sequence(0), at: Timestamp(0) },
            partners: Table::new(1),
            programs: Table::new(2),
            customers: Table::new(3),
            balances: Table::new(4),
            partner_balances: Table::new(5),
            partner_balance_slots: Map::with_hasher(FixedState::with_seed(6)),
            cards: Table::new(7),
            cards_by_id: Map::with_hasher(FixedState::with_seed(8)),
            transactions: Transactions::new(),
            commands: Map::with_hasher(FixedState::with_seed(9)),
            commands_in_order: VecDeque::new(),
            books: Books::default(),
        }
    }

    /// Makes room for `count` transactions at once, so that no decision pays for growth.
    pub fn reserve_transactions(&mut self, count: usize) {
        self.transactions.reserve(count.min(self.limits.transactions_max));
    }

    /// Decides `command` at `now` and applies what was decided. `effects` is replaced by the
    /// changes; the stamp is the command's place and the time it counts as, which never goes back.
    pub fn apply(
        &mut self,
        command: &Command,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> (Stamp, Answer) {
        let stamp = Stamp { sequence: self.last.sequence.next(), at: now.max(self.last.at) };
        effects.clear();
        let answer = self.decide(command, stamp, effects);
        for effect in &*effects {
            self.apply_effect(effect, stamp.at).expect("an effect decided on this state fits it");
        }
        self.last = stamp;
        self.books.check().expect("money is conserved by every command");
        (stamp, answer)
    }

    /// Applies the effects of a journaled record.
    pub fn replay(&mut self, record: &Record) -> Result<(), ReplayError> {
        let sequence = record.sequence;
        if sequence != self.last.sequence.next() || record.at < self.last.at {
            return Err(ReplayError::OutOfOrder { last: self.last.sequence, found: sequence });
        }
        for effect in &record.effects {
            self.apply_effect(effect, record.at).ok_or_else(|| ReplayError::Unfitting {
                sequence,
                effect: format!("{effect:?}"),
            })?;
        }
        self.last = Stamp { sequence, at: record.at };
        self.books.check().map_err(|imbalance| ReplayError::Unbalanced { sequence, imbalance })
    }

    /// Decides a journaled record's command again, compares answer and effects, and applies them.
    pub fn verify(&mut self, record: &Record) -> Result<(), ReplayError> {
        let stamp = Stamp { sequence: record.sequence, at: record.at };
        let mut effects = Vec::with_capacity(record.effects.len());
        let answer = self.decide(&record.command, stamp, &mut effects);
        if answer != record.answer || effects != record.effects {
            return Err(ReplayError::Drift {
                sequence: record.sequence,
                recorded: format!("{:?} {:?}", record.answer, record.effects),
                now: format!("{answer:?} {effects:?}"),
            });
        }
        self.replay(record)
    }

    /// The last command applied.
    #[must_use]
    pub fn last(&self) -> Stamp {
        self.last
    }

    /// What became of a change, where its command id is remembered.
    #[must_use]
    pub fn outcome_of(&self, id: CommandId) -> Option<Outcome> {
        self.commands.get(&id).copied()
    }

    fn decide(&self, command: &Command, stamp: Stamp, effects: &mut Vec<Effect>) -> Answer {
        match command {
            Command::Authorize(request) => {
                Answer::Decision(authorization::decide(self, request, stamp, effects))
            }
            Command::Reverse(reversal) => {
                Answer::Decision(authorization::decide_reversal(self, reversal, stamp, effects))
            }
            Command::Void(key, id) => {
                if let Some((slot, found)) = self.transactions.find(key)
                    && found.id == *id
                    && found.state == TransactionState::Authorized
                {
                    if found.open().is_positive() {
                        effects.push(Effect::Released(slot, found.open()));
                    }
                    effects.push(Effect::Closed(slot, TransactionState::Voided));
                }
                Answer::Noted
            }
            Command::Manage(id, change) => {
                Answer::Outcome(management::decide(self, *id, change, stamp, effects))
            }
        }
    }

    pub(crate) fn card_of(&self, token: PanToken) -> Option<(CardSlot, &Card)> {
        let slot = self.cards.slot(token)?;
        Some((CardSlot(slot), self.cards.at(slot)?))
    }

    pub(crate) fn balance(&self, slot: BalanceSlot) -> Option<&Balance> {
        self.balances.at(slot.0)
    }

    pub(crate) fn customer(&self, id: CustomerId) -> Option<&Customer> {
        self.customers.get(id)
    }

    pub(crate) fn program_at(&self, slot: ProgramSlot) -> Option<&Program> {
        self.programs.at(slot.0)
    }

    pub(crate) fn partner_balance_of(&self, key: PartnerBalanceKey) -> Option<PartnerBalanceSlot> {
        self.partner_balance_slots.get(&key).copied()
    }

    pub(crate) fn partner_balance(&self, slot: PartnerBalanceSlot) -> Option<&PartnerBalance> {
        self.partner_balances.at(slot.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action_code::Reason;
    use crate::command::{Change, Collateral, MessageClass, MessageKey, NewCard};
    use crate::control::Refusal;
    use crate::effect::{Account, Decision, Transaction, TransactionSlot};
    use crate::ids::LinkId;
    use crate::limits::TEST;
    use crate::money::{Amount, Money};

    const EUR: Currency = Currency(978);

    /// Applies `changes`, one command each, at rising times; their records.
    fn applied(ledger: &mut Ledger, changes: Vec<Change>) -> Vec<Record> {
        let first = u128::from(ledger.last().sequence.0);
        changes
            .into_iter()
            .zip(first + 1..)
            .map(|(change, id)| manage(ledger, id, change))
            .collect()
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
        let collateral = Collateral::None;
        vec![
            Change::PutPartner(partner),
            Change::PutCustomer { id: customer, verified: true, aml_locked: false },
            Change::OpenBalance { id, customer, currency },
            Change::PutProgram(Program { id: program, partner, currency, collateral }),
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
        let (link, class) = (LinkId(1), MessageClass::Authorization);
        MessageKey { link, class, stan, sent_at: 1, acquirer: 1, forwarder: 1 }
    }

    /// A hold that names no balance.
    fn hold(stan: u32) -> Transaction {
        Transaction {
            key: key(stan),
            content: 1,
            id: Sequence(1),
            at: Timestamp(1),
            state: TransactionState::Authorized,
            decision: Decision { reason: Reason::Approved, approval: None },
            card: None,
            balance: None,
            deposit: None,
            requested: Amount(5),
            authorised: Amount(5),
            released: Amount::ZERO,
        }
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
            Effect::LockCleared(CardSlot(9)),
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
    fn states_that_differ_in_one_thing_differ_in_their_hash() {
        let changes: [fn(&mut Ledger); 16] = [
            |_| {},
            |ledger| ledger.last.at.0 += 1,
            |ledger| ledger.last.sequence.0 += 1,
            |ledger| assert!(ledger.partners.push(PartnerId(9), PartnerId(9)).is_some()),
            |ledger| ledger.programs.at_mut(0).unwrap().currency = Currency(985),
            |ledger| ledger.customers.at_mut(0).unwrap().aml_locked = true,
            |ledger| ledger.balances.at_mut(0).unwrap().closed = true,
            |ledger| ledger.partner_balances.at_mut(0).unwrap().funds.held = Amount(1),
            |ledger| ledger.cards.at_mut(0).unwrap().state = CardState::Removed,
            |ledger| assert!(ledger.commands_in_order.pop_front().is_some()),
            |ledger| ledger.books.of(EUR).bank += 1,
            |ledger| assert!(ledger.transactions.insert(TransactionSlot(0), hold(0))),
            |ledger| assert!(ledger.transactions.insert(TransactionSlot(0), hold(1))),
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
            assert!(ledger.transactions.insert(TransactionSlot(stan), hold(stan)));
            assert!(ledger.transactions.release(TransactionSlot(stan), Amount(5)));
        }
        let slots = order.map(TransactionSlot);
        for slot in slots {
            assert!(ledger.transactions.close(slot, TransactionState::Voided, Timestamp(1)));
        }
        assert!(slots.iter().take(forgotten).all(|slot| ledger.transactions.forget(*slot)));
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
                assert!(ledger.transactions.insert(TransactionSlot(0), entry));
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
}
