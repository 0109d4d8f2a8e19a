//! The model's state: plain vectors, searched from front to back, and the few things that every
//! message does with them: money in two books, holds, limits, and what is forgotten when.

use std::collections::VecDeque;

use shared::action_code::Reason;
use shared::card::{CardState, YearMonth};
use shared::command::{Collateral, Counts, Custody, MessageKey, PartnerBalanceKind, Program};
use shared::control::Outcome;
use shared::credential::Pvv;
use shared::effect::{Decision, Direction, Exception, ExceptionKind, TransactionState};
use shared::fee::Fee;
use shared::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, FeeId, PartnerBalanceId, PartnerId,
    Sequence, Timestamp,
};
use shared::limits::Limits;
use shared::lock_code::{Lock, LockSource};
use shared::money::{Amount, Currency};
use shared::pan::PanToken;

use crate::fee::FeeLine;
use crate::limit::LimitRow;

/// Answers that a message forgets at most, before it is decided. Source: transactions.
const FORGOTTEN_A_MESSAGE: usize = 3;

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: BalanceId,
    pub(crate) customer: CustomerId,
    pub(crate) currency: Currency,
    pub(crate) ledger: i64,
    pub(crate) held: i64,
    pub(crate) closed: bool,
    pub(crate) blocked: Option<LockSource>,
    pub(crate) covered_by: Option<PartnerId>,
    /// Its money is with the partner.
    pub(crate) entrusted: bool,
    pub(crate) owed: Vec<(FeeId, i64)>,
    /// A card was issued on it.
    pub(crate) carded: bool,
}

impl User {
    pub(crate) fn available(&self) -> i64 {
        self.ledger - self.held
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Pot {
    pub(crate) id: PartnerBalanceId,
    pub(crate) partner: PartnerId,
    pub(crate) kind: PartnerBalanceKind,
    pub(crate) currency: Currency,
    pub(crate) ledger: i64,
    pub(crate) held: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Card {
    pub(crate) id: CardId,
    pub(crate) token: PanToken,
    pub(crate) program: usize,
    pub(crate) user: usize,
    pub(crate) expiry: YearMonth,
    pub(crate) previous_expiry: Option<YearMonth>,
    pub(crate) state: CardState,
    pub(crate) lock: Option<Lock>,
    pub(crate) pin: Option<Pvv>,
    pub(crate) wrong_pins: u8,
    pub(crate) generation: u16,
}

/// What makes two messages under one key the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content(pub(crate) [i64; 7], pub(crate) Option<PanToken>, pub(crate) [u8; 15]);

impl Content {
    /// What the holder is billed.
    pub(crate) fn billed(&self) -> i64 {
        if self.0[4] == -1 { self.0[1] } else { self.0[3] }
    }
}

/// Where a payment was counted.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) rule: u64,
    pub(crate) window_start: u64,
    pub(crate) amount: i64,
    pub(crate) payment: bool,
}

/// One remembered message.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Never used again, unlike the core's slots.
    pub(crate) number: u64,
    pub(crate) key: MessageKey,
    pub(crate) content: Content,
    pub(crate) life_cycle: [u8; 16],
    pub(crate) rrn: [u8; 12],
    pub(crate) terminal: [u8; 8],
    pub(crate) sequence: u64,
    pub(crate) at: u64,
    pub(crate) state: TransactionState,
    pub(crate) direction: Direction,
    pub(crate) decision: Decision,
    pub(crate) flagged: Option<Reason>,
    pub(crate) card: Option<usize>,
    pub(crate) user: Option<usize>,
    pub(crate) pot: Option<usize>,
    /// Of its amounts.
    pub(crate) currency: Currency,
    pub(crate) base: Option<u64>,
    pub(crate) requested: i64,
    pub(crate) authorised: i64,
    pub(crate) captured: i64,
    pub(crate) released: i64,
    pub(crate) returned: i64,
    pub(crate) expires_at: u64,
    /// For how long it holds, where its partner agrees.
    pub(crate) lives_ms: u64,
    /// When its lifetime began, and how many others' did before it: the order in which holds end
    /// that end with one command.
    pub(crate) began: (u64, u64),
    /// Since when it may be forgotten, and how many others were so before it.
    pub(crate) answered: Option<(u64, u64)>,
    /// Whether a later message was about it.
    pub(crate) spoken_of: bool,
    /// Whether it is kept for as long as approvals that ended.
    pub(crate) ended: bool,
    pub(crate) counted: Vec<Counted>,
    pub(crate) fees: Vec<FeeLine>,
}

impl Entry {
    /// What is still held or pending.
    pub(crate) fn open(&self) -> i64 {
        match self.is_open() || self.state == TransactionState::Asked {
            true => self.authorised - self.captured - self.released,
            false => 0,
        }
    }

