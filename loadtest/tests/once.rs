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
use serde_json::json;
use tokio::task::JoinSet;

use crate::rig::Running;

const CALLERS: usize = 50;
/// A caller gives up after so many tries.
const TRIES_MAX: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// One caller: sends the same until it gets an answer that is final.
async fn until_answered(
    rest: Arc<Rest>,
    address: String,
    key: &'static str,
) -> anyhow::Result<Vec<u8>> {
    let body = json!({ "amount": 7, "currency": "EUR", "externalId": key });
    for _try in 0..TRIES_MAX {
        // A cut connection, 409 while another is under way, 503 while a server is away.
        if let Ok((201, bytes)) = rest.post_once(&address, &body, key).await {
            return Ok(bytes);
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

async fn race(
    running: &mut Running,
    key: &'static str,
    victim: Option<Victim>,
) -> anyhow::Result<()> {
    let rest = running.demo()?;
    let wallet = json!({ "firstName": "Ada", "lastName": "Nowak", "phone": "48123456789",
        "email": "ada@example.com", "state": "VERIFIED", "kyc": "SUCCESS" });
    let customer = rest.add_customer(&wallet).await?;
    let balance = rest.open_balance(&customer, "EUR").await?;
    let address = format!("/secure/customers/{customer}/balances/{balance}/topup");
    let mut callers = JoinSet::new();
    for _caller in 0..CALLERS {
        callers.spawn(until_answered(Arc::clone(&rest), address.clone(), key));
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
    let mut answers = Vec::new();
    while let Some(answer) = callers.join_next().await {
        answers.push(answer??);
    }
    answers.dedup();
    ensure!(answers.len() == 1, "{key}: {} different answers", answers.len());
    let funds = rest.funds(&customer, &balance).await?;
    ensure!(funds.ledger == 7, "{key}: booked {}", funds.ledger);
    if victim.is_some() {
        running.refresh().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_equal_requests_are_one_whoever_is_killed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut running = Running::start(folder.path()).await?;
    race(&mut running, "alone", None).await?;
    race(&mut running, "switch killed", Some(Victim::Switch)).await?;
    race(&mut running, "management killed", Some(Victim::Management)).await?;
    race(&mut running, "again", None).await?;
    running.stop()
}
