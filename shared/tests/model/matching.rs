//! How the model finds what a message means: repeats, tombstones and originals.

use shared::action_code::Reason;
use shared::command::{Authorization, MessageClass, MessageKey, References, Reversal};
use shared::effect::{Decision, Direction, TransactionState};
use shared::pan::PanToken;

use crate::state::{Content, Entry, Model};

/// Newest transactions of a card that references are compared with.
const COMPARED: usize = shared::limits::COMPARED_ON_CARD_MAX;

/// Which transaction a message means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    Nothing,
    One(u64),
    Several,
}

/// What a message is compared by.
#[derive(Clone, Copy)]
pub(crate) struct Clues {
    pub(crate) references: References,
    /// DE4, where the message says it.
    pub(crate) amount: Option<i64>,
}

pub(crate) fn content_of(request: &Authorization) -> Content {
    let money = [Some(request.transaction), request.billing];
    let mut numbers = [0; 7];
    numbers[0] = i64::from(request.processing_code);
    for (place, money) in money.into_iter().enumerate() {
        numbers[1 + 2 * place] = money.map_or(-1, |money| money.amount.0);
        numbers[2 + 2 * place] = money.map_or(-1, |money| i64::from(money.currency.0));
    }
    Content(numbers, Some(request.token), request.acceptance.merchant)
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|byte| *byte == b' ')
}

impl Entry {
    fn same_life_cycle(&self, other: &References) -> bool {
        !is_blank(&other.life_cycle) && self.life_cycle == other.life_cycle
    }

    fn same_retrieval(&self, other: &References) -> bool {
        let absent = other.rrn.iter().all(|byte| matches!(byte, b' ' | b'0'));
        !absent && (self.rrn, self.terminal) == (other.rrn, other.terminal)
    }

    /// Added to another one.
    pub(crate) fn is_increment(&self) -> bool {
        let class = self.key.class.of_request();
        class == MessageClass::Authorization && self.base.is_some() && self.authorised > 0
    }

    /// Adds to another one, and not all of that was taken off again.
    pub(crate) fn still_adds(&self) -> bool {
        self.state == TransactionState::Answered
            && self.is_increment()
            && self.authorised > self.released
    }

    /// Held or posted something.
    pub(crate) fn moved(&self) -> bool {
        self.authorised > 0 || self.captured > 0
    }

    /// Holds, posted and did not take back, or adds to another one.
    fn has_money(&self, model: &Model) -> bool {
        match self.state {
            TransactionState::Authorized | TransactionState::Asked => {
                self.open() > 0 || self.posted() > 0
            }
            TransactionState::Posted => self.posted() > 0,
            TransactionState::Answered => {
                let base = self.base.filter(|_| self.still_adds());
                base.and_then(|base| model.entry(base)).is_some_and(|base| base.open() > 0)
            }
            TransactionState::Cleared
            | TransactionState::Expired
            | TransactionState::Reversed
            | TransactionState::Voided
            | TransactionState::Tombstone => false,
        }
    }
}

impl Model {
    /// The one message whose answer a marked repeat under an unknown key takes.
    pub(crate) fn repeated(
        &self,
        key: &MessageKey,
        token: PanToken,
        references: References,
        content: &Content,
    ) -> Option<Decision> {
        let card = self.card_of(token)?;
        let clues = Clues { references, amount: None };
        let meant = self.meant_by_references(card, clues, |entry| {
            entry.key.class == key.class
                && entry.content == *content
                && entry.state != TransactionState::Tombstone
        });
        match meant {
            Meant::One(number) => Some(self.entry(number)?.answer_to(content)),
            Meant::Nothing | Meant::Several => None,
        }
    }

    /// Whether a tombstone of the card has the references of a request.
    pub(crate) fn is_buried(&self, request: &Authorization) -> bool {
        let Some(card) = self.card_of(request.token) else { return false };
        self.entries.iter().any(|entry| {
            entry.state == TransactionState::Tombstone
                && entry.card == Some(card)
                && (entry.same_life_cycle(&request.references)
                    || entry.same_retrieval(&request.references))
                && (entry.requested == 0 || entry.requested == request.transaction.amount.0)
        })
    }

