//! The model's fees: after each message every transaction is looked at anew, and what its fees come
//! to is compared with what they came to before.

use shared::command::{Authorization, Command};
use shared::control::Refusal;
use shared::effect::{Direction, TransactionState};
use shared::fee::{Charge, FEES_A_PROGRAM_MAX, FIXED_MAX, Fee, Payer, RATE_PPM_MAX};
use shared::ids::{BalanceId, FeeId};
use shared::limits::OWED_FEES_MAX;
use shared::rule::FILTER_ENTRIES_MAX;

use crate::state::Model;

/// One fee of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FeeLine {
    pub(crate) fee: FeeId,
    pub(crate) fixed: i64,
    pub(crate) rate_ppm: u32,
    pub(crate) payer: Payer,
    pub(crate) reserved: i64,
    pub(crate) taken: i64,
}

impl FeeLine {
    fn of(fee: &Fee) -> Self {
        let (fixed, rate_ppm) = (fee.terms.fixed.0, fee.terms.rate_ppm);
        let payer = fee.terms.payer;
        Self { fee: fee.id, fixed, rate_ppm, payer, reserved: 0, taken: 0 }
    }

    fn on(&self, amount: i64) -> i64 {
        if amount <= 0 {
            return 0;
        }
        let millionths = i128::from(amount) * i128::from(self.rate_ppm);
        let (whole, rest) = (millionths / 1_000_000, millionths % 1_000_000);
        self.fixed + i64::try_from(whole).unwrap() + i64::from(rest >= 500_000)
    }

    /// What the holder has to have for it.
    fn held(&self, amount: i64) -> i64 {
        if self.payer == Payer::Holder { self.on(amount) } else { 0 }
    }
}

impl Model {
    fn lines_for(&self, message: &Authorization) -> Vec<FeeLine> {
        let Some(card) = self.card_of(message.token) else { return Vec::new() };
        let program = self.programs[self.cards[card].program].id;
        let made = &message.acceptance;
        let is_on = |fee: &&Fee| {
            let filter = &fee.filter;
            let converted = message.billing.map(|money| money.currency);
            let converted = converted.is_some_and(|billed| billed != message.transaction.currency);
            fee.program == program
                && (!fee.converted || converted)
                && (filter.channels.is_empty() || filter.channels.contains(&made.channel))
                && (filter.mccs.is_empty()
                    || filter.mccs.iter().any(|(a, b)| *a <= made.mcc && made.mcc <= *b))
                && (filter.countries.is_empty() || filter.countries.contains(&made.country))
                && (filter.merchants.is_empty() || filter.merchants.contains(&made.merchant))
        };
        self.fees.iter().filter(is_on).map(FeeLine::of).collect()
    }

    /// What the holder has to have beside `amount` of a payment.
    pub(crate) fn fees_beside(&self, message: &Authorization, amount: i64) -> i64 {
        self.lines_for(message).iter().map(|line| line.held(amount)).sum()
    }

    /// The same for what is added to a hold.
    pub(crate) fn fees_beside_more(&self, base: u64, amount: i64) -> i64 {
        let held = self.entry(base).unwrap();
        let more = |line: &FeeLine| line.held(held.open() + amount) - line.reserved;
        held.fees.iter().map(more).sum()
    }

    /// Lets the fees of every transaction come to what they have to behind a message;
    /// `made_before` entries had been made before it.
    pub(crate) fn settle_fees(&mut self, command: &Command, made_before: u64) {
        let message = match command {
            Command::Authorize(request) => Some(request),
            Command::Advise(advice) => Some(&advice.message),
            Command::Reverse(_)
            | Command::LockOutside(_)
            | Command::Void(..)
            | Command::Expire
            | Command::Manage(..)
            | Command::Answered(..) => None,
        };
        let numbers: Vec<u64> = self.entries.iter().map(|entry| entry.number).collect();
        for number in numbers.iter().filter(|number| **number > made_before) {
            self.give_lines(*number, message);
        }
        for number in numbers {
            self.settle_lines(number);
        }
    }

    fn give_lines(&mut self, number: u64, message: Option<&Authorization>) {
        let own = self.entry(number).unwrap();
        let posts = own.state == TransactionState::Posted;
        let debit = own.direction == Direction::Debit && own.user.is_some();
        if !debit || !(posts || own.is_open()) {
            return;
        }
        let posted = own.posted();
        let base = own.base.and_then(|base| self.entry(base));
        let lines = match base.map(|base| (base.number, base.state)) {
            None
            | Some((
                _,
                TransactionState::Answered
                | TransactionState::Tombstone
                | TransactionState::Asked
                | TransactionState::Voided,
            )) => message.map_or(Vec::new(), |message| self.lines_for(message)),
            Some((base, _)) => {
                let hold = self.entry_mut(base);
                let mut lines = hold.fees.clone();
                for (line, of_hold) in lines.iter_mut().zip(&mut hold.fees) {
                    (line.reserved, line.taken) = (0, 0);
                    match posts && posted > 0 {
                        true => of_hold.fixed = 0,
                        false => line.fixed = 0,
                    }
                }
                lines
            }
        };
        self.entry_mut(number).fees = lines;
    }

