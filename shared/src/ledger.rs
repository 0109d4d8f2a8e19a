//! All state, and the only place where it changes.
//!
//! [`Ledger::apply`] decides a command and applies its effects; [`Ledger::replay`] applies the
//! effects of a journaled record and nothing else; [`Ledger::verify`] decides it again and
//! compares. Invariants: the same commands at the same times give the same state, slot by slot;
//! money is conserved after every command, or the process stops.

mod applying;
mod cards;
mod explaining;
mod fees;
mod management;
mod posting;
mod rules;
mod state_hash;
mod views;

use std::collections::{BTreeMap, VecDeque};
use std::hash::Hash;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::authorization::{self, Case, Witness};
use crate::balance::{Balance, PartnerBalance};
use crate::books::{Books, Imbalance};
use crate::cache::ask_for;
use crate::card::{CardState, YearMonth};
use crate::command::{
    Authorization, Command, Counts, Custody, MessageKey, PartnerBalanceKind, Program,
};
use crate::control::Outcome;
use crate::credential::Pvv;
use crate::effect::{
    BalanceSlot, CardSlot, CustomerSlot, Effect, Exception, PartnerBalanceSlot, TransactionSlot,
};
use crate::fee::Fee;
use crate::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, PartnerBalanceId, PartnerId, Sequence,
    Timestamp,
};
use crate::journal_record::{Answer, Record};
use crate::limits::{CARDS_A_BALANCE_MAX, Limits};
use crate::lock_code::Lock;
use crate::money::Currency;
use crate::pan::PanToken;
use crate::transactions::Transactions;
use cards::{CardPlace, Cards};
pub use explaining::{Explanation, Retold, Sight, Touched};
use fees::Fees;
pub(crate) use rules::Charge;
use rules::Rules;

/// Cards whose memory is asked for at once.
pub const FORESEEN_MAX: usize = 16;

type Map<K, V> = HashMap<K, V, FixedState>;

/// Place and time of the command that is being decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its place.
    pub sequence: Sequence,
    /// Its time, never before that of the command ahead of it.
    pub at: Timestamp,
}

/// A card as the ledger holds it: two neighbouring lines of the cache, which come together.
#[repr(align(128))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) id: CardId,
    pub(crate) token: PanToken,
    pub(crate) program: ProgramSlot,
    pub(crate) balance: BalanceSlot,
    pub(crate) expiry: YearMonth,
    /// The last month before a renewal.
    pub(crate) previous_expiry: Option<YearMonth>,
    pub(crate) state: CardState,
    pub(crate) lock: Option<Lock>,
    pub(crate) pvv: Option<Pvv>,
    /// Wrong PINs in a row.
    pub(crate) pin_tries: u8,
    pub(crate) cvv2_generation: u16,
    /// Whether it has rules of its own.
    pub(crate) ruled: bool,
    /// The card issued before it on the same balance, of those that were not removed.
    pub(crate) earlier: Option<CardSlot>,
    /// Its newest transaction; the others follow from it.
    pub(crate) newest: Option<TransactionSlot>,
    /// How many of them are tombstones.
    pub(crate) tombstones: u32,
}

/// A cardholder's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) id: CustomerId,
    pub(crate) verified: bool,
    pub(crate) aml_locked: bool,
    /// Whether there are rules for it.
    pub(crate) ruled: bool,
    /// How many balances it has that are open.
    pub(crate) balances: u32,
}

/// A card program, and what its decisions need at hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProgramRow {
    pub(crate) program: Program,
    pub(crate) partner: PartnerSlot,
    /// The partner balance that is held at each authorization, once there is one.
    pub(crate) held: Option<PartnerBalanceSlot>,
    /// Whether there are rules for it.
    pub(crate) ruled: bool,
    /// What its payments cost besides.
    pub(crate) fees: Vec<Fee>,
    /// How its partner is asked, where that keeps the holders' money.
    pub(crate) custody: Option<Custody>,
    /// Whether it ever had a card.
    pub(crate) issued: bool,
    /// Its open questions.
    pub(crate) asked: u32,
}

/// A partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Partner {
    pub(crate) id: PartnerId,
    /// Whether there are rules for it.
    pub(crate) ruled: bool,
}

