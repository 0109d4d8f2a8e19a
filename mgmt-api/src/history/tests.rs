//! Random histories through the real core: what is kept of them is what the ledger has, however
//! they are cut into batches.

mod entrusted;

use std::collections::BTreeMap;

use shared::card::{CardState, YearMonth};
use shared::command::{
    Acceptance, Advice, Advised, Authorization, Change, Channel, Collateral, Command, Credentials,
    MessageClass, MessageKey, NewCard, Policy, Program, References, Reversal, ReversalKind,
};
use shared::control::{Query, View};
use shared::fee::{Charge, Fee, Payer, Terms};
use shared::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, FeeId, LinkId, PartnerId, Timestamp,
};
use shared::journal_record::{Answer, Record};
use shared::ledger::Ledger;
use shared::limits::PRODUCTION;
use shared::money::{Amount, Currency, Money};
use shared::pan::PanToken;
use shared::rule::Filter;

use super::{Page, needs};
use crate::store::{History, Period, StatementWish, TransactionRow, TransactionWish};

const EUR: Currency = Currency(978);
const PROGRAM: ConfigId = ConfigId(19_167_984);
const BALANCES: u128 = 3;
const HOUR_MS: u64 = 3_600_000;

/// Draws the same numbers from the same seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        let index = self.below(u64::try_from(all.len()).unwrap());
        *all.get(usize::try_from(index).unwrap()).unwrap()
    }
}

/// A ledger, what was done to it, and what there is to refer to.
struct Bench {
    ledger: Ledger,
    records: Vec<Record>,
    sent: Vec<Authorization>,
    now: u64,
    commands: u128,
}

impl Bench {
    /// A partner and its program.
    fn bare() -> Self {
        let (ledger, now) = (Ledger::new(PRODUCTION), 1_795_600_000_000);
        let mut bench = Self { ledger, records: Vec::new(), sent: Vec::new(), now, commands: 0 };
        bench.change(Change::PutPartner(PartnerId(1)));
        bench.change(Change::PutProgram(Program {
            id: PROGRAM,
            partner: PartnerId(1),
            currency: EUR,
            collateral: Collateral::None,
            policy: Policy {
                partial_approval: true,
                instant_credit_max: Amount(500),
                ..Policy::default()
            },
        }));
        bench
    }

    fn new(has_fees: bool) -> Self {
        let mut bench = Self::bare();
        if has_fees {
            for (id, payer) in [(1, Payer::Holder), (2, Payer::Partner)] {
                let terms = Terms { fixed: Amount(7), rate_ppm: 10_000, payer };
                bench.change(Change::PutFee(Fee {
                    id: FeeId(id),
                    program: PROGRAM,
                    filter: Filter::default(),
                    converted: false,
                    terms,
                }));
            }
        }
        for id in 1..=BALANCES {
            bench.open(id, false);
            bench.change(Change::TopUp { balance: BalanceId(id), money: Money::new(50_000, EUR) });
        }
        bench
    }

    /// A balance with a card.
    fn open(&mut self, id: u128, entrusted: bool) {
        let customer = CustomerId(u64::try_from(id).unwrap().min(2));
        self.change(Change::PutCustomer { id: customer, verified: true, aml_locked: false });
        let balance = BalanceId(id);
        self.change(Change::OpenBalance { id: balance, customer, currency: EUR });
        if entrusted {
            self.change(Change::EntrustBalance(balance));
        }
        self.change(Change::IssueCard(NewCard {
            id: CardId(u64::try_from(id).unwrap()),
            token: token(id),
            program: PROGRAM,
            balance,
            expiry: YearMonth::from_yymm(4912).unwrap(),
            state: CardState::Active,
        }));
    }

    fn change(&mut self, change: Change) {
        self.commands += 1;
        self.apply(Command::Manage(CommandId(self.commands), change));
    }

    fn apply(&mut self, command: Command) {
        let mut effects = Vec::new();
        let (stamp, answer) = self.ledger.apply(&command, Timestamp(self.now), &mut effects);
        let (sequence, at) = (stamp.sequence, stamp.at);
        self.records.push(Record { sequence, at, command, effects, answer });
    }

