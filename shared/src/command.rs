//! Everything that may happen: the closed list of commands that the core takes.
//!
//! Invariant: a command carries all that its decision needs besides the state and the time, and
//! nothing secret: it goes into the journal as it is.

use serde::{Deserialize, Serialize};

use crate::card::{CardState, YearMonth};
use crate::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, LinkId, PartnerBalanceId, PartnerId,
    Sequence,
};
use crate::lock_code::{LockCode, LockSource};
use crate::money::{Amount, Currency, Money};
use crate::pan::PanToken;

/// What the shell asks of the core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// 0100, 0101.
    Authorize(Authorization),
    /// 0400, 0401, 0420, 0421.
    Reverse(Reversal),
    /// The answer to the request under this key, decided at this sequence, never left: no byte of
    /// it reached a socket.
    Void(MessageKey, Sequence),
    /// A change from the control link; the id makes it apply once.
    Manage(CommandId, Change),
}

/// Class of a message, the second digit of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MessageClass {
    /// x1xx.
    Authorization,
    /// x2xx; so far only named by the reversals of such messages.
    Financial,
    /// x4xx.
    Reversal,
}

/// The key that makes two messages the same transaction (repeat index 1). DE7, DE32 and DE33 are
/// held as numbers, so that zero-filled and absent are one. Source: authorization 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageKey {
    /// The link it came on.
    pub link: LinkId,
    /// Its class.
    pub class: MessageClass,
    /// DE11.
    pub stan: u32,
    /// DE7, `MMDDhhmmss`.
    pub sent_at: u64,
    /// DE32.
    pub acquirer: u64,
    /// DE33.
    pub forwarder: u64,
}

/// What the message says of the place where it was made; for explanations and notifications,
/// never decided on here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// DE18, merchant category; 0 where absent.
    pub mcc: u16,
    /// DE22, entry mode; 0 where absent.
    pub entry_mode: u16,
    /// DE37 as received; spaces where absent.
    pub rrn: [u8; 12],
    /// DE41 as received; spaces where absent.
    pub terminal: [u8; 8],
    /// DE42 as received; spaces where absent.
    pub merchant: [u8; 15],
}

/// An authorization request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Its key.
    pub key: MessageKey,
    /// The card, by token.
    pub token: PanToken,
    /// DE3, six digits.
    pub processing_code: u32,
    /// DE4 and DE49.
    pub transaction: Money,
    /// DE6 and DE51: what the holder is billed; the transaction amount where absent.
    pub billing: Option<Money>,
    /// DE14 as stated.
    pub expiry: Option<YearMonth>,
    /// Marked as account verification (DE25 = 51), for which amount 0 is allowed.
    pub verification: bool,
    /// Where it was made.
    pub acceptance: Acceptance,
}

impl Authorization {
    /// What the holder is billed.
    #[must_use]
    pub fn billed(&self) -> Money {
        self.billing.unwrap_or(self.transaction)
    }
}

/// A reversal, request or advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversal {
    /// Its own key.
    pub key: MessageKey,
    /// The key of the message that it takes back (DE90).
    pub original: MessageKey,
    /// 0420, 0421: acknowledged whatever is known of the original.
    pub advice: bool,
    /// DE4, the original transaction amount; the base of a partial reversal.
    pub transaction: Option<Amount>,
    /// DE95.1 where it is not zero: the new total in the transaction currency.
    pub new_total: Option<Amount>,
}

/// How a card program treats money and cards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its `configId`.
    pub id: ConfigId,
    /// Whose it is.
    pub partner: PartnerId,
    /// The only currency its cards have.
    pub currency: Currency,
    /// What the partner puts up.
    pub collateral: Collateral,
}

/// What stands behind a program's authorizations and top-ups. Source: requirements #84, #85.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Collateral {
    /// Nothing.
    None,
    /// The partner deposit is held at each authorization.
    Deposit,
    /// The partner credit balance is charged at each top-up.
    Credit,
}

/// Kind of a partner balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PartnerBalanceKind {
    /// Held at each authorization.
    Deposit,
    /// Charged at each top-up.
    Credit,
}

/// A new card. Its number never comes along: the token is all that the switch knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCard {
    /// Its id.
    pub id: CardId,
    /// The token of its number.
    pub token: PanToken,
    /// Its program.
    pub program: ConfigId,
    /// The balance that it spends from, for ever. Source: requirements #27.
    pub balance: BalanceId,
    /// Its last month.
    pub expiry: YearMonth,
    /// [`CardState::Ordered`], [`CardState::Linked`] or [`CardState::Active`].
    pub state: CardState,
}

/// A change of the issuer's own data, asked for over the control link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Makes a partner known; known already is no change.
    PutPartner(PartnerId),
    /// Makes or replaces a program; its partner and currency are for ever.
    PutProgram(Program),
    /// Makes or replaces a cardholder's flags.
    PutCustomer {
        /// Who.
        id: CustomerId,
        /// Whether the identity check succeeded.
        verified: bool,
        /// Whether an anti-money-laundering lock is on.
        aml_locked: bool,
    },
    /// Opens a user balance at zero; its holder must be verified.
    OpenBalance {
        /// Its id.
        id: BalanceId,
        /// Its holder.
        customer: CustomerId,
        /// Its currency, for ever.
        currency: Currency,
    },
    /// Closes a user balance for ever; nothing may be booked or held on it. Source: requirements
    /// #33.
    CloseBalance(BalanceId),
    /// Opens a partner balance at zero; one per partner, kind and currency.
    OpenPartnerBalance {
        /// Its id.
        id: PartnerBalanceId,
        /// Its owner.
        partner: PartnerId,
        /// Deposit or credit.
        kind: PartnerBalanceKind,
        /// Its currency, for ever.
        currency: Currency,
    },
    /// Issues a card on a balance of its holder.
    IssueCard(NewCard),
    /// Moves a card along its life.
    SetCardState {
        /// Which.
        card: CardId,
        /// Where to.
        state: CardState,
    },
    /// Locks a card, in place of a reversible lock if there is one.
    LockCard {
        /// Which.
        card: CardId,
        /// Why.
        code: LockCode,
        /// By whom.
        source: LockSource,
    },
    /// Lifts a reversible lock; nothing locked is no change.
    UnlockCard(CardId),
    /// Credits a user balance; where a card of a credit program draws on it, the partner's credit
    /// balance is charged with it, both or neither. Source: requirements #84.
    TopUp {
        /// Which.
        balance: BalanceId,
        /// How much; more than zero, in the balance's currency.
        money: Money,
    },
    /// Credits a partner balance. Source: requirements #87.
    Reload {
        /// Which.
        balance: PartnerBalanceId,
        /// How much; more than zero, in the balance's currency.
        money: Money,
    },
}
