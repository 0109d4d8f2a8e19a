//! The protocol between the switch and the management API: length-delimited postcard frames over a
//! local socket.
//!
//! Invariants: a change is answered only when its record is durable; a change sent again under its
//! command id gets its first outcome; events come from the journal in order, without a gap.
//! Source: authorization 6.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::card::{CardState, YearMonth};
use crate::command::{Authorization, Change, MessageKey, PartnerAnswer, PartnerBalanceKind};
use crate::effect::{Exception, Transaction};
use crate::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, PartnerBalanceId, PartnerId, Sequence,
    Timestamp,
};
use crate::journal_record::{self, Record, RecordError};
use crate::ledger::Retold;
use crate::lock_code::{Lock, LockSource};
use crate::money::{Amount, Currency};
use crate::rule::{Rule, Subject};

/// Version of this protocol; a hello with another one is refused.
pub const VERSION: u16 = 8;
/// Bytes of one frame at most, without its length.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Entries of the exception queue in one answer at most.
pub const EXCEPTIONS_A_VIEW_MAX: usize = 100;

/// How a [`Reply::Event`] begins: its place among the replies.
const EVENT_TAG: u8 = 5;

/// What the management API sends. The first frame on a connection is a hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Opens the connection.
    Hello {
        /// [`VERSION`] of the sender.
        version: u16,
    },
    /// Asks for a change; answered by [`Reply::Outcome`].
    Change {
        /// Comes back with the reply.
        request: u64,
        /// Makes the change apply once.
        id: CommandId,
        /// What.
        change: Change,
    },
    /// Asks for state; answered by [`Reply::View`].
    Query {
        /// Comes back with the reply.
        request: u64,
        /// What.
        query: Query,
    },
    /// Asks for every durable record behind `after`, then for each new one, as
    /// [`Reply::Event`]. One subscription a connection.
    Subscribe {
        /// The last sequence that is known already; 0 for all.
        after: Sequence,
    },
    /// Lets the switch's clock run ahead of the machine's by so much at least; answered by
    /// [`Reply::View`] with [`View::Clock`], with none where it may not.
    SetClockAhead {
        /// Comes back with the reply.
        request: u64,
        /// How much.
        ahead_ms: u64,
    },
    /// From now on, questions to partners are taken here, as [`Reply::Question`].
    TakeQuestions,
    /// What became of one; not answered. One that comes too late changes nothing.
    Answered {
        /// The key of the message that waits for it.
        key: MessageKey,
        /// Where it was asked for.
        id: Sequence,
        /// What became of it.
        answer: PartnerAnswer,
    },
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// A user balance.
    Balance(BalanceId),
    /// A card.
    Card(CardId),
    /// A partner balance.
    PartnerBalance(PartnerBalanceId),
    /// Limits and permissions of a subject, with their counters.
    Rules(Subject),
    /// The oldest entries of the exception queue behind a sequence.
    Exceptions {
        /// Where to go on.
        after: Sequence,
    },
    /// The switch itself.
    Status,
    /// Its clock.
    Clock,
    /// What users and partners have, by currency.
    Totals,
    /// Why a record was answered as it was. Busy while it is decided again: ask again.
    Retold(Sequence),
}

/// What the switch sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Answers the hello.
    Welcome {
        /// [`VERSION`] of the switch.
        version: u16,
    },
    /// The hello was of another version, or the frame could not be read: the switch closes.
    Rejected {
        /// Why, for the log.
        detail: String,
    },
    /// What became of a change; its record is durable.
    Outcome {
        /// From the request.
        request: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// The switch cannot take the change now; nothing happened, the same id may be sent again.
    Busy {
        /// From the request.
        request: u64,
    },
    /// The answer to a query.
    View {
        /// From the request.
        request: u64,
        /// What was asked for; `None` where there is none.
        view: Option<View>,
    },
    /// One durable record of the journal.
    Event(Box<Record>),
    /// What a partner must be asked for now; its record is durable. Each is sent once.
    Question(Box<Question>),
}

