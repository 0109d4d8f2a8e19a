//! The model's reversals, negative acknowledgements, voids and locks outside.

use shared::action_code::Reason;
use shared::command::{LockOutside, MessageKey, References, Reversal, ReversalKind};
use shared::effect::{Decision, Direction, ExceptionKind, TransactionState};
use shared::ids::Timestamp;
use shared::lock_code::{Lock, LockCode, LockSource};
use shared::money::{Amount, Currency};

use crate::matching::Meant;
use crate::state::{Content, Entry, Model};

impl Model {
    fn bare_entry(&self, key: MessageKey, content: Content, references: &References) -> Entry {
        Entry {
            number: 0,
            key,
            content,
            life_cycle: references.life_cycle,
            rrn: references.rrn,
            terminal: references.terminal,
            sequence: self.sequence,
            at: self.now,
            state: TransactionState::Answered,
            direction: Direction::Debit,
            decision: Decision::bare(Reason::UnknownError),
            flagged: None,
            card: None,
            user: None,
            pot: None,
            currency: Currency(0),
            base: None,
            requested: 0,
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

    /// 0400, 0401, 0420, 0421, 0190, 0290.
    pub(crate) fn reverse(&mut self, reversal: &Reversal) -> Decision {
        let content = reversal_content(reversal);
        // What is refused to a request is acknowledged to an advice.
        let again = |before: Decision| match before.reason == Reason::ReversalUnmatched {
            true => Decision::bare(unmatched(reversal.kind)),
            false => before,
        };
        if let Some(before) = self.answered_before(&reversal.key, &content) {
            return again(before);
        }
        if let Some(token) = reversal.token.filter(|_| reversal.repeat) {
            let first = self.repeated(&reversal.key, token, reversal.references, &content);
            if let Some(first) = first {
                return again(first);
            }
        }
        self.make_room();
        if !self.has_room(1) {
            return Decision::bare(Reason::UnknownError);
        }
        let amount = reversal.transaction.map_or(0, |amount| amount.0);
        let meant = self.original_of_reversal(reversal);
        let tombstone = |number| {
            self.entry(number).is_some_and(|entry| entry.state == TransactionState::Tombstone)
        };
        let (reason, original) = match meant {
            Meant::One(number) if tombstone(number) => (unmatched(reversal.kind), None),
            Meant::One(number) => (Reason::ReversalAccepted, Some(number)),
            Meant::Several => (Reason::ReversalAmbiguous, None),
            Meant::Nothing => (unmatched(reversal.kind), None),
        };
        let mut entry = self.bare_entry(reversal.key, content, &reversal.references);
        entry.decision = Decision::bare(reason);
        entry.card = reversal.token.and_then(|token| self.card_of(token));
        entry.base = original;
        entry.requested = amount;
        let mut grave = entry.clone();
        self.remember(entry);
        match (original, meant) {
            (Some(number), _) => self.reverse_one(reversal, number),
            (None, Meant::Several) => self.raise(ExceptionKind::Ambiguous, amount),
            (None, Meant::One(_) | Meant::Nothing) => {
                self.raise(ExceptionKind::ReversalUnmatched, amount);
                let free = self.known(&reversal.original).is_none() && self.has_room(1);
                if free && reversal.original.class.is_reversible() && meant == Meant::Nothing {
                    grave.key = reversal.original;
                    grave.state = TransactionState::Tombstone;
                    self.remember(grave);
                }
            }
        }
        Decision::bare(reason)
    }

    fn reverse_one(&mut self, reversal: &Reversal, number: u64) {
        let entry = self.entry(number).unwrap().clone();
        let excess = reversal.transaction.map_or(0, |amount| amount.0) - entry.requested;
        let partly = entry.decision.reason == Reason::ApprovedPartially;
        if excess > 0 && entry.requested > 0 && !partly {
            self.raise(ExceptionKind::OverReversed, excess);
        }
        let left = left_of(reversal, &entry);
        match (entry.state, left) {
            (TransactionState::Authorized | TransactionState::Posted, None) => {
                self.take_back(number, TransactionState::Reversed);
            }
            (TransactionState::Asked, _) => self.take_back(number, TransactionState::Reversed),
            (TransactionState::Authorized, Some(left)) => self.lower(number, left),
            (TransactionState::Posted, Some(left)) => {
                let back = (entry.posted() - left).max(0);
                self.uncount(number, back, false);
                self.give_back(number, back);
            }
            (TransactionState::Answered, Some(left)) if entry.still_adds() => {
                self.take_off(number, left);
                let off = (entry.authorised - entry.released - left).max(0);
                self.entry_mut(number).released += off;
            }
            (TransactionState::Answered, _) => {
                if entry.is_increment() {
                    self.take_off(number, 0);
                }
                self.close(number, TransactionState::Reversed);
            }
            (TransactionState::Cleared | TransactionState::Expired, None) => {
                self.close(number, TransactionState::Reversed);
            }
            (TransactionState::Cleared | TransactionState::Expired, Some(_))
            | (
                TransactionState::Reversed | TransactionState::Voided | TransactionState::Tombstone,
                _,
            ) => {}
        }
    }

    /// Releases what is open, and posts back what is posted.
    pub(crate) fn take_back(&mut self, number: u64, state: TransactionState) {
        let entry = self.entry(number).unwrap();
        if entry.state == TransactionState::Asked {
            self.stop_asking(number, Reason::ReversedBeforeRequest, state);
            return;
        }
        if entry.is_open() {
            self.end_hold(number, state);
            return;
        }
        let posted = entry.posted();
        self.uncount(number, posted, true);
        self.give_back(number, posted);
        self.close(number, state);
    }

    /// An open hold or pending credit becomes `left`, or what is captured if that is more.
    fn lower(&mut self, number: u64, left: i64) {
        let entry = self.entry(number).unwrap();
        let (open, posted, captured) = (entry.open(), entry.posted(), entry.captured);
        if entry.direction == Direction::Credit {
            self.give_back(number, (posted - left).max(0));
        }
        let released = (open - (left - captured).max(0)).max(0);
        self.uncount(number, released, false);
        self.release(number, released);
    }

    /// An increment goes off its hold but for `left` of it, at most what is open there.
    pub(crate) fn take_off(&mut self, number: u64, left: i64) {
        let entry = self.entry(number).unwrap();
        let (base, off) = (entry.base.unwrap(), entry.authorised - entry.released - left);
        let Some(held) = self.entry(base) else { return };
        let off = off.min(held.open()).max(0);
        self.uncount(base, off, false);
        self.release(base, off);
    }

    /// The answer to the request under `key`, decided at `sequence`, never left.
    pub(crate) fn void(&mut self, key: &MessageKey, sequence: u64) {
        let Some(entry) = self.known(key).filter(|entry| entry.sequence == sequence).cloned()
        else {
            return;
        };
        // The network has spoken of it since, and so knows of it.
        if entry.spoken_of || !entry.decision.reason.is_approval() {
            return;
        }
        match entry.state {
            TransactionState::Authorized | TransactionState::Posted => {
                self.take_back(entry.number, TransactionState::Voided);
            }
            TransactionState::Answered => {
                if entry.is_increment() {
                    self.take_off(entry.number, 0);
                }
                self.close(entry.number, TransactionState::Voided);
            }
            TransactionState::Cleared
            | TransactionState::Expired
            | TransactionState::Reversed
            | TransactionState::Voided
            | TransactionState::Tombstone
            | TransactionState::Asked => {}
        }
    }

    /// 0300, 0302, 0304.
    pub(crate) fn lock_outside(&mut self, asked: &LockOutside) -> Decision {
        let lock = asked.lock.map_or(0, |code| i64::from(code.number()));
        let content = Content([lock, 0, 0, 0, 0, 0, 0], Some(asked.token), [0; 15]);
        if let Some(before) = self.answered_before(&asked.key, &content) {
            return before;
        }
        self.make_room();
        if !self.has_room(1) {
            return Decision::bare(Reason::UnknownError);
        }
        let card = self.card_of(asked.token);
        let reason = match card {
            None => Reason::LockCardNotFound,
            Some(card) => self.change_lock(card, asked.lock),
        };
        let mut entry = self.bare_entry(asked.key, content, &References::default());
        entry.decision = Decision::bare(reason);
        entry.card = card.filter(|_| reason != Reason::LockCardNotFound);
        self.remember(entry);
        Decision::bare(reason)
    }

    fn change_lock(&mut self, card: usize, code: Option<LockCode>) -> Reason {
        let since = Timestamp(self.now);
        let card = &mut self.cards[card];
        if card.state == shared::card::CardState::Removed {
            return Reason::LockCardNotFound;
        }
        if card.lock.is_some_and(|lock| matches!(lock.code.number(), 1 | 2 | 5 | 8)) {
            return Reason::LockRefused;
        }
        match code {
            Some(code) => card.lock = Some(Lock { code, source: LockSource::Outside, since }),
            None => card.unlock(),
        }
        Reason::LockChanged
    }
}

fn unmatched(kind: ReversalKind) -> Reason {
    match kind {
        ReversalKind::Request => Reason::ReversalUnmatched,
        ReversalKind::Advice | ReversalKind::NegativeAcknowledgement => {
            Reason::ReversalAcknowledged
        }
    }
}

/// What a partial reversal leaves, in the balance's currency; `None` where nothing is left.
fn left_of(reversal: &Reversal, original: &Entry) -> Option<i64> {
    let stated = i128::from(reversal.new_total.filter(|total| total.0 > 0)?.0);
    let posted = original.state == TransactionState::Posted;
    let whole = if posted { original.captured } else { original.authorised };
    let left = match reversal.new_billing.filter(|billing| billing.0 > 0) {
        Some(billing) => i128::from(billing.0),
        None if original.requested == 0 => return None,
        None => {
            let first = i128::from(original.requested);
            let half_up = 2 * i128::from(whole) * stated + first;
            half_up / (2 * first)
        }
    };
    let left = i64::try_from(left.min(i128::from(whole))).unwrap();
    (left > 0).then_some(left)
}

/// What a reversal takes back, and how much of it.
fn reversal_content(reversal: &Reversal) -> Content {
    let number = |amount: Option<Amount>| amount.map_or(-1, |amount| amount.0);
    let signed = |number: u64| i64::try_from(number).unwrap();
    let original = reversal.original;
    let numbers = [
        signed(original.stan),
        signed(original.sent_at),
        signed(original.acquirer),
        signed(original.forwarder),
        number(reversal.transaction),
        number(reversal.new_total),
        number(reversal.new_billing),
    ];
    Content(numbers, None, [0; 15])
}
