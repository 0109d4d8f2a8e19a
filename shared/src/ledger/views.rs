//! What a query sees: state at one instant, as the control link carries it; and the full audit of
//! all sums.

use super::{Card, Ledger};
use crate::balance::Balance;
use crate::books::{Book, Imbalance, wide};
use crate::command::{Authorization, MessageKey};
use crate::control::{
    BalanceView, CardView, EXCEPTIONS_A_VIEW_MAX, PartnerBalanceView, Query, Question, RuleView,
    StatusView, TotalView, View,
};
use crate::credential::{Pvv, Stored};
use crate::effect::{BalanceSlot, TransactionSlot};
use crate::ids::{BalanceId, CardId, ConfigId, CustomerId, Sequence};
use crate::money::{Amount, Currency};
use crate::pan::PanToken;
use hashbrown::HashMap;

impl Ledger {
    /// Answers a query; `None` where there is no such thing.
    #[must_use]
    pub fn view(&self, query: Query) -> Option<View> {
        match query {
            Query::Balance(id) => {
                let balance = self.balances.get(id).filter(|balance| !balance.closed)?;
                Some(View::Balance(self.balance_view(balance)))
            }
            Query::Card(id) => self.card_view_of(id).map(View::Card),
            Query::PartnerBalance(id) => {
                let row = self.partner_balances.get(id)?;
                Some(View::PartnerBalance(PartnerBalanceView {
                    id: row.id,
                    partner: row.partner,
                    kind: row.kind,
                    currency: row.currency,
                    ledger: row.funds.ledger,
                    held: row.funds.held,
                }))
            }
            Query::Rules(subject) => {
                let slots = self.rules.of(subject).iter();
                let rows = slots.filter_map(|slot| self.rules.row(*slot));
                let views = rows.map(|row| {
                    let (spent, count) = row.used(self.last.at);
                    RuleView { rule: row.rule.clone(), spent, count }
                });
                Some(View::Rules(views.collect()))
            }
            Query::Exceptions { after } => {
                let later = self.exceptions.iter().filter(|entry| entry.sequence > after);
                Some(View::Exceptions(later.take(EXCEPTIONS_A_VIEW_MAX).copied().collect()))
            }
            Query::Status => Some(View::Status(StatusView {
                last_sequence: self.last.sequence,
                state_hash: self.state_hash(),
            })),
            // The state that there is now does not say how the one before came about, nor what
            // time it is.
            Query::Retold(_) | Query::Clock => None,
            Query::Totals => {
                let totals = self.books.all().map(|(currency, book)| TotalView {
                    currency,
                    users: book.users,
                    partners: book.partners,
                    company: book.fees,
                    invoiced: -book.invoiced,
                    partner_held: book.partner_held,
                    bank_transfers: -book.iban_technical,
                });
                Some(View::Totals(totals.collect()))
            }
        }
    }

    /// What the partner is asked for `message`, which waits at this place.
    #[must_use]
    pub fn question(&self, slot: TransactionSlot, message: &Authorization) -> Option<Question> {
        let waiting = *self.transactions.get(slot)?;
        let card = self.card_at(waiting.card?)?;
        let program = self.program_at(card.program)?;
        let balance = self.balance(card.balance)?;
        let adds_to = self.transactions.base_of(&waiting);
        Some(Question {
            message: *message,
            adds_to: adds_to.map(|(_, base)| (base.id, base.at)),
            program: program.program.id,
            partner: program.program.partner,
            customer: self.holder(balance.customer)?.id,
            balance: balance.id,
            card: card.id,
            waiting,
        })
    }

    /// Where the request at a place was asked for, and under which key.
    #[must_use]
    pub fn asked_at(&self, slot: TransactionSlot) -> Option<(MessageKey, Sequence)> {
        self.transactions.get(slot).map(|entry| (entry.key, entry.id))
    }

    /// Whether the partner is still asked for what was asked for at `id`, at this place.
    #[must_use]
    pub fn is_asked(&self, slot: TransactionSlot, id: Sequence) -> bool {
        self.asked.contains_key(&slot) && self.asked_at(slot).is_some_and(|(_, of)| of == id)
    }

    /// What a card's credentials are verified against. An unknown card has nothing, and costs as
    /// much to verify.
    #[must_use]
    pub fn verified_against(&self, token: PanToken) -> Stored {
        self.card_of(token).map_or(Stored::NONE, |(_, card)| Stored {
            pvv: card.pvv.unwrap_or(Pvv::NONE),
            cvv2_generation: card.cvv2_generation,
            expiry: card.expiry,
        })
    }

