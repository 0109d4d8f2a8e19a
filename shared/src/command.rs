//! Everything that may happen: the closed list of commands that the core takes.
//!
//! Invariant: a command carries all that its decision needs besides the state and the time, and
//! nothing secret: it goes into the journal as it is.

mod program;

use serde::{Deserialize, Serialize};

pub use self::program::{
    ANSWER_MS_MAX, Collateral, Custody, HOLD_HOURS_MAX, OnSilence, PartnerBalanceKind, Policy,
    Program,
};

use crate::card::{CardState, YearMonth};
use crate::credential::{CredentialResult, Pvv};
use crate::fee::{Charge, Fee};
use crate::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, FeeId, LinkId, PartnerBalanceId, PartnerId,
    RuleId, Sequence,
};
use crate::lock_code::{LockCode, LockSource};
use crate::money::{Amount, Currency, Money};
use crate::pan::PanToken;
use crate::rule::Rule;

/// What the shell asks of the core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// 0100, 0101, 0200, 0201: a request for a decision.
    Authorize(Authorization),
    /// 0120, 0121, 0220, 0221: what was decided elsewhere.
    Advise(Advice),
    /// 0400, 0401, 0420, 0421, 0190, 0290.
    Reverse(Reversal),
    /// 0300, 0302, 0304: a network or an acquirer locks or unlocks a card.
    LockOutside(LockOutside),
    /// The answer to the request under this key, decided at this sequence, never left: no byte of
    /// it reached a socket.
    Void(MessageKey, Sequence),
    /// Time has passed: releases what is open on holds past their lifetime, and forgets answers
    /// past their retention; as many as one command may.
    Expire,
    /// A change from the control link; the id makes it apply once.
    Manage(CommandId, Change),
    /// What became of the question to a partner that the request under this key, asked at this
    /// sequence, waits for.
    Answered(MessageKey, Sequence, PartnerAnswer),
}

/// What became of a question to a partner that keeps its holders' money. Source: authorization 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartnerAnswer {
    /// It agreed, and has booked it.
    Agreed,
    /// What the balance has: to an inquiry.
    Has(Amount),
    /// It declined, and has booked nothing.
    Declined(PartnerRefusal),
    /// It was not asked: no byte left.
    NotAsked,
    /// It was asked and nothing usable came back: it may have booked it.
    InDoubt,
}

/// Why a partner declined. Source: requirements #147, #149.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartnerRefusal {
    /// INSUFFICIENT_FUNDS.
    InsufficientFunds,
    /// LIMITS_EXCEEDED.
    LimitsExceeded,
    /// FRAUDS_DETECTED.
    FraudsDetected,
    /// BALANCE_NOT_FOUND.
    BalanceNotFound,
    /// Anything else that is a no.
    Other,
}

/// Class of a message, the second digit of its type; requests and advices apart, since an advice
/// is no repeat of the request that it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MessageClass {
    /// x10x.
    Authorization,
    /// x20x.
    Financial,
    /// x40x, x42x.
    Reversal,
    /// x12x.
    AuthorizationAdvice,
    /// x22x.
    FinancialAdvice,
    /// x30x.
    FileAction,
    /// x19x, x29x.
    NegativeAcknowledgement,
}

impl MessageClass {
    /// The class of the requests that an advice of this one follows.
    #[must_use]
    pub const fn of_request(self) -> Self {
        match self {
            Self::AuthorizationAdvice => Self::Authorization,
            Self::FinancialAdvice => Self::Financial,
            Self::Authorization
            | Self::Financial
            | Self::Reversal
            | Self::FileAction
            | Self::NegativeAcknowledgement => self,
        }
    }

    /// Whether messages of this class hold or move money by themselves, so that they can be taken
    /// back.
    #[must_use]
    pub const fn is_reversible(self) -> bool {
        match self {
            Self::Authorization
            | Self::Financial
            | Self::AuthorizationAdvice
            | Self::FinancialAdvice => true,
            Self::Reversal | Self::FileAction | Self::NegativeAcknowledgement => false,
        }
    }
}

/// The key that makes two messages the same one (repeat index 1). Numbers, so that zero-filled and
/// absent are one. Source: authorization 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageKey {
    /// The link it came on.
    pub link: LinkId,
    /// Its class.
    pub class: MessageClass,
    /// DE11.
    pub stan: u64,
    /// When its sender made it, as digits: DE7 (`MMDDhhmmss`) in the 1987 edition, DE12
    /// (`YYMMDDhhmmss`, `CCYYMMDDhhmmss`) in later ones; 0 where the link marks it as volatile.
    pub sent_at: u64,
    /// DE32.
    pub acquirer: u64,
    /// DE33.
    pub forwarder: u64,
}

/// How a payment was made. Source: requirements 130.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// Not told.
    #[default]
    Unknown,
    /// At a terminal of a merchant.
    Pos,
    /// At a cash machine.
    Atm,
    /// Remotely.
    Ecommerce,
}

