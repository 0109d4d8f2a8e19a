//! Which transaction a message means: by the key that it names, by the network's life-cycle id, by
//! RRN and terminal. Source: authorization 4 (indexes, matching).
//!
//! Invariant: an amount never finds a transaction, it only decides between several; where several
//! are left, none is taken.

use super::column::Parties;
use super::{Case, Kind, Room, Witness, adds_to_another};
use crate::command::{Authorization, MessageClass, MessageKey, References, Reversal};
use crate::effect::{CardSlot, Detail, Direction, Transaction, TransactionSlot, TransactionState};
use crate::ledger::Card;
use crate::limits::COMPARED_ON_CARD_MAX;
use crate::money::Amount;
use crate::transactions::Transactions;

/// Whose transaction a message can mean.
#[derive(Clone, Copy)]
pub(super) enum Named {
    /// It carries no card number: anybody's.
    Nobody,
    /// That of this card, or, where the number is unknown, of none.
    Card(Option<CardSlot>),
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// Nothing.
    None,
    /// This one.
    One(TransactionSlot),
    /// Several that nothing tells apart.
    Ambiguous,
}

/// Counts candidates, and remembers the first of each sort.
#[derive(Clone, Copy, Default)]
struct Tally {
    count: usize,
    first: Option<TransactionSlot>,
}

impl Tally {
    fn add(&mut self, slot: TransactionSlot) {
        self.count += 1;
        self.first.get_or_insert(slot);
    }

    fn one(self) -> Option<TransactionSlot> {
        self.first.filter(|_| self.count == 1)
    }
}

/// Candidates under one reference: those with money of their own first, the amount as tie-breaker.
#[derive(Clone, Copy, Default)]
struct Candidates {
    live: Tally,
    live_of_amount: Tally,
    all: Tally,
    all_of_amount: Tally,
}

impl Candidates {
    fn add(&mut self, slot: TransactionSlot, of_amount: bool, has_money: bool) {
        self.all.add(slot);
        if of_amount {
            self.all_of_amount.add(slot);
        }
        if has_money {
            self.live.add(slot);
            if of_amount {
                self.live_of_amount.add(slot);
            }
        }
    }

    /// What a reversal means: the amount, where it fits exactly one, even one that was taken back
    /// already, so that nothing else is taken back in its place.
    fn best_to_take_back(self) -> Match {
        let dead = self.all_of_amount.one().filter(|_| self.live_of_amount.count == 0);
        match self.live_of_amount.one().or(dead) {
            Some(slot) => Match::One(slot),
            None => self.best(),
        }
    }

    fn best(self) -> Match {
        let (group, of_amount) = match self.live.count {
            0 => (self.all, self.all_of_amount),
            _ => (self.live, self.live_of_amount),
        };
        match group.one().or_else(|| of_amount.one()) {
            Some(slot) => Match::One(slot),
            None if group.count == 0 => Match::None,
            None => Match::Ambiguous,
        }
    }
}

impl<'a, W: Witness> Case<'a, W> {
    /// Whether something of it is open, or posted by itself and not taken back; or added to a hold
    /// that is still open.
    fn has_money(&self, found: &Transaction) -> bool {
        match found.state {
            TransactionState::Authorized | TransactionState::Asked => {
                found.open().is_positive() || found.posted().is_positive()
            }
            TransactionState::Posted => found.posted().is_positive(),
            TransactionState::Answered => {
                let base = self.ledger.transactions.base_of(found);
                found.is_increment() && base.is_some_and(|(_, held)| held.open().is_positive())
            }
            TransactionState::Cleared
            | TransactionState::Expired
            | TransactionState::Reversed
            | TransactionState::Voided
            | TransactionState::Tombstone => false,
        }
    }

