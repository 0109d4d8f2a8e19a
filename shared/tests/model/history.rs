//! Random histories: every command there is, with the repeats, collisions, late and early reversals
//! and clock steps that links produce. The same seed gives the same history.

use shared::card::{CardState, YearMonth};
use shared::command::{
    Acceptance, Authorization, Change, Collateral, Command, MessageClass, MessageKey, NewCard,
    PartnerBalanceKind, Program, Reversal,
};
use shared::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, LinkId, PartnerBalanceId, PartnerId,
    Sequence,
};
use shared::limits::Limits;
use shared::lock_code::{LockCode, LockSource};
use shared::money::{Amount, Currency, Money};
use shared::pan::PanToken;

/// splitmix64: small, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn small(&mut self, bound: u8) -> u8 {
        u8::try_from(self.below(u64::from(bound))).unwrap()
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.next()).unwrap() % from.len()]
    }
}

/// Commands that a history may come back to.
const REMEMBERED: u64 = 60;

const EUR: Currency = Currency(978);
const PLN: Currency = Currency(985);

pub(crate) struct History {
    random: Random,
    limits: Limits,
    now: u64,
    /// Message numbers that are drawn from: few, so that keys meet again.
    stans: u32,
    /// What was sent, with the sequence that it got.
    sent: Vec<(Command, Sequence)>,
    /// Requests that were approved.
    approved: Vec<(MessageKey, Sequence)>,
    next_id: u128,
    opening: Vec<Change>,
}

impl History {
    pub(crate) fn new(seed: u64, limits: Limits, stans: u32) -> Self {
        let mut history = Self {
            random: Random(seed),
            limits,
            now: 1_797_292_800_000, // the middle of December 2026
            stans,
            sent: Vec::new(),
            approved: Vec::new(),
            next_id: 0,
            opening: Vec::new(),
        };
        history.opening = history.opening_changes();
        history.opening.reverse();
        history
    }

    /// The next command and its time.
    pub(crate) fn next(&mut self) -> (Command, u64) {
        self.now += match self.random.below(1000) {
            0 => 20 * 86_400_000,
            1..20 => 12_000,
            _ => self.random.below(600),
        };
        let back = if self.random.percent(2) { self.random.below(9_000) } else { 0 };
        let command = match self.opening.pop() {
            Some(change) => self.manage(change),
            None => self.command(),
        };
        (command, self.now - back)
    }

    /// Notes what became of the last command.
    pub(crate) fn sent(&mut self, command: Command, at: Sequence, approved: bool) {
        let place = usize::try_from(self.random.below(REMEMBERED)).unwrap();
        if let (Command::Authorize(request), true) = (&command, approved) {
            replace(&mut self.approved, place, (request.key, at));
        }
        replace(&mut self.sent, place, (command, at));
    }

    fn command(&mut self) -> Command {
        match self.random.below(100) {
            0..45 => Command::Authorize(self.authorization()),
            45..65 => Command::Reverse(self.reversal()),
            65..75 => self.earlier().0,
            75..80 => self.earlier_but_other_content(),
            80..84 => {
                let (key, at) = self.earlier_request();
                let off = u64::from(self.random.percent(20));
                Command::Void(key, Sequence(at.0 + off))
            }
            _ => {
                let change = self.change();
                self.manage(change)
            }
        }
    }

    fn manage(&mut self, change: Change) -> Command {
        self.next_id += 1;
        Command::Manage(CommandId(self.next_id), change)
    }

    fn earlier(&mut self) -> (Command, Sequence) {
        let place = usize::try_from(self.random.next()).unwrap() % self.sent.len();
        self.sent[place].clone()
    }

    fn earlier_but_other_content(&mut self) -> Command {
        match self.earlier().0 {
            Command::Authorize(mut request) => {
                match self.random.below(5) {
                    0 => request.transaction.amount.0 ^= 1,
                    1 => request.token = self.token(),
                    2 => request.billing = Some(Money::new(7, EUR)),
                    3 => request.acceptance.merchant[14] ^= 1,
                    _ => request.processing_code ^= 1,
                }
                Command::Authorize(request)
            }
            Command::Reverse(mut reversal) => {
                match self.random.below(3) {
                    0 => reversal.original = self.earlier_request().0,
                    1 => reversal.advice = !reversal.advice,
                    _ => reversal.new_total = Some(Amount(3)),
                }
                Command::Reverse(reversal)
            }
            Command::Manage(id, _) => Command::Manage(id, self.change()),
            void @ Command::Void(..) => void,
        }
    }

