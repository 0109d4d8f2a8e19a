//! Every change of state, as the journal holds it. Recovery applies effects and nothing else, so
//! that a later version of the rules cannot change history. Source: durability 1.
//!
//! Effects name what they touch by slot: places in the ledger's tables, given out in order and
//! the same on every replay.

use serde::{Deserialize, Serialize};

use crate::action_code::Reason;
use crate::books::Account;
use crate::card::{CardState, YearMonth};
use crate::command::{Counts, Custody, MessageKey, NewCard, PartnerBalanceKind, Program};
use crate::control::Outcome;
use crate::credential::Pvv;
use crate::fee::{ChargedFee, Fee, Payer};
use crate::ids::{
    BalanceId, CommandId, ConfigId, CustomerId, FeeId, PartnerBalanceId, PartnerId, Sequence,
    Timestamp,
};
use crate::lock_code::{Lock, LockSource};
use crate::money::{Amount, Currency};
use crate::rule::{Rule, Window};

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
slot! {
    /// Place of a cardholder.
    CustomerSlot
}
slot! {
    /// Place of a rule.
    RuleSlot
}

/// The answer to a message, as it is stored and told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Why.
    pub reason: Reason,
    /// DE38, six digits; `None` unless approved.
    pub approval: Option<ApprovalCode>,
    /// What the answer carries besides.
    pub detail: Detail,
}

impl Decision {
    /// An answer that carries its reason alone.
    #[must_use]
    pub const fn bare(reason: Reason) -> Self {
        Self { reason, approval: None, detail: Detail::None }
    }
}

/// What an answer carries besides its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    /// Nothing.
    None,
    /// The part that was approved (DE4, DE6).
    Partial {
        /// In the transaction's currency.
        transaction: Amount,
        /// In the currency that the holder is billed in.
        billed: Amount,
    },
    /// The holder's money (DE54), in the balance's currency.
    Balances {
        /// Booked.
        ledger: Amount,
        /// What can be spent.
        available: Amount,
        /// Of the balance.
        currency: Currency,
    },
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
    /// Approved; its hold, or its pending credit, is open.
    Authorized,
    /// Booked: a financial message, or a clearing.
    Posted,
    /// Answered and without money of its own: declines, inquiries, reversals, what adds to another.
    Answered,
    /// A hold whose final clearing came.
    Cleared,
    /// A hold past its lifetime.
    Expired,
    /// Taken back by its sender.
    Reversed,
    /// Approved once, its answer never left.
    Voided,
    /// Reversed before it came.
    Tombstone,
    /// The partner that keeps the holder's money is asked for it; held until that is decided.
    Asked,
}

impl TransactionState {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Authorized,
        Self::Posted,
        Self::Answered,
        Self::Cleared,
        Self::Expired,
        Self::Reversed,
        Self::Voided,
        Self::Tombstone,
        Self::Asked,
    ];

    /// The life of a transaction: whether one that stands here may come to stand at `next`.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Authorized, Self::Cleared | Self::Expired)
                | (Self::Authorized | Self::Posted, Self::Voided)
                | (
                    Self::Authorized
                        | Self::Posted
                        | Self::Answered
                        | Self::Cleared
                        | Self::Expired,
                    Self::Reversed
                )
                | (Self::Answered, Self::Voided)
                | (
                    Self::Asked,
                    Self::Authorized
                        | Self::Posted
                        | Self::Answered
                        | Self::Reversed
                        | Self::Voided
                )
        )
    }

    /// Whether a message under this key was taken back, so that it is declined when it comes again.
    #[must_use]
    pub const fn is_taken_back(self) -> bool {
        match self {
            Self::Reversed | Self::Voided | Self::Tombstone => true,
            Self::Authorized
            | Self::Posted
            | Self::Answered
            | Self::Cleared
            | Self::Expired
            | Self::Asked => false,
        }
    }
}

/// Which way a transaction's money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// From the holder.
    Debit,
    /// To the holder.
    Credit,
}

