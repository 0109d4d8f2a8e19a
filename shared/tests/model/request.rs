//! The model's requests: the order of checks, row by row, and what an approval does.

use shared::action_code::Reason;
use shared::card::{CardState, YearMonth};
use shared::command::{Authorization, Channel, Collateral, EntryMode, MessageClass, MessageKey};
use shared::credential::CredentialResult;
use shared::effect::{ApprovalCode, Decision, Detail, Direction, ExceptionKind, TransactionState};
use shared::ids::{Sequence, Timestamp};
use shared::journal_record::Answer;
use shared::lock_code::{Lock, LockCode, LockSource};
use shared::money::{Amount, Currency};

use crate::limit::Spending;
use crate::matching::{Clues, Meant, content_of};
use crate::state::{Content, Entry, Model};

/// What a processing code asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Purchase,
    Cash,
    Credit,
    PaymentCredit,
    Inquiry,
}

impl Kind {
    pub(crate) fn of(processing_code: u32) -> Option<Self> {
        match processing_code / 10_000 {
            0 | 2 | 9 | 11 => Some(Self::Purchase),
            1 | 10 | 17 => Some(Self::Cash),
            20..=23 => Some(Self::Credit),
            26 | 28 => Some(Self::PaymentCredit),
            30 | 31 => Some(Self::Inquiry),
            _ => None,
        }
    }

    pub(crate) fn direction(self) -> Direction {
        match self {
            Self::Credit | Self::PaymentCredit => Direction::Credit,
            Self::Purchase | Self::Cash | Self::Inquiry => Direction::Debit,
        }
    }

    fn rows(self) -> Vec<u8> {
        match self {
            Self::Purchase | Self::Cash => (4..=20).collect(),
            Self::Credit | Self::PaymentCredit => vec![4, 5, 6, 10, 12, 13],
            Self::Inquiry => (4..=14).collect(),
        }
    }
}

/// Whether a request, or an advice of one, adds to an open hold.
pub(crate) fn adds(request: &Authorization) -> bool {
    request.incremental
        && request.key.class.of_request() == MessageClass::Authorization
        && matches!(Kind::of(request.processing_code), Some(Kind::Purchase | Kind::Cash))
}

/// Whether a request is one more payment.
pub(crate) fn is_payment(request: &Authorization) -> bool {
    !adds(request) && request.billed().amount.0 > 0
}

/// What the order of checks is asked about.
pub(crate) struct Asked<'a> {
    pub(crate) message: &'a Authorization,
    pub(crate) amount: i64,
    pub(crate) payment: bool,
    /// Nobody showed us credentials.
    pub(crate) advised: bool,
}

impl Entry {
    /// A new one for a message, without money.
    pub(crate) fn of(model: &Model, message: &Authorization, decision: Decision) -> Self {
        Self {
            number: 0,
            key: message.key,
            content: content_of(message),
            life_cycle: message.references.life_cycle,
            rrn: message.references.rrn,
            terminal: message.references.terminal,
            sequence: model.sequence,
            at: model.now,
            state: TransactionState::Answered,
            direction: Self::direction_of(message),
            decision,
            flagged: None,
            card: model.card_of(message.token),
            user: None,
            pot: None,
            currency: message.billed().currency,
            base: None,
            requested: message.transaction.amount.0,
            authorised: 0,
            captured: 0,
            released: 0,
            returned: 0,
            expires_at: 0,
            lives_ms: 0,
            began: (0, 0),
            answered: None,
            spoken_of: false,
            ended: false,
            counted: Vec::new(),
            fees: Vec::new(),
        }
    }

    pub(crate) fn direction_of(message: &Authorization) -> Direction {
        Kind::of(message.processing_code).map_or(Direction::Debit, Kind::direction)
    }

    /// What a message of the same key is answered.
    pub(crate) fn answer_to(&self, content: &Content) -> Decision {
        if self.state.is_taken_back() {
            Decision::bare(Reason::ReversedBeforeRequest)
        } else if self.content == *content {
            self.decision
        } else {
            Decision::bare(Reason::Duplicate)
        }
    }
}

impl Model {
    pub(crate) fn approved(&self, reason: Reason, detail: Detail) -> Decision {
        Decision { reason, approval: Some(ApprovalCode::of(Sequence(self.sequence))), detail }
    }