    /// The transaction under exactly this key, or under the same trace in the advice of its class,
    /// whichever has money; never one of another card than the message names.
    pub(super) fn exact(
        &self,
        key: &MessageKey,
        named: Named,
        room: &Room<'_>,
    ) -> Option<TransactionSlot> {
        let advice = match key.class {
            MessageClass::Authorization => MessageClass::AuthorizationAdvice,
            MessageClass::Financial => MessageClass::FinancialAdvice,
            MessageClass::AuthorizationAdvice => MessageClass::Authorization,
            MessageClass::FinancialAdvice => MessageClass::Financial,
            MessageClass::Reversal
            | MessageClass::FileAction
            | MessageClass::NegativeAcknowledgement => return None,
        };
        let same_card = |found: &Transaction| match named {
            Named::Nobody => true,
            Named::Card(card) => found.card.is_none() || found.card == card,
        };
        let under = |key: &MessageKey| {
            let found = self.ledger.transactions.find(key);
            found.filter(|(slot, found)| room.keeps(*slot) && same_card(found))
        };
        let asked = under(key);
        let other = under(&MessageKey { class: advice, ..*key });
        let with_money = asked.into_iter().chain(other).find(|(_, found)| self.has_money(found));
        let found = with_money.or(asked).or(other);
        found.map(|(slot, found)| self.in_place_of(slot, found, room).unwrap_or(slot))
    }

    /// What stands in the place of a request that came to nothing: what the network decided itself
    /// and told of.
    fn in_place_of(
        &self,
        slot: TransactionSlot,
        found: &Transaction,
        room: &Room<'_>,
    ) -> Option<TransactionSlot> {
        let nothing = matches!(found.state, TransactionState::Answered | TransactionState::Voided);
        if !nothing || !found.spoken_of || self.has_money(found) {
            return None;
        }
        let card = self.ledger.card_at(found.card?)?;
        let stands = |(own, entry): &(TransactionSlot, &Transaction)| {
            let base = self.ledger.transactions.base_of(entry);
            base.is_some_and(|(base, _)| base == slot)
                && entry.key.class.of_request() == found.key.class.of_request()
                && entry.direction == found.direction
                && self.has_money(entry)
                && room.keeps(*own)
        };
        let of_card = self.ledger.transactions.of_card(card.newest, COMPARED_ON_CARD_MAX);
        of_card.into_iter().find(stands).map(|(own, _)| own)
    }

    /// The one transaction of a card that shares the life-cycle id, else RRN and terminal, of those
    /// that are `wanted`.
    fn by_references(
        &self,
        card: &Card,
        references: References,
        amount: Option<Amount>,
        wanted: impl Fn(TransactionSlot, &Transaction) -> bool,
    ) -> Match {
        let [by_life_cycle, by_retrieval] = self.candidates(card, references, amount, wanted);
        match by_life_cycle.best() {
            Match::None => by_retrieval.best(),
            found @ (Match::One(_) | Match::Ambiguous) => found,
        }
    }

    /// Those of a card that share the life-cycle id, and those that share RRN and terminal.
    fn candidates(
        &self,
        card: &Card,
        references: References,
        amount: Option<Amount>,
        wanted: impl Fn(TransactionSlot, &Transaction) -> bool,
    ) -> [Candidates; 2] {
        let (life_cycle, retrieval) = references.fingerprints();
        let (mut by_life_cycle, mut by_retrieval) = (Candidates::default(), Candidates::default());
        if (life_cycle, retrieval) == (0, 0) {
            return [by_life_cycle, by_retrieval];
        }
        let transactions = &self.ledger.transactions;
        for (slot, found) in transactions.of_card(card.newest, COMPARED_ON_CARD_MAX) {
            let same_life_cycle = life_cycle != 0 && found.life_cycle == life_cycle;
            let same_retrieval = retrieval != 0 && found.retrieval == retrieval;
            if !(same_life_cycle || same_retrieval) || !wanted(slot, found) {
                continue;
            }
            let (of_amount, has_money) = (amount == Some(found.requested), self.has_money(found));
            if same_life_cycle {
                by_life_cycle.add(slot, of_amount, has_money);
            }
            if same_retrieval {
                by_retrieval.add(slot, of_amount, has_money);
            }
        }
        [by_life_cycle, by_retrieval]
    }

