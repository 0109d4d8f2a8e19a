//! The transactions as their effects tell them, kept beside the ledger: what a table asks of one
//! transaction is read here.

use std::collections::BTreeMap;

use shared::command::MessageKey;
use shared::effect::{Effect, RuleSlot, Transaction, TransactionSlot, TransactionState};
use shared::money::Amount;

#[derive(Default)]
pub(super) struct Shadow {
    transactions: BTreeMap<TransactionSlot, Transaction>,
    /// Where the period begins that a rule counts.
    windows: BTreeMap<RuleSlot, u64>,
}

impl Shadow {
    /// Follows one message; what it gives back must be of the period that the rule counted then.
    pub(super) fn follow(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::RuleGivenBack { rule, window_start, .. } = effect {
                assert_eq!(self.windows.get(rule), Some(window_start), "a period that is over");
            }
        }
        effects.iter().for_each(|effect| self.follow_one(effect));
    }

    /// Every change of state must be one that the life of a transaction has.
    fn follow_one(&mut self, effect: &Effect) {
        match effect {
            Effect::Remembered(slot, entry) => {
                assert!(
                    self.transactions.insert(*slot, *entry).is_none(),
                    "slot {slot:?} is taken"
                );
            }
            Effect::Forgotten(slot) => {
                let gone = self.transactions.remove(slot).expect("it was remembered");
                assert_eq!(gone.open(), Amount::ZERO, "an open hold is never forgotten");
            }
            Effect::Raised { transaction, amount, requested, until } => {
                let entry = self.of(*transaction);
                entry.authorised.0 += amount.0;
                entry.requested.0 += requested.0;
                entry.expires_at = *until;
            }
            Effect::Released(slot, amount) => self.of(*slot).released.0 += amount.0,
            Effect::Captured(slot, amount) => {
                self.of(*slot).captured.0 += amount.0;
            }
            Effect::Settled(slot, amount) => self.of(*slot).captured.0 += amount.0,
            Effect::Returned(slot, amount) => self.of(*slot).returned.0 += amount.0,
            Effect::Closed(slot, state) => {
                let entry = self.of(*slot);
                assert!(entry.state.may_become(*state), "{:?} to {state:?}", entry.state);
                assert_eq!(entry.open(), Amount::ZERO, "what is closed holds nothing");
                entry.state = *state;
            }
            Effect::Decided { transaction, decision, state, until } => {
                let entry = self.of(*transaction);
                assert!(entry.state.may_become(*state), "{:?} to {state:?}", entry.state);
                (entry.decision, entry.state, entry.expires_at) = (*decision, *state, *until);
            }
            Effect::RuleCharged { rule, window, .. } => {
                self.windows.insert(*rule, window.start);
            }
            Effect::PartnerPut(_)
            | Effect::ProgramPut(_)
            | Effect::CustomerPut { .. }
            | Effect::BalanceOpened { .. }
            | Effect::BalanceClosed(_)
            | Effect::BalanceCovered(..)
            | Effect::PartnerBalanceOpened { .. }
            | Effect::CardIssued(_)
            | Effect::CardChanged(..)
            | Effect::RulePut(..)
            | Effect::RuleRemoved(_)
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
            | Effect::Asked(..) => {}
        }
    }

    fn of(&mut self, slot: TransactionSlot) -> &mut Transaction {
        self.transactions.get_mut(&slot).expect("it was remembered")
    }

    /// `State authorised/captured/released/returned`, and the flag where there is one.
    pub(super) fn tell(&self, key: &MessageKey) -> String {
        let Some(entry) = self.transactions.values().find(|entry| entry.key == *key) else {
            return "none".to_owned();
        };
        let Transaction { state, authorised, captured, released, returned, .. } = entry;
        let flag = entry.flagged.map_or(String::new(), |reason| format!(" {reason:?}"));
        let moved = [authorised, captured, released, returned].iter().any(|a| a.0 != 0);
        if moved || *state == TransactionState::Authorized {
            format!("{state:?} {authorised}/{captured}/{released}/{returned}{flag}")
        } else {
            format!("{state:?}{flag}")
        }
    }
}