    /// Whether an entry may be meant by a message of a card; all may by one without a card.
    fn of_same_card(&self, entry: &Entry, token: Option<PanToken>) -> bool {
        let Some(token) = token else { return true };
        let card = self.card_of(token);
        entry.card.is_none() || entry.card == card
    }

    /// What stands under a key, and under the same trace in the other one of request and advice:
    /// the one with money, else the one under the key.
    pub(crate) fn under(&self, key: &MessageKey, token: Option<PanToken>) -> Option<u64> {
        let other = match key.class {
            MessageClass::Authorization => MessageClass::AuthorizationAdvice,
            MessageClass::AuthorizationAdvice => MessageClass::Authorization,
            MessageClass::Financial => MessageClass::FinancialAdvice,
            MessageClass::FinancialAdvice => MessageClass::Financial,
            MessageClass::Reversal
            | MessageClass::FileAction
            | MessageClass::NegativeAcknowledgement => return None,
        };
        let found: Vec<&Entry> = [key.class, other]
            .into_iter()
            .filter_map(|class| self.known(&MessageKey { class, ..*key }))
            .filter(|entry| self.of_same_card(entry, token))
            .collect();
        let with_money = found.iter().find(|entry| entry.has_money(self));
        let meant = with_money.or(found.first())?;
        Some(self.instead_of(meant).unwrap_or(meant.number))
    }

    /// What a network decided itself, where what it had asked for came to nothing.
    fn instead_of(&self, entry: &Entry) -> Option<u64> {
        let nothing = matches!(entry.state, TransactionState::Answered | TransactionState::Voided);
        if !nothing || !entry.spoken_of || entry.has_money(self) {
            return None;
        }
        let of_card = self.entries.iter().rev().filter(|other| other.card == entry.card);
        let of_card = of_card.take(COMPARED).filter(|_| entry.card.is_some());
        let mut stands = of_card.filter(|other| {
            other.base == Some(entry.number)
                && other.key.class.of_request() == entry.key.class.of_request()
                && other.direction == entry.direction
                && other.has_money(self)
        });
        stands.next().map(|other| other.number)
    }

    /// By life-cycle id, then by RRN and terminal, of those that `fits` on the same card.
    pub(crate) fn meant_by_references(
        &self,
        card: usize,
        clues: Clues,
        fits: impl Fn(&Entry) -> bool,
    ) -> Meant {
        self.found_by_references(card, clues, fits, false)
    }

    /// The same; what takes back would rather mean what has no money any more than what is of
    /// another amount.
    fn found_by_references(
        &self,
        card: usize,
        clues: Clues,
        fits: impl Fn(&Entry) -> bool,
        takes_back: bool,
    ) -> Meant {
        let of_card = self.entries.iter().rev().filter(|entry| entry.card == Some(card));
        let candidates: Vec<&Entry> = of_card.take(COMPARED).filter(|entry| fits(entry)).collect();
        let references = &clues.references;
        let same: [&dyn Fn(&Entry) -> bool; 2] =
            [&|e| e.same_life_cycle(references), &|e| e.same_retrieval(references)];
        for same in same {
            let mut found: Vec<&Entry> = candidates.iter().copied().filter(|e| same(e)).collect();
            let of_amount = |entry: &&Entry| Some(entry.requested) == clues.amount;
            let exact: Vec<&Entry> = found.iter().copied().filter(of_amount).collect();
            if let ([dead], true) = (exact.as_slice(), takes_back)
                && !dead.has_money(self)
            {
                return Meant::One(dead.number);
            }
            if found.iter().any(|entry| entry.has_money(self)) {
                found.retain(|entry| entry.has_money(self));
            }
            if found.len() > 1 {
                let exact: Vec<&Entry> = found.iter().copied().filter(of_amount).collect();
                if let [only] = exact.as_slice() {
                    found = vec![only];
                }
            }
            match found.as_slice() {
                [] => {}
                [only] => return Meant::One(only.number),
                _ => return Meant::Several,
            }
        }
        Meant::Nothing
    }

    /// The answer to a message whose key is known.
    pub(crate) fn answered_before(&self, key: &MessageKey, content: &Content) -> Option<Decision> {
        Some(self.known(key)?.answer_to(content))
    }

