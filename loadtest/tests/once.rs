//! Equal requests at once, with a kill of either server between them: one effect, one answer.

#[path = "running/rig.rs"]
#[expect(dead_code, reason = "another test uses the rest of it")]
mod rig;

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use loadtest::description::Description;
use loadtest::rest::Rest;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::rig::Running;

const CALLERS: usize = 50;
/// A caller gives up after so many tries.
const TRIES_MAX: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// One caller: sends the same until it gets an answer that is final; how often it was cut off, or
/// told that a server was away.
async fn until_answered(
    rest: Arc<Rest>,
    (address, body): (String, Value),
    key: String,
) -> anyhow::Result<(Vec<u8>, u32)> {
    let mut lost = 0;
    for _try in 0..TRIES_MAX {
        match rest.post_once(&address, &body, &key).await {
            Ok((201, bytes)) => return Ok((bytes, lost)),
            // Another is under way.
            Ok((409, _)) => {}
            Ok(_) | Err(_) => lost += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
    anyhow::bail!("no answer in time")
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Switch,
    Management,
}

/// What is asked for by all.
#[derive(Clone, Copy, Debug)]
enum Wish {
    /// Money on a balance: an effect in the switch's journal.
    TopUp,
    /// A balance: one in both.
    Balance,
}

async fn race(running: &mut Running, wish: Wish, victim: Option<Victim>) -> anyhow::Result<()> {
    let what = format!("{wish:?}, {victim:?} killed");
    let key = uuid::Uuid::now_v7().to_string();
    let rest = running.demo()?;
    let wallet = json!({ "firstName": "Ada", "lastName": "Nowak", "phone": "48123456789",
        "email": "ada@example.com", "state": "VERIFIED", "kyc": "SUCCESS" });
    let customer = rest.add_customer(&wallet).await?;
    let balance = rest.open_balance(&customer, "EUR").await?;
    let balances = format!("/secure/customers/{customer}/balances");
    let asked = match wish {
        Wish::TopUp => {
            let body = json!({ "amount": 7, "currency": "EUR", "externalId": key });
            (format!("{balances}/{balance}/topup"), body)
        }
        Wish::Balance => (balances.clone(), json!({ "currency": "PLN" })),
    };
    let mut callers = JoinSet::new();
    for _caller in 0..CALLERS {
        callers.spawn(until_answered(Arc::clone(&rest), asked.clone(), key.clone()));
    }
    if let Some(victim) = victim {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let Description { switch_pid, mgmt_pid, .. } = running.description;
        let pid = match victim {
            Victim::Switch => switch_pid,
            Victim::Management => mgmt_pid,
        };
        running.signal(pid, Signal::KILL)?;
    }
    let (mut answers, mut lost) = (Vec::new(), 0);
    while let Some(answer) = callers.join_next().await {
        let (bytes, times) = answer??;
        answers.push(bytes);
        lost += times;
    }
    // A switch that comes back in time is waited for: no caller need notice.
    let cut = matches!(victim, Some(Victim::Management));
    ensure!(!cut || lost > 0, "{what}: nobody was under way");
    answers.dedup();
    ensure!(answers.len() == 1, "{what}: {} different answers", answers.len());
    let funds = rest.funds(&customer, &balance).await?;
    let listed = rest.read(&balances).await?;
    let count = listed.get("items").and_then(Value::as_array).map_or(0, Vec::len);
    let expected = match wish {
        Wish::TopUp => (7, 1),
        Wish::Balance => (0, 2),
    };
    ensure!((funds.ledger, count) == expected, "{what}: {funds:?}, {count} balances");
    if victim.is_some() {
        running.refresh().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_equal_requests_are_one_whoever_is_killed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut running = Running::start(folder.path()).await?;
    for wish in [Wish::TopUp, Wish::Balance] {
        for victim in [None, Some(Victim::Switch), Some(Victim::Management), None] {
            race(&mut running, wish, victim).await?;
        }
    }
    running.stop()
}
