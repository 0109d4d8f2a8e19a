//! The model's advices: what was decided elsewhere is recorded, forced where there is no hold, and
//! adjusts the hold where there is one.

use shared::action_code::Reason;
use shared::command::{Advice, Advised, Authorization, MessageClass, MessageKey};
use shared::effect::{Decision, Direction, ExceptionKind, TransactionState};

use crate::matching::{Clues, Meant, content_of};
use crate::request::{Asked, Kind, adds};
use crate::state::{Entry, Model};

/// A billed amount in the proportion of the message's own amounts.
fn in_transaction_currency(message: &Authorization, billed: i64) -> i64 {
    billed * message.transaction.amount.0 / message.billed().amount.0.max(1)
}

impl Model {
    /// 0120, 0121, 0220, 0221.
    pub(crate) fn advise(&mut self, advice: &Advice) -> Decision {
        let message = &advice.message;
        let content = content_of(message);
        if let Some(before) = self.answered_before(&message.key, &content) {
            return before;
        }
        if message.repeat {
            let first = self.repeated(&message.key, message.token, message.references, &content);
            if let Some(first) = first {
                return first;
            }
        }
        let holds = self.entries.iter().filter(|entry| entry.answered.is_none()).count();
        if holds + 2 >= self.limits.transactions_max {
            return Decision::bare(Reason::UnknownError);
        }
        self.make_room();
        if !self.has_room(1) {
            return Decision::bare(Reason::UnknownError);
        }
        let asked = self.asked_increment(message);
        let is_asked = |number: &u64| self.entry(*number).unwrap().state == TransactionState::Asked;
        let waiting = asked.filter(is_asked);
        if (asked.is_none() || waiting.is_some())
            && let Some(decision) = self.advise_increment(advice)
        {
            if let Some(number) = waiting {
                self.take_back(
                    number,
                    match advice.advised {
                        Advised::Declined => TransactionState::Reversed,
                        Advised::Approved | Advised::Unknown => TransactionState::Voided,
                    },
                );
            }
            return decision;
        }
        let meant = match asked {
            Some(number) => Meant::One(number),
            None => self.original_of_advice(message, Entry::direction_of(message)),
        };
        let financial = message.key.class == MessageClass::FinancialAdvice;
        let decision = Decision::bare(match meant {
            Meant::One(_) => Reason::AdviceRecorded,
            Meant::Nothing if financial => Reason::AdviceUnmatched,
            Meant::Nothing => Reason::AdviceRecorded,
            Meant::Several => Reason::AdviceAmbiguous,
        });
        let mut own = Entry::of(self, message, decision);
        if let Meant::One(number) = meant {
            own.base = Some(number);
        }
        let amount = message.billed().amount.0;
        if advice.advised == Advised::Unknown {
            own.flagged = Some(Reason::FormatError);
            self.raise(ExceptionKind::Flagged(Reason::FormatError), amount);
        }
        if financial && Kind::of(message.processing_code) == Some(Kind::Inquiry) {
            own.base = None;
            self.remember(own);
            return decision;
        }
        self.advise_on(advice, own, meant);
        decision
    }

    fn advise_on(&mut self, advice: &Advice, own: Entry, meant: Meant) {
        let amount = advice.message.billed().amount.0;
        let financial = advice.message.key.class == MessageClass::FinancialAdvice;
        match (financial, advice.advised, meant) {
            (_, Advised::Declined, _) => self.declined(own, meant),
            (false, _, Meant::One(number)) => self.authorized(advice, own, number),
            (false, ..) => {
                if meant == Meant::Several {
                    self.raise(ExceptionKind::Ambiguous, amount);
                }
                self.force_hold(advice, own);
            }
            (true, _, Meant::One(number)) => self.posted(advice, own, number),
            (true, _, Meant::Nothing) => {
                self.raise(ExceptionKind::Unmatched, amount);
                self.force_post(advice, own);
            }
            (true, _, Meant::Several) => {
                self.raise(ExceptionKind::Ambiguous, amount);
                self.force_post(advice, own);
            }
        }
    }

    /// What was asked for here under the trace of something that adds to a hold.
    fn asked_increment(&self, message: &Authorization) -> Option<u64> {
        let own = MessageKey { class: MessageClass::Authorization, ..message.key };
        let known = self.under(&own, Some(message.token)).filter(|_| adds(message))?;
        (self.entry(known).unwrap().authorised > 0).then_some(known)
    }

