//! The core and the model side by side: what is compared after each command, and what now and
//! then.

use std::collections::VecDeque;

use shared::command::Command;
use shared::control::{Query, View};
use shared::effect::{Effect, Transaction, TransactionState};
use shared::ids::{Sequence, Timestamp};
use shared::journal_record::{Answer, Record, RecordRef};
use shared::ledger::{Ledger, Stamp};
use shared::limits::{Limits, PRODUCTION};

use crate::state::{Entry, Model};

/// Everything is compared after so many commands; after each of them, what it touched.
const EVERYTHING_EVERY: u64 = 64;

/// Core, model, and the core twice more: fed with records.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) ledger: Ledger,
    pub(crate) model: Model,
    /// Applies effects alone, under larger bounds.
    replayed: Ledger,
    /// Decides every record again.
    verified: Ledger,
    pub(crate) effects: Vec<Effect>,
    /// The transactions as the effects tell of them, by slot.
    told: Vec<Option<Transaction>>,
    /// Records that the other two have yet to see.
    bytes: Vec<u8>,
    ends: VecDeque<usize>,
    steps: u64,
}

type Difference = String;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, core: T, model: T) -> Result<(), Difference> {
    if core == model {
        return Ok(());
    }
    Err(format!("{what}\n  core:  {core:?}\n  model: {model:?}"))
}