    fn key(&mut self, class: MessageClass) -> MessageKey {
        MessageKey {
            link: LinkId(self.random.pick(&[1, 1, 1, 2])),
            class,
            stan: u32::try_from(self.random.below(u64::from(self.stans))).unwrap(),
            sent_at: self.random.pick(&[1_215_000_000, 1_215_000_000, 1_215_000_001]),
            acquirer: self.random.pick(&[4, 4, 4, 5]),
            forwarder: self.random.pick(&[0, 0, 0, 9]),
        }
    }

    /// The key of a request that was sent, or of one that may still come.
    fn earlier_request(&mut self) -> (MessageKey, Sequence) {
        if self.random.percent(60) && !self.approved.is_empty() {
            let place = usize::try_from(self.random.next()).unwrap() % self.approved.len();
            return self.approved[place];
        }
        for _ in 0..8 {
            if let (Command::Authorize(request), at) = self.earlier() {
                return (request.key, at);
            }
        }
        (self.key(MessageClass::Authorization), Sequence(1))
    }

    fn authorization(&mut self) -> Authorization {
        let mut acceptance = Acceptance::default();
        acceptance.merchant[0] = self.random.small(2);
        acceptance.rrn[0] = self.random.small(255);
        let foreign = self.random.percent(10);
        Authorization {
            key: self.key(MessageClass::Authorization),
            token: self.token(),
            processing_code: self
                .random
                .pick(&[0, 0, 0, 0, 0, 0, 10_000, 90_000, 170_000, 310_000]),
            transaction: self.money(),
            billing: if foreign { Some(self.money()) } else { None },
            expiry: match self.random.below(12) {
                0 => Some(YearMonth { year: 2027, month: 1 }),
                1 => Some(YearMonth { year: 2027, month: 2 }),
                _ => None,
            },
            verification: self.random.percent(10),
            acceptance,
        }
    }

    fn reversal(&mut self) -> Reversal {
        let original = match self.random.below(40) {
            0 => self.key(MessageClass::Reversal),
            1 => self.key(MessageClass::Financial),
            2..6 => self.key(MessageClass::Authorization),
            _ => self.earlier_request().0,
        };
        let mut key = self.key(MessageClass::Reversal);
        key.link = original.link;
        let partial = self.random.percent(40);
        let amount = |random: &mut Random| Amount(i64::try_from(random.below(200)).unwrap());
        Reversal {
            key,
            original,
            advice: self.random.percent(50),
            transaction: self.random.percent(80).then(|| amount(&mut self.random)),
            new_total: partial.then(|| amount(&mut self.random)),
        }
    }

    fn money(&mut self) -> Money {
        let amount = match self.random.below(60) {
            0..4 => 0,
            4 => -1,
            5 => i64::MAX,
            6..12 => 2_000,
            _ => i64::try_from(self.random.below(200)).unwrap() + 1,
        };
        Money::new(amount, self.random.pick(&[EUR, EUR, EUR, EUR, EUR, PLN]))
    }

    /// A token that is on a card more often than not.
    fn token(&mut self) -> PanToken {
        let unknown = self.random.percent(8);
        PanToken([self.random.small(if unknown { self.cards() } else { self.cards() - 5 }); 16])
    }

    fn cards(&self) -> u8 {
        u8::try_from(self.limits.cards_max + 3).unwrap()
    }

    fn change(&mut self) -> Change {
        let cards = self.cards();
        let card = CardId(u64::from(self.random.small(cards)));
        match self.random.below(100) {
            0..28 => Change::TopUp { balance: self.balance(), money: self.money() },
            28..44 => Change::Reload { balance: self.collateral(), money: self.money() },
            44..54 => {
                let code = self.random.pick(&[3, 4, 6, 7, 3, 4, 6, 7, 3, 4, 6, 7, 1, 2, 5, 8]);
                let source = self.random.pick(&[LockSource::User, LockSource::Outside]);
                Change::LockCard { card, code: LockCode::from_number(code).unwrap(), source }
            }
            54..64 => Change::UnlockCard(card),
            64..72 => {
                let (id, verified) = (self.customer(), self.random.percent(80));
                Change::PutCustomer { id, verified, aml_locked: self.random.percent(15) }
            }
            72..82 => Change::IssueCard(self.new_card()),
            82..88 => {
                use CardState::{Active, Expired, Linked, Ordered, Removed};
                let state = self.random.pick(&[
                    Ordered, Linked, Linked, Active, Active, Active, Active, Expired, Removed,
                ]);
                Change::SetCardState { card, state }
            }
            88..91 => Change::OpenBalance {
                id: self.balance(),
                customer: self.customer(),
                currency: self.random.pick(&[EUR, EUR, PLN]),
            },
            91..94 => Change::CloseBalance(self.balance()),
            94..96 => self.partner_balance(),
            96..98 => {
                let id = self.program();
                let collateral =
                    self.random.pick(&[Collateral::None, Collateral::Deposit, Collateral::Credit]);
                Change::PutProgram(Program {
                    id,
                    partner: self.partner(),
                    currency: EUR,
                    collateral,
                })
            }
            _ => Change::PutPartner(self.partner()),
        }
    }

