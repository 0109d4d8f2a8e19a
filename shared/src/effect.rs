//! Every change of state, as the journal holds it. Recovery applies effects and nothing else, so
//! that a later version of the rules cannot change history. Source: durability 1.
//!
//! Effects name what they touch by slot: places in the ledger's tables, given out in order and
//! the same on every replay.

use serde::{Deserialize, Serialize};

use crate::action_code::Reason;
use crate::card::CardState;
use crate::command::{MessageKey, NewCard, PartnerBalanceKind, Program};
use crate::control::Outcome;
use crate::ids::{
    BalanceId, CommandId, CustomerId, PartnerBalanceId, PartnerId, Sequence, Timestamp,
};
use crate::lock_code::Lock;
use crate::money::{Amount, Currency};

macro_rules! slot {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl $name {
            /// The place as an index.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

slot! {
    /// Place of a card.
    CardSlot
}
slot! {
    /// Place of a user balance.
    BalanceSlot
}
slot! {
    /// Place of a partner balance.
    PartnerBalanceSlot
}
slot! {
    /// Place of a transaction: a key and what was answered to it.
    TransactionSlot
}

/// The answer to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Why.
    pub reason: Reason,
    /// DE38, six digits; `None` unless approved.
    pub approval: Option<ApprovalCode>,
}

/// DE38: six digits, never all zeros, which networks read as none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ApprovalCode(pub u32);

impl ApprovalCode {
    /// The code of the approval decided at `sequence`.
    #[must_use]
    pub fn of(sequence: Sequence) -> Self {
        Self(u32::try_from(sequence.0.saturating_sub(1) % 999_999 + 1).unwrap_or_default())
    }

    /// The six characters on the wire.
    #[must_use]
    pub fn wire(self) -> [u8; 6] {
        let mut rest = self.0;
        let mut text = [b'0'; 6];
        for digit in text.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        text
    }
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TransactionState {
    /// Approved; its hold is open.
    Authorized,
    /// Declined, or a reversal that was answered: kept for repeats only.
    Answered,
    /// Approved once, taken back since.
    Reversed,
    /// Approved once, its answer never left.
    Voided,
    /// Reversed before it came.
    Tombstone,
}

/// A key, what was answered to it, and the hold it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// The message's key.
    pub key: MessageKey,
    /// Fingerprint of its content, to tell a repeat from a collision.
    pub content: u64,
    /// The command that created it.
    pub id: Sequence,
    /// When.
    pub at: Timestamp,
    /// Where it stands.
    pub state: TransactionState,
    /// What was answered.
    pub decision: Decision,
    /// The card, where one was found.
    pub card: Option<CardSlot>,
    /// The user balance that is held on.
    pub balance: Option<BalanceSlot>,
    /// The partner deposit that is held on.
    pub deposit: Option<PartnerBalanceSlot>,
    /// What was asked for, in the transaction's own currency: the base of a partial reversal.
    pub requested: Amount,
    /// What was approved, in the balance's currency.
    pub authorised: Amount,
    /// What of it was released.
    pub released: Amount,
}

impl Transaction {
    /// What is still held.
    #[must_use]
    pub fn open(&self) -> Amount {
        match self.state {
            TransactionState::Authorized => Amount(self.authorised.0 - self.released.0),
            TransactionState::Answered
            | TransactionState::Reversed
            | TransactionState::Voided
            | TransactionState::Tombstone => Amount::ZERO,
        }
    }
}

/// One account of the two books. Source: authorization 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Account {
    /// User book: a user balance.
    User(BalanceSlot),
    /// User book: where top-ups come from.
    Funding,
    /// Collateral book: a partner's deposit or credit balance.
    Partner(PartnerBalanceSlot),
    /// Collateral book: what stands behind the users' money.
    UsersCover,
    /// Collateral book: where partner money comes from.
    Bank,
}

/// One change of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// A partner is known.
    PartnerPut(PartnerId),
    /// A program is as given.
    ProgramPut(Program),
    /// A cardholder's flags are as given.
    CustomerPut {
        /// Who.
        id: CustomerId,
        /// Identity check succeeded.
        verified: bool,
        /// Anti-money-laundering lock.
        aml_locked: bool,
    },
    /// A user balance was opened at the next slot.
    BalanceOpened {
        /// Its id.
        id: BalanceId,
        /// Its holder.
        customer: CustomerId,
        /// Its currency.
        currency: Currency,
    },
    /// A partner balance was opened at the next slot.
    PartnerBalanceOpened {
        /// Its id.
        id: PartnerBalanceId,
        /// Its owner.
        partner: PartnerId,
        /// Its kind.
        kind: PartnerBalanceKind,
        /// Its currency.
        currency: Currency,
    },
    /// A card was issued at the next slot.
    CardIssued(NewCard),
    /// A user balance was closed.
    BalanceClosed(BalanceSlot),
    /// Top-ups of this balance are charged to this partner's credit balance from now on.
    BalanceCovered(BalanceSlot, PartnerId),
    /// A card's state changed.
    CardStateSet(CardSlot, CardState),
    /// A card was locked.
    LockSet(CardSlot, Lock),
    /// A card's lock was lifted.
    LockCleared(CardSlot),
    /// Money moved between two accounts of one book.
    Posted {
        /// Loses the amount.
        from: Account,
        /// Gains the amount.
        to: Account,
        /// How much, more than zero.
        amount: Amount,
        /// In what.
        currency: Currency,
    },
    /// A key and its answer are remembered at this slot; where authorized, its hold is placed on
    /// balance and deposit.
    Remembered(TransactionSlot, Transaction),
    /// This much of a hold was given back on both sides.
    Released(TransactionSlot, Amount),
    /// A transaction's state changed; it holds nothing any more.
    Closed(TransactionSlot, TransactionState),
    /// A slot past its retention was freed.
    Forgotten(TransactionSlot),
    /// A command id and its outcome are remembered.
    CommandRemembered(CommandId, Outcome),
    /// The oldest remembered command id was freed.
    CommandForgotten,
}