/// What a partner that keeps the money is asked: whether `message` may be paid, or paid out, or
/// what there is. Source: requirements #144, #147, #149.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What came over the link.
    pub message: Authorization,
    /// What waits for the answer, until its `expires_at`.
    pub waiting: Transaction,
    /// The transaction that it adds to, and when that was asked for.
    pub adds_to: Option<(Sequence, Timestamp)>,
    /// Its program.
    pub program: ConfigId,
    /// Its partner.
    pub partner: PartnerId,
    /// Its holder.
    pub customer: CustomerId,
    /// Its balance.
    pub balance: BalanceId,
    /// Its card.
    pub card: CardId,
}

/// Appends the frame of a [`Reply::Event`], made of the record's own bytes: they are not decoded.
///
/// # Errors
/// They are of another layout, or longer than a frame may be.
pub fn put_event_frame(record: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
    let (version, body) = record.split_first().ok_or(RecordError::Malformed)?;
    if *version != journal_record::VERSION {
        return Err(RecordError::Version(*version));
    }
    let length = u32::try_from(body.len() + 1).ok().filter(|it| *it as usize <= FRAME_BYTES_MAX);
    out.extend_from_slice(&length.ok_or(RecordError::Malformed)?.to_be_bytes());
    out.push(EVENT_TAG);
    out.extend_from_slice(body);
    Ok(())
}

/// What became of a change; stored under its command id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Where the change stands in the journal.
    pub sequence: Sequence,
    /// When it was applied.
    pub at: Timestamp,
    /// Whether it was carried out.
    pub result: Result<(), Refusal>,
}

/// Why a change was refused: nothing moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Error)]
pub enum Refusal {
    /// The id stands for something else already.
    #[error("the id is taken with other content")]
    IdTaken,
    /// No such partner.
    #[error("no such partner")]
    PartnerNotFound,
    /// No such program.
    #[error("no such program")]
    ProgramNotFound,
    /// No such cardholder.
    #[error("no such customer")]
    CustomerNotFound,
    /// The holder's identity check has not succeeded.
    #[error("the customer is not verified")]
    CustomerNotVerified,
    /// No such balance.
    #[error("no such balance")]
    BalanceNotFound,
    /// Money is booked or held on the balance.
    #[error("money is booked or held on the balance")]
    BalanceNotEmpty,
    /// A balance has as many cards as it may have.
    #[error("the balance has as many cards as it may have")]
    TooManyCards,
    /// No such partner balance.
    #[error("no such partner balance")]
    PartnerBalanceNotFound,
    /// The partner has a balance of this kind and currency.
    #[error("the partner has a balance of this kind and currency already")]
    PartnerBalanceExists,
    /// No such card.
    #[error("no such card")]
    CardNotFound,
    /// Another card has this number.
    #[error("another card has this number")]
    TokenTaken,
    /// The currencies differ.
    #[error("the currencies differ")]
    CurrencyMismatch,
    /// Zero or less, or the sum would not fit.
    #[error("the amount is zero, negative or too large")]
    InvalidAmount,
    /// The card's life does not allow this move.
    #[error("a card that is {from:?} cannot become {to:?}")]
    CardStateForbidden {
        /// Its state.
        from: CardState,
        /// The one asked for.
        to: CardState,
    },
    /// An irreversible lock is on.
    #[error("the card is locked irreversibly")]
    LockedIrreversibly,
    /// A card of a credit program on a balance with money that no credit balance covers.
    #[error("the balance holds money that the partner's credit balance does not cover")]
    BalanceNotCovered,
    /// Credit mode without a credit balance in the currency.
    #[error("the partner has no credit balance in the currency")]
    CollateralBalanceNotFound,
    /// The partner's credit balance does not cover the top-up.
    #[error("the partner's credit balance does not cover the amount")]
    InsufficientCollateral,
    /// A rule or a program's policy that cannot be evaluated.
    #[error("a rule or policy is not sound")]
    Unsound,
    /// The one that a rule binds is not known.
    #[error("whom the rule binds is not known")]
    SubjectNotFound,
    /// A month or a generation that is not later than the one there is.
    #[error("not later than what there is")]
    NotLater,
    /// A bound of the system is reached.
    #[error("a table of the switch is full")]
    TableFull,
    /// The balance does not have the amount available.
    #[error("the balance does not have the amount available")]
    InsufficientFunds,
    /// From a balance to itself, or to one that another partner covers.
    #[error("no money moves between these two balances")]
    BalancesApart,
    /// A balance owes as many fees as it may.
    #[error("the balance owes as many fees as it may")]
    TooManyOwed,
    /// The money is with the partner, or must not be.
    #[error("the money is with the partner, or must not be")]
    OtherCustody,
    /// Nothing may be taken out of the balance.
    #[error("the balance is blocked")]
    BalanceBlocked,
    /// A lock or block of somebody else, which the one who asks may not touch.
    #[error("somebody else set it, and the one who asks may not touch that")]
    LockedByOther,
    /// A cardholder has as many balances as one may have.
    #[error("the customer has as many balances as it may have")]
    TooManyBalances,
}

