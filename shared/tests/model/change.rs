//! The model's changes of the issuer's own data.

#![expect(clippy::wildcard_enum_match_arm, reason = "each function gets some of the changes")]

use shared::card::CardState;
use shared::command::{
    Change, Collateral, Counts, HOLD_HOURS_MAX, NewCard, PartnerBalanceKind, Program,
};
use shared::control::{Outcome, Refusal};
use shared::fee::{Charge, Payer};
use shared::ids::{BalanceId, CardId, CommandId, PartnerBalanceId, Sequence, Timestamp};
use shared::limits::CARDS_A_BALANCE_MAX;
use shared::lock_code::{Lock, LockCode, LockSource};
use shared::money::{Currency, Money};
use shared::rule::{Bound, FILTER_ENTRIES_MAX, Period, RULES_A_SUBJECT_MAX, Rule, Subject};

use crate::state::{Card, Model, Pot, Sums, User};

type Refused = Result<(), Refusal>;

fn room(there_is: bool) -> Refused {
    if there_is { Ok(()) } else { Err(Refusal::TableFull) }
}

impl Card {
    /// Lock 6 takes the count along.
    pub(crate) fn unlock(&mut self) {
        if self.lock.is_some_and(|lock| lock.code == LockCode::PinTriesExceeded) {
            self.wrong_pins = 0;
        }
        self.lock = None;
    }
}

impl Model {
    pub(crate) fn manage(&mut self, id: CommandId, change: &Change) -> Outcome {
        if let Some((_, first)) = self.outcomes.iter().find(|(known, _)| *known == id) {
            return *first;
        }
        let outcome =
            |result| Outcome { sequence: Sequence(self.sequence), at: Timestamp(self.now), result };
        let (full, done) = (outcome(Err(Refusal::TableFull)), outcome(Ok(())));
        let over = |outcome: &Outcome, model: &Self| {
            outcome.at.0 + model.limits.command_retention_ms <= model.now
        };
        let due = self.outcomes.iter().take(2).take_while(|(_, old)| over(old, self)).count();
        if self.outcomes.len() - due >= self.limits.commands_max {
            return full;
        }
        let outcome = Outcome { result: self.carry_out(change), ..done };
        self.outcomes.drain(..due);
        self.outcomes.push_back((id, outcome));
        outcome
    }

    fn carry_out(&mut self, change: &Change) -> Refused {
        match change {
            Change::PutPartner(id) => {
                if !self.partners.contains(id) {
                    room(self.partners.len() < self.limits.partners_max)?;
                    self.partners.push(*id);
                }
                Ok(())
            }
            Change::PutProgram(program) => self.put_program(program),
            Change::PutCustomer { id, verified, aml_locked } => {
                let row = (*id, *verified, *aml_locked);
                match self.customers.iter_mut().find(|(known, ..)| known == id) {
                    Some(known) => *known = row,
                    None => {
                        room(self.customers.len() < self.limits.customers_max)?;
                        self.customers.push(row);
                    }
                }
                Ok(())
            }
            Change::OpenBalance { .. } | Change::OpenPartnerBalance { .. } => self.open(change),
            Change::CloseBalance(id) => {
                let user = self.open_user(*id)?;
                if (self.users[user].ledger, self.users[user].held) != (0, 0) {
                    return Err(Refusal::BalanceNotEmpty);
                }
                self.users[user].closed = true;
                self.users[user].owed.clear();
                Ok(())
            }
            Change::IssueCard(card) => self.issue(card),
            Change::SetCardState { .. }
            | Change::LockCard { .. }
            | Change::UnlockCard(_)
            | Change::LockByHolder { .. }
            | Change::SetPin { .. }
            | Change::ResetCvv2 { .. }
            | Change::RenewCard { .. } => self.change_card(change),
            Change::PutRule(rule) => self.make_rule(rule),
            Change::RemoveRule(id) => {
                self.rules.retain(|limit| limit.rule.id != *id);
                Ok(())
            }
            Change::ResolveException(sequence) => {
                self.exceptions.retain(|entry| entry.sequence != *sequence);
                Ok(())
            }
            Change::TopUp { .. } | Change::CreditTransfer { .. } => self.credit(change),
            Change::Withdraw { balance, money } => self.withdraw(*balance, *money),
            Change::Transfer { from, to, money } => self.transfer((*from, *to), *money, None),
            Change::TransferCharged { from, to, money, charge } => {
                self.transfer((*from, *to), *money, Some(charge))
            }
            Change::PutFee(fee) => self.put_fee(fee),
            Change::RemoveFee(program, id) => {
                if !self.programs.iter().any(|known| known.id == *program) {
                    return Err(Refusal::ProgramNotFound);
                }
                self.fees.retain(|fee| (fee.program, fee.id) != (*program, *id));
                Ok(())
            }
            Change::ChargeFee { balance, charge } => self.charge_fee(*balance, charge),
            Change::PutCustody(program, custody) => self.put_custody(*program, *custody),
            Change::EntrustBalance(balance) => self.entrust(*balance),
            Change::BlockBalance { balance, blocked, source } => {
                self.block(*balance, *blocked, *source)
            }
            Change::Reload { balance, money } => self.reload(*balance, *money),
            Change::PutCounts(counts) => self.put_counts(*counts),
        }
    }