    /// 0120 of something that adds to a hold, and was not asked for here.
    fn advise_increment(&mut self, advice: &Advice) -> Option<Decision> {
        let message = &advice.message;
        if !adds(message) {
            return None;
        }
        let recorded = Decision::bare(Reason::AdviceRecorded);
        let mut entry = Entry::of(self, message, recorded);
        if advice.advised == Advised::Declined {
            self.remember(entry);
            return Some(recorded);
        }
        let clues = Clues { references: message.references, amount: None };
        let keys: Vec<MessageKey> = message.original.into_iter().collect();
        let Meant::One(base) = self.open_one(message, &keys, clues) else { return None };
        let billed = message.billed();
        let amount = billed.amount.0;
        if advice.advised == Advised::Unknown {
            entry.flagged = Some(Reason::FormatError);
            self.raise(ExceptionKind::Flagged(Reason::FormatError), amount);
        }
        entry.base = Some(base);
        self.flag_forced(message, &mut entry, amount, false);
        let same = self.entry(base).unwrap().currency == billed.currency;
        if amount > 0 && same && self.taking(message).is_some() {
            entry.authorised = amount;
            self.remember(entry);
            self.raise_by_force(message, base, amount);
        } else {
            self.raise(ExceptionKind::Suspense, amount);
            self.remember(entry);
        }
        Some(recorded)
    }

    /// The balance that takes money without a check.
    fn taking(&self, message: &Authorization) -> Option<usize> {
        let user = self.cards[self.card_of(message.token)?].user;
        let fits =
            !self.users[user].closed && self.users[user].currency == message.billed().currency;
        fits.then_some(user)
    }

    /// The first check that a forced amount would not have passed.
    fn flag(&self, message: &Authorization, amount: i64, payment: bool) -> Option<Reason> {
        let asked = Asked { message, amount, payment, advised: true };
        if let Some((_, reason)) = self.failing(&asked) {
            return Some(reason);
        }
        // Rows of inquiries end before the money; a forced amount has to be there all the same.
        let user = &self.users[self.cards[self.card_of(message.token)?].user];
        let short = Entry::direction_of(message) == Direction::Debit
            && amount > 0
            && !user.entrusted
            && user.available() < amount;
        short.then_some(Reason::InsufficientFunds)
    }

    /// Flags a forced amount, and queues it.
    fn flag_forced(
        &mut self,
        message: &Authorization,
        own: &mut Entry,
        amount: i64,
        payment: bool,
    ) {
        if let Some(reason) = self.flag(message, amount, payment) {
            own.flagged = own.flagged.or(Some(reason));
            self.raise(ExceptionKind::Flagged(reason), amount);
        }
    }

    fn count_forced(&mut self, number: u64, message: &Authorization, amount: i64, adds: bool) {
        if let Some(card) = self.card_of(message.token)
            && Entry::direction_of(message) == Direction::Debit
        {
            self.count_message(number, message, card, (amount, !adds));
        }
    }

    fn declined(&mut self, own: Entry, meant: Meant) {
        let financial = own.key.class == MessageClass::FinancialAdvice;
        let amount = own.content.billed();
        self.remember(own);
        match meant {
            Meant::Several if !financial => self.raise(ExceptionKind::Ambiguous, amount),
            Meant::Nothing | Meant::Several => {}
            Meant::One(number) => {
                let entry = self.entry(number).unwrap();
                let posted = entry.state == TransactionState::Posted && financial;
                let asked = entry.state == TransactionState::Asked;
                if entry.is_open() || posted || asked {
                    self.take_back(number, TransactionState::Reversed);
                } else if entry.still_adds() {
                    self.take_off(number, 0);
                    self.close(number, TransactionState::Reversed);
                }
            }
        }
    }