    /// What a message marked as a repeat repeats, where its key says nothing: the only message of
    /// its class with its references and its content.
    pub(super) fn repeated(
        &self,
        key: &MessageKey,
        references: References,
        card: &Card,
        content: u64,
    ) -> Option<&'a Transaction> {
        let ledger = self.ledger;
        let class = key.class;
        let found = self.by_references(card, references, None, |_, found| {
            found.key.class == class
                && found.content == content
                && found.state != TransactionState::Tombstone
        });
        match found {
            Match::One(slot) => ledger.transactions.get(slot),
            Match::None | Match::Ambiguous => None,
        }
    }

    /// A reversal that came before this request and could name it by references alone.
    pub(super) fn tombstone_for(
        &self,
        request: &Authorization,
        card: &Card,
    ) -> Option<&'a Transaction> {
        let (life_cycle, retrieval) = request.references.fingerprints();
        let amount = request.transaction.amount;
        let transactions: &'a Transactions = &self.ledger.transactions;
        let graves = transactions
            .of_card(card.newest, COMPARED_ON_CARD_MAX)
            .filter(|(_, found)| found.state == TransactionState::Tombstone);
        // As many as there are: no card is searched to its end for what is not there.
        let mut graves = graves.take(card.tombstones as usize);
        let grave = graves.find(|(_, found)| {
            (found.requested == amount || found.requested == Amount::ZERO)
                && ((life_cycle != 0 && found.life_cycle == life_cycle)
                    || (retrieval != 0 && found.retrieval == retrieval))
        });
        grave.map(|(_, found)| found)
    }

    /// The authorization that an incremental one adds to; `None` for every other message.
    pub(super) fn base_of(
        &mut self,
        request: &Authorization,
        parties: &Parties<'_>,
        kind: Option<Kind>,
        room: &Room<'_>,
    ) -> Option<Match> {
        if !adds_to_another(request, kind) {
            return None;
        }
        let (card_slot, card) = parties.card?;
        let is_base = |found: &Transaction| {
            found.state == TransactionState::Authorized
                && found.direction == Direction::Debit
                && found.card == Some(card_slot)
        };
        let named =
            request.original.and_then(|key| self.exact(&key, Named::Card(Some(card_slot)), room));
        let named = named.filter(|slot| self.ledger.transactions.get(*slot).is_some_and(is_base));
        let found = match named {
            Some(slot) => Match::One(slot),
            None => self.by_references(card, request.references, None, |slot, found| {
                room.keeps(slot) && is_base(found)
            }),
        };
        self.tell("adds to", found);
        Some(found)
    }

    /// The pending credit that a credit message books.
    pub(super) fn pending_credit(
        &mut self,
        request: &Authorization,
        parties: &Parties<'_>,
        room: &Room<'_>,
    ) -> Match {
        let Some((card_slot, card)) = parties.card else { return Match::None };
        let is_pending = |found: &Transaction| {
            found.state == TransactionState::Authorized
                && found.direction == Direction::Credit
                && found.card == Some(card_slot)
        };
        let own_trace = MessageKey { class: MessageClass::Authorization, ..request.key };
        let named = [request.original, Some(own_trace)].into_iter().flatten();
        let named = named
            .filter_map(|key| self.exact(&key, Named::Card(Some(card_slot)), room))
            .find(|slot| self.ledger.transactions.get(*slot).is_some_and(is_pending));
        let amount = Some(request.transaction.amount);
        let found = match named {
            Some(slot) => Match::One(slot),
            None => self.by_references(card, request.references, amount, |slot, found| {
                room.keeps(slot) && is_pending(found)
            }),
        };
        self.tell("books", found);
        found
    }

    /// What an advice reports on: the message it names, the request with its own trace, or what
    /// shares its references.
    pub(super) fn original_of_advice(
        &mut self,
        message: &Authorization,
        parties: &Parties<'_>,
        direction: Direction,
        room: &Room<'_>,
    ) -> Match {
        let class = message.key.class.of_request();
        let own_trace = MessageKey { class, ..message.key };
        let authorized = MessageKey { class: MessageClass::Authorization, ..message.key };
        let traces = [message.original, Some(own_trace), Some(authorized)];
        let card = Named::Card(parties.card_slot());
        let named = traces.iter().flatten().find_map(|key| self.exact(key, card, room));
        let found = match (named, parties.card) {
            (Some(slot), _) => Match::One(slot),
            (None, None) => Match::None,
            (None, Some((_, card))) => {
                let amount = Some(message.transaction.amount);
                self.by_references(card, message.references, amount, |slot, found| {
                    let of_class = match found.key.class {
                        MessageClass::Authorization | MessageClass::AuthorizationAdvice => true,
                        MessageClass::Financial => class == MessageClass::Financial,
                        MessageClass::FinancialAdvice
                        | MessageClass::Reversal
                        | MessageClass::FileAction
                        | MessageClass::NegativeAcknowledgement => false,
                    };
                    let moved = found.authorised.is_positive() || found.captured.is_positive();
                    // What stands in the place of another holds by itself.
                    let own = found.base.is_none() || found.state == TransactionState::Authorized;
                    room.keeps(slot) && of_class && moved && own && found.direction == direction
                })
            }
        };
        self.tell("reports on", found);
        found
    }

    /// What a reversal takes back.
    pub(super) fn original_of_reversal(&mut self, reversal: &Reversal, room: &Room<'_>) -> Match {
        if !reversal.original.class.is_reversible() {
            return Match::None;
        }
        let card = reversal.token.and_then(|token| self.ledger.card_of(token));
        let whose = match reversal.token {
            None => Named::Nobody,
            Some(_) => Named::Card(card.map(|(slot, _)| slot)),
        };
        let other = match reversal.original.class {
            MessageClass::Financial | MessageClass::FinancialAdvice => MessageClass::Authorization,
            MessageClass::Authorization
            | MessageClass::AuthorizationAdvice
            | MessageClass::Reversal
            | MessageClass::FileAction
            | MessageClass::NegativeAcknowledgement => MessageClass::Financial,
        };
        let other = MessageKey { class: other, ..reversal.original };
        let named = self.exact(&reversal.original, whose, room);
        let named = named.or_else(|| self.exact(&other, whose, room));
        let found = match (named, card) {
            (Some(slot), _) => Match::One(self.standing_for(slot)),
            (None, None) => Match::None,
            (None, Some((_, card))) => self.unnamed_original(reversal, card, room),
        };
        self.tell("takes back", found);
        found
    }

    /// An advice that moved nothing by itself stands for what it reported on.
    fn standing_for(&self, slot: TransactionSlot) -> TransactionSlot {
        let advice = self.ledger.transactions.get(slot).filter(|found| {
            found.state == TransactionState::Answered
                && !found.is_increment()
                && found.key.class != found.key.class.of_request()
        });
        advice.and_then(|advice| self.kept_base_of(advice)).map_or(slot, |(base, _)| base)
    }

    /// What a reversal takes back whose original is not known by its key.
    fn unnamed_original(&self, reversal: &Reversal, card: &Card, room: &Room<'_>) -> Match {
        let amount = reversal.transaction;
        let of_clearings = reversal.original.class.of_request() == MessageClass::Financial;
        let [by_life_cycle, by_retrieval] =
            self.candidates(card, reversal.references, amount, |slot, found| {
                let moved = found.authorised.is_positive() || found.captured.is_positive();
                let clearing =
                    found.key.class == MessageClass::FinancialAdvice && found.base.is_some();
                let class = found.key.class.is_reversible() && (of_clearings || !clearing);
                room.keeps(slot) && class && moved
            });
        let found = match by_life_cycle.best_to_take_back() {
            Match::None => by_retrieval.best_to_take_back(),
            found @ (Match::One(_) | Match::Ambiguous) => found,
        };
        // It names another message than this one, and another amount: that one has yet to come.
        let other = |slot| {
            let found = self.ledger.transactions.get(slot);
            found.is_none_or(|found| {
                let trace = reversal.original.stan;
                let named = trace != reversal.key.stan && trace != found.key.stan;
                let whole = !matches!(found.decision.detail, Detail::Partial { .. });
                named && whole && amount.is_some_and(|amount| amount != found.requested)
            })
        };
        match found {
            Match::One(slot) if other(slot) => Match::None,
            Match::None | Match::One(_) | Match::Ambiguous => found,
        }
    }

    fn tell(&mut self, relation: &str, found: Match) {
        let ledger = self.ledger;
        self.witness.found(|| match found {
            Match::None => format!("{relation} no known transaction"),
            Match::One(slot) => match ledger.transactions.get(slot) {
                Some(found) => format!("{relation} transaction {}, {:?}", found.id, found.state),
                None => format!("{relation} no known transaction"),
            },
            Match::Ambiguous => format!("{relation} several transactions alike"),
        });
    }
}
