//! Random changes of the issuer's own data, mostly ones that keep the world alive.

use shared::card::{CardState, YearMonth};
use shared::command::{
    Change, Channel, Collateral, Counts, NewCard, OnSilence, PartnerBalanceKind,
};
use shared::credential::Pvv;
use shared::fee::{Charge, Fee, Payer};
use shared::ids::{
    BalanceId, CardId, ConfigId, CustomerId, FeeId, PartnerBalanceId, PartnerId, RuleId, Sequence,
};
use shared::lock_code::{LockCode, LockSource};
use shared::money::{Amount, Money};
use shared::rule::{Bound, Filter, Period, Rule, Subject};

use crate::history::History;
use crate::world::{EUR, PLN, custody, fee, month, program, token};

impl History {
    pub(crate) fn change(&mut self) -> Change {
        let card = CardId(self.random.below(8) + 1);
        match self.random.below(100) {
            0..20 => self.money_moved(),
            20..35 => {
                let balance = PartnerBalanceId(u128::from(self.random.below(5) + 1));
                let currency = if self.random.percent(3) { PLN } else { EUR };
                let amount = i64::try_from(self.random.below(600)).unwrap();
                Change::Reload { balance, money: Money::new(amount, currency) }
            }
            35..54 => Change::PutRule(self.rule()),
            54..57 => Change::PutFee(self.fee()),
            57 => {
                let (program, fee) = (self.random.below(7) + 1, self.random.below(7) + 1);
                Change::RemoveFee(ConfigId(program), FeeId(fee))
            }
            58..66 => Change::RemoveRule(RuleId(u128::from(self.random.below(12)))),
            66 => Change::ResolveException(Sequence(self.random.below(3_000))),
            67 => self.counts(),
            68..70 => {
                let balance = BalanceId(u128::from(self.random.below(7) + 1));
                let source = self.random.pick(&[LockSource::Partner, LockSource::Admin]);
                Change::BlockBalance { balance, blocked: self.random.percent(40), source }
            }
            70..74 => Change::UnlockCard(card),
            74..76 => {
                let all = [LockSource::Partner, LockSource::Switch, LockSource::User];
                let over = all.into_iter().filter(|_| self.random.percent(50)).collect();
                let lock = LockCode::from_number(self.random.pick(&[0, 0, 0, 0, 0, 3, 6, 7, 1]));
                Change::LockByHolder { card, lock, over }
            }
            76..79 => {
                let code = self.random.pick(&[3, 4, 6, 6, 7, 7, 3, 4, 6, 7, 3, 7, 1, 2, 5, 8]);
                let code = LockCode::from_number(code).unwrap();
                let source = self.random.pick(&[LockSource::Partner, LockSource::Switch]);
                Change::LockCard { card, code, source }
            }
            79..81 => Change::SetPin { card, pvv: Pvv::NONE },
            81..83 => {
                let generation = u16::try_from(self.random.below(5)).unwrap();
                Change::ResetCvv2 { card, generation }
            }
            83..85 => {
                let expiry = month().plus_months(i32::try_from(self.random.below(30)).unwrap());
                Change::RenewCard { card, expiry }
            }
            85..88 => {
                let id = CustomerId(self.random.below(7) + 1);
                let (verified, aml_locked) = (!self.random.percent(10), self.random.percent(15));
                Change::PutCustomer { id, verified, aml_locked }
            }
            _ => self.rare_change(card),
        }
    }

    fn money_moved(&mut self) -> Change {
        let balance = BalanceId(u128::from(self.random.below(6) + 1));
        let currency = if balance.0 == 5 || self.random.percent(3) { PLN } else { EUR };
        let amount = i64::try_from(self.random.below(300)).unwrap();
        let money = Money::new(amount, currency);
        let to = BalanceId(u128::from(self.random.below(6) + 1));
        let charge = Charge {
            fee: FeeId(self.random.below(3) + 20),
            money: Money::new(self.random.pick(&[-1, 0, 1, 7, 40, 400]), currency),
            payer: self.random.pick(&[Payer::Holder, Payer::Holder, Payer::Partner]),
        };
        match self.random.below(9) {
            0 => Change::Withdraw { balance, money },
            1 => Change::Transfer { from: balance, to, money },
            2 => Change::TransferCharged { from: balance, to, money, charge },
            3 => Change::ChargeFee { balance, charge },
            4 => Change::CreditTransfer { balance, money },
            _ => Change::TopUp { balance, money },
        }
    }

