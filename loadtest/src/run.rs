//! One run against a sandbox: cards are issued, messages are sent, and afterwards journal and
//! balances are held against the core as oracle.
//!
//! Invariant: a run without mismatches means that every reply was the recorded decision, every
//! recorded decision was what the core decides, and every balance is what follows from them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use shared::action_code::{Reason, ResponseCodes};
use shared::control::{Query, View};
use shared::ids::LinkId;
use shared::iso8583::Dialect;
use shared::iso8583::mti::Version;
use shared::ledger::Ledger;
use tokio::task::JoinSet;

use crate::answers::{Code, Keys};
use crate::card_side::{CardSide, Medium};
use crate::connection::{Mismatches, Shared, Tally};
use crate::cpu;
use crate::description::Description;
use crate::drive::{Driven, Pace, Plan, drive};
use crate::oracle::{self, OfRun};
use crate::report::{CpuSeconds, Latency, Report, rate};
use crate::rest::Rest;
use crate::template::{Payer, Templates};
use crate::traffic::Traffic;
use crate::wallets::{self, Wallet};

/// The program with one hot partner deposit. Source: surface 2.
pub const PROGRAM: &str = "0019167985";
/// Each balance is topped up by this much: enough for ordinary purchases, never for excessive ones.
const TOP_UP: i64 = 100_000_000_000;
/// The longest latency that is told from longer ones, nanoseconds.
const LATENCY_MAX: u64 = 120_000_000_000;
/// Balances asked for at once.
const QUERIES_IN_PARALLEL: usize = 16;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The sandbox's folder.
    pub sandbox: PathBuf,
    /// When messages are sent.
    pub pace: Pace,
    /// How many connections.
    pub connections: usize,
    /// For how long.
    pub duration: Duration,
    /// Decides cards and amounts.
    pub seed: u64,
    /// How many cards.
    pub cards: usize,
    /// The cards' program.
    pub program: String,
    /// The link; the first one where none is named.
    pub link: Option<String>,
    /// Whether messages carry track 2, whose verification value the switch then verifies.
    pub track: bool,
    /// Whether lost connections are opened again.
    pub reconnect: bool,
    /// Where received answers are written.
    pub answers: Option<PathBuf>,
}

/// Cards issued, nothing sent yet.
pub struct Prepared {
    options: Options,
    description: Description,
    link: switch::config::Link,
    dialect: &'static Dialect,
    codes: ResponseCodes,
    rest: Arc<Rest>,
    wallets: Vec<Wallet>,
}

/// Everything sent, nothing checked yet.
pub struct Sent {
    driven: Driven,
    cpu: CpuSeconds,
}

/// Issues the cards.
pub async fn prepare(options: Options) -> anyhow::Result<Prepared> {
    let description = Description::read(&options.sandbox)?;
    let link = description.configured_link(&options.sandbox, options.link.as_deref())?;
    let dialect = link.dialect()?;
    let codes = link.codes(dialect.version())?;
    let rest = Arc::new(Rest::demo(&options.sandbox, &description)?);
    let wallets = wallets::make(&rest, &options.program, options.cards, TOP_UP).await?;
    Ok(Prepared { options, description, link, dialect, codes, rest, wallets })
}

impl Prepared {
    /// The cards and their balances.
    #[must_use]
    pub fn wallets(&self) -> &[Wallet] {
        &self.wallets
    }

    /// Sends. Blocks its thread for the whole run.
    pub fn send(&self) -> anyhow::Result<Sent> {
        let Options { pace, connections, duration, reconnect, .. } = self.options;
        let address = self.link.address;
        let plan = Plan { address, connections, pace, duration, reconnect };
        let code = |reason| Code::of(self.codes.code(reason).as_bytes()).context("a code");
        let plausible = plausible(&self.options.program).into_iter().map(code);
        let shared = Shared {
            templates: self.templates()?,
            traffic: Traffic { seed: self.options.seed, cards: self.wallets.len() },
            keys: Keys::now(LinkId(self.link.id), self.dialect.version()),
            approved: code(Reason::Approved)?,
            plausible: plausible.collect::<anyhow::Result<_>>()?,
            tally: Tally {
                latency: Histogram::new_with_bounds(1, LATENCY_MAX, 3)?,
                approved: 0,
                declined: 0,
                mismatches: Mismatches::default(),
                unknown: 0,
            },
        };
        let (own, switch) = (std::process::id(), self.description.switch_pid);
        let before = (cpu::time_of(own)?, cpu::time_of(switch)?);
        let driven = drive(plan, shared)?;
        let seconds =
            |after: Duration, before: Duration| after.saturating_sub(before).as_secs_f64();
        let cpu = CpuSeconds {
            generator: seconds(cpu::time_of(own)?, before.0),
            // A switch that was killed meanwhile has no times any more.
            switch: cpu::time_of(switch).map_or(0.0, |after| seconds(after, before.1)),
        };
        Ok(Sent { driven, cpu })
    }