    /// What it posted and was not taken back.
    pub(crate) fn posted(&self) -> i64 {
        self.captured - self.returned
    }

    /// Whether it ends by itself one day.
    pub(crate) fn ends(&self) -> bool {
        (self.is_open() || self.state == TransactionState::Asked) && self.began.0 != u64::MAX
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == TransactionState::Authorized
    }
}

/// The sums that the model keeps of a currency: user book and collateral book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) funding: i64,
    pub(crate) settlement: i64,
    pub(crate) receivable: i64,
    pub(crate) users_cover: i64,
    pub(crate) partner_settlement: i64,
    pub(crate) bank: i64,
    pub(crate) fees: i64,
    pub(crate) invoiced: i64,
    pub(crate) partner_held: i64,
    pub(crate) iban_technical: i64,
}

/// Everything.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) limits: Limits,
    pub(crate) counts: Counts,
    pub(crate) now: u64,
    pub(crate) sequence: u64,
    pub(crate) partners: Vec<PartnerId>,
    pub(crate) programs: Vec<Program>,
    pub(crate) custody: Vec<(ConfigId, Custody)>,
    pub(crate) customers: Vec<(CustomerId, bool, bool)>,
    pub(crate) users: Vec<User>,
    pub(crate) pots: Vec<Pot>,
    pub(crate) cards: Vec<Card>,
    pub(crate) rules: Vec<LimitRow>,
    pub(crate) fees: Vec<Fee>,
    pub(crate) rules_made: usize,
    pub(crate) numbers_given: u64,
    pub(crate) entries: Vec<Entry>,
    pub(crate) entries_made: u64,
    pub(crate) answers_made: u64,
    pub(crate) exceptions: VecDeque<Exception>,
    pub(crate) outcomes: VecDeque<(CommandId, Outcome)>,
    pub(crate) sums: Vec<(Currency, Sums)>,
}