    /// Rows 4 to 20 for a message; the first that fails.
    pub(crate) fn failing(&self, asked: &Asked<'_>) -> Option<(u8, Reason)> {
        let message = asked.message;
        let kind = Kind::of(message.processing_code);
        let rows = kind.map_or((4..=20).collect(), Kind::rows);
        let rows = rows.into_iter().filter(|row| !(asked.advised && *row == 11));
        rows.into_iter().find_map(|row| Some((row, self.row(row, kind, asked)?)))
    }

    /// One row: the reason of its decline.
    fn row(&self, row: u8, kind: Option<Kind>, asked: &Asked<'_>) -> Option<Reason> {
        let message = asked.message;
        match row {
            4 => kind.is_none().then_some(Reason::UnknownTransactionType),
            5 => self.amount_row(kind, message),
            6..=9 => self.card_row(row, message),
            10 => {
                let holder = self.users[self.cards[self.card_of(message.token)?].user].customer;
                match self.customers.iter().find(|(id, ..)| *id == holder) {
                    Some((_, true, true)) => Some(Reason::AmlException),
                    Some((_, true, false)) => None,
                    _ => Some(Reason::CustomerNotFound),
                }
            }
            11 => self.credential_row(message),
            12 => {
                let user = &self.users[self.cards[self.card_of(message.token)?].user];
                let comes_in = kind.is_some_and(|kind| kind.direction() == Direction::Credit);
                match (user.closed, user.blocked.is_some() && !comes_in) {
                    (true, _) => Some(Reason::BalanceNotFound),
                    (false, true) => Some(Reason::BalanceBlocked),
                    (false, false) => None,
                }
            }
            13 => {
                let user = &self.users[self.cards[self.card_of(message.token)?].user];
                (user.currency != message.billed().currency).then_some(Reason::CurrencyMismatch)
            }
            14..=17 => {
                let reasons = [
                    Reason::NotPermitted,
                    Reason::ExceedsAmountLimit,
                    Reason::BudgetExceeded,
                    Reason::LimitExceeded,
                ];
                let spending = Spending {
                    amount: asked.amount,
                    currency: message.billed().currency,
                    payment: asked.payment,
                };
                let card = self.card_of(message.token)?;
                let allowed = self.limits_allow(row, card, &message.acceptance, spending);
                (!allowed).then_some(reasons[usize::from(row - 14)])
            }
            18 | 19 => self.deposit_row(row, asked),
            20 => {
                let user = &self.users[self.cards[self.card_of(message.token)?].user];
                if user.entrusted {
                    return None;
                }
                // What is forced is flagged by what it forces, fees aside; what is added to a hold
                // is looked at when that is known.
                let fees = match asked.advised || adds(message) {
                    true => 0,
                    false => self.fees_beside(message, asked.amount),
                };
                let short = asked.amount > 0 && user.available() < asked.amount + fees;
                short.then_some(Reason::InsufficientFunds)
            }
            _ => None,
        }
    }

    fn amount_row(&self, kind: Option<Kind>, message: &Authorization) -> Option<Reason> {
        let (amount, billed) = (message.transaction.amount.0, message.billed().amount.0);
        let zero_allowed = kind == Some(Kind::Inquiry) || message.verification;
        let positive = amount > 0 && billed > 0;
        let verifies = message.verification && amount == 0 && billed == 0;
        let inquires = zero_allowed && kind == Some(Kind::Inquiry) && amount >= 0 && billed >= 0;
        let cash_fits = (0..=amount).contains(&message.cash_back.0);
        (!(cash_fits && (positive || verifies || inquires))).then_some(Reason::InvalidAmount)
    }

    fn card_row(&self, row: u8, message: &Authorization) -> Option<Reason> {
        let Some(card) = self.card_of(message.token).map(|card| &self.cards[card]) else {
            return (row == 6).then_some(Reason::CardNotFound);
        };
        match row {
            6 => (card.state == CardState::Removed).then_some(Reason::CardNotFound),
            7 => matches!(card.state, CardState::Ordered | CardState::Linked)
                .then_some(Reason::CardInactive),
            8 => {
                let over = card.state == CardState::Expired
                    || YearMonth::of(Timestamp(self.now)) > card.expiry;
                let stored = message.acceptance.entry == EntryMode::StoredCredential;
                let other = message.expiry.is_some_and(|said| {
                    said != card.expiry && !(stored && Some(said) == card.previous_expiry)
                });
                (over || other).then_some(Reason::CardExpired)
            }
            _ => card.lock.map(|lock| Reason::of_lock(lock.code)),
        }
    }

