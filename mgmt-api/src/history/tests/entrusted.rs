//! Random histories of money that is with a partner: by what it agreed to and was told, the partner
//! has of each payment what is held and posted of it here, whatever it did in doubt.

use std::collections::{BTreeMap, BTreeSet};

use shared::command::{Command, Custody, OnSilence, PartnerAnswer, PartnerRefusal};
use shared::effect::Effect;

use super::super::partner::amount;
use super::super::{Name, PartnerCall, Told, number};
use super::*;

/// What a partner has booked, by the seed's rules.
#[derive(Default)]
struct Partner {
    /// What each transaction has taken, by its name.
    booked: BTreeMap<String, i64>,
    reversed: BTreeSet<String>,
}

impl Partner {
    fn debit(&mut self, name: &str, amount: i64) {
        if !self.reversed.contains(name) {
            self.booked.insert(name.to_owned(), amount);
        }
    }

    fn take(&mut self, call: &PartnerCall) {
        let own = call.row.id.to_string();
        let name = match call.name {
            Name::Own => own,
            Name::Added { id, .. } => id.to_string(),
            Name::Change => format!("{own} at {} {:?}", call.sequence, call.told),
        };
        match call.told {
            Told::ForceDebit(amount) => drop(self.booked.insert(name, amount)),
            Told::ForceCredit(amount) => drop(self.booked.insert(name, -amount)),
            Told::Reversal(_) => {
                self.booked.remove(&name);
                self.reversed.insert(name);
            }
            Told::Cleared(amount) => assert_eq!(amount, call.row.posted, "{call:?}"),
        }
    }
}

/// The bench of all histories, its cards on money of the partner.
fn bench() -> Bench {
    let mut bench = Bench::bare();
    let custody = Custody { answer_ms: 2_000, on_silence: OnSilence::Decline };
    bench.change(Change::PutCustody(PROGRAM, custody));
    for id in 1..=BALANCES {
        bench.open(id, true);
    }
    bench
}

/// What a question came to: told to the core, and done or not by the partner.
fn answer(bench: &mut Bench, partner: &mut Partner, draw: &mut Draw, asked: &Record) {
    let Command::Authorize(request) = &asked.command else { unreachable!("a request asks") };
    let (key, id) = (request.key, asked.sequence);
    let code = request.processing_code / 10_000;
    let billed = request.billed().amount.0;
    let taken = if matches!(code, 20..=29) { -billed } else { billed };
    let name = (number(id.0) * 2).to_string();
    let inquiry = code == 31;
    let answer = match draw.below(6) {
        0..=2 if inquiry => PartnerAnswer::Has(Amount(5)),
        0..=2 => {
            partner.debit(&name, taken);
            PartnerAnswer::Agreed
        }
        3 => PartnerAnswer::Declined(PartnerRefusal::InsufficientFunds),
        4 => PartnerAnswer::NotAsked,
        _ => {
            // It may have done it.
            if draw.one_in(2) && !inquiry {
                partner.debit(&name, taken);
            }
            if draw.one_in(2) {
                return; // Time decides.
            }
            PartnerAnswer::InDoubt
        }
    };
    bench.apply(Command::Answered(key, id, answer));
}

/// Runs a history to where every question is decided.
fn live(bench: &mut Bench, partner: &mut Partner, draw: &mut Draw) {
    let mut asked = Vec::new();
    for _step in 0..500 {
        let before = bench.records.len();
        bench.step(draw);
        for record in bench.records.get(before..).unwrap() {
            if record.effects.iter().any(|effect| matches!(effect, Effect::Asked(..))) {
                asked.push(record.clone());
            }
        }
        // Some answers are overtaken by what networks send, or come too late.
        if !draw.one_in(4) && !asked.is_empty() {
            answer(bench, partner, draw, &asked.remove(0));
        }
    }
    for asked in asked {
        answer(bench, partner, draw, &asked);
    }
    bench.now += 5_000;
    while bench.ledger.questions() > 0 {
        bench.apply(Command::Expire);
    }
}

#[tokio::test]
async fn a_partner_has_what_is_held_and_posted_here() {
    let (mut told, mut reversals, mut closed) = (0, 0, 0);
    for seed in 1..=12_u64 {
        let mut draw = Draw(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (mut bench, mut partner) = (bench(), Partner::default());
        live(&mut bench, &mut partner, &mut draw);
        let folder = tempfile::tempdir().unwrap();
        let history = open(&folder, "history.db").await;
        let mut rest = &*bench.records;
        while !rest.is_empty() {
            let many = usize::try_from(draw.below(20)).unwrap() + 1;
            let (batch, behind) = rest.split_at(many.min(rest.len()));
            let cursor = history.cursor().await.unwrap();
            let rows = history.load(cursor, needs(batch)).await.unwrap().unwrap();
            let mut page = Page::new(rows, false);
            batch.iter().for_each(|record| page.take(record).unwrap());
            for call in page.take_calls() {
                told += 1;
                reversals += usize::from(matches!(call.told, Told::Reversal(_)));
                partner.take(&call);
            }
            let (changed, next) = page.finish();
            assert!(history.save(&changed, cursor, next).await.unwrap());
            rest = behind;
        }
        let rows = transactions(&history).await;
        // It has what the ledger has: posted, held, and pending to the holder. What is posted on a
        // closed balance is charged to nobody, like that of unknown cards.
        let pending = |row: &TransactionRow| amount(row) - row.posted;
        let pending: i64 = rows.iter().filter(|row| row.credit == 1).map(pending).sum();
        let views: Vec<_> = (1..=BALANCES)
            .filter_map(|id| bench.ledger.view(Query::Balance(BalanceId(id))))
            .filter_map(View::into_balance)
            .collect();
        let held: i64 = views.iter().map(|view| view.held.0).sum();
        let posted = -bench.ledger.book(EUR).unwrap().partner_held;
        let here = i64::try_from(posted).unwrap() + held - pending;
        assert_eq!(partner.booked.values().sum::<i64>(), here, "seed {seed}");
        closed += usize::from(views.len() < usize::try_from(BALANCES).unwrap());
    }
    assert!(told > 500 && reversals > 100, "{told} calls, {reversals} reversals");
    assert!(closed > 3, "{closed} histories with a closed balance");
}