/// A key, its answer, and the money that it holds or moved, in the balance's currency, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// The message's key.
    pub key: MessageKey,
    /// Fingerprint of its content, to tell a repeat from a collision.
    pub content: u64,
    /// Fingerprint of the network's life-cycle id; 0 for none.
    pub life_cycle: u64,
    /// Fingerprint of DE37 and DE41; 0 for none.
    pub retrieval: u64,
    /// The command that created it.
    pub id: Sequence,
    /// When.
    pub at: Timestamp,
    /// Where it stands.
    pub state: TransactionState,
    /// Which way its money goes.
    pub direction: Direction,
    /// What was answered.
    pub decision: Decision,
    /// The check that an advice did not pass: it counts all the same.
    pub flagged: Option<Reason>,
    /// The card, where one was found.
    pub card: Option<CardSlot>,
    /// The user balance that is held or posted on.
    pub balance: Option<BalanceSlot>,
    /// The partner balance that goes along with it.
    pub deposit: Option<PartnerBalanceSlot>,
    /// The currency of its amounts: the balance's, or the billed one where there is no balance.
    pub currency: Currency,
    /// The transaction that it adds to, clears, adjusts or takes back.
    pub base: Option<TransactionSlot>,
    /// Whether it is the base of a later one: the network knows of it.
    pub spoken_of: bool,
    /// What was asked for, in the transaction's own currency: the base of a partial reversal.
    pub requested: Amount,
    /// What was approved.
    pub authorised: Amount,
    /// What was posted.
    pub captured: Amount,
    /// What of the hold was given back.
    pub released: Amount,
    /// What of the posting was taken back.
    pub returned: Amount,
    /// When an open hold ends by itself.
    pub expires_at: Timestamp,
}

impl Transaction {
    /// What is still held, or still pending.
    #[must_use]
    pub fn open(&self) -> Amount {
        match self.state {
            TransactionState::Authorized | TransactionState::Asked => {
                Amount(self.authorised.0 - self.captured.0 - self.released.0)
            }
            TransactionState::Posted
            | TransactionState::Answered
            | TransactionState::Cleared
            | TransactionState::Expired
            | TransactionState::Reversed
            | TransactionState::Voided
            | TransactionState::Tombstone => Amount::ZERO,
        }
    }

    /// What it holds on the balance, and on the deposit where it has one.
    #[must_use]
    pub fn held(&self) -> Amount {
        match self.direction {
            Direction::Debit => self.open(),
            Direction::Credit => Amount::ZERO,
        }
    }

    /// Whether it added to the hold of another transaction.
    #[must_use]
    pub fn is_increment(&self) -> bool {
        self.state == TransactionState::Answered
            && self.base.is_some()
            && self.authorised > self.released
    }

    /// What it posted and did not take back.
    #[must_use]
    pub fn posted(&self) -> Amount {
        Amount(self.captured.0 - self.returned.0)
    }
}

/// Why an entry stands in the exception queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExceptionKind {
    /// A clearing, advice or reversal with several originals: nothing of theirs was touched.
    Ambiguous,
    /// A clearing or refund without its original: posted.
    Unmatched,
    /// A reversal without its original: a tombstone is kept.
    ReversalUnmatched,
    /// An advice that a check of row 4 to 20 would have declined: recorded.
    Flagged(Reason),
    /// More was cleared than was held: posted.
    OverCleared,
    /// More was taken back than was posted or held.
    OverReversed,
    /// No balance to post to: posted to the receivable account.
    Suspense,
}

/// An entry of the exception queue, for people to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The message that raised it.
    pub sequence: Sequence,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub kind: ExceptionKind,
    /// The amount that it is about: as billed; of a reversal, as stated.
    pub amount: Amount,
}