/// How the card number came into the message. Source: iso8583 4.7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryMode {
    /// Not told.
    #[default]
    Unknown,
    /// Keyed in.
    Manual,
    /// Magnetic stripe.
    Stripe,
    /// Contact chip.
    Chip,
    /// Contactless.
    Contactless,
    /// Remote commerce.
    Ecommerce,
    /// Credentials that the merchant keeps.
    StoredCredential,
}

/// What the message says of the place where it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// How it was made.
    pub channel: Channel,
    /// How the card number came.
    pub entry: EntryMode,
    /// Merchant category; 0 where absent.
    pub mcc: u16,
    /// Country of the acquirer, ISO 3166 numeric; 0 where absent.
    pub country: u16,
    /// DE42 as received; spaces where absent.
    pub merchant: [u8; 15],
}

impl core::fmt::Display for Acceptance {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { channel, entry, mcc, country, merchant } = self;
        let merchant = String::from_utf8_lossy(merchant);
        let merchant = merchant.trim();
        write!(f, "channel {channel:?}, entry {entry:?}, category {mcc:04}, country {country:03}")?;
        if merchant.is_empty() { Ok(()) } else { write!(f, ", merchant {merchant}") }
    }
}

/// What ties messages of one transaction together besides their key (indexes 2 and 3). Source:
/// authorization 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct References {
    /// The network's life-cycle id, as far as it fits; spaces where absent.
    pub life_cycle: [u8; 16],
    /// DE37 as received; spaces where absent.
    pub rrn: [u8; 12],
    /// DE41 as received; spaces where absent.
    pub terminal: [u8; 8],
}

impl Default for References {
    fn default() -> Self {
        Self { life_cycle: [b' '; 16], rrn: [b' '; 12], terminal: [b' '; 8] }
    }
}

/// What the shell found of a message's credentials; the values themselves never come here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The card verification values that came, the worst of them.
    pub verification_value: CredentialResult,
    /// The PIN.
    pub pin: CredentialResult,
}

/// An authorization or financial request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Its key; class [`MessageClass::Authorization`] or [`MessageClass::Financial`].
    pub key: MessageKey,
    /// Marked by its sender as sent before: then the references are tried as well.
    pub repeat: bool,
    /// The card, by token.
    pub token: PanToken,
    /// DE3, six digits.
    pub processing_code: u32,
    /// DE4 and DE49.
    pub transaction: Money,
    /// DE6 and DE51: what the holder is billed; the transaction amount where absent.
    pub billing: Option<Money>,
    /// The cash part of a purchase with cash-back, in the transaction's currency.
    pub cash_back: Amount,
    /// DE14 as stated.
    pub expiry: Option<YearMonth>,
    /// Marked as account verification, for which amount 0 is allowed.
    pub verification: bool,
    /// Adds to an authorization that it refers to.
    pub incremental: bool,
    /// The acquirer takes an approval of a part.
    pub partial_allowed: bool,
    /// What the shell found of its credentials.
    pub credentials: Credentials,
    /// The message that it names as its original (DE90, DE56).
    pub original: Option<MessageKey>,
    /// What else ties it to other messages.
    pub references: References,
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

/// What an advice says was told to the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Advised {
    /// Approved.
    Approved,
    /// Declined.
    Declined,
    /// A value that the link's table does not have: counts as approved, flagged.
    Unknown,
}

/// An advice: 0120 of an authorization, 0220 of a financial transaction or the clearing of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// The message; class [`MessageClass::AuthorizationAdvice`] or
    /// [`MessageClass::FinancialAdvice`].
    pub message: Authorization,
    /// What was decided elsewhere.
    pub advised: Advised,
    /// A clearing that others of the same hold will follow; otherwise it is the final one.
    pub more_to_come: bool,
}

/// What kind of message takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReversalKind {
    /// 0400, 0401.
    Request,
    /// 0420, 0421: acknowledged whatever is known of the original.
    Advice,
    /// 0190, 0290: our answer was late or unusable; takes no answer.
    NegativeAcknowledgement,
}

/// A reversal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversal {
    /// Its own key.
    pub key: MessageKey,
    /// Marked by its sender as sent before.
    pub repeat: bool,
    /// The key of the message that it takes back (DE90, DE56, or its own trace).
    pub original: MessageKey,
    /// What kind of message it is.
    pub kind: ReversalKind,
    /// The card, where the message says.
    pub token: Option<PanToken>,
    /// What else ties it to its original.
    pub references: References,
    /// DE4, the original transaction amount; a tie-breaker between several originals.
    pub transaction: Option<Amount>,
    /// DE95.1 where it is not zero: the new total in the transaction currency.
    pub new_total: Option<Amount>,
    /// The new total in the billing currency, where the link carries it.
    pub new_billing: Option<Amount>,
}

