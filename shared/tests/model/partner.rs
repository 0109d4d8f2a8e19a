//! The model's questions to partners: asked where the money is with them, and what ends each.

use shared::action_code::Reason;
use shared::card::{CardState, YearMonth};
use shared::command::{
    ANSWER_MS_MAX, Authorization, Collateral, Custody, MessageClass, MessageKey, OnSilence,
    PartnerAnswer, PartnerRefusal,
};
use shared::control::Refusal;
use shared::effect::{ApprovalCode, Decision, Detail, Direction, ExceptionKind, TransactionState};
use shared::ids::{BalanceId, ConfigId, Sequence, Timestamp};
use shared::journal_record::Answer;
use shared::money::Amount;

use crate::matching::{Clues, Meant, content_of};
use crate::request::{Kind, adds, is_payment};
use crate::state::{Entry, Model};

fn silence(custody: Option<Custody>) -> Reason {
    match custody.map(|custody| custody.on_silence) {
        Some(OnSilence::LetNetworkStandIn) => Reason::NetworkMayStandIn,
        Some(OnSilence::Decline) | None => Reason::PartnerSilent,
    }
}

impl Model {
    fn custody_of(&self, card: usize) -> Option<Custody> {
        let program = self.programs[self.cards[card].program].id;
        self.custody.iter().find(|(known, _)| *known == program).map(|(_, custody)| *custody)
    }

    /// The question that a repeat waits for.
    pub(crate) fn waits_for(&self, request: &Authorization) -> Option<u64> {
        let content = content_of(request);
        let known = self.known(&request.key).map(|entry| entry.number).or_else(|| {
            let card = self.card_of(request.token).filter(|_| request.repeat)?;
            let clues = Clues { references: request.references, amount: None };
            match self.meant_by_references(card, clues, |entry| {
                entry.key.class == request.key.class
                    && entry.content == content
                    && entry.state != TransactionState::Tombstone
            }) {
                Meant::One(number) => Some(number),
                Meant::Nothing | Meant::Several => None,
            }
        });
        let entry = self.entry(known?)?;
        let waits = entry.state == TransactionState::Asked && entry.content == content;
        waits.then_some(entry.sequence)
    }

    /// Asks, where a request that passed its checks is about money that is with the partner; what
    /// it was declined for, where that is found on the way.
    pub(crate) fn ask(
        &mut self,
        request: &Authorization,
        kind: Kind,
        card: usize,
    ) -> Option<Result<(), Reason>> {
        let custody = self.custody_of(card)?;
        let amount = request.billed().amount.0;
        if amount == 0 && kind != Kind::Inquiry {
            return None;
        }
        let mut keys: Vec<MessageKey> = request.original.into_iter().collect();
        let mut clues = Clues { references: request.references, amount: None };
        let mut base = None;
        if adds(request) {
            match self.open_one(request, &keys, clues) {
                Meant::Nothing => return Some(Err(Reason::OriginalNotFound)),
                Meant::Several => return Some(Err(Reason::OriginalAmbiguous)),
                Meant::One(number) => base = Some(number),
            }
        }
        let mut flagged = None;
        let credit = kind.direction() == Direction::Credit;
        let financial = request.key.class == MessageClass::Financial;
        if credit && financial {
            keys.push(MessageKey { class: MessageClass::Authorization, ..request.key });
            clues.amount = Some(request.transaction.amount.0);
            let of_something = request.original.is_some() || kind == Kind::Credit;
            flagged = match self.open_one(request, &keys, clues) {
                Meant::One(_) => return None,
                Meant::Several => Some(Reason::OriginalAmbiguous),
                Meant::Nothing => of_something.then_some(Reason::OriginalNotFound),
            };
        }
        let mut entry = Entry::of(self, request, Decision::bare(silence(Some(custody))));
        (entry.user, entry.pot) = (Some(self.cards[card].user), self.pot_of(card));
        entry.state = TransactionState::Asked;
        entry.base = base;
        entry.authorised = if kind == Kind::Inquiry { 0 } else { amount };
        entry.expires_at = self.now + u64::from(custody.answer_ms);
        entry.lives_ms = self.lifetime(kind, card) - self.now;
        entry.flagged = flagged;
        let number = self.remember(entry);
        if !credit && kind != Kind::Inquiry {
            let counted = base.unwrap_or(number);
            self.count_message(counted, request, card, (amount, is_payment(request)));
        }
        Some(Ok(()))
    }