    fn credential_row(&self, message: &Authorization) -> Option<Reason> {
        match message.credentials.verification_value {
            CredentialResult::Bad => return Some(Reason::InvalidCvv),
            CredentialResult::Unavailable => return Some(Reason::Unavailable),
            CredentialResult::Ok | CredentialResult::Absent => {}
        }
        match message.credentials.pin {
            CredentialResult::Bad => {
                let card = &self.cards[self.card_of(message.token)?];
                let most = self.programs[card.program].policy.pin_tries_max;
                match u16::from(card.wrong_pins) + 1 >= u16::from(most) {
                    true => Some(Reason::PinTriesExceeded),
                    false => Some(Reason::InvalidPin),
                }
            }
            CredentialResult::Unavailable => Some(Reason::Unavailable),
            CredentialResult::Ok | CredentialResult::Absent => None,
        }
    }

    fn deposit_row(&self, row: u8, asked: &Asked<'_>) -> Option<Reason> {
        let card = self.card_of(asked.message.token)?;
        let (missing, short) = match self.programs[self.cards[card].program].collateral {
            Collateral::None | Collateral::Credit => return None,
            Collateral::Deposit => {
                (Reason::DepositBalanceNotFound, Reason::InsufficientFundsOnDeposit)
            }
            Collateral::Technical => {
                (Reason::CollateralBalanceNotFound, Reason::InsufficientCollateral)
            }
        };
        let pot = self.pot_of(card);
        match (row, pot) {
            (18, None) => Some(missing),
            (19, Some(pot)) => {
                let available = self.pots[pot].ledger - self.pots[pot].held;
                (asked.amount > 0 && available < asked.amount).then_some(short)
            }
            _ => None,
        }
    }

    /// 0100, 0101, 0200, 0201.
    pub(crate) fn authorize(&mut self, request: &Authorization) -> Answer {
        if let Some(asked) = self.waits_for(request) {
            return Answer::Asked(Sequence(asked));
        }
        let content = content_of(request);
        if let Some(before) = self.answered_before(&request.key, &content) {
            return Answer::Decision(before);
        }
        if request.repeat {
            let first = self.repeated(&request.key, request.token, request.references, &content);
            if let Some(first) = first {
                return Answer::Decision(first);
            }
        }
        // Two places stay free for what a reversal may need.
        let holds = self.entries.iter().filter(|entry| entry.answered.is_none()).count();
        if holds + 2 >= self.limits.transactions_max {
            return Answer::Decision(Decision::bare(Reason::UnknownError));
        }
        let buried = self.is_buried(request);
        self.make_room();
        if buried {
            return Answer::Decision(self.decline(request, Reason::ReversedBeforeRequest));
        }
        self.decide(request)
    }

    fn decline(&mut self, request: &Authorization, reason: Reason) -> Decision {
        let entry = Entry::of(self, request, Decision::bare(reason));
        self.remember(entry);
        Decision::bare(reason)
    }

    fn decide(&mut self, request: &Authorization) -> Answer {
        let amount = request.billed().amount.0;
        let asked =
            Asked { message: request, amount, payment: is_payment(request), advised: false };
        let failed = self.failing(&asked);
        self.note_pin(request, failed);
        if let Some((_, reason)) = failed.filter(|(row, _)| *row < 20) {
            return Answer::Decision(self.decline(request, reason));
        }
        let kind = Kind::of(request.processing_code).unwrap();
        let card = self.card_of(request.token).unwrap();
        match self.ask(request, kind, card) {
            Some(Ok(())) => return Answer::Asked(Sequence(self.sequence)),
            Some(Err(reason)) => return Answer::Decision(self.decline(request, reason)),
            None => {}
        }
        Answer::Decision(if adds(request) {
            self.increment(request, card, failed)
        } else if failed.is_none() {
            self.approve(request, kind, card, None)
        } else {
            match self.part(request, kind, card) {
                Some(part) => self.approve(request, kind, card, Some(part)),
                None => self.decline(request, Reason::InsufficientFunds),
            }
        })
    }