/// A network or an acquirer locks or unlocks a card. Source: requirements #102.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockOutside {
    /// Its key; class [`MessageClass::FileAction`].
    pub key: MessageKey,
    /// The card, by token.
    pub token: PanToken,
    /// The lock to set; `None` lifts the one there is.
    pub lock: Option<LockCode>,
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
    /// Lifts a reversible lock; nothing locked is no change. Lifting lock 6 starts the PIN tries
    /// anew.
    UnlockCard(CardId),
    /// Sets what a card's PIN is verified against; the tries start anew.
    SetPin {
        /// Which.
        card: CardId,
        /// The verification value.
        pvv: Pvv,
    },
    /// Makes another CVC2 valid for the card; only upwards. Source: security 4.2.
    ResetCvv2 {
        /// Which.
        card: CardId,
        /// The generation that is valid from now on.
        generation: u16,
    },
    /// Gives a card another last month; stored credentials may go on to state the one before.
    RenewCard {
        /// Which.
        card: CardId,
        /// Its last month from now on, later than before.
        expiry: YearMonth,
    },
    /// Makes or replaces a rule, its subject for ever; the counter of a replaced one goes on where
    /// currency, period, zone and filter stay, and starts anew otherwise.
    PutRule(Rule),
    /// Removes a rule; none is no change.
    RemoveRule(RuleId),
    /// Takes every entry of a message off the exception queue; none is no change.
    ResolveException(Sequence),
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
    /// Takes money that is available out of a user balance; where top-ups of it are charged to a
    /// partner's credit balance, that gets it back.
    Withdraw {
        /// Which.
        balance: BalanceId,
        /// How much; more than zero, in the balance's currency.
        money: Money,
    },
    /// Moves money that is available to another user balance in the same currency, covered by the
    /// same partner or by none as well. Source: requirements #142.
    Transfer {
        /// Where from.
        from: BalanceId,
        /// Where to.
        to: BalanceId,
        /// How much; more than zero, in the balances' currency.
        money: Money,
    },
    /// Makes or replaces a fee on a program's payments, its program for ever; payments made before
    /// go on with what they were made under. Source: requirements #167.
    PutFee(Fee),
    /// Removes a fee from a program's payments to come; none is no change.
    RemoveFee(ConfigId, FeeId),
    /// Takes a fee for something else than a payment: what is available of it at once, the rest
    /// from what comes onto the balance next. Source: requirements #165, #166.
    ChargeFee {
        /// On which balance.
        balance: BalanceId,
        /// Which fee, how much, and who pays.
        charge: Charge,
    },
    /// The same as [`Change::Transfer`], with a fee for it; both or neither. Source: requirements
    /// #142, #167.
    TransferCharged {
        /// Where from.
        from: BalanceId,
        /// Where to.
        to: BalanceId,
        /// How much; more than zero, in the balances' currency.
        money: Money,
        /// The fee, on the balance that the money comes from.
        charge: Charge,
    },
    /// The money of a program's holders is with its partner, which is asked like this; for ever,
    /// from before the first card on. Source: requirements #81.
    PutCustody(ConfigId, Custody),
    /// The money of this balance is with the partner from now on; nothing may be booked or held on
    /// it, and no card draw on it.
    EntrustBalance(BalanceId),
    /// Blocks a user balance, or lifts the block: while it is on nothing is authorized against the
    /// balance and nothing withdrawn or transferred from it. What networks post and what comes in
    /// is booked, fees are taken. An operator's block is lifted by operators alone. Source:
    /// requirements #28.
    BlockBalance {
        /// Which.
        balance: BalanceId,
        /// On or off.
        blocked: bool,
        /// Who asks.
        source: LockSource,
    },
    /// The holder locks a card, or lifts its lock. A lock that none of these set stays, save that a
    /// lock for ever takes the place of any that can be lifted. Lock 6, behind which PINs are tried
    /// anew, is the switch's whoever sets it. Source: requirements #100.
    LockByHolder {
        /// Which.
        card: CardId,
        /// The lock to set; `None` lifts the one there is.
        lock: Option<LockCode>,
        /// Whose locks the holder may lift or replace.
        over: Vec<LockSource>,
    },
    /// Bounds what is opened and issued from now on. Source: requirements #26.
    PutCounts(Counts),
    /// A bank transfer came to the IBAN of a user balance: the same as [`Change::TopUp`], out of the
    /// technical account of IBANs. Source: requirements #92.
    CreditTransfer {
        /// Which.
        balance: BalanceId,
        /// How much; more than zero, in the balance's currency.
        money: Money,
    },
}

/// How many there may be of what somebody has. Source: requirements #26.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Open balances of a cardholder.
    pub balances_max: u32,
    /// Cards of a balance that were not removed, up to [`crate::limits::CARDS_A_BALANCE_MAX`].
    pub cards_max: u32,
}