    fn put_counts(&mut self, counts: Counts) -> Refused {
        if counts.cards_max > CARDS_A_BALANCE_MAX {
            return Err(Refusal::Unsound);
        }
        self.counts = counts;
        Ok(())
    }

    fn block(&mut self, balance: BalanceId, blocked: bool, source: LockSource) -> Refused {
        let user = self.open_user(balance)?;
        let user = &mut self.users[user];
        let operators = user.blocked == Some(LockSource::Admin);
        if source == LockSource::Admin || !operators {
            user.blocked = blocked.then_some(source);
        } else if !blocked {
            return Err(Refusal::LockedByOther);
        }
        Ok(())
    }

    fn giving_user(&self, id: BalanceId) -> Result<usize, Refusal> {
        let user = self.own_user(id)?;
        if self.users[user].blocked.is_some() { Err(Refusal::BalanceBlocked) } else { Ok(user) }
    }

    pub(crate) fn open_user(&self, id: BalanceId) -> Result<usize, Refusal> {
        let place = self.users.iter().position(|user| user.id == id && !user.closed);
        place.ok_or(Refusal::BalanceNotFound)
    }

    fn put_program(&mut self, program: &Program) -> Refused {
        if !self.partners.contains(&program.partner) {
            return Err(Refusal::PartnerNotFound);
        }
        let policy = &program.policy;
        let hours = [policy.purchase_hold_hours, policy.cash_hold_hours, policy.credit_hold_hours];
        if hours.iter().any(|hours| *hours == 0 || *hours > HOLD_HOURS_MAX)
            || policy.pin_tries_max == 0
            || policy.instant_credit_max.0 < 0
        {
            return Err(Refusal::Unsound);
        }
        let for_ever = |p: &Program| (p.partner, p.currency, p.collateral);
        match self.programs.iter_mut().find(|known| known.id == program.id) {
            Some(known) if for_ever(known) != for_ever(program) => Err(Refusal::IdTaken),
            Some(known) => {
                *known = program.clone();
                Ok(())
            }
            None => {
                room(self.programs.len() < self.limits.programs_max)?;
                self.programs.push(program.clone());
                Ok(())
            }
        }
    }