    fn step(&mut self, draw: &mut Draw) {
        self.now += draw.below(1_000);
        match draw.below(20) {
            0..=6 => {
                let request = self.request(draw);
                self.sent.push(request);
                self.apply(Command::Authorize(request));
            }
            7..=12 => {
                let message = self.advice(draw);
                let advised = if draw.one_in(6) { Advised::Declined } else { Advised::Approved };
                let more_to_come = draw.one_in(3);
                self.sent.push(message);
                self.apply(Command::Advise(Advice { message, advised, more_to_come }));
            }
            13..=15 if !self.sent.is_empty() => {
                let reversal = self.reversal(draw);
                self.apply(Command::Reverse(reversal));
            }
            16 if draw.one_in(4) => {
                self.now += draw.below(40 * 24) * HOUR_MS;
                self.apply(Command::Expire);
            }
            17 if !self.sent.is_empty() => {
                let key = draw.of(&self.sent).key;
                let last = self.records.last().unwrap().sequence;
                self.apply(Command::Void(key, last));
            }
            18 if draw.one_in(12) => self.close(BalanceId(BALANCES)),
            _ => self.by_hand(draw),
        }
    }

    /// Empties a balance and closes it, if nothing is held there: what clears later is charged to
    /// nobody.
    fn close(&mut self, balance: BalanceId) {
        let view = self.ledger.view(Query::Balance(balance)).and_then(View::into_balance);
        if let Some(view) = view.filter(|view| view.ledger.0 > 0) {
            self.change(Change::Withdraw { balance, money: Money::new(view.ledger.0, EUR) });
        }
        self.change(Change::CloseBalance(balance));
    }

    fn by_hand(&mut self, draw: &mut Draw) {
        let [from, to] = [0, 1].map(|_| BalanceId(u128::from(draw.below(3)) + 1));
        let amount = i64::try_from(draw.below(4_000)).unwrap() + 1;
        let money = Money::new(amount, EUR);
        let payer = draw.of(&[Payer::Holder, Payer::Partner]);
        let charge = Charge { fee: FeeId(9), money: Money::new(amount * 3, EUR), payer };
        self.change(match draw.below(7) {
            0 | 1 => Change::TopUp { balance: to, money },
            2 => Change::Withdraw { balance: from, money },
            3 => Change::Transfer { from, to, money },
            4 => Change::ChargeFee { balance: from, charge },
            5 => Change::CreditTransfer { balance: to, money },
            _ => Change::TransferCharged { from, to, money, charge },
        });
    }

    fn request(&mut self, draw: &mut Draw) -> Authorization {
        let class = draw.of(&[MessageClass::Authorization, MessageClass::Financial]);
        let code = draw.of(&[0, 0, 0, 10_000, 90_000, 200_000, 260_000, 310_000, 990_000]);
        let mut request = self.message(draw, class, code);
        if draw.one_in(4) && !self.sent.is_empty() {
            request.incremental = true;
            request.original = Some(draw.of(&self.sent).key);
        }
        request
    }

    fn advice(&mut self, draw: &mut Draw) -> Authorization {
        let classes = [
            MessageClass::FinancialAdvice,
            MessageClass::FinancialAdvice,
            MessageClass::AuthorizationAdvice,
        ];
        let class = draw.of(&classes);
        let code = draw.of(&[0, 0, 0, 200_000, 260_000]);
        let mut advice = self.message(draw, class, code);
        if !draw.one_in(6) && !self.sent.is_empty() {
            let of = draw.of(&self.sent);
            (advice.original, advice.token) = (Some(of.key), of.token);
            if !draw.one_in(4) {
                advice.processing_code = of.processing_code;
            }
        }
        advice
    }

    fn message(&self, draw: &mut Draw, class: MessageClass, code: u32) -> Authorization {
        let stan = u64::try_from(self.records.len()).unwrap();
        Authorization {
            key: MessageKey { link: LinkId(1), class, stan, sent_at: 0, acquirer: 1, forwarder: 0 },
            repeat: false,
            token: token(u128::from(draw.below(4)) + 1),
            processing_code: code,
            transaction: Money::new(i64::try_from(draw.below(3_000)).unwrap(), EUR),
            billing: None,
            cash_back: Amount::ZERO,
            expiry: None,
            verification: false,
            incremental: false,
            partial_allowed: draw.one_in(2),
            credentials: Credentials::default(),
            original: None,
            references: References::default(),
            acceptance: Acceptance { channel: Channel::Pos, ..Acceptance::default() },
        }
    }