/// State as a query sees it, at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    /// A user balance.
    Balance(BalanceView),
    /// A card.
    Card(CardView),
    /// A partner balance.
    PartnerBalance(PartnerBalanceView),
    /// Rules, in the order in which they were made.
    Rules(Vec<RuleView>),
    /// Entries of the exception queue, at most [`EXCEPTIONS_A_VIEW_MAX`].
    Exceptions(Vec<Exception>),
    /// The switch.
    Status(StatusView),
    /// The switch's clock.
    Clock(ClockView),
    /// What users and partners have, in order of the currencies' first use.
    Totals(Vec<TotalView>),
    /// A record, decided again.
    Retold(Box<Retold>),
}

impl View {
    /// A user balance, if that is what it is.
    #[must_use]
    pub fn into_balance(self) -> Option<BalanceView> {
        if let Self::Balance(view) = self { Some(view) } else { None }
    }

    /// A card, if that is what it is.
    #[must_use]
    pub fn into_card(self) -> Option<CardView> {
        if let Self::Card(view) = self { Some(view) } else { None }
    }

    /// A partner balance, if that is what it is.
    #[must_use]
    pub fn into_partner_balance(self) -> Option<PartnerBalanceView> {
        if let Self::PartnerBalance(view) = self { Some(view) } else { None }
    }

    /// Rules, if that is what they are.
    #[must_use]
    pub fn into_rules(self) -> Option<Vec<RuleView>> {
        if let Self::Rules(views) = self { Some(views) } else { None }
    }

    /// The switch's clock, if that is what it is.
    #[must_use]
    pub fn into_clock(self) -> Option<ClockView> {
        if let Self::Clock(view) = self { Some(view) } else { None }
    }

    /// A record decided again, if that is what it is.
    #[must_use]
    pub fn into_retold(self) -> Option<Box<Retold>> {
        if let Self::Retold(retold) = self { Some(retold) } else { None }
    }

    /// Totals, if that is what they are.
    #[must_use]
    pub fn into_totals(self) -> Option<Vec<TotalView>> {
        if let Self::Totals(views) = self { Some(views) } else { None }
    }
}

/// What is booked in one currency. Source: requirements #90.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalView {
    /// The currency.
    pub currency: Currency,
    /// On all user balances.
    pub users: i128,
    /// On all partner balances.
    pub partners: i128,
    /// On the company balance: fees taken. Source: requirements #92.
    pub company: i128,
    /// What partners owe for fees by invoice.
    pub invoiced: i128,
    /// What was paid, through cards, out of what holders have with partners.
    pub partner_held: i128,
    /// What bank transfers ever brought to IBANs; what goes back is a withdrawal. Source:
    /// requirements #92.
    pub bank_transfers: i128,
}