    fn open(&mut self, change: &Change) -> Refused {
        match *change {
            Change::OpenBalance { id, customer, currency } => {
                match self.customers.iter().find(|(known, ..)| *known == customer) {
                    None => return Err(Refusal::CustomerNotFound),
                    Some((_, false, _)) => return Err(Refusal::CustomerNotVerified),
                    Some(_) => {}
                }
                if self.users.iter().any(|user| user.id == id) {
                    return Err(Refusal::IdTaken);
                }
                let has = |user: &&User| user.customer == customer && !user.closed;
                if self.users.iter().filter(has).count() >= self.counts.balances_max as usize {
                    return Err(Refusal::TooManyBalances);
                }
                room(self.users.len() < self.limits.balances_max)?;
                let (ledger, held, closed, covered_by, carded) = (0, 0, false, None, false);
                self.users.push(User {
                    id,
                    customer,
                    currency,
                    ledger,
                    held,
                    closed,
                    blocked: None,
                    covered_by,
                    entrusted: false,
                    owed: Vec::new(),
                    carded,
                });
                Ok(())
            }
            Change::OpenPartnerBalance { id, partner, kind, currency } => {
                if !self.partners.contains(&partner) {
                    return Err(Refusal::PartnerNotFound);
                }
                if self.pots.iter().any(|pot| pot.id == id) {
                    return Err(Refusal::IdTaken);
                }
                let which = (partner, kind, currency);
                if self.pots.iter().any(|pot| (pot.partner, pot.kind, pot.currency) == which) {
                    return Err(Refusal::PartnerBalanceExists);
                }
                room(self.pots.len() < self.limits.partner_balances_max)?;
                self.pots.push(Pot { id, partner, kind, currency, ledger: 0, held: 0 });
                Ok(())
            }
            _ => unreachable!("only what opens comes here"),
        }
    }

    fn issue(&mut self, card: &NewCard) -> Refused {
        let program = self.programs.iter().position(|program| program.id == card.program);
        let program = program.ok_or(Refusal::ProgramNotFound)?;
        let user = self.open_user(card.balance)?;
        let holder = self.users[user].customer;
        if !self.customers.iter().any(|(id, verified, _)| *id == holder && *verified) {
            return Err(Refusal::CustomerNotVerified);
        }
        if self.programs[program].currency != self.users[user].currency {
            return Err(Refusal::CurrencyMismatch);
        }
        if self.card_of(card.token).is_some() {
            return Err(Refusal::TokenTaken);
        }
        if self.cards.iter().any(|known| known.id == card.id) {
            return Err(Refusal::IdTaken);
        }
        if matches!(card.state, CardState::Expired | CardState::Removed) {
            return Err(Refusal::CardStateForbidden { from: CardState::Ordered, to: card.state });
        }
        if self.living_cards(user).count() >= self.counts.cards_max as usize {
            return Err(Refusal::TooManyCards);
        }
        if self.is_entrusted(card.program) != self.users[user].entrusted {
            return Err(Refusal::OtherCustody);
        }
        room(self.cards.len() < self.limits.cards_max)?;
        let partner = self.programs[program].partner;
        let covered = self.users[user].covered_by;
        if self.programs[program].collateral == Collateral::Credit && covered != Some(partner) {
            if covered.is_some() || self.users[user].ledger != 0 {
                return Err(Refusal::BalanceNotCovered);
            }
            self.users[user].covered_by = Some(partner);
        }
        self.users[user].carded = true;
        self.cards.push(Card {
            id: card.id,
            token: card.token,
            program,
            user,
            expiry: card.expiry,
            previous_expiry: None,
            state: card.state,
            lock: None,
            pin: None,
            wrong_pins: 0,
            generation: 0,
        });
        Ok(())
    }

    /// The cards of a balance that were not removed, in order of issue.
    pub(crate) fn living_cards(&self, user: usize) -> impl Iterator<Item = CardId> {
        let living = move |card: &&Card| card.user == user && card.state != CardState::Removed;
        self.cards.iter().filter(living).map(|card| card.id)
    }