    /// A wrong PIN is counted where row 11 was the first to fail, a right one where it passed.
    fn note_pin(&mut self, request: &Authorization, failed: Option<(u8, Reason)>) {
        let credit = Kind::of(request.processing_code)
            .is_some_and(|kind| kind.direction() == Direction::Credit);
        let Some(card) = self.card_of(request.token) else { return };
        let since = Timestamp(self.now);
        let card = &mut self.cards[card];
        match failed {
            Some((11, Reason::InvalidPin)) => card.wrong_pins += 1,
            Some((11, Reason::PinTriesExceeded)) => {
                card.wrong_pins += 1;
                let (code, source) = (LockCode::PinTriesExceeded, LockSource::Switch);
                card.lock = Some(Lock { code, source, since });
            }
            Some((row, _)) if row <= 11 => {}
            _ if credit => {}
            _ if request.credentials.pin == CredentialResult::Ok => card.wrong_pins = 0,
            _ => {}
        }
    }

    /// What of a purchase can be approved where the whole is not covered: in the transaction's and
    /// in the billing currency.
    fn part(&self, request: &Authorization, kind: Kind, card: usize) -> Option<(i64, i64)> {
        let policy = &self.programs[self.cards[card].program].policy;
        let allowed = policy.partial_approval
            && request.partial_allowed
            && kind == Kind::Purchase
            && request.acceptance.channel != Channel::Atm
            && !adds(request);
        let (whole, billed) =
            (i128::from(request.transaction.amount.0), i128::from(request.billed().amount.0));
        let goods = (whole - i128::from(request.cash_back.0)) * billed / whole;
        let available = i128::from(self.users[self.cards[card].user].available());
        let mut part = available.min(goods);
        let fees =
            |part: i128| i128::from(self.fees_beside(request, i64::try_from(part.max(0)).unwrap()));
        while part > 0 && part + fees(part) > available {
            part -= 1;
        }
        let transaction = part * whole / billed;
        let both = (i64::try_from(transaction).ok()?, i64::try_from(part).ok()?);
        (allowed && part > 0 && transaction > 0).then_some(both)
    }

    pub(crate) fn lifetime(&self, kind: Kind, card: usize) -> u64 {
        let policy = &self.programs[self.cards[card].program].policy;
        let hours = match kind {
            Kind::Purchase | Kind::Inquiry => policy.purchase_hold_hours,
            Kind::Cash => policy.cash_hold_hours,
            Kind::Credit | Kind::PaymentCredit => policy.credit_hold_hours,
        };
        self.now + u64::from(hours) * 3_600_000
    }

    fn approve(
        &mut self,
        request: &Authorization,
        kind: Kind,
        card: usize,
        part: Option<(i64, i64)>,
    ) -> Decision {
        let user = self.cards[card].user;
        let billed = request.billed().amount.0;
        let (requested, amount) = part.unwrap_or((request.transaction.amount.0, billed));
        let decision = match (kind, part) {
            (Kind::Inquiry, _) => {
                let user = &self.users[user];
                let detail = Detail::Balances {
                    ledger: Amount(user.ledger),
                    available: Amount(user.available()),
                    currency: user.currency,
                };
                self.approved(Reason::Approved, detail)
            }
            (_, Some((transaction, billed))) => {
                let detail =
                    Detail::Partial { transaction: Amount(transaction), billed: Amount(billed) };
                self.approved(Reason::ApprovedPartially, detail)
            }
            (_, None) => self.approved(Reason::Approved, Detail::None),
        };
        let mut entry = Entry::of(self, request, decision);
        let pot = self.pot_of(card);
        (entry.user, entry.pot) = (Some(user), pot);
        entry.requested = requested;
        if kind == Kind::Inquiry || amount == 0 {
            self.remember(entry);
            return decision;
        }
        if request.key.class == MessageClass::Financial {
            self.approve_financial(request, entry, amount, card);
            return decision;
        }
        entry.state = TransactionState::Authorized;
        entry.authorised = amount;
        entry.expires_at = self.lifetime(kind, card);
        let number = self.remember(entry);
        let policy = &self.programs[self.cards[card].program].policy;
        if kind == Kind::PaymentCredit && amount <= policy.instant_credit_max.0 {
            self.capture(number, amount);
        }
        if kind.direction() == Direction::Debit {
            self.count_message(number, request, card, (amount, is_payment(request)));
        }
        decision
    }