impl Bench {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            ledger: Ledger::new(limits),
            model: Model::new(limits),
            replayed: Ledger::new(PRODUCTION),
            verified: Ledger::new(limits),
            effects: Vec::new(),
            told: Vec::new(),
            bytes: Vec::new(),
            ends: VecDeque::new(),
            steps: 0,
        }
    }

    /// One command through core and model.
    pub(crate) fn step(
        &mut self,
        command: &Command,
        now: Timestamp,
    ) -> Result<(Stamp, Answer), Difference> {
        let (stamp, answer) = self.ledger.apply(command, now, &mut self.effects);
        let expected = self.model.step(command, now);
        same("answer", answer, expected)?;
        self.journal(stamp, command, answer);
        self.compare_touched()?;
        self.steps += 1;
        if self.steps.is_multiple_of(EVERYTHING_EVERY) {
            self.compare_everything()?;
        }
        Ok((stamp, answer))
    }

    fn journal(&mut self, stamp: Stamp, command: &Command, answer: Answer) {
        let Stamp { sequence, at } = stamp;
        let effects = self.effects.as_slice();
        RecordRef { sequence, at, command, effects, answer }.encode(&mut self.bytes);
        self.ends.push_back(self.bytes.len());
    }

    /// Reads the journal back into the two others.
    fn read_back(&mut self) -> Result<(), Difference> {
        let mut start = 0;
        for end in self.ends.drain(..) {
            let record = Record::decode(&self.bytes[start..end]).unwrap();
            self.replayed.replay(&record).map_err(|error| format!("replay: {error}"))?;
            self.verified.verify(&record).map_err(|error| format!("verify: {error}"))?;
            start = end;
        }
        self.bytes.clear();
        let hash = self.ledger.state_hash();
        same("hash of the replayed ledger", self.replayed.state_hash(), hash)?;
        same("hash of the verified ledger", self.verified.state_hash(), hash)
    }

    /// Follows the effects, and compares the transactions that they name.
    fn compare_touched(&mut self) -> Result<(), Difference> {
        let mut touched = Vec::with_capacity(8);
        let effects = std::mem::take(&mut self.effects);
        for effect in &effects {
            let slot = self.follow(effect);
            touched.extend(slot);
        }
        self.effects = effects;
        for place in touched {
            if let Some(told) = self.told[place] {
                self.compare_transaction(&told)?;
            }
        }
        let asked = self.model.entries.iter();
        let asked = asked.filter(|entry| entry.state == TransactionState::Asked).count();
        same("open questions", self.ledger.questions(), asked)?;
        same("transactions kept", self.ledger.sizes().1, self.model.entries.len())?;
        let next = self.ledger.next_expiry().map(|at| at.0);
        let open = self.model.entries.iter().filter(|entry| entry.ends());
        same("next expiry", next, open.map(|entry| entry.expires_at).min())?;
        self.compare_balances()
    }

    fn follow(&mut self, effect: &Effect) -> Option<usize> {
        let told = &mut self.told;
        let at = |slot: &shared::effect::TransactionSlot| slot.index();
        match effect {
            Effect::Remembered(slot, entry) => {
                if at(slot) >= told.len() {
                    told.resize(at(slot) + 1, None);
                }
                told[at(slot)] = Some(*entry);
                Some(at(slot))
            }
            Effect::Forgotten(slot) => {
                told[at(slot)] = None;
                None
            }
            Effect::Raised { transaction, amount, requested, until } => {
                let entry = told[at(transaction)].as_mut()?;
                entry.authorised.0 += amount.0;
                entry.requested.0 += requested.0;
                entry.expires_at = *until;
                Some(at(transaction))
            }
            Effect::Released(slot, amount) => {
                told[at(slot)].as_mut()?.released.0 += amount.0;
                Some(at(slot))
            }
            Effect::Captured(slot, amount) | Effect::Settled(slot, amount) => {
                told[at(slot)].as_mut()?.captured.0 += amount.0;
                Some(at(slot))
            }
            Effect::Returned(slot, amount) => {
                told[at(slot)].as_mut()?.returned.0 += amount.0;
                Some(at(slot))
            }
            Effect::Closed(slot, state) => {
                told[at(slot)].as_mut()?.state = *state;
                Some(at(slot))
            }
            Effect::Decided { transaction, decision, state, until } => {
                let entry = told[at(transaction)].as_mut()?;
                (entry.decision, entry.state, entry.expires_at) = (*decision, *state, *until);
                Some(at(transaction))
            }
            Effect::PartnerPut(_)
            | Effect::ProgramPut(_)
            | Effect::CustomerPut { .. }
            | Effect::BalanceOpened { .. }
            | Effect::PartnerBalanceOpened { .. }
            | Effect::CardIssued(_)
            | Effect::BalanceClosed(_)
            | Effect::BalanceCovered(..)
            | Effect::CardChanged(..)
            | Effect::RulePut(..)
            | Effect::RuleRemoved(_)
            | Effect::RuleCharged { .. }
            | Effect::RuleGivenBack { .. }
            | Effect::ExceptionRaised(_)
            | Effect::ExceptionResolved(_)
            | Effect::Posted { .. }
            | Effect::CommandRemembered(..)
            | Effect::CommandForgotten
            | Effect::FeePut(_)
            | Effect::FeeRemoved(..)
            | Effect::FeeSet { .. }
            | Effect::FeeCharged { .. }
            | Effect::CustodyPut(..)
            | Effect::BalanceEntrusted(_)
            | Effect::BalanceBlocked(..)
            | Effect::CountsPut(_)
            | Effect::Asked(..) => None,
        }
    }

    fn compare_transaction(&self, told: &Transaction) -> Result<(), Difference> {
        let Some(entry) = self.model.known(&told.key) else {
            return Err(format!("the model does not remember {told:?}"));
        };
        let core = (told.state, told.flagged, told.decision, told.at.0, told.id.0);
        let model = (entry.state, entry.flagged, entry.decision, entry.at, entry.sequence);
        same("state, flag, decision, time, id", core, model)?;
        if entry.moved() {
            same("direction", told.direction, entry.direction)?;
        }
        let core = [told.authorised.0, told.captured.0, told.released.0, told.returned.0];
        same("authorised, captured, released, returned", core, entry.amounts())?;
        same("asked for", told.requested.0, entry.requested)?;
        if entry.ends() {
            same("expires at", told.expires_at.0, entry.expires_at)?;
        }
        Ok(())
    }

    fn compare_balances(&self) -> Result<(), Difference> {
        let open = self.model.users.iter().filter(|user| !user.closed);
        let mut expected = open.map(|user| (user.id, user.currency, user.ledger, user.held));
        for (id, currency, ledger, held) in self.ledger.balances() {
            let core = Some((id, currency, ledger.0, held.0));
            same("balance, booked, held", core, expected.next())?;
        }
        same("balances", None, expected.next())?;
        for user in self.model.users.iter().filter(|user| !user.closed && !user.owed.is_empty()) {
            let view = self.ledger.view(Query::Balance(user.id)).and_then(View::into_balance);
            let owed = user.owed.iter().map(|(_, amount)| amount).sum();
            same("owed", view.map(|view| view.owed.0), Some(owed))?;
        }
        for pot in &self.model.pots {
            let Some(View::PartnerBalance(view)) = self.ledger.view(Query::PartnerBalance(pot.id))
            else {
                return Err(format!("partner balance {} is missing", pot.id));
            };
            let core = (view.ledger.0, view.held.0);
            same("partner balance, booked, held", core, (pot.ledger, pot.held))?;
        }
        let after = Sequence(self.model.sequence - 1);
        let raised = self.model.exceptions.iter().rev();
        let mut raised: Vec<_> =
            raised.take_while(|entry| entry.sequence > after).copied().collect();
        raised.reverse();
        same(
            "raised",
            self.ledger.view(Query::Exceptions { after }),
            Some(View::Exceptions(raised)),
        )
    }

    /// Cards, rules, exceptions, books, every transaction; and the journal read back.
    pub(crate) fn compare_everything(&mut self) -> Result<(), Difference> {
        self.read_back()?;
        self.ledger.audit().map_err(|imbalance| imbalance.to_string())?;
        for told in self.told.iter().flatten() {
            self.compare_transaction(told)?;
        }
        self.compare_cards()?;
        self.compare_rules()?;
        self.compare_books()?;
        let first = self.model.exceptions.iter().take(shared::control::EXCEPTIONS_A_VIEW_MAX);
        let first = Some(View::Exceptions(first.copied().collect()));
        let after = Sequence(0);
        same("exception queue", self.ledger.view(Query::Exceptions { after }), first)
    }

    pub(crate) fn compare_cards(&self) -> Result<(), Difference> {
        for card in &self.model.cards {
            let Some(View::Card(view)) = self.ledger.view(Query::Card(card.id)) else {
                return Err(format!("card {} is missing", card.id));
            };
            let core = (view.state, view.lock, view.expiry, view.pin_tries, view.has_pin);
            let model = (card.state, card.lock, card.expiry, card.wrong_pins, card.pin.is_some());
            same("card's state, lock, month, wrong PINs, PIN", core, model)?;
            same("generation", view.cvv2_generation, card.generation)?;
        }
        for (place, user) in self.model.users.iter().enumerate().filter(|(_, user)| !user.closed) {
            let view = self.ledger.view(Query::Balance(user.id)).and_then(View::into_balance);
            let core = view.into_iter().flat_map(|view| view.cards).map(|card| card.id);
            let model = self.model.living_cards(place);
            same("cards of a balance", core.collect::<Vec<_>>(), model.collect())?;
        }
        same("cards", self.ledger.sizes().0, self.model.cards.len())
    }

    fn compare_rules(&self) -> Result<(), Difference> {
        for limit in &self.model.rules {
            let subject = limit.rule.subject;
            let Some(View::Rules(views)) = self.ledger.view(Query::Rules(subject)) else {
                return Err("no answer to a query for rules".to_owned());
            };
            let of_subject = self.model.rules.iter().filter(|l| l.rule.subject == subject);
            let mut expected = of_subject.map(|limit| {
                let (spent, payments) = limit.used(self.model.now);
                (limit.rule.clone(), spent, payments)
            });
            for view in views {
                let core = (view.rule, view.spent.0, view.count);
                same("rule, spent, payments", Some(core), expected.next())?;
            }
            same("rules", None, expected.next())?;
        }
        Ok(())
    }

    fn compare_books(&self) -> Result<(), Difference> {
        for (currency, sums) in &self.model.sums {
            let Some(book) = self.ledger.book(*currency) else {
                return Err(format!("no book of {currency}"));
            };
            let core = [
                book.funding,
                book.settlement,
                book.receivable,
                book.users_cover,
                book.partner_settlement,
                book.bank,
                book.fees,
                book.invoiced,
                book.partner_held,
                book.iban_technical,
            ];
            let model = [
                sums.funding,
                sums.settlement,
                sums.receivable,
                sums.users_cover,
                sums.partner_settlement,
                sums.bank,
                sums.fees,
                sums.invoiced,
                sums.partner_held,
                sums.iban_technical,
            ];
            same("sums of the books", core, model.map(i128::from))?;
        }
        Ok(())
    }
}

impl Entry {
    fn amounts(&self) -> [i64; 4] {
        [self.authorised, self.captured, self.released, self.returned]
    }
}