    /// 0120 with an original, approved.
    fn authorized(&mut self, advice: &Advice, mut own: Entry, number: u64) {
        let entry = self.entry(number).unwrap();
        let increment = entry.still_adds();
        match entry.state {
            TransactionState::Authorized if entry.direction == own.direction => {
                self.adjust(&advice.message, own, number);
            }
            TransactionState::Answered if increment => {
                self.adjust_increment(&advice.message, own, number);
            }
            TransactionState::Authorized => {
                own.base = None;
                self.force_hold(advice, own);
            }
            TransactionState::Answered | TransactionState::Voided => self.force_hold(advice, own),
            TransactionState::Asked => {
                self.force_hold(advice, own);
                self.take_back(number, TransactionState::Voided);
            }
            TransactionState::Reversed | TransactionState::Tombstone => {
                self.note_reversed(&mut own);
                self.remember(own);
            }
            TransactionState::Posted | TransactionState::Cleared | TransactionState::Expired => {
                self.remember(own);
            }
        }
    }

    /// Authorised becomes the advised amount, not below what is captured.
    fn adjust(&mut self, message: &Authorization, mut own: Entry, number: u64) {
        let amount = message.billed().amount.0;
        let entry = self.entry(number).unwrap();
        if entry.currency != message.billed().currency {
            self.raise(ExceptionKind::Flagged(Reason::CurrencyMismatch), amount);
            own.flagged = own.flagged.or(Some(Reason::CurrencyMismatch));
            self.remember(own);
            return;
        }
        let more = amount.max(entry.captured) - (entry.authorised - entry.released);
        if more > 0 {
            self.flag_forced(message, &mut own, more, false);
            self.remember(own);
            self.raise_by_force(message, number, more);
        } else {
            self.remember(own);
            if more < 0 {
                self.uncount(number, -more, false);
                self.release(number, -more);
            }
        }
    }

    /// Raises a hold beyond the checks; false where its balance cannot take it.
    fn raise_by_force(&mut self, message: &Authorization, number: u64, more: i64) -> bool {
        let entry = self.entry(number).unwrap();
        let until = entry.expires_at;
        if entry.direction == Direction::Debit && self.taking(message).is_none() {
            self.raise(ExceptionKind::Suspense, more);
            return false;
        }
        self.raise_hold(number, more, in_transaction_currency(message, more), until);
        self.count_forced(number, message, more, true);
        true
    }

    /// What was added to a hold becomes the advised amount.
    fn adjust_increment(&mut self, message: &Authorization, mut own: Entry, number: u64) {
        let billed = message.billed();
        let entry = self.entry(number).unwrap();
        let more = billed.amount.0 - (entry.authorised - entry.released);
        let base = entry.base.filter(|base| {
            let held = self.entry(*base);
            held.is_some_and(|held| held.is_open() && held.currency == billed.currency)
        });
        let Some(base) = base else {
            self.remember(own);
            return;
        };
        if more > 0 {
            self.flag_forced(message, &mut own, more, false);
        }
        self.remember(own);
        if more > 0 {
            if self.raise_by_force(message, base, more) {
                let entry = self.entry_mut(number);
                entry.authorised += more;
                entry.requested += in_transaction_currency(message, more);
                entry.expires_at = 0;
            }
        } else if more < 0 {
            let open = self.entry(base).unwrap().open();
            let by = (-more).min(open);
            if by > 0 {
                self.uncount(base, by, false);
                self.release(base, by);
            }
            self.entry_mut(number).released += -more;
        }
    }

    /// An approval that we did not give.
    fn force_hold(&mut self, advice: &Advice, mut own: Entry) {
        let message = &advice.message;
        let amount = message.billed().amount.0;
        self.flag_forced(message, &mut own, amount, true);
        let kind = Kind::of(message.processing_code);
        let user = self.taking(message).filter(|_| amount > 0 && kind != Some(Kind::Inquiry));
        if let Some(user) = user {
            let card = self.card_of(message.token).unwrap();
            (own.user, own.pot) = (Some(user), self.pot_of(card));
            (own.state, own.authorised) = (TransactionState::Authorized, amount);
            own.expires_at = self.lifetime(kind.unwrap_or(Kind::Purchase), card);
        }
        let number = self.remember(own);
        if user.is_some() {
            self.count_forced(number, message, amount, false);
        }
    }

    /// 0220 with an original, approved.
    fn posted(&mut self, advice: &Advice, own: Entry, named: u64) {
        let entry = self.entry(named).unwrap();
        let asked = entry.state == TransactionState::Asked;
        // An increment stands for its hold.
        let adds = entry.still_adds() || asked;
        let base = entry.base.filter(|base| adds && self.entry(*base).is_some());
        let number = base.unwrap_or(named);
        self.posted_on(advice, own, number);
        if asked && number != named {
            self.take_back(named, TransactionState::Voided);
        }
    }