    fn new_card(&mut self) -> NewCard {
        use CardState::{Active, Linked, Ordered, Removed};
        let cards = self.cards();
        let id = self.random.small(cards);
        let token = if self.random.percent(90) { id } else { self.random.small(cards) };
        NewCard {
            id: CardId(u64::from(id)),
            token: PanToken([token; 16]),
            program: self.program(),
            balance: self.balance(),
            expiry: YearMonth { year: 2027, month: self.random.small(3) + 1 },
            state: self.random.pick(&[Active, Active, Active, Active, Linked, Ordered, Removed]),
        }
    }

    fn partner_balance(&mut self) -> Change {
        Change::OpenPartnerBalance {
            id: self.collateral(),
            partner: self.partner(),
            kind: self.random.pick(&[PartnerBalanceKind::Deposit, PartnerBalanceKind::Credit]),
            currency: self.random.pick(&[EUR, PLN]),
        }
    }

    // Ids: one or two more than there may be.

    fn partner(&mut self) -> PartnerId {
        PartnerId(u32::from(self.random.small(u8::try_from(self.limits.partners_max + 1).unwrap())))
    }

    fn program(&mut self) -> ConfigId {
        ConfigId(self.random.below(u64::try_from(self.limits.programs_max + 1).unwrap()))
    }

    fn customer(&mut self) -> CustomerId {
        CustomerId(self.random.below(u64::try_from(self.limits.customers_max + 1).unwrap()))
    }

    fn balance(&mut self) -> BalanceId {
        let bound = u64::try_from(self.limits.balances_max + 1).unwrap();
        BalanceId(u128::from(self.random.below(bound)))
    }

    fn collateral(&mut self) -> PartnerBalanceId {
        let bound = u64::try_from(self.limits.partner_balances_max + 1).unwrap();
        PartnerBalanceId(u128::from(self.random.below(bound)))
    }

    /// A working issuer to start from: one program without collateral, two with a deposit and two
    /// with credit, one of each without a partner balance.
    fn opening_changes(&mut self) -> Vec<Change> {
        let mut changes = vec![Change::PutPartner(PartnerId(0)), Change::PutPartner(PartnerId(1))];
        for (id, partner, currency, collateral) in [
            (0, 0, EUR, Collateral::None),
            (1, 0, EUR, Collateral::Deposit),
            (2, 0, EUR, Collateral::Credit),
            (3, 0, PLN, Collateral::Deposit),
            (4, 1, EUR, Collateral::Credit),
        ] {
            let (id, partner) = (ConfigId(id), PartnerId(partner));
            changes.push(Change::PutProgram(Program { id, partner, currency, collateral }));
        }
        for (id, kind) in [(0, PartnerBalanceKind::Deposit), (1, PartnerBalanceKind::Credit)] {
            let (id, partner, currency) = (PartnerBalanceId(id), PartnerId(0), EUR);
            changes.push(Change::OpenPartnerBalance { id, partner, kind, currency });
            changes.push(Change::Reload { balance: id, money: Money::new(3_000, EUR) });
        }
        for id in 0..5 {
            let (verified, aml_locked) = (true, false);
            changes.push(Change::PutCustomer { id: CustomerId(id), verified, aml_locked });
            let currency = if id == 3 { PLN } else { EUR };
            let (balance, customer) = (BalanceId(u128::from(id)), CustomerId(id));
            changes.push(Change::OpenBalance { id: balance, customer, currency });
            for twin in 0..2 {
                let card = u8::try_from(id).unwrap() * 2 + twin;
                changes.push(Change::IssueCard(NewCard {
                    id: CardId(u64::from(card)),
                    token: PanToken([card; 16]),
                    program: ConfigId(id),
                    balance,
                    expiry: YearMonth { year: 2027, month: 1 + twin },
                    state: CardState::Active,
                }));
            }
            changes.push(Change::TopUp { balance, money: Money::new(1_500, currency) });
        }
        changes
    }
}

/// Puts `new` behind the others, or in the place of one of them where there are enough.
fn replace<T>(all: &mut Vec<T>, place: usize, new: T) {
    if all.len() < usize::try_from(REMEMBERED).unwrap() {
        all.push(new);
    } else {
        all[place] = new;
    }
}
