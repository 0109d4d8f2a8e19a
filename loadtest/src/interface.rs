//! Loads the management API in a closed loop: reads, writes, or cards issued with JWE both ways.
//!
//! Invariant: every answer is looked at; a card counts when its number came out of the JWE. The
//! client decrypts on the same processors, so that the server has less than half of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

use crate::cpu;
use crate::description::Description;
use crate::report::{Latency, rate};
use crate::rest::Rest;

/// Customers that requests are spread over.
const CUSTOMERS: usize = 16;
/// A new balance before one has as many cards as it may have.
const CARDS_A_BALANCE: usize = 60;
const PROGRAM: &str = "0019167984";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A balance with its cards.
    Read,
    /// A top-up.
    Write,
    /// A virtual card, body and answer encrypted.
    Issue,
}

/// How.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of a running sandbox.
    pub sandbox: PathBuf,
    /// What is asked for.
    pub what: What,
    /// Requests under way.
    pub connections: usize,
    /// How long.
    pub duration: Duration,
}

/// What `loadtest api` prints.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was asked for.
    pub what: What,
    /// Answers a second.
    pub achieved: u64,
    /// Answers.
    pub answers: u64,
    /// CPU time of this process and of the management API.
    pub cpu_seconds: CpuSeconds,
    /// From a request to its answer, read and checked.
    pub latency_us: Latency,
}

/// Seconds of CPU time during the load.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CpuSeconds {
    /// This process.
    pub generator: f64,
    /// The management API.
    pub server: f64,
}

struct Place {
    customer: String,
    balance: String,
}

/// Runs the load.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let description = Description::read(&options.sandbox)?;
    let rest = Arc::new(Rest::demo(&options.sandbox, &description)?);
    let mut places = Vec::with_capacity(CUSTOMERS);
    for number in 0..CUSTOMERS {
        let wallet = json!({ "firstName": "Load", "lastName": "Test", "state": "VERIFIED",
            "phone": format!("481234567{number:02}"), "email": "load@example.com",
            "kyc": "SUCCESS" });
        let customer = rest.add_customer(&wallet).await?;
        let balance = rest.open_balance(&customer, "EUR").await?;
        places.push(Place { customer, balance });
    }
    let places = Arc::new(places);
    let cpu = || -> anyhow::Result<_> {
        Ok((cpu::time_of(std::process::id())?, cpu::time_of(description.mgmt_pid)?))
    };
    let (before, started) = (cpu()?, Instant::now());
    let mut tasks = JoinSet::new();
    for number in 0..options.connections {
        let (rest, places) = (Arc::clone(&rest), Arc::clone(&places));
        tasks.spawn(ask(rest, places, number, options.what, started + options.duration));
    }
    let mut histogram = Histogram::<u64>::new(3)?;
    while let Some(done) = tasks.join_next().await {
        histogram.add(done??)?;
    }
    let (after, elapsed) = (cpu()?, started.elapsed());
    Ok(Report {
        what: options.what,
        achieved: rate(histogram.len(), elapsed),
        answers: histogram.len(),
        cpu_seconds: CpuSeconds {
            generator: (after.0 - before.0).as_secs_f64(),
            server: (after.1 - before.1).as_secs_f64(),
        },
        latency_us: Latency::of(&histogram),
    })
}

async fn ask(
    rest: Arc<Rest>,
    places: Arc<Vec<Place>>,
    number: usize,
    what: What,
    end: Instant,
) -> anyhow::Result<Histogram<u64>> {
    let place = places.get(number % places.len().max(1)).context("no customer")?;
    let mut histogram = Histogram::new(3)?;
    let (mut balance, mut cards) = (rest.open_balance(&place.customer, "EUR").await?, 0);
    while Instant::now() < end {
        if cards == CARDS_A_BALANCE {
            (balance, cards) = (rest.open_balance(&place.customer, "EUR").await?, 0);
        }
        let begun = Instant::now();
        match what {
            What::Read => drop(rest.funds(&place.customer, &place.balance).await?),
            What::Write => rest.top_up(&place.customer, &balance, 1, "EUR").await?,
            What::Issue => {
                rest.issue_card_encrypted(&place.customer, &balance, PROGRAM).await?;
                cards += 1;
            }
        }
        histogram.record(u64::try_from(begun.elapsed().as_nanos())?)?;
    }
    Ok(histogram)
}

impl Report {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Latency { p50, p90, p99, p999, max } = self.latency_us;
        format!(
            "{} answers a second ({})\nlatency in us: p50 {p50}, p90 {p90}, p99 {p99}, p99.9 \
             {p999}, max {max}\nCPU seconds: generator {:.2}, server {:.2}",
            self.achieved, self.answers, self.cpu_seconds.generator, self.cpu_seconds.server
        )
    }
}