/// Place of a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct PartnerSlot(pub(crate) u32);

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
    counts: Counts,
    last: Stamp,
    partners: Table<PartnerId, Partner>,
    programs: Table<ConfigId, ProgramRow>,
    customers: Table<CustomerId, Customer>,
    balances: Table<BalanceId, Balance>,
    partner_balances: Table<PartnerBalanceId, PartnerBalance>,
    partner_balance_slots: Map<PartnerBalanceKey, PartnerBalanceSlot>,
    cards: Cards,
    cards_by_id: Map<CardId, CardSlot>,
    pub(crate) transactions: Transactions,
    pub(crate) rules: Rules,
    pub(crate) fees: Fees,
    /// What partners are asked for, with the milliseconds that a hold lives where they agree.
    asked: BTreeMap<TransactionSlot, u64>,
    exceptions: VecDeque<Exception>,
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
            counts: Counts { balances_max: u32::MAX, cards_max: CARDS_A_BALANCE_MAX },
            last: Stamp { sequence: Sequence(0), at: Timestamp(0) },
            partners: Table::new(1),
            programs: Table::new(2),
            customers: Table::new(3),
            balances: Table::new(4),
            partner_balances: Table::new(5),
            partner_balance_slots: Map::with_hasher(FixedState::with_seed(6)),
            cards: Cards::new(7),
            cards_by_id: Map::with_hasher(FixedState::with_seed(8)),
            transactions: Transactions::new(),
            rules: Rules::new(),
            fees: Fees::new(),
            asked: BTreeMap::new(),
            exceptions: VecDeque::new(),
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

    /// Asks for the memory that decisions on the cards of these tokens will look at, of
    /// [`FORESEEN_MAX`] at most: it comes while something else is done. Changes nothing.
    #[inline]
    pub fn foresee(&self, tokens: impl Iterator<Item = PanToken>) {
        let mut cards = [None; FORESEEN_MAX];
        for (card, token) in cards.iter_mut().zip(tokens) {
            let Some(place) = self.cards.place(token) else { continue };
            self.cards.foresee(place.card);
            ask_for(&self.balances.rows, place.balance.index());
            *card = Some(place.card);
        }
        for card in cards.into_iter().flatten() {
            if let Some(newest) = self.cards.at(card).and_then(|card| card.newest) {
                self.transactions.foresee(newest);
            }
        }
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

    /// The message whose decision a repeat was told, and where that was decided.
    #[must_use]
    pub fn told_by(&self, repeat: &Authorization) -> Option<(MessageKey, Sequence)> {
        authorization::told_by(self, repeat)
    }

    /// When the next hold ends by itself: then [`Command::Expire`] has something to do.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.transactions.next_expiry()
    }

    /// How many questions to partners are open.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.asked.len()
    }

    /// How many milliseconds a hold lives, where its partner agrees to it.
    pub(crate) fn hold_once_agreed(&self, slot: TransactionSlot) -> Option<u64> {
        self.asked.get(&slot).copied()
    }

    fn decide(&self, command: &Command, stamp: Stamp, effects: &mut Vec<Effect>) -> Answer {
        self.decide_before(command, stamp, effects, &mut ())
    }

    /// Decides with a witness that sees every check.
    fn decide_before(
        &self,
        command: &Command,
        stamp: Stamp,
        effects: &mut Vec<Effect>,
        witness: &mut impl Witness,
    ) -> Answer {
        let mut case = Case { ledger: self, stamp, effects, witness };
        let (message, answer) = match command {
            Command::Authorize(request) => {
                (Some(request), authorization::decide(&mut case, request))
            }
            Command::Advise(advice) => {
                (Some(&advice.message), Answer::Decision(authorization::advise(&mut case, advice)))
            }
            Command::Reverse(reversal) => {
                (None, Answer::Decision(authorization::reverse(&mut case, reversal)))
            }
            Command::LockOutside(lock) => {
                return Answer::Decision(authorization::lock_outside(&mut case, lock));
            }
            Command::Void(key, id) => {
                authorization::void(&mut case, key, *id);
                (None, Answer::Noted)
            }
            Command::Expire => {
                authorization::expire(&mut case);
                (None, Answer::Noted)
            }
            Command::Answered(key, id, answer) => {
                (None, authorization::answered(&mut case, (key, *id), *answer))
            }
            Command::Manage(id, change) => {
                return Answer::Outcome(management::decide(self, *id, change, stamp, effects));
            }
        };
        authorization::set_fees(&mut case, message);
        answer
    }

    pub(crate) fn card_of(&self, token: PanToken) -> Option<(CardSlot, &Card)> {
        let slot = self.cards.place(token)?.card;
        Some((slot, self.cards.at(slot)?))
    }

    /// A card with the slots of its balance and its program.
    #[inline]
    pub(crate) fn card_and_place_of(&self, token: PanToken) -> Option<(CardPlace, &Card)> {
        let place = self.cards.place(token)?;
        Some((place, self.cards.at(place.card)?))
    }

    pub(crate) fn card_at(&self, slot: CardSlot) -> Option<&Card> {
        self.cards.at(slot)
    }

    pub(crate) fn balance(&self, slot: BalanceSlot) -> Option<&Balance> {
        self.balances.at(slot.0)
    }

    pub(crate) fn customer(&self, id: CustomerId) -> Option<&Customer> {
        self.customers.get(id)
    }

    pub(crate) fn holder(&self, slot: CustomerSlot) -> Option<&Customer> {
        self.customers.at(slot.0)
    }

    pub(crate) fn program_at(&self, slot: ProgramSlot) -> Option<&ProgramRow> {
        self.programs.at(slot.0)
    }

    pub(crate) fn partner_at(&self, slot: PartnerSlot) -> Option<&Partner> {
        self.partners.at(slot.0)
    }

    pub(crate) fn partner_balance_of(&self, key: PartnerBalanceKey) -> Option<PartnerBalanceSlot> {
        self.partner_balance_slots.get(&key).copied()
    }

    pub(crate) fn partner_balance(&self, slot: PartnerBalanceSlot) -> Option<&PartnerBalance> {
        self.partner_balances.at(slot.0)
    }
}

#[cfg(test)]
mod tests;