/// One change of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardChange {
    /// Where it is in its life.
    State(CardState),
    /// It was locked.
    Locked(Lock),
    /// Its lock was lifted; lock 6 takes the counted PIN tries along.
    Unlocked,
    /// So many wrong PINs in a row were counted.
    PinTries(u8),
    /// What its PIN is verified against; the tries start anew.
    Pin(Pvv),
    /// Another CVC2 is valid.
    Cvv2Generation(u16),
    /// It has another last month.
    Renewed(YearMonth),
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
    /// A card changed.
    CardChanged(CardSlot, CardChange),
    /// A rule was made at the next free slot, or replaced at its own.
    RulePut(RuleSlot, Rule),
    /// A rule was removed.
    RuleRemoved(RuleSlot),
    /// A payment was counted by a rule: in which window, how much, how many.
    RuleCharged {
        /// Which rule.
        rule: RuleSlot,
        /// For which transaction.
        transaction: TransactionSlot,
        /// The window; another one than before starts at zero.
        window: Window,
        /// How much.
        amount: Amount,
        /// One more payment, or none.
        count: u32,
    },
    /// A rule's counter gave back what did not come to pass, if its window is still the same.
    RuleGivenBack {
        /// Which rule.
        rule: RuleSlot,
        /// For which transaction.
        transaction: TransactionSlot,
        /// Start of the window that it was counted in.
        window_start: u64,
        /// How much.
        amount: Amount,
        /// One payment less, or none.
        count: u32,
    },
    /// An entry joined the exception queue; the oldest left it where it is full.
    ExceptionRaised(Exception),
    /// The entry of this message left the exception queue.
    ExceptionResolved(Sequence),
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
    /// A key and its answer are remembered at this slot; what it holds is placed on balance and
    /// deposit.
    Remembered(TransactionSlot, Transaction),
    /// More is held on both sides.
    Raised {
        /// By which transaction.
        transaction: TransactionSlot,
        /// How much more.
        amount: Amount,
        /// The same in the transaction's own currency.
        requested: Amount,
        /// When the hold ends by itself from now on.
        until: Timestamp,
    },
    /// This much of a hold was given back on both sides.
    Released(TransactionSlot, Amount),
    /// This much of a hold was posted on both sides.
    Captured(TransactionSlot, Amount),
    /// This much was posted on both sides without a hold.
    Settled(TransactionSlot, Amount),
    /// This much of what was posted went back on both sides.
    Returned(TransactionSlot, Amount),
    /// A transaction's state changed; it holds nothing any more.
    Closed(TransactionSlot, TransactionState),
    /// A slot past its retention was freed.
    Forgotten(TransactionSlot),
    /// A command id and its outcome are remembered.
    CommandRemembered(CommandId, Outcome),
    /// The oldest remembered command id was freed.
    CommandForgotten,
    /// A fee on a program's payments was made or replaced.
    FeePut(Fee),
    /// A fee on a program's payments was removed; payments made before go on with it.
    FeeRemoved(ConfigId, FeeId),
    /// One fee of a transaction stands like this from now on; what is reserved and taken moved
    /// along.
    FeeSet {
        /// Of which transaction.
        transaction: TransactionSlot,
        /// How it stands.
        fee: ChargedFee,
        /// What was taken more than before; given back, where negative.
        taken: Amount,
    },
    /// A fee fell due for something else than a payment, or was taken of what was still owed.
    FeeCharged {
        /// Which fee.
        fee: FeeId,
        /// Whose balance.
        balance: BalanceSlot,
        /// Who pays.
        payer: Payer,
        /// What fell due now.
        due: Amount,
        /// What was taken of it, or of what was owed before; the rest is owed.
        taken: Amount,
    },
    /// The money of a program's holders is with the partner, which is asked like this.
    CustodyPut(ConfigId, Custody),
    /// The money of a user balance is with the partner from now on.
    BalanceEntrusted(BalanceSlot),
    /// The partner is asked for a transaction; where it agrees, its hold lives so many milliseconds
    /// from then on.
    Asked(TransactionSlot, u64),
    /// What the partner was asked for is decided; what the transaction holds moved along.
    Decided {
        /// Which transaction.
        transaction: TransactionSlot,
        /// What is told.
        decision: Decision,
        /// Where it stands now.
        state: TransactionState,
        /// When its hold ends by itself, where it stands with one.
        until: Timestamp,
    },
    /// Nothing may be taken out of a user balance from now on, or, of nobody, may again.
    BalanceBlocked(BalanceSlot, Option<LockSource>),
    /// So many balances and cards there may be from now on.
    CountsPut(Counts),
}

impl Effect {
    /// The transaction whose money it holds, moves or ends; what remembers or forgets one has none.
    #[must_use]
    pub const fn transaction(&self) -> Option<TransactionSlot> {
        match self {
            Self::Raised { transaction: slot, .. }
            | Self::FeeSet { transaction: slot, .. }
            | Self::Decided { transaction: slot, .. }
            | Self::Asked(slot, _)
            | Self::Released(slot, _)
            | Self::Captured(slot, _)
            | Self::Settled(slot, _)
            | Self::Returned(slot, _)
            | Self::Closed(slot, _) => Some(*slot),
            Self::Remembered(..)
            | Self::Forgotten(_)
            | Self::RuleCharged { .. }
            | Self::RuleGivenBack { .. }
            | Self::FeeCharged { .. }
            | Self::Posted { .. }
            | Self::PartnerPut(_)
            | Self::ProgramPut(_)
            | Self::CustomerPut { .. }
            | Self::BalanceOpened { .. }
            | Self::PartnerBalanceOpened { .. }
            | Self::CardIssued(_)
            | Self::BalanceClosed(_)
            | Self::BalanceCovered(..)
            | Self::CardChanged(..)
            | Self::RulePut(..)
            | Self::RuleRemoved(_)
            | Self::ExceptionRaised(_)
            | Self::ExceptionResolved(_)
            | Self::CommandRemembered(..)
            | Self::CommandForgotten
            | Self::FeePut(_)
            | Self::FeeRemoved(..)
            | Self::CustodyPut(..)
            | Self::BalanceEntrusted(_)
            | Self::BalanceBlocked(..)
            | Self::CountsPut(_) => None,
        }
    }
}