    /// What became of the question of the request under `key`, asked for at `sequence`.
    pub(crate) fn answered(
        &mut self,
        key: &MessageKey,
        sequence: u64,
        answer: PartnerAnswer,
    ) -> Answer {
        let asked =
            |entry: &&Entry| entry.sequence == sequence && entry.state == TransactionState::Asked;
        let Some(entry) = self.known(key).filter(asked) else { return Answer::Noted };
        let (number, amount) = (entry.number, entry.authorised);
        let silent = Err(self.silence_of(entry));
        let outcome = match answer {
            _ if self.now >= entry.expires_at => silent,
            PartnerAnswer::Declined(refusal) => Err(match refusal {
                PartnerRefusal::InsufficientFunds => Reason::InsufficientFunds,
                PartnerRefusal::LimitsExceeded => Reason::PartnerLimitExceeded,
                PartnerRefusal::FraudsDetected => Reason::FraudsDetected,
                PartnerRefusal::BalanceNotFound => Reason::BalanceNotFound,
                PartnerRefusal::Other => Reason::PartnerDeclined,
            }),
            PartnerAnswer::NotAsked | PartnerAnswer::InDoubt => silent,
            PartnerAnswer::Agreed if amount == 0 => silent,
            PartnerAnswer::Has(_) if amount > 0 => silent,
            PartnerAnswer::Agreed => self.still_stands(entry).map(|()| None),
            PartnerAnswer::Has(has) => self.still_stands(entry).map(|()| Some(has)),
        };
        Answer::Decision(match outcome {
            Ok(None) => self.agree(number),
            Ok(Some(has)) => {
                let currency = self.entry(number).unwrap().currency;
                let detail = Detail::Balances { ledger: has, available: has, currency };
                let decision = self.yes(number, detail);
                self.end_question(number, decision, TransactionState::Answered);
                decision
            }
            Err(reason) => self.stop_asking(number, reason, TransactionState::Answered),
        })
    }

    pub(crate) fn silence_of(&self, entry: &Entry) -> Reason {
        silence(entry.card.and_then(|card| self.custody_of(card)))
    }

    fn yes(&self, number: u64, detail: Detail) -> Decision {
        let sequence = Sequence(self.entry(number).unwrap().sequence);
        Decision { reason: Reason::Approved, approval: Some(ApprovalCode::of(sequence)), detail }
    }

    fn still_stands(&self, entry: &Entry) -> Result<(), Reason> {
        let card = &self.cards[entry.card.unwrap()];
        if card.state == CardState::Removed {
            return Err(Reason::CardNotFound);
        }
        if entry.direction == Direction::Debit {
            if card.state == CardState::Expired || YearMonth::of(Timestamp(self.now)) > card.expiry
            {
                return Err(Reason::CardExpired);
            }
            if let Some(lock) = card.lock {
                return Err(Reason::of_lock(lock.code));
            }
        }
        let user = &self.users[card.user];
        if user.closed {
            return Err(Reason::BalanceNotFound);
        }
        match self.customers.iter().find(|(id, ..)| *id == user.customer) {
            Some((_, true, false)) => {}
            Some((_, true, true)) => return Err(Reason::AmlException),
            _ => return Err(Reason::CustomerNotFound),
        }
        if user.blocked.is_some() && entry.direction == Direction::Debit {
            return Err(Reason::BalanceBlocked);
        }
        Ok(())
    }

