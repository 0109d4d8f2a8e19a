//! kill -9 under load, again and again: what was answered is there once, the money adds up, and
//! whoever asks again hears the same. Source: durability 2 and 3.

mod model;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use model::Model;
use shared::command::{Change, Command};
use shared::journal_record::{Answer, Record};
use shared::money::{Currency, Money};
use switch::journal::mark::MarkFile;
use switch::journal::scan::scan;

use crate::rig::{
    Client, Control, Home, Issuer, Message, Running, WAIT, asked, balance_id, pan, purchase,
    reversal,
};

const CARDS: u64 = 8;
const CONNECTIONS: usize = 4;

/// A message, and the answer if one came.
type Told = (Message, Option<Message>);

#[test]
fn a_kill_at_any_moment_loses_and_doubles_nothing_in_durable_mode() {
    crashes("mode = \"durable\"");
}

#[test]
fn a_kill_at_any_moment_loses_and_doubles_nothing_in_write_behind_mode() {
    crashes("mode = \"write-behind\"");
}

/// What all rounds share.
struct Test {
    home: Home,
    model: Model,
    next_stan: Arc<AtomicU32>,
    changes: u128,
    rng: Rng,
    figures: Figures,
}

#[derive(Debug, Default)]
struct Figures {
    crashes: u64,
    starts_killed: u64,
    sent: u64,
    answered: u64,
    approvals: u64,
    torn_bytes: u64,
    records: u64,
    slowest_start_ms: u128,
}

fn crashes(mode: &str) {
    let seed = asked("SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{mode}: SEED={seed}");
    let home = Home::new(mode, "");
    let running = home.start();
    let mut control = running.control();
    let issuer = Issuer::found(&mut control);
    let mut model = Model::new();
    for card in 1..=CARDS {
        let program = if card % 2 == 0 { Issuer::DEPOSIT } else { Issuer::NO_COLLATERAL };
        // Two of them are soon used up.
        let money = if card <= 2 { 20_000 } else { 100_000_000 };
        issuer.issue(&mut control, program, card, money);
        model.know_card(card);
    }
    running.kill();
    let next_stan = Arc::new(AtomicU32::new(1));
    let rng = Rng::with_seed(seed);
    let mut test =
        Test { home, model, next_stan, changes: 1 << 100, rng, figures: Figures::default() };
    for _ in 0..asked("CRASHES").unwrap_or(3) {
        test.round();
    }
    let running = test.home.start();
    running.stop();
    assert_eq!(test.home.verify().0, "clean");
    eprintln!("{mode}: {:?}", test.figures);
}

impl Test {
    fn round(&mut self) {
        let running = self.home.start();
        let (told, changes) = self.load_until_killed(running);
        let left = self.records();
        for _ in 0..self.rng.u32(..3) {
            self.kill_a_start();
        }
        let began = Instant::now();
        let running = self.home.start();
        self.figures.slowest_start_ms =
            self.figures.slowest_start_ms.max(began.elapsed().as_millis());
        let records = self.records();
        assert!(records == left, "recovery neither takes nor gives");
        self.check_received(&told, &records);
        self.model.take_new(&records);
        let mut control = running.control();
        self.check_balances(&mut control);
        for (id, change, first) in changes {
            let again = control.change(id, change.clone());
            assert!(first.is_none_or(|first| first == again), "{id}: {first:?}, now {again:?}");
            let known = records.iter().any(|record| record.sequence == again.sequence);
            assert!(known || first.is_none());
            if !known {
                self.model.change(&change);
            }
        }
        self.ask_again(&running, &told);
        self.check_balances(&mut control);
        self.model.saw(control.status().last_sequence);
        self.figures.crashes += 1;
        running.kill();
    }