    pub(crate) fn count_message(
        &mut self,
        number: u64,
        message: &Authorization,
        card: usize,
        (amount, payment): (i64, bool),
    ) {
        let currency: Currency = message.billed().currency;
        self.count(number, card, &message.acceptance, Spending { amount, currency, payment });
    }

    fn approve_financial(
        &mut self,
        request: &Authorization,
        mut entry: Entry,
        amount: i64,
        card: usize,
    ) {
        entry.state = TransactionState::Posted;
        if entry.direction == Direction::Debit {
            let number = self.remember(entry);
            self.settle(number, amount);
            self.count_message(number, request, card, (amount, is_payment(request)));
            return;
        }
        let mut keys: Vec<MessageKey> = request.original.into_iter().collect();
        keys.push(MessageKey { class: MessageClass::Authorization, ..request.key });
        let clues =
            Clues { references: request.references, amount: Some(request.transaction.amount.0) };
        let exception = match self.open_one(request, &keys, clues) {
            Meant::One(number) => {
                self.clear(number, entry, amount, true);
                return;
            }
            Meant::Several => Some((Reason::OriginalAmbiguous, ExceptionKind::Ambiguous)),
            Meant::Nothing
                if request.original.is_some()
                    || Kind::of(request.processing_code) == Some(Kind::Credit) =>
            {
                Some((Reason::OriginalNotFound, ExceptionKind::Unmatched))
            }
            Meant::Nothing => None,
        };
        if let Some((reason, kind)) = exception {
            entry.flagged = Some(reason);
            self.raise(kind, amount);
        }
        let number = self.remember(entry);
        self.settle(number, amount);
    }

    /// Clears a hold or a pending credit with an entry of its own: first what a credit posted
    /// already, then what is open, then by force; the last clearing ends it. Returns the entry and
    /// what was forced.
    pub(crate) fn clear(
        &mut self,
        number: u64,
        mut own: Entry,
        amount: i64,
        last: bool,
    ) -> (u64, i64) {
        let held = self.entry(number).unwrap();
        let credit = held.direction == Direction::Credit;
        let (open, posted, captured) = (held.open(), held.posted(), held.captured);
        let already = if credit { posted.min(amount) } else { 0 };
        let taken = open.min(amount - already);
        let forced = amount - already - taken;
        (own.user, own.pot, own.base) = (held.user, held.pot, Some(number));
        (own.state, own.captured) = (TransactionState::Posted, already + taken);
        let own = self.remember(own);
        self.capture(number, taken);
        self.settle(own, forced);
        if last || credit {
            let rest = open - taken;
            self.uncount(number, rest, amount == 0 && captured == 0);
            self.release(number, rest);
            if credit {
                self.give_back(number, posted - already);
                self.note_closed(number, amount);
            }
            self.close(number, TransactionState::Cleared);
        }
        (own, forced)
    }

    /// An incremental authorization that passed rows 4 to 19.
    fn increment(
        &mut self,
        request: &Authorization,
        card: usize,
        failed: Option<(u8, Reason)>,
    ) -> Decision {
        let clues = Clues { references: request.references, amount: None };
        let keys: Vec<MessageKey> = request.original.into_iter().collect();
        let meant = self.open_one(request, &keys, clues);
        let base = match meant {
            Meant::Nothing => return self.decline(request, Reason::OriginalNotFound),
            Meant::Several => return self.decline(request, Reason::OriginalAmbiguous),
            Meant::One(number) => number,
        };
        let amount = request.billed().amount.0;
        let needs = amount + self.fees_beside_more(base, amount);
        if failed.is_some() || (amount > 0 && self.users[self.cards[card].user].available() < needs)
        {
            return self.decline(request, Reason::InsufficientFunds);
        }
        let kind = Kind::of(request.processing_code).unwrap();
        let decision = self.approved(Reason::Approved, Detail::None);
        let mut entry = Entry::of(self, request, decision);
        let found = self.entry(base).unwrap();
        let until = self.lifetime(kind, card).max(found.expires_at);
        (entry.user, entry.pot) = (found.user, found.pot);
        entry.base = Some(base);
        entry.authorised = amount;
        self.remember(entry);
        if amount > 0 {
            self.raise_hold(base, amount, request.transaction.amount.0, until);
        }
        self.count_message(base, request, card, (amount, false));
        decision
    }
}