    fn agree(&mut self, number: u64) -> Decision {
        let decision = self.yes(number, Detail::None);
        let entry = self.entry(number).unwrap().clone();
        let amount = entry.authorised;
        if entry.key.class == MessageClass::Financial {
            self.capture(number, amount);
            match entry.flagged {
                Some(Reason::OriginalAmbiguous) => self.raise(ExceptionKind::Ambiguous, amount),
                Some(_) => self.raise(ExceptionKind::Unmatched, amount),
                None => {}
            }
            self.end_question(number, decision, TransactionState::Posted);
        } else if entry.direction == Direction::Debit && entry.base.is_some() {
            let base = entry.base.and_then(|base| self.entry(base)).filter(|base| base.is_open());
            let Some((base, ends)) = base.map(|base| (base.number, base.expires_at)) else {
                let ended = TransactionState::Answered;
                return self.stop_asking(number, Reason::OriginalNotFound, ended);
            };
            self.raise_hold(base, amount, entry.requested, ends.max(self.now + entry.lives_ms));
            self.end_question(number, decision, TransactionState::Answered);
        } else {
            self.end_question(number, decision, TransactionState::Authorized);
        }
        decision
    }

    /// Ends a question otherwise: what it held and counted goes back.
    pub(crate) fn stop_asking(
        &mut self,
        number: u64,
        reason: Reason,
        state: TransactionState,
    ) -> Decision {
        let entry = self.entry(number).unwrap();
        let (open, base) = (entry.open(), entry.base);
        let base = base.filter(|base| self.entry(*base).is_some());
        self.uncount(base.unwrap_or(number), open, base.is_none());
        self.release(number, open);
        let decision = Decision::bare(reason);
        self.end_question(number, decision, state);
        decision
    }

    fn end_question(&mut self, number: u64, decision: Decision, state: TransactionState) {
        let held = self.entry(number).unwrap().open();
        let (now, order) = (self.now, self.next_answer());
        let entry = self.entry_mut(number);
        (entry.decision, entry.state, entry.expires_at) = (decision, state, 0);
        if state == TransactionState::Authorized {
            (entry.expires_at, entry.began) = (now + entry.lives_ms, (now, order));
            return;
        }
        entry.answered = Some((now, order));
        entry.ended = state != TransactionState::Answered || entry.still_adds();
        if held > 0 {
            // It went over into another hold.
            self.hold(number, -held);
        }
    }

    pub(crate) fn put_custody(
        &mut self,
        program: ConfigId,
        custody: Custody,
    ) -> Result<(), Refusal> {
        let place = self.programs.iter().position(|known| known.id == program);
        let place = place.ok_or(Refusal::ProgramNotFound)?;
        if custody.answer_ms == 0 || custody.answer_ms > ANSWER_MS_MAX {
            return Err(Refusal::Unsound);
        }
        if let Some(known) = self.custody.iter_mut().find(|(known, _)| *known == program) {
            known.1 = custody;
            return Ok(());
        }
        let has_cards = self.cards.iter().any(|card| card.program == place);
        let has_fees = self.fees.iter().any(|fee| fee.program == program);
        let credit = self.programs[place].collateral == Collateral::Credit;
        if has_cards || has_fees || credit {
            return Err(Refusal::OtherCustody);
        }
        self.custody.push((program, custody));
        Ok(())
    }

    pub(crate) fn entrust(&mut self, id: BalanceId) -> Result<(), Refusal> {
        let user = self.open_user(id)?;
        let user = &mut self.users[user];
        let used = (user.ledger, user.held, user.carded) != (0, 0, false) || !user.owed.is_empty();
        if !user.entrusted && (used || user.covered_by.is_some()) {
            return Err(Refusal::BalanceNotEmpty);
        }
        user.entrusted = true;
        Ok(())
    }

    /// A balance whose money is here.
    pub(crate) fn own_user(&self, id: BalanceId) -> Result<usize, Refusal> {
        let user = self.open_user(id)?;
        if self.users[user].entrusted { Err(Refusal::OtherCustody) } else { Ok(user) }
    }

    /// Whether a program's money is with the partner.
    pub(crate) fn is_entrusted(&self, program: ConfigId) -> bool {
        self.custody.iter().any(|(known, _)| *known == program)
    }
}

/// The amount that a balance has, as a partner says it.
pub(crate) fn has(amount: i64) -> PartnerAnswer {
    PartnerAnswer::Has(Amount(amount))
}