    /// The card of a token: its id.
    #[must_use]
    pub fn card_id_of(&self, token: PanToken) -> Option<CardId> {
        self.card_of(token).map(|(_, card)| card.id)
    }

    /// Every open user balance: id, currency, booked, held.
    pub fn balances(&self) -> impl Iterator<Item = (BalanceId, Currency, Amount, Amount)> {
        self.balances
            .rows
            .iter()
            .filter(|row| !row.closed)
            .map(|row| (row.id, row.currency, row.funds.ledger, row.funds.held))
    }

    /// The sums of a currency.
    #[must_use]
    pub fn book(&self, currency: Currency) -> Option<Book> {
        self.books.all().find(|(found, _)| *found == currency).map(|(_, book)| *book)
    }

    /// How many cards, and how many transactions are kept.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.cards.len(), self.transactions.len())
    }

    /// Adds up every balance and every hold anew and compares them with the running sums, in time
    /// proportional to the state: at start, in verification and in tests.
    pub fn audit(&self) -> Result<(), Imbalance> {
        let mut sums: HashMap<Currency, Book, foldhash::fast::FixedState> = HashMap::default();
        let mut held: HashMap<u32, i128, foldhash::fast::FixedState> = HashMap::default();
        for row in &self.balances.rows {
            let sum = sums.entry(row.currency).or_default();
            sum.users += wide(row.funds.ledger);
            sum.users_held += wide(row.funds.held);
        }
        for row in &self.partner_balances.rows {
            let sum = sums.entry(row.currency).or_default();
            sum.partners += wide(row.funds.ledger);
            sum.deposits_held += wide(row.funds.held);
        }
        for (_, entry) in self.transactions.all() {
            if let Some(balance) = entry.balance {
                *held.entry(balance.0).or_default() += wide(entry.held());
            }
        }
        for (slot, reserved) in self.fees.all_reserved() {
            let balance = self.transactions.get(slot).and_then(|entry| entry.balance);
            if let Some(balance) = balance {
                *held.entry(balance.0).or_default() += wide(reserved);
            }
        }
        for (slot, row) in (0_u32..).zip(&self.balances.rows) {
            let open = held.get(&slot).copied().unwrap_or_default();
            if open != wide(row.funds.held) {
                return Err(Imbalance::UserHolds(row.currency, wide(row.funds.held), open));
            }
        }
        self.books.check()?;
        for (currency, book) in self.books.all() {
            let sum = sums.get(&currency).copied().unwrap_or_default();
            for (found, said) in [
                (sum.users, book.users),
                (sum.partners, book.partners),
                (sum.users_held, book.users_held),
                (sum.deposits_held, book.deposits_held),
            ] {
                if found != said {
                    return Err(Imbalance::Balances(currency, found, said));
                }
            }
        }
        Ok(())
    }

    fn balance_view(&self, balance: &Balance) -> BalanceView {
        let mut cards = Vec::with_capacity(balance.cards as usize);
        let mut next = balance.last_card;
        while let Some(card) = next.and_then(|slot| self.cards.at(slot)) {
            cards.extend(self.card_view(card));
            next = card.earlier;
        }
        cards.reverse();
        BalanceView {
            id: balance.id,
            customer: self.holder(balance.customer).map_or(CustomerId(0), |row| row.id),
            currency: balance.currency,
            ledger: balance.funds.ledger,
            held: balance.funds.held,
            owed: self.owed_by(balance.id),
            entrusted: balance.entrusted,
            blocked: balance.blocked,
            cards,
            carded: balance.carded,
        }
    }

    fn owed_by(&self, balance: BalanceId) -> Amount {
        let slot = self.balances.slot(balance).map(BalanceSlot);
        let owed = slot.map_or(&[][..], |slot| self.fees.owed_by(slot));
        owed.iter().fold(Amount::ZERO, |sum, (_, one)| Amount(sum.0.saturating_add(one.0)))
    }

    fn card_view_of(&self, id: CardId) -> Option<CardView> {
        let slot = self.cards_by_id.get(&id)?;
        self.card_view(self.cards.at(*slot)?)
    }

    fn card_view(&self, card: &Card) -> Option<CardView> {
        Some(CardView {
            id: card.id,
            program: self.program_at(card.program).map_or(ConfigId(0), |row| row.program.id),
            balance: self.balance(card.balance)?.id,
            state: card.state,
            lock: card.lock,
            expiry: card.expiry,
            cvv2_generation: card.cvv2_generation,
            pin_tries: card.pin_tries,
            has_pin: card.pvv.is_some(),
        })
    }
}