    fn templates(&self) -> anyhow::Result<Templates> {
        let config = self.description.switch_config(&self.options.sandbox)?;
        let keys = self.options.track.then(|| CardSide::open(&config.keys.file)).transpose()?;
        let mut payers = Vec::with_capacity(self.wallets.len());
        for Wallet { card, .. } in &self.wallets {
            let (pan, expiry) = (&card.pan, card.expiry);
            let track = |keys: &CardSide| keys.track_2(Medium::Chip, pan, expiry);
            payers.push(Payer { pan, expiry, track: keys.as_ref().map(track).transpose()? });
        }
        let (_, currency) = wallets::currency_of(&self.options.program);
        Templates::new(self.dialect, payers.into_iter(), currency)
    }

    /// Checks journal and balances, and reports.
    pub async fn check(&self, sent: Sent) -> anyhow::Result<Report> {
        let Sent { driven, cpu } = sent;
        if let Some(path) = &self.options.answers {
            let file =
                std::fs::File::create(path).with_context(|| format!("{}", path.display()))?;
            driven.answers.write(&mut io::BufWriter::new(file))?;
        }
        let journal = self.options.sandbox.join(&self.description.journal);
        let mut received = OfRun::new(&driven.answers);
        let checked = oracle::check(&journal, &self.codes, &mut received)?;
        let mut mismatches = driven.tally.mismatches;
        mismatches.join(checked.mismatches);
        mismatches.join(self.compare_balances(&checked.ledger).await?);
        if driven.unanswered > 0 {
            mismatches.add(|| format!("{} messages were never answered", driven.unanswered));
            mismatches.count += driven.unanswered - 1;
        }
        let Tally { latency, approved, declined, unknown, .. } = driven.tally;
        let (mode, asked) = match self.options.pace {
            Pace::Open { rate, .. } => ("open", u64::from(rate)),
            Pace::Closed { .. } => ("closed", 0),
        };
        Ok(Report {
            mode,
            asked,
            achieved: rate(approved + declined, driven.elapsed),
            sent: driven.sent,
            approved,
            declined,
            mismatches: mismatches.count,
            details: mismatches.details,
            unknown,
            records: checked.records,
            seconds: driven.elapsed.as_secs_f64(),
            cpu_seconds: cpu,
            latency_us: Latency::of(&latency),
        })
    }

    /// Each balance of the run over REST against the oracle's.
    async fn compare_balances(&self, ledger: &Ledger) -> anyhow::Result<Mismatches> {
        let mut mismatches = Mismatches::default();
        let mut waiting = self.wallets.iter();
        let mut tasks = JoinSet::new();
        loop {
            while tasks.len() < QUERIES_IN_PARALLEL
                && let Some(wallet) = waiting.next()
            {
                let rest = Arc::clone(&self.rest);
                let (customer, balance) = (wallet.customer.clone(), wallet.balance.clone());
                let expected = match ledger.view(Query::Balance(wallet.balance_id()?)) {
                    Some(View::Balance(view)) => Some((view.ledger.0, view.held.0)),
                    Some(
                        View::Card(_)
                        | View::PartnerBalance(_)
                        | View::Rules(_)
                        | View::Exceptions(_)
                        | View::Status(_)
                        | View::Clock(_)
                        | View::Totals(_)
                        | View::Retold(_),
                    )
                    | None => None,
                };
                tasks.spawn(async move {
                    let found = rest.funds(&customer, &balance).await?;
                    Ok::<_, anyhow::Error>((balance, found, expected))
                });
            }
            let Some(answered) = tasks.join_next().await else { return Ok(mismatches) };
            let (balance, found, expected) = answered??;
            if expected != Some((found.ledger, found.held)) {
                mismatches.add(|| format!("balance {balance}: {found:?}, the oracle {expected:?}"));
            }
        }
    }
}

/// What an ordinary purchase on a card of this sandbox program may get. Source: surface 2 and 4.
fn plausible(program: &str) -> Vec<Reason> {
    match program {
        "0019167991" => vec![Reason::CardInactive],
        "0019167992" => vec![Reason::CardExpired],
        "0019167993" => vec![Reason::DepositBalanceNotFound],
        _ => vec![Reason::Approved, Reason::InsufficientFunds],
    }
}

/// What `loadtest check` found.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalReport {
    /// Answers in the file.
    pub answers: usize,
    /// Records that were decided again.
    pub records: u64,
    /// Answers and records that do not agree.
    pub mismatches: u64,
    /// The first of them in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// The hash of the state behind the last record.
    pub state_hash: String,
}

/// Holds a journal against itself and a file of answers, which came in this edition's codes.
pub fn check_journal(
    journal: &Path,
    answers: Option<&Path>,
    edition: Version,
) -> anyhow::Result<JournalReport> {
    let codes = ResponseCodes::of(edition);
    let (count, checked) = match answers {
        Some(path) => {
            let file = std::fs::File::open(path).with_context(|| format!("{}", path.display()))?;
            let read = crate::answers::read(io::BufReader::new(file));
            let read = read.with_context(|| format!("{}", path.display()))?;
            let count = read.len();
            let mut received = oracle::OfFile::new(read);
            (count, oracle::check(journal, &codes, &mut received)?)
        }
        None => (0, oracle::check(journal, &codes, &mut oracle::Nothing)?),
    };
    Ok(JournalReport {
        answers: count,
        records: checked.records,
        mismatches: checked.mismatches.count,
        details: checked.mismatches.details,
        state_hash: format!("{:032x}", checked.ledger.state_hash()),
    })
}