    /// The open hold, or the pending credit, that a request adds to or books.
    pub(crate) fn open_one(
        &self,
        request: &Authorization,
        keys: &[MessageKey],
        clues: Clues,
    ) -> Meant {
        let Some(card) = self.card_of(request.token) else { return Meant::Nothing };
        let direction = Entry::direction_of(request);
        let fits = |entry: &Entry| {
            entry.is_open() && entry.direction == direction && entry.card == Some(card)
        };
        let keyed = keys
            .iter()
            .filter_map(|key| self.under(key, Some(request.token)))
            .find(|number| self.entry(*number).is_some_and(fits));
        match keyed {
            Some(number) => Meant::One(number),
            None => self.meant_by_references(card, clues, fits),
        }
    }

    /// What an advice means: its keys, then its references.
    pub(crate) fn original_of_advice(
        &self,
        message: &Authorization,
        direction: Direction,
    ) -> Meant {
        let own = |class| MessageKey { class, ..message.key };
        let mut keys: Vec<MessageKey> = message.original.into_iter().collect();
        keys.push(own(message.key.class.of_request()));
        keys.push(own(MessageClass::Authorization));
        if let Some(number) = keys.iter().find_map(|key| self.under(key, Some(message.token))) {
            return Meant::One(number);
        }
        let Some(card) = self.card_of(message.token) else { return Meant::Nothing };
        let financial = message.key.class == MessageClass::FinancialAdvice;
        let (references, amount) = (message.references, Some(message.transaction.amount.0));
        self.meant_by_references(card, Clues { references, amount }, |entry| {
            let class = match entry.key.class {
                MessageClass::Authorization | MessageClass::AuthorizationAdvice => true,
                MessageClass::Financial => financial,
                MessageClass::FinancialAdvice
                | MessageClass::Reversal
                | MessageClass::FileAction
                | MessageClass::NegativeAcknowledgement => false,
            };
            let own = entry.base.is_none() || entry.is_open();
            class && entry.moved() && own && entry.direction == direction
        })
    }

    /// What a reversal takes back.
    pub(crate) fn original_of_reversal(&self, reversal: &Reversal) -> Meant {
        let (original, token) = (&reversal.original, reversal.token);
        if !original.class.is_reversible() {
            return Meant::Nothing;
        }
        let other = match original.class.of_request() {
            MessageClass::Financial => MessageClass::Authorization,
            MessageClass::Authorization
            | MessageClass::Reversal
            | MessageClass::AuthorizationAdvice
            | MessageClass::FinancialAdvice
            | MessageClass::FileAction
            | MessageClass::NegativeAcknowledgement => MessageClass::Financial,
        };
        let other = MessageKey { class: other, ..*original };
        let named = self.under(original, token).or_else(|| self.under(&other, token));
        if let Some(number) = named {
            // An advice that changed another message stands for that one.
            let found = self.entry(number).unwrap();
            let advice = found.key.class != found.key.class.of_request();
            let idle = found.state == TransactionState::Answered && !found.still_adds();
            let base = found.base.filter(|base| advice && idle && self.entry(*base).is_some());
            return Meant::One(base.unwrap_or(number));
        }
        let Some(card) = token.and_then(|token| self.card_of(token)) else {
            return Meant::Nothing;
        };
        let financial = original.class.of_request() == MessageClass::Financial;
        let amount = reversal.transaction.map(|amount| amount.0);
        let clues = Clues { references: reversal.references, amount };
        let fits = |entry: &Entry| {
            let clearing = entry.key.class == MessageClass::FinancialAdvice && entry.base.is_some();
            entry.key.class.is_reversible() && entry.moved() && (financial || !clearing)
        };
        let meant = self.found_by_references(card, clues, fits, true);
        let Meant::One(number) = meant else { return meant };
        // Another trace and another amount: another message, which has yet to come.
        let found = self.entry(number).unwrap();
        let names_another = original.stan != reversal.key.stan && original.stan != found.key.stan;
        let partly = found.decision.reason == Reason::ApprovedPartially;
        let differs = amount.is_some_and(|amount| amount != found.requested);
        if names_another && differs && !partly { Meant::Nothing } else { meant }
    }
}