/// A rule and its counter at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    /// The rule.
    pub rule: Rule,
    /// What was spent in the running period.
    pub spent: Amount,
    /// How many payments there were in it.
    pub count: u32,
}

/// A user balance and its cards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceView {
    /// Its id.
    pub id: BalanceId,
    /// Its holder.
    pub customer: CustomerId,
    /// Its currency.
    pub currency: Currency,
    /// What is booked.
    pub ledger: Amount,
    /// What open holds reserve.
    pub held: Amount,
    /// What is owed for fees, taken from what comes in next.
    pub owed: Amount,
    /// Whether its money is with the partner.
    pub entrusted: bool,
    /// Who blocked it: nothing may be taken out of it.
    pub blocked: Option<LockSource>,
    /// Its cards that were not removed, at most [`crate::limits::CARDS_A_BALANCE_MAX`].
    pub cards: Vec<CardView>,
    /// Whether a card was ever issued on it.
    pub carded: bool,
}

/// A card as the switch sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardView {
    /// Its id.
    pub id: CardId,
    /// Its program.
    pub program: ConfigId,
    /// Its balance.
    pub balance: BalanceId,
    /// Its state.
    pub state: CardState,
    /// Its lock, if any.
    pub lock: Option<Lock>,
    /// Its last month.
    pub expiry: YearMonth,
    /// The CVC2 that is valid.
    pub cvv2_generation: u16,
    /// Wrong PINs in a row.
    pub pin_tries: u8,
    /// Whether a PIN was set.
    pub has_pin: bool,
}

/// A partner balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerBalanceView {
    /// Its id.
    pub id: PartnerBalanceId,
    /// Its owner.
    pub partner: PartnerId,
    /// Deposit or credit.
    pub kind: PartnerBalanceKind,
    /// Its currency.
    pub currency: Currency,
    /// What is booked.
    pub ledger: Amount,
    /// What open authorizations reserve.
    pub held: Amount,
}

/// The switch at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The last sequence applied.
    pub last_sequence: Sequence,
    /// The hash of the whole state after it.
    pub state_hash: u128,
}

/// The switch's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockView {
    /// Its time.
    pub now: Timestamp,
    /// How many milliseconds it runs ahead of the machine's.
    pub ahead_ms: u64,
    /// When the next hold ends by itself.
    pub next_expiry: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::effect::Effect;
    use crate::ids::PartnerId;
    use crate::journal_record::Answer;

    #[test]
    fn an_events_frame_is_that_of_its_reply() {
        let record = Record {
            sequence: Sequence(300),
            at: Timestamp(1_795_600_000_000),
            command: Command::Manage(CommandId(7), Change::PutPartner(PartnerId(9))),
            effects: vec![Effect::PartnerPut(PartnerId(9))],
            answer: Answer::Noted,
        };
        let Record { sequence, at, ref command, ref effects, answer } = record;
        let (mut bytes, mut framed) = (Vec::new(), Vec::new());
        journal_record::RecordRef { sequence, at, command, effects, answer }.encode(&mut bytes);
        put_event_frame(&bytes, &mut framed).unwrap();
        let reply = postcard::to_allocvec(&Reply::Event(Box::new(record))).unwrap();
        let length = u32::try_from(reply.len()).unwrap().to_be_bytes();
        assert_eq!(framed, [&length[..], &reply].concat());
    }

    #[test]
    fn what_is_no_record_or_too_long_for_a_frame_is_refused() {
        let mut out = Vec::new();
        let long = vec![journal_record::VERSION; FRAME_BYTES_MAX + 1];
        for (bytes, error) in [
            (&[][..], RecordError::Malformed),
            (&[9, 1, 2][..], RecordError::Version(9)),
            (&long[..], RecordError::Malformed),
        ] {
            assert_eq!(put_event_frame(bytes, &mut out), Err(error));
        }
        assert!(out.is_empty());
        put_event_frame(&long[1..], &mut out).unwrap();
        assert_eq!(out.len(), FRAME_BYTES_MAX + 4);
    }
}