    fn change_card(&mut self, change: &Change) -> Refused {
        let id: CardId = match change {
            Change::SetCardState { card, .. }
            | Change::LockCard { card, .. }
            | Change::UnlockCard(card)
            | Change::LockByHolder { card, .. }
            | Change::SetPin { card, .. }
            | Change::ResetCvv2 { card, .. }
            | Change::RenewCard { card, .. } => *card,
            _ => unreachable!("only changes of a card come here"),
        };
        let since = Timestamp(self.now);
        let card = self.cards.iter_mut().find(|card| card.id == id).ok_or(Refusal::CardNotFound)?;
        if let Change::SetCardState { state, .. } = change {
            if card.state != *state && !card.state.may_become(*state) {
                return Err(Refusal::CardStateForbidden { from: card.state, to: *state });
            }
            card.state = *state;
            return Ok(());
        }
        if card.state == CardState::Removed {
            return Err(Refusal::CardNotFound);
        }
        let for_ever = card.lock.is_some_and(|lock| matches!(lock.code.number(), 1 | 2 | 5 | 8));
        match *change {
            Change::LockCard { .. } | Change::UnlockCard(_) | Change::LockByHolder { .. }
                if for_ever =>
            {
                return Err(Refusal::LockedIrreversibly);
            }
            Change::LockCard { code, source, .. } => card.lock = Some(Lock { code, source, since }),
            Change::UnlockCard(_) => card.unlock(),
            Change::LockByHolder { lock, ref over, .. } => {
                let for_ever =
                    [LockCode::Lost, LockCode::Stolen, LockCode::Inactive, LockCode::Replaced];
                let ends = lock.is_some_and(|code| for_ever.contains(&code));
                let (six, sixes) = (LockCode::PinTriesExceeded, over.contains(&LockSource::Switch));
                let may = match card.lock {
                    None => true,
                    Some(known) if known.code == six => sixes,
                    Some(known) => over.contains(&known.source),
                };
                if !ends && !(may && (sixes || lock != Some(six))) {
                    return Err(Refusal::LockedByOther);
                }
                match lock {
                    Some(code) => card.lock = Some(Lock { code, source: LockSource::User, since }),
                    None => card.unlock(),
                }
            }
            Change::SetPin { pvv, .. } => (card.pin, card.wrong_pins) = (Some(pvv), 0),
            Change::ResetCvv2 { generation, .. } => {
                if generation <= card.generation {
                    return Err(Refusal::NotLater);
                }
                card.generation = generation;
            }
            Change::RenewCard { expiry, .. } => {
                if expiry <= card.expiry {
                    return Err(Refusal::NotLater);
                }
                card.previous_expiry = Some(card.expiry);
                card.expiry = expiry;
            }
            _ => unreachable!("only changes of a card come here"),
        }
        Ok(())
    }

    fn make_rule(&mut self, rule: &Rule) -> Refused {
        if !is_sound(rule) {
            return Err(Refusal::Unsound);
        }
        let known = match rule.subject {
            Subject::Card(id) => self.cards.iter().any(|card| card.id == id),
            Subject::Customer(id) => self.customers.iter().any(|(known, ..)| *known == id),
            Subject::Program(id) => self.programs.iter().any(|program| program.id == id),
            Subject::Partner(id) => self.partners.contains(&id),
        };
        if !known {
            return Err(Refusal::SubjectNotFound);
        }
        match self.rules.iter().find(|limit| limit.rule.id == rule.id) {
            Some(limit) if limit.rule.subject != rule.subject => return Err(Refusal::IdTaken),
            Some(_) => {}
            None => {
                room(self.rules_made < self.limits.rules_max)?;
                let of_subject =
                    self.rules.iter().filter(|limit| limit.rule.subject == rule.subject).count();
                room(of_subject < RULES_A_SUBJECT_MAX)?;
            }
        }
        self.put_rule(rule);
        Ok(())
    }

    fn credit(&mut self, change: &Change) -> Refused {
        let (source, balance, money): (fn(&mut Sums) -> &mut i64, _, _) = match change {
            Change::TopUp { balance, money } => (|sums| &mut sums.funding, *balance, *money),
            Change::CreditTransfer { balance, money } => {
                (|sums| &mut sums.iban_technical, *balance, *money)
            }
            _ => unreachable!("no credit: {change:?}"),
        };
        let user = self.own_user(balance)?;
        sound(money, self.users[user].currency)?;
        let amount = money.amount.0;
        if let Some(partner) = self.users[user].covered_by {
            let which = (partner, PartnerBalanceKind::Credit, money.currency);
            let pot =
                self.pots.iter_mut().find(|pot| (pot.partner, pot.kind, pot.currency) == which);
            let pot = pot.ok_or(Refusal::CollateralBalanceNotFound)?;
            if pot.ledger - pot.held < amount {
                return Err(Refusal::InsufficientCollateral);
            }
            pot.ledger -= amount;
            self.sums(money.currency).users_cover += amount;
        }
        self.users[user].ledger += amount;
        *source(self.sums(money.currency)) -= amount;
        self.collect(user);
        Ok(())
    }