    fn posted_on(&mut self, advice: &Advice, mut own: Entry, number: u64) {
        let message = &advice.message;
        let amount = message.billed().amount.0;
        own.base = Some(number);
        let entry = self.entry(number).unwrap();
        let (entry_class, class) = (entry.key.class, entry.key.class.of_request());
        let same = entry.direction == own.direction && entry.currency == message.billed().currency;
        let declined =
            entry.state == TransactionState::Answered && !entry.decision.reason.is_approval();
        let reason = entry.decision.reason;
        match (class, entry.state) {
            (_, TransactionState::Tombstone | TransactionState::Reversed) => {
                self.note_reversed(&mut own);
                // The message that it reports on was taken back; everything else is posted.
                if entry_class == MessageClass::Financial {
                    self.remember(own);
                } else {
                    self.force_post(advice, own);
                }
            }
            (_, TransactionState::Asked) => {
                self.force_post(advice, own);
                self.take_back(number, TransactionState::Voided);
            }
            (MessageClass::Financial, TransactionState::Posted)
                if entry.direction == own.direction =>
            {
                self.complete(advice, own, number, same);
            }
            (MessageClass::Authorization, TransactionState::Authorized) if same => {
                let instant = match entry.direction {
                    Direction::Credit => entry.posted().min(amount),
                    Direction::Debit => 0,
                };
                let beyond = (amount - instant - entry.open()).max(0);
                if beyond > 0 {
                    self.flag_forced(message, &mut own, beyond, false);
                    self.raise(ExceptionKind::OverCleared, beyond);
                }
                let (own, forced) = self.clear(number, own, amount, !advice.more_to_come);
                if forced > 0 {
                    self.count_forced(own, message, forced, true);
                }
            }
            _ => {
                if declined {
                    own.flagged = own.flagged.or(Some(reason));
                    self.raise(ExceptionKind::Flagged(reason), amount);
                } else if entry.direction == own.direction {
                    self.raise(ExceptionKind::OverCleared, amount);
                }
                self.force_post(advice, own);
            }
        }
    }

    fn note_reversed(&mut self, own: &mut Entry) {
        own.flagged = own.flagged.or(Some(Reason::ReversedBeforeRequest));
        let flagged = ExceptionKind::Flagged(Reason::ReversedBeforeRequest);
        self.raise(flagged, own.content.billed());
    }

    /// The posted amount of a financial message becomes the advised one.
    fn complete(&mut self, advice: &Advice, mut own: Entry, number: u64, same: bool) {
        let message = &advice.message;
        let amount = message.billed().amount.0;
        if !same {
            own.flagged = own.flagged.or(Some(Reason::CurrencyMismatch));
            self.raise(ExceptionKind::Flagged(Reason::CurrencyMismatch), amount);
            self.remember(own);
            return;
        }
        let entry = self.entry(number).unwrap();
        let (more, user) = (amount - entry.posted(), entry.user);
        let payment = entry.posted() == 0 && entry.base.is_none();
        let fits = user.is_none() || self.taking(message).is_some();
        if more > 0 && fits {
            self.flag_forced(message, &mut own, more, payment);
        } else if more > 0 {
            self.raise(ExceptionKind::Suspense, more);
        }
        self.remember(own);
        if more < 0 {
            self.uncount(number, -more, amount == 0);
            self.give_back(number, -more);
        } else if more > 0 && fits {
            self.settle(number, more);
            let entry = self.entry_mut(number);
            entry.authorised += more;
            entry.requested += in_transaction_currency(message, more);
            entry.expires_at = 0;
            self.count_forced(number, message, more, !payment);
        }
    }

    /// Posts without a hold: on the card's balance if it takes it, else as a receivable.
    fn force_post(&mut self, advice: &Advice, mut own: Entry) {
        let message = &advice.message;
        let amount = message.billed().amount.0;
        self.flag_forced(message, &mut own, amount, true);
        own.user = self.taking(message);
        match own.user {
            Some(_) => own.pot = self.card_of(message.token).and_then(|card| self.pot_of(card)),
            None => self.raise(ExceptionKind::Suspense, amount),
        }
        own.state = TransactionState::Posted;
        let number = self.remember(own);
        self.settle(number, amount);
        self.count_forced(number, message, amount, false);
    }
}