    fn reversal(&self, draw: &mut Draw) -> Reversal {
        let of = draw.of(&self.sent);
        let stan = u64::try_from(self.records.len()).unwrap();
        let part = draw.one_in(3).then_some(Amount(of.transaction.amount.0 / 2));
        Reversal {
            key: MessageKey { class: MessageClass::Reversal, stan, ..of.key },
            repeat: false,
            original: of.key,
            kind: draw.of(&[ReversalKind::Request, ReversalKind::Advice]),
            token: Some(of.token),
            references: References::default(),
            transaction: None,
            new_total: part,
            new_billing: None,
        }
    }
}

fn token(number: u128) -> PanToken {
    PanToken(number.to_be_bytes())
}

/// Keeps records in batches of up to `batch_max`.
async fn keep(history: &History, records: &[Record], draw: &mut Draw, batch_max: u64) {
    let mut rest = records;
    while !rest.is_empty() {
        let many = usize::try_from(draw.below(batch_max)).unwrap() + 1;
        let (batch, behind) = rest.split_at(many.min(rest.len()));
        let cursor = history.cursor().await.unwrap();
        let mut page = Page::new(history.load(cursor, needs(batch)).await.unwrap().unwrap(), false);
        batch.iter().for_each(|record| page.take(record).unwrap());
        let (changed, next) = page.finish();
        assert!(history.save(&changed, cursor, next).await.unwrap());
        // Another that comes from the same place reads and changes nothing.
        assert!(history.load(cursor, needs(batch)).await.unwrap().is_none());
        assert!(!history.save(&changed, cursor, next).await.unwrap());
        rest = behind;
    }
}

async fn open(folder: &tempfile::TempDir, name: &str) -> History {
    let url = format!("sqlite://{}", folder.path().join(name).display());
    let history = History::open(&url, 1).await.unwrap();
    history.migrate().await.unwrap();
    history
}

const EVER: Period = Period { from_ms: 0, to_ms: i64::MAX };

async fn transactions(history: &History) -> Vec<TransactionRow> {
    let mut all = Vec::new();
    for customer in [1, 2] {
        let before = (i64::MAX, i64::MAX);
        let (balance, card, limit) = (None, None, 1_000_000);
        let wish = TransactionWish { customer, period: EVER, balance, card, before, limit };
        all.extend(history.transactions(&wish).await.unwrap());
    }
    all
}

/// Every balance: booked, held by transactions, and what its statement leads to.
async fn check_balances(history: &History, ledger: &Ledger, has_fees: bool) {
    let rows = transactions(history).await;
    let mut held = BTreeMap::new();
    for row in rows.iter().filter(|row| row.state == "AUTHORIZED" && row.credit == 0) {
        *held.entry(row.balance).or_insert(0) += row.authorised - row.released - row.captured;
    }
    for id in 1..=BALANCES {
        let view = ledger.view(Query::Balance(BalanceId(id))).and_then(View::into_balance);
        let row = history.placed_balance(uuid::Uuid::from_u128(id)).await.unwrap().unwrap();
        assert_eq!(row.closed == 1, view.is_none());
        let (booked, open) = view.map_or((0, 0), |view| (view.ledger.0, view.held.0));
        assert_eq!(row.booked, booked, "balance {id}");
        if !has_fees {
            assert_eq!(held.get(&row.slot).copied().unwrap_or_default(), open, "{id}");
        }
        let wish =
            StatementWish { balance: row.slot, period: EVER, after: (0, 0, 0), limit: 1 << 20 };
        let mut booked = 0;
        for item in history.statement(&wish).await.unwrap() {
            booked += item.amount;
            assert_eq!(booked, item.booked, "{item:?}");
        }
        assert_eq!(booked, row.booked);
    }
    for row in rows {
        let steps = history.steps(row.id).await.unwrap();
        let moved: i64 = steps
            .iter()
            .filter(|step| matches!(step.kind.as_str(), super::POSTED | super::RETURNED))
            .map(|step| step.amount)
            .sum();
        let fees: i64 = steps.iter().filter(|step| step.kind == super::FEE).map(|s| s.amount).sum();
        let way = if row.credit == 1 { 1 } else { -1 };
        if row.kind == super::FEE {
            assert_eq!(fees, -row.posted, "{row:?}");
        } else {
            assert_eq!((moved, -fees), (row.posted * way, row.fee), "{row:?} {steps:?}");
        }
    }
}