    fn reload(&mut self, balance: PartnerBalanceId, money: Money) -> Refused {
        let pot = self.pots.iter().position(|pot| pot.id == balance);
        let pot = pot.ok_or(Refusal::PartnerBalanceNotFound)?;
        sound(money, self.pots[pot].currency)?;
        self.pots[pot].ledger += money.amount.0;
        self.sums(money.currency).bank -= money.amount.0;
        Ok(())
    }

    fn withdraw(&mut self, balance: BalanceId, money: Money) -> Refused {
        let user = self.giving_user(balance)?;
        sound(money, self.users[user].currency)?;
        let amount = money.amount.0;
        if self.users[user].ledger - self.users[user].held < amount {
            return Err(Refusal::InsufficientFunds);
        }
        if let Some(partner) = self.users[user].covered_by {
            let which = (partner, PartnerBalanceKind::Credit, money.currency);
            let pot =
                self.pots.iter_mut().find(|pot| (pot.partner, pot.kind, pot.currency) == which);
            pot.ok_or(Refusal::CollateralBalanceNotFound)?.ledger += amount;
            self.sums(money.currency).users_cover -= amount;
        }
        self.users[user].ledger -= amount;
        self.sums(money.currency).funding += amount;
        Ok(())
    }

    fn transfer(
        &mut self,
        (from, to): (BalanceId, BalanceId),
        money: Money,
        charge: Option<&Charge>,
    ) -> Refused {
        let (giver, taker) = (self.giving_user(from)?, self.own_user(to)?);
        sound(money, self.users[giver].currency)?;
        sound(money, self.users[taker].currency)?;
        if giver == taker || self.users[giver].covered_by != self.users[taker].covered_by {
            return Err(Refusal::BalancesApart);
        }
        let fee = charge.map(|charge| self.chargeable(giver, charge)).transpose()?.unwrap_or(0);
        let invoiced = charge.is_some_and(|charge| charge.payer == Payer::Partner);
        let needs = money.amount.0 + if invoiced { 0 } else { fee };
        if self.users[giver].ledger - self.users[giver].held < needs {
            return Err(Refusal::InsufficientFunds);
        }
        self.users[giver].ledger -= money.amount.0;
        self.users[taker].ledger += money.amount.0;
        match invoiced {
            true => {
                self.sums(money.currency).invoiced -= fee;
                self.sums(money.currency).fees += fee;
            }
            false => self.take_fee(giver, fee),
        }
        self.collect(taker);
        Ok(())
    }
}

fn sound(money: Money, currency: Currency) -> Refused {
    if money.currency != currency {
        Err(Refusal::CurrencyMismatch)
    } else if money.amount.0 <= 0 {
        Err(Refusal::InvalidAmount)
    } else {
        Ok(())
    }
}

fn is_sound(rule: &Rule) -> bool {
    let filter = &rule.filter;
    let lengths =
        [filter.channels.len(), filter.mccs.len(), filter.countries.len(), filter.merchants.len()];
    let bound = match rule.bound {
        Bound::Denied | Bound::Only => lengths.iter().sum::<usize>() > 0,
        Bound::Amount { max, .. } => max.0 >= 0,
        Bound::Budget { max, .. } => {
            max.0 >= 0 && matches!(rule.subject, Subject::Card(_) | Subject::Customer(_))
        }
        Bound::Count { period, .. } => period != Period::Transaction,
    };
    bound
        && lengths.iter().all(|length| *length <= FILTER_ENTRIES_MAX)
        && filter.mccs.iter().all(|(first, last)| first <= last)
        && ["UTC", "Europe/Warsaw", "Asia/Tokyo", "Asia/Kolkata"].contains(&rule.zone.as_str())
}