    /// Pipelined load on several connections and a few changes, until the kill.
    fn load_until_killed(&mut self, running: Running) -> (Vec<Told>, Vec<(u128, Change, Outcome)>) {
        let answered = Arc::new(AtomicU64::new(0));
        let connections: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let (client, rng) = (running.connect(), self.rng.fork());
                let (stans, answered) = (Arc::clone(&self.next_stan), Arc::clone(&answered));
                std::thread::spawn(move || converse(client, rng, &stans, &answered))
            })
            .collect();
        let (mut control, mut rng) = (running.control(), self.rng.fork());
        let first_change = self.changes;
        self.changes += 1 << 20;
        let changes =
            std::thread::spawn(move || top_up_until_gone(&mut control, first_change, &mut rng));
        let enough = self.rng.u64(1..3_000);
        let deadline = Instant::now() + WAIT;
        while answered.load(Ordering::Relaxed) < enough {
            assert!(Instant::now() < deadline, "{answered:?} of {enough} answers");
            std::thread::yield_now();
        }
        spin(Duration::from_micros(self.rng.u64(..3_000)));
        running.kill();
        let told: Vec<Told> =
            connections.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let received = told.iter().filter_map(|(_, answer)| answer.as_ref());
        self.figures.sent += told.len() as u64;
        self.figures.answered += received.clone().count() as u64;
        self.figures.approvals +=
            received.filter(|answer| answer.fields.contains_key(&38)).count() as u64;
        (told, changes.join().unwrap())
    }

    /// A start that is killed before or while it serves.
    fn kill_a_start(&mut self) {
        let mut child = self.home.command().stderr(std::process::Stdio::null()).spawn().unwrap();
        spin(Duration::from_micros(self.rng.u64(..60_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        self.figures.starts_killed += 1;
    }

    fn records(&mut self) -> Vec<Record> {
        let journal = self.home.journal();
        let mut records = Vec::new();
        let found = scan(&journal, MarkFile::read(&journal).unwrap(), &mut |frame| {
            records.push(Record::decode(frame.payload).map_err(|error| error.to_string())?);
            Ok(())
        })
        .unwrap();
        self.figures.torn_bytes += found.open.map_or(0, |open| open.torn);
        self.figures.records = found.last.0;
        records
    }

    /// Every answer that came is one that the journal has, and no approval made two holds.
    fn check_received(&self, told: &[Told], records: &[Record]) {
        let mut journaled: BTreeMap<(bool, u64), Vec<(String, String)>> = BTreeMap::new();
        for record in records {
            if let (Some(key), Answer::Decision(decision)) = (key_of(record), record.answer) {
                let code = decision
                    .approval
                    .map_or(String::new(), |code| String::from_utf8(code.wire().to_vec()).unwrap());
                let answer = (String::from_utf8(decision.reason.wire87().to_vec()).unwrap(), code);
                journaled.entry(key).or_default().push(answer);
            }
        }
        for (message, answer) in told {
            let key = (message.mti.starts_with("04"), message.text(11).parse().unwrap());
            if let Some(answer) = answer {
                let said = (answer.text(39).to_owned(), answer.text(38).to_owned());
                let found = journaled.get_mut(&key).and_then(|answers| {
                    let place = answers.iter().position(|known| *known == said)?;
                    Some(answers.remove(place))
                });
                assert!(
                    found.is_some(),
                    "{message:?} was answered {said:?}, which is not journaled"
                );
            }
        }
    }

    fn check_balances(&self, control: &mut Control) {
        for card in 1..=CARDS {
            let view = control.balance(balance_id(card));
            assert_eq!((view.ledger.0, view.held.0), self.model.funds(card), "card {card}");
        }
    }

    /// Every message of the round once more, answered or not, on one connection.
    fn ask_again(&mut self, running: &Running, told: &[Told]) {
        let mut client = running.connect();
        for part in told.chunks(100) {
            let repeats: Vec<Message> = part
                .iter()
                .map(|(message, _)| {
                    let repeat = format!("{}1", &message.mti[..3]);
                    message.clone().typed(&repeat)
                })
                .collect();
            let bytes: Vec<u8> = repeats.iter().flat_map(Message::frame).collect();
            assert!(client.send(&bytes));
            for repeat in &repeats {
                let answer = client.receive().unwrap();
                self.model.check(repeat, &answer);
            }
        }
    }
}

type Outcome = Option<shared::control::Outcome>;

/// Class and STAN of a message's record: what its key is made of here.
fn key_of(record: &Record) -> Option<(bool, u64)> {
    match &record.command {
        Command::Authorize(request) => Some((false, request.key.stan)),
        Command::Reverse(reversal) => Some((true, reversal.key.stan)),
        Command::Advise(_)
        | Command::LockOutside(_)
        | Command::Void(..)
        | Command::Expire
        | Command::Manage(..)
        | Command::Answered(..) => None,
    }
}

fn spin(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::thread::yield_now();
    }
}

/// Sends batches until the switch is gone.
fn converse(
    mut client: Client,
    mut rng: Rng,
    stans: &AtomicU32,
    answered: &AtomicU64,
) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::new();
    loop {
        let first = told.len();
        let mut bytes = Vec::new();
        for _ in 0..rng.usize(1..40) {
            let message = next_message(&mut rng, stans, &told);
            bytes.extend(message.frame());
            told.push((message, None));
        }
        client.send(&bytes);
        for place in first..told.len() {
            let Some(answer) = client.receive() else { return told };
            told[place].1 = Some(answer);
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Purchases; repeats, reversals and conflicting repeats of earlier ones.
fn next_message(rng: &mut Rng, stans: &AtomicU32, told: &[Told]) -> Message {
    let stan = stans.fetch_add(1, Ordering::Relaxed);
    let fresh = purchase(&pan(rng.u64(1..=CARDS)), stan, rng.u64(1..300));
    let Some((earlier, _)) = rng.choice(told).filter(|(earlier, _)| earlier.mti.starts_with("01"))
    else {
        return fresh;
    };
    match rng.u8(..10) {
        0 => earlier.clone().typed("0101"),
        1 => reversal("0400", stan, earlier),
        2 | 3 => reversal("0420", stan, earlier),
        4 => earlier.clone().with(4, "000000777777"),
        _ => fresh,
    }
}

/// Top-ups until the switch is gone: id, change and what came back.
fn top_up_until_gone(
    control: &mut Control,
    first: u128,
    rng: &mut Rng,
) -> Vec<(u128, Change, Outcome)> {
    let mut changes = Vec::new();
    for id in first.. {
        let money = Money::new(rng.i64(1..500), Currency(978));
        let change = Change::TopUp { balance: balance_id(rng.u64(1..=CARDS)), money };
        let outcome = control.try_change(id, change.clone());
        changes.push((id, change, outcome));
        if outcome.is_none() {
            break;
        }
    }
    changes
}