impl Model {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            counts: Counts { balances_max: u32::MAX, cards_max: 64 },
            now: 0,
            sequence: 0,
            partners: Vec::new(),
            programs: Vec::new(),
            custody: Vec::new(),
            customers: Vec::new(),
            users: Vec::new(),
            pots: Vec::new(),
            cards: Vec::new(),
            rules: Vec::new(),
            fees: Vec::new(),
            rules_made: 0,
            numbers_given: 0,
            entries: Vec::new(),
            entries_made: 0,
            answers_made: 0,
            exceptions: VecDeque::new(),
            outcomes: VecDeque::new(),
            sums: Vec::new(),
        }
    }

    pub(crate) fn sums(&mut self, currency: Currency) -> &mut Sums {
        if !self.sums.iter().any(|(known, _)| *known == currency) {
            self.sums.push((currency, Sums::default()));
        }
        &mut self.sums.iter_mut().find(|(known, _)| *known == currency).unwrap().1
    }

    pub(crate) fn card_of(&self, token: PanToken) -> Option<usize> {
        self.cards.iter().position(|card| card.token == token)
    }

    /// The partner balance that a card's program holds at each authorization.
    pub(crate) fn pot_of(&self, card: usize) -> Option<usize> {
        let program = &self.programs[self.cards[card].program];
        let kind = match program.collateral {
            Collateral::Deposit => PartnerBalanceKind::Deposit,
            Collateral::Technical => PartnerBalanceKind::Technical,
            Collateral::None | Collateral::Credit => return None,
        };
        self.pots.iter().position(|pot| {
            (pot.partner, pot.kind, pot.currency) == (program.partner, kind, program.currency)
        })
    }

    pub(crate) fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.number == number)
    }

    pub(crate) fn entry_mut(&mut self, number: u64) -> &mut Entry {
        self.entries.iter_mut().find(|entry| entry.number == number).unwrap()
    }

    pub(crate) fn known(&self, key: &MessageKey) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == *key)
    }

    pub(crate) fn raise(&mut self, kind: ExceptionKind, amount: i64) {
        if self.exceptions.len() == shared::limits::EXCEPTIONS_MAX {
            self.exceptions.pop_front();
        }
        let (sequence, at) = (Sequence(self.sequence), Timestamp(self.now));
        self.exceptions.push_back(Exception { sequence, at, kind, amount: Amount(amount) });
    }

    /// Answers that moved nothing, or ended approvals, in the order in which they are forgotten.
    fn answers(&self, ended: bool) -> Vec<(u64, u64)> {
        let of_queue = self.entries.iter().filter(|entry| entry.ended == ended);
        let mut answers: Vec<_> = of_queue.filter_map(|e| Some((e.answered?, e.number))).collect();
        answers.sort_unstable_by_key(|((_, order), _)| *order);
        answers.into_iter().map(|((since, _), number)| (since, number)).collect()
    }

    fn outdated(&self, since: u64, ended: bool) -> bool {
        let retention = match ended {
            true => self.limits.ended_retention_ms,
            false => self.limits.answer_retention_ms,
        };
        since + retention <= self.now
    }

    pub(crate) fn forget(&mut self, number: u64) {
        self.entries.retain(|entry| entry.number != number);
    }

    /// Makes room for two more: what is past its retention goes, and what exceeds a bound, the
    /// oldest first, at most three of a kind.
    pub(crate) fn make_room(&mut self) {
        for (ended, most) in [(false, self.limits.answers_max), (true, self.limits.ended_max)] {
            let answers = self.answers(ended);
            let excess = (answers.len() + 2)
                .saturating_sub(most)
                .max((self.entries.len() + 2).saturating_sub(self.limits.transactions_max));
            let oldest = answers.into_iter().take(FORGOTTEN_A_MESSAGE).enumerate();
            for (place, (since, number)) in oldest {
                if !self.outdated(since, ended) && place >= excess {
                    break;
                }
                self.forget(number);
            }
        }
    }

    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.entries.len() + more <= self.limits.transactions_max
    }

    /// Remembers; what is open is held on balance and deposit.
    pub(crate) fn remember(&mut self, mut entry: Entry) -> u64 {
        self.entries_made += 1;
        entry.number = self.entries_made;
        if !entry.is_open() && entry.state != TransactionState::Asked {
            entry.answered = Some((entry.at, self.next_answer()));
            let moved = entry.state == TransactionState::Posted || entry.is_increment();
            entry.ended = moved && entry.state != TransactionState::Tombstone;
        }
        let number = entry.number;
        let open = entry.open();
        entry.began = (self.now, self.next_answer());
        if let Some(base) = entry.base.filter(|base| self.entry(*base).is_some()) {
            self.entry_mut(base).spoken_of = true;
        }
        self.entries.push(entry);
        self.hold(number, open);
        number
    }

    pub(crate) fn next_answer(&mut self) -> u64 {
        self.answers_made += 1;
        self.answers_made
    }

    /// Holds more (less, where negative) on both sides; a credit holds nothing.
    pub(crate) fn hold(&mut self, number: u64, amount: i64) {
        let entry = self.entry(number).unwrap();
        if entry.direction == Direction::Credit || amount == 0 {
            return;
        }
        let (user, pot) = (entry.user, entry.pot);
        if let Some(user) = user {
            self.users[user].held += amount;
        }
        if let Some(pot) = pot {
            self.pots[pot].held += amount;
        }
    }

    /// Posts from the holder to the networks (back, where negative), on both sides.
    fn post(&mut self, number: u64, amount: i64) {
        if amount == 0 {
            return;
        }
        let entry = self.entry(number).unwrap();
        let (user, pot, direction) = (entry.user, entry.pot, entry.direction);
        let currency = entry.currency;
        let out = match direction {
            Direction::Debit => amount,
            Direction::Credit => -amount,
        };
        match user.filter(|user| !self.users[*user].closed) {
            Some(user) if self.users[user].entrusted => self.sums(currency).partner_held -= out,
            Some(user) => self.users[user].ledger -= out,
            None => self.sums(currency).receivable -= out,
        }
        self.sums(currency).settlement += out;
        if let Some(pot) = pot {
            self.pots[pot].ledger -= out;
            self.sums(currency).partner_settlement += out;
        }
    }

    pub(crate) fn raise_hold(&mut self, number: u64, amount: i64, requested: i64, until: u64) {
        let began = (self.now, self.next_answer());
        let entry = self.entry_mut(number);
        entry.authorised += amount;
        entry.requested += requested;
        if entry.expires_at != until {
            (entry.expires_at, entry.began) = (until, began);
        }
        self.hold(number, amount);
    }

    pub(crate) fn release(&mut self, number: u64, amount: i64) {
        assert!(amount <= self.entry(number).unwrap().open(), "the model releases what is open");
        self.entry_mut(number).released += amount;
        self.hold(number, -amount);
    }

    pub(crate) fn capture(&mut self, number: u64, amount: i64) {
        assert!(amount <= self.entry(number).unwrap().open(), "the model captures what is open");
        self.entry_mut(number).captured += amount;
        self.hold(number, -amount);
        self.post(number, amount);
    }

    /// Posts without a hold.
    pub(crate) fn settle(&mut self, number: u64, amount: i64) {
        self.entry_mut(number).captured += amount;
        self.post(number, amount);
    }

    /// Posts back.
    pub(crate) fn give_back(&mut self, number: u64, amount: i64) {
        assert!(amount <= self.entry(number).unwrap().posted(), "the model returns what is posted");
        self.entry_mut(number).returned += amount;
        self.post(number, -amount);
        self.note_closed(number, amount);
    }

    /// What is posted for a balance that was closed is for people to look at.
    pub(crate) fn note_closed(&mut self, number: u64, amount: i64) {
        let user = self.entry(number).unwrap().user;
        if amount > 0 && user.is_some_and(|user| self.users[user].closed) {
            self.raise(ExceptionKind::Suspense, amount);
        }
    }

    pub(crate) fn close(&mut self, number: u64, state: TransactionState) {
        assert_eq!(self.entry(number).unwrap().open(), 0, "the model closes what is not open");
        let now = self.now;
        let order = self.next_answer();
        let entry = self.entry_mut(number);
        entry.state = state;
        if entry.answered.is_none() {
            entry.answered = Some((now, order));
            entry.ended = true;
        }
    }

    /// Ends a hold or a pending credit: what is open of it is released; what a credit made
    /// available at once goes back.
    pub(crate) fn end_hold(&mut self, number: u64, state: TransactionState) {
        let entry = self.entry(number).unwrap();
        let (open, captured, posted) = (entry.open(), entry.captured, entry.posted());
        if entry.direction == Direction::Credit {
            self.give_back(number, posted);
        }
        self.uncount(number, open, captured == 0);
        self.release(number, open);
        self.close(number, state);
    }

    /// [`shared::command::Command::Expire`].
    pub(crate) fn expire(&mut self) {
        let most = shared::limits::EXPIRED_A_COMMAND_MAX;
        let mut due: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| entry.ends() && entry.expires_at <= self.now)
            .map(|entry| (entry.expires_at - entry.began.0, entry.began.1, entry.number))
            .collect();
        due.sort_unstable();
        let mut outdated = Vec::new();
        for ended in [false, true] {
            let answers = self.answers(ended).into_iter();
            outdated.extend(answers.take_while(|(since, _)| self.outdated(*since, ended)));
        }
        for (_, _, number) in due.into_iter().take(most) {
            let entry = self.entry(number).unwrap();
            if entry.state == TransactionState::Asked {
                let reason = self.silence_of(entry);
                self.stop_asking(number, reason, TransactionState::Answered);
            } else {
                self.end_hold(number, TransactionState::Expired);
            }
        }
        for (_, number) in outdated.into_iter().take(most) {
            self.forget(number);
        }
    }
}