/// Whether something was posted and booked nowhere.
async fn has_suspense(history: &History) -> bool {
    for row in transactions(history).await {
        let steps = history.steps(row.id).await.unwrap();
        if steps.iter().any(|step| step.kind == super::POSTED && step.booked.is_none()) {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn what_is_kept_of_random_histories_is_what_the_ledger_has() {
    let mut suspended = 0;
    for seed in 1..=8_u64 {
        let has_fees = seed % 2 == 0;
        let mut draw = Draw(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut bench = Bench::new(has_fees);
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (open(&folder, "one.db").await, open(&folder, "other.db").await);
        let mut kept = 0;
        for _round in 0..4 {
            for _step in 0..150 {
                bench.step(&mut draw);
            }
            let new = bench.records.get(kept..).unwrap();
            keep(&one, new, &mut draw, 12).await;
            kept = bench.records.len();
            check_balances(&one, &bench.ledger, has_fees).await;
        }
        keep(&other, &bench.records, &mut draw, 2_000).await;
        assert_eq!(transactions(&one).await, transactions(&other).await, "seed {seed}");
        let approved = bench.records.iter().filter(
            |record| matches!(&record.answer, Answer::Decision(told) if told.reason.is_approval()),
        );
        assert!(approved.count() > 50, "seed {seed}: most of it is declined");
        let closed = bench.ledger.view(Query::Balance(BalanceId(BALANCES))).is_none();
        suspended += usize::from(closed && has_suspense(&one).await);
    }
    assert!(suspended > 0, "nothing was posted on a closed balance");
}

#[tokio::test]
async fn a_record_that_names_what_no_record_made_is_told() {
    let bench = Bench::new(false);
    let folder = tempfile::tempdir().unwrap();
    let history = open(&folder, "history.db").await;
    let top_up = bench.records.last().unwrap();
    let needed = needs(std::slice::from_ref(top_up));
    let cursor = history.cursor().await.unwrap();
    let mut page = Page::new(history.load(cursor, needed).await.unwrap().unwrap(), false);
    assert!(page.take(top_up).unwrap_err().to_string().contains("names a balance"));
}

#[tokio::test]
async fn what_is_old_is_dropped_and_a_statement_still_leads_to_what_is_booked() {
    let (mut draw, mut bench) = (Draw(7), Bench::new(false));
    for _step in 0..200 {
        bench.step(&mut draw);
    }
    let folder = tempfile::tempdir().unwrap();
    let history = open(&folder, "history.db").await;
    keep(&history, &bench.records, &mut draw, 50).await;
    let middle = i64::try_from(bench.records.get(bench.records.len() / 2).unwrap().at.0).unwrap();
    while history.drop_history(middle).await.unwrap() > 0 {}
    let rows = transactions(&history).await;
    assert!(rows.iter().all(|row| row.at_ms >= middle || row.state == "AUTHORIZED"), "{rows:?}");
    assert!(!rows.is_empty());
    let row = history.placed_balance(uuid::Uuid::from_u128(1)).await.unwrap().unwrap();
    let wish = StatementWish { balance: row.slot, period: EVER, after: (0, 0, 0), limit: 1 << 20 };
    let items = history.statement(&wish).await.unwrap();
    assert!(items.iter().all(|item| item.at_ms >= middle) && !items.is_empty());
    let moved: i64 = items.iter().map(|item| item.amount).sum();
    let opening = history.booked_before(row.slot, middle).await.unwrap();
    assert_eq!(opening + moved, row.booked);
}