    fn rare_change(&mut self, card: CardId) -> Change {
        match self.random.below(13) {
            0..4 => self.program_change(),
            4 => Change::CloseBalance(BalanceId(u128::from(self.random.below(9) + 1))),
            5 => Change::OpenBalance {
                id: BalanceId(u128::from(self.random.below(9) + 1)),
                customer: CustomerId(self.random.below(7) + 1),
                currency: self.random.pick(&[EUR, PLN]),
            },
            6 => Change::OpenPartnerBalance {
                id: PartnerBalanceId(u128::from(self.random.below(7) + 1)),
                partner: PartnerId(u32::try_from(self.random.below(4)).unwrap()),
                kind: self
                    .random
                    .pick(&[PartnerBalanceKind::Deposit, PartnerBalanceKind::Technical]),
                currency: self.random.pick(&[EUR, PLN]),
            },
            7 => Change::PutPartner(PartnerId(u32::try_from(self.random.below(6)).unwrap())),
            8..10 => self.new_card(),
            10 if self.random.percent(60) => {
                let answer_ms = self.random.pick(&[0, 400, 2_000, 2_000, 9_000, 10_001]);
                let mut custody = custody(answer_ms);
                if self.random.percent(50) {
                    custody.on_silence = OnSilence::LetNetworkStandIn;
                }
                let program = self.random.pick(&[6, 6, 6, 1, 2, 7, 8]);
                Change::PutCustody(ConfigId(program), custody)
            }
            10 => Change::EntrustBalance(BalanceId(u128::from(self.random.below(9) + 1))),
            _ => {
                let states = [
                    CardState::Linked,
                    CardState::Active,
                    CardState::Active,
                    CardState::Active,
                    CardState::Expired,
                    CardState::Removed,
                ];
                let card = if self.random.percent(75) { CardId(card.0 | 8) } else { card };
                Change::SetCardState { card, state: self.random.pick(&states) }
            }
        }
    }

    fn counts(&mut self) -> Change {
        Change::PutCounts(Counts {
            balances_max: self.random.pick(&[1, 2, 3, 9, 9, u32::MAX]),
            cards_max: self.random.pick(&[2, 9, 64, 64, 64, 65]),
        })
    }

    fn program_change(&mut self) -> Change {
        let id = self.random.below(7) + 1;
        let collaterals = [
            Collateral::None,
            Collateral::Deposit,
            Collateral::Credit,
            Collateral::Technical,
            Collateral::Deposit,
        ];
        let known = usize::try_from(id - 1).unwrap();
        let collateral = collaterals.get(known).copied().unwrap_or(Collateral::Technical);
        let mut program = program(id, if id == 5 { PLN } else { EUR }, collateral);
        program.policy.partial_approval = self.random.percent(50);
        program.policy.instant_credit_max = Amount(self.random.pick(&[0, 20, 60, -1]));
        program.policy.purchase_hold_hours = self.random.pick(&[1, 2, 40, 0]);
        program.policy.pin_tries_max = self.random.pick(&[1, 2, 3, 3, 0]);
        if self.random.percent(4) {
            program.partner = PartnerId(2);
        }
        Change::PutProgram(program)
    }

    fn new_card(&mut self) -> Change {
        let id = self.random.below(14) + 1;
        let states = [CardState::Ordered, CardState::Linked, CardState::Active, CardState::Expired];
        Change::IssueCard(NewCard {
            id: CardId(id),
            token: token(if self.random.percent(90) { id } else { 3 }),
            program: ConfigId(self.random.below(7) + 1),
            balance: BalanceId(u128::from(self.random.below(7) + 1)),
            expiry: YearMonth { year: 2027, month: 1 },
            state: self.random.pick(&states),
        })
    }

    fn fee(&mut self) -> Fee {
        let (id, program) = (self.random.below(6) + 1, self.random.below(7) + 1);
        let fixed = self.random.pick(&[0, 0, 1, 5, 30, -1]);
        let mut fee = fee(id, program, fixed, self.random.pick(&[0, 5_000, 25_000, 300_000]));
        fee.terms.payer = self.random.pick(&[Payer::Holder, Payer::Holder, Payer::Partner]);
        fee.converted = self.random.percent(20);
        fee.filter = match self.random.percent(50) {
            true => self.filter(),
            false => Filter::default(),
        };
        fee
    }

    fn filter(&mut self) -> Filter {
        let mut filter = Filter::default();
        if self.random.percent(30) {
            filter.channels = vec![self.random.pick(&[Channel::Pos, Channel::Pos, Channel::Atm])];
        }
        if self.random.percent(40) {
            filter.mccs =
                vec![self.random.pick(&[(5411, 5411), (6000, 6500), (7995, 7995), (9, 1)])];
        }
        if self.random.percent(10) {
            filter.countries = vec![self.random.pick(&[616, 276])];
        }
        if self.random.percent(10) {
            filter.merchants = vec![*b"SHOP           "];
        }
        filter
    }

    fn rule(&mut self) -> Rule {
        let subject = match self.random.below(8) {
            0..3 => Subject::Card(CardId(self.random.below(7) + 1)),
            3..5 => Subject::Customer(CustomerId(self.random.below(5) + 1)),
            5..7 => Subject::Program(ConfigId(self.random.below(6) + 1)),
            _ => Subject::Partner(PartnerId(1)),
        };
        let filter = self.filter();
        let period = self.random.pick(&[
            Period::Transaction,
            Period::Day,
            Period::Day,
            Period::Week,
            Period::Month,
        ]);
        let max = Amount(self.random.pick(&[0, 60, 150, 300, 1_000, -1]));
        let currency = if self.random.percent(80) { EUR } else { PLN };
        let bound = match self.random.below(12) {
            0 => Bound::Denied,
            1 => Bound::Only,
            2..7 => Bound::Amount { period, currency, max },
            7..9 => Bound::Budget { period, currency, max },
            _ => {
                let max = u32::try_from(self.random.below(8)).unwrap();
                Bound::Count { period, max }
            }
        };
        let zones = ["UTC", "Europe/Warsaw", "Asia/Tokyo", "Asia/Kolkata", "Nowhere"];
        let zone = zones[self.random.place(41) / 10].to_owned();
        Rule { id: RuleId(u128::from(self.random.below(12))), subject, filter, bound, zone }
    }
}