    fn settle_lines(&mut self, number: u64) {
        let entry = self.entry(number).unwrap().clone();
        let posted = if entry.state == TransactionState::Posted { entry.posted() } else { 0 };
        let mut lines = entry.fees.clone();
        for line in &mut lines {
            let (reserve, taken) = (line.held(entry.open()), line.on(posted));
            let user = entry.user.unwrap();
            self.users[user].held += reserve - line.reserved;
            let more = taken - line.taken;
            match line.payer {
                Payer::Partner => self.sums(entry.currency).invoiced -= more,
                Payer::Holder if self.users[user].closed => {
                    self.sums(entry.currency).receivable -= more;
                }
                Payer::Holder => self.users[user].ledger -= more,
            }
            self.sums(entry.currency).fees += more;
            (line.reserved, line.taken) = (reserve, taken);
        }
        self.entry_mut(number).fees = lines;
    }

    pub(crate) fn put_fee(&mut self, fee: &Fee) -> Result<(), Refusal> {
        let filter = &fee.filter;
        let lengths = [
            filter.channels.len(),
            filter.mccs.len(),
            filter.countries.len(),
            filter.merchants.len(),
        ];
        let terms = &fee.terms;
        let sound = terms.fixed.0 >= 0
            && terms.fixed <= FIXED_MAX
            && terms.rate_ppm <= RATE_PPM_MAX
            && (terms.fixed.0, terms.rate_ppm) != (0, 0)
            && lengths.iter().all(|length| *length <= FILTER_ENTRIES_MAX)
            && filter.mccs.iter().all(|(first, last)| first <= last);
        if !sound {
            return Err(Refusal::Unsound);
        }
        if !self.programs.iter().any(|program| program.id == fee.program) {
            return Err(Refusal::ProgramNotFound);
        }
        if self.is_entrusted(fee.program) {
            return Err(Refusal::OtherCustody);
        }
        let same = |known: &&mut Fee| known.program == fee.program && known.id == fee.id;
        if let Some(known) = self.fees.iter_mut().find(same) {
            *known = fee.clone();
            return Ok(());
        }
        let of_program = self.fees.iter().filter(|known| known.program == fee.program).count();
        if of_program >= FEES_A_PROGRAM_MAX {
            return Err(Refusal::TableFull);
        }
        self.fees.push(fee.clone());
        Ok(())
    }

    /// What may be charged to a balance, as far as the charge itself goes.
    pub(crate) fn chargeable(&self, user: usize, charge: &Charge) -> Result<i64, Refusal> {
        if charge.money.currency != self.users[user].currency {
            return Err(Refusal::CurrencyMismatch);
        }
        let amount = charge.money.amount.0;
        if amount <= 0 || amount > FIXED_MAX.0 { Err(Refusal::InvalidAmount) } else { Ok(amount) }
    }

    pub(crate) fn charge_fee(&mut self, id: BalanceId, charge: &Charge) -> Result<(), Refusal> {
        let user = match charge.payer {
            Payer::Holder => self.own_user(id)?,
            Payer::Partner => self.open_user(id)?,
        };
        let amount = self.chargeable(user, charge)?;
        if charge.payer == Payer::Partner {
            self.sums(charge.money.currency).invoiced -= amount;
            self.sums(charge.money.currency).fees += amount;
            return Ok(());
        }
        let taken = amount.min(self.users[user].available().max(0));
        if taken < amount {
            let owed = &mut self.users[user].owed;
            let known = owed.iter().position(|(fee, _)| *fee == charge.fee);
            match known {
                Some(place) => owed[place].1 += amount - taken,
                None if owed.len() >= OWED_FEES_MAX => return Err(Refusal::TooManyOwed),
                None => owed.push((charge.fee, amount - taken)),
            }
        }
        self.take_fee(user, taken);
        Ok(())
    }

    pub(crate) fn take_fee(&mut self, user: usize, amount: i64) {
        let currency = self.users[user].currency;
        self.users[user].ledger -= amount;
        self.sums(currency).fees += amount;
    }

    /// Takes what is owed out of what came in.
    pub(crate) fn collect(&mut self, user: usize) {
        for place in 0..self.users[user].owed.len() {
            let taken = self.users[user].available().max(0).min(self.users[user].owed[place].1);
            self.users[user].owed[place].1 -= taken;
            self.take_fee(user, taken);
        }
        self.users[user].owed.retain(|(_, sum)| *sum > 0);
    }
}
