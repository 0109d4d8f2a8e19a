//! The sandbox as a newcomer meets it: real processes on free ports, driven from outside.
//!
//! Invariant: every sandbox that is started here is stopped here, whatever the test finds.

#[path = "running/rig.rs"]
mod rig;
#[path = "running/secrets.rs"]
mod secrets;
#[path = "running/simulated.rs"]
mod simulated;

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use loadtest::description::Description;
use loadtest::fixtures::player::{Played, Player};
use loadtest::fixtures::{Fixtures, volume};
use loadtest::rest::{Funds, IdentityFiles, IssuedCard, ResponseKey, Rest, month};
use loadtest::wallets;
use rustix::process::Signal;
use serde_json::{Value, json};
use shared::pan::Pan;
use zeroize::Zeroizing;

use crate::rig::{DEADLINE, Running};

const SANDBOX: &str = rig::SANDBOX;
const LOADTEST: &str = env!("CARGO_BIN_EXE_loadtest");
/// Every link of a sandbox. Source: surface 1.
const LINKS: [&str; 4] = ["processor-87", "processor-93", "processor-2003", "processor-bcd"];
/// Every kind of decision that a newcomer is shown on each of them.
const KINDS: [&str; 64] = [
    "approved",
    "insufficient funds",
    "insufficient deposit",
    "missing deposit",
    "lock 1",
    "lock 2",
    "lock 3",
    "lock 4",
    "lock 5",
    "lock 6",
    "lock 7",
    "lock 8",
    "not activated",
    "expired",
    "another expiry",
    "unknown card",
    "wrong currency",
    "zero amount",
    "unknown processing code",
    "account verification",
    "format error",
    "exact repeat",
    "conflicting repeat",
    "reversal",
    "repeated reversal",
    "partial reversal",
    "reversal request before request",
    "reversal advice before request",
    "late request",
    "sign-on",
    "echo test",
    "partial approval",
    "cash",
    "purchase with cash-back",
    "account funding",
    "refund, pending",
    "refund cleared",
    "payment credit",
    "balance inquiry",
    "incremental",
    "incremental without an original",
    "single message",
    "single message reversed",
    "advice, approved elsewhere",
    "advice repeated",
    "advice, declined elsewhere",
    "clearing, a part",
    "clearing, final",
    "clearing over the hold",
    "force post",
    "reversal of one of two",
    "clearing of one of two",
    "negative acknowledgement",
    "administrative",
    "wrong CVV on the stripe",
    "wrong CVC2",
    "wrong PIN, third: lock 6",
    "lock outside, 7",
    "locked outside",
    "above the day's amount",
    "above the month's budget",
    "third of two a day",
    "merchant category not permitted",
    "anti-money-laundering lock",
];

/// Plays lines of a fixture file on cards that are known already.
async fn play(
    running: &Running,
    player: &mut Player,
    card: &str,
    lines: &str,
) -> anyhow::Result<Vec<Played>> {
    let text = format!("{{\"card\": \"{card}\", \"program\": \"-\"}}\n{lines}");
    player.play(&Fixtures::parse(&text)?, &running.journal()).await
}

fn purchase(card: &str, amount: i64, code: &str, reason: &str) -> String {
    json!({
        "kind": format!("{amount} on {card}"), "mti": "0100", "card": card,
        "set": { "4": format!("{amount:012}") }, "expect": { "39": code, "reason": reason },
    })
    .to_string()
}

/// Sends one purchase; the answer must be the expected one.
async fn expect(
    running: &Running,
    player: &mut Player,
    (card, amount): (&str, i64),
    (code, reason): (&str, &str),
) -> anyhow::Result<()> {
    let played = play(running, player, card, &purchase(card, amount, code, reason)).await?;
    for one in played {
        ensure!(one.agrees(), "{one:?}");
    }
    Ok(())
}

#[test]
fn one_run_shows_every_kind_of_decision_as_expected() -> anyhow::Result<()> {
    let output = Command::new(SANDBOX).args(["--once", "--ephemeral", "--json"]).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{errors}");
    let summary: Value = serde_json::from_str(&said)?;
    assert_eq!(summary["ok"], true);
    let decisions = summary["decisions"].as_array().context("decisions")?;
    for link in LINKS {
        for part in KINDS {
            let is_it = |row: &&Value| {
                let kind = row["kind"].as_str().is_some_and(|kind| kind.starts_with(part));
                kind && row["link"] == link
            };
            let row = decisions.iter().find(is_it);
            let row = row.with_context(|| format!("{part} on {link}"))?;
            assert_eq!(row["expected"], row["got"], "{part} on {link}");
        }
    }
    for percentile in ["p50", "p99", "p999", "max"] {
        assert!(summary["latencyUs"][percentile].as_u64().is_some_and(|value| value > 0));
    }
    Ok(())
}

/// The seed's four requests with its own bodies, in order; gives customer, balance and card.
async fn quick_start(
    running: &Running,
    key: &ResponseKey,
) -> anyhow::Result<(String, String, IssuedCard)> {
    let Description { secure, client_cert, client_key, ca, .. } = &running.description;
    let file = |path: &Path| std::fs::read(running.folder.join(path));
    let identity = [file(client_cert)?, file(client_key)?].concat();
    let http = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&file(ca)?)?])
        .identity(reqwest::Identity::from_pem(&identity)?)
        .no_proxy()
        .build()?;
    let answer = http
        .post(format!("{secure}/lifecycle/v1/wallet"))
        .header("Content-Type", "application/json")
        .header("Accept", "application/json")
        .header("Issuer-Code", "sandbox")
        .header("Application-Id", "SBX-APP-ID")
        .header("Collection", "lifecycle")
        .body(r#"{ "firstName": "John", "lastName": "Doe", "phone": "481234567899", "email": "john.doe@verestro.com", "birthDate": "2000-01-01", "wPIN": "1234", "state": "VERIFIED", "kyc": "SUCCESS" }"#)
        .send()
        .await?;
    ensure!(answer.status() == 201, "{}", answer.text().await?);
    let customer = text(&answer.json().await?, "customerId")?;

    let answer = http
        .post(format!("{secure}/secure/customers/{customer}/register"))
        .header("Accept", "application/json")
        .multipart(seed_form()?)
        .send()
        .await?;
    ensure!(answer.status() == 201, "{}", answer.text().await?);

    let answer = http
        .post(format!("{secure}/secure/customers/{customer}/balances"))
        .header("Content-Type", "application/json")
        .header("Accept", "application/json")
        .body(r#"{ "currency": "EUR" }"#)
        .send()
        .await?;
    ensure!(answer.status() == 201, "{}", answer.text().await?);
    let balance = text(&answer.json().await?, "balanceId")?;

    let body =
        r#"{ "balanceId": "0351eb09-3ac0-4234-a4ad-0a6ad52f248b", "configId": "0019167984" }"#;
    let answer = http
        .post(format!("{secure}/secure/customers/{customer}/cards/virtual"))
        .header("Content-Type", "application/json")
        .header("Accept", "application/json")
        .header("Encrypted-Response", "true")
        .header("Public-Key", key.header())
        .body(body.replace("0351eb09-3ac0-4234-a4ad-0a6ad52f248b", &balance))
        .send()
        .await?;
    ensure!(answer.status() == 201, "{}", answer.text().await?);
    let plain = key.open_answer(&answer.json().await?)?;
    let card = IssuedCard {
        id: text(&plain, "id")?,
        resource_id: text(&plain, "resourceId")?,
        pan: Pan::parse(text(&plain, "pan")?.as_bytes()).context("pan")?,
        cvc2: Zeroizing::new(text(&plain, "cvc2")?),
        expiry: month(&text(&plain, "expDate")?).context("expDate")?,
    };
    ensure!(card.pan.has_valid_check_digit() && card.cvc2.len() == 3, "card data");
    Ok((customer, balance, card))
}

fn seed_form() -> anyhow::Result<reqwest::multipart::Form> {
    let mut form = reqwest::multipart::Form::new();
    for (name, value) in [
        ("firstName", "Leon"),
        ("lastName", "Bakiewicz"),
        ("street", "Pieklo"),
        ("pesel", "70010155587"),
        ("number", "17a"),
        ("city", "Lublin"),
        ("birthDate", "1970-01-01"),
        ("postCode", "20-128"),
        ("identityCardNo", "ASD123456"),
        ("apartment", "2"),
        ("documentType", "passport"),
        ("country", "PL"),
        ("documentExpirationDate", "2025-01-30"),
        ("nationality", "polish"),
    ] {
        form = form.text(name, value);
    }
    for name in ["imageFace", "imageFront", "imageBack"] {
        let image = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9";
        let part = reqwest::multipart::Part::bytes(image.to_vec()).file_name("someFile.jpg");
        form = form.part(name, part.mime_str("image/jpeg")?);
    }
    Ok(form)
}

fn text(answer: &Value, member: &str) -> anyhow::Result<String> {
    let text = answer.get(member).and_then(Value::as_str);
    text.map(str::to_owned).with_context(|| member.to_owned())
}

#[tokio::test]
async fn a_newcomer_issues_a_card_with_the_seeds_requests_and_pays_with_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let running = Running::start(folder.path()).await?;
    let key_file = folder.path().join("newcomer-jwe.key");
    let key = ResponseKey::open(&key_file)?;
    let (customer, balance, card) = quick_start(&running, &key).await?;
    let files = IdentityFiles {
        certificate: &folder.path().join(&running.description.client_cert),
        key: &folder.path().join(&running.description.client_key),
        response_key: &key_file,
    };
    let rest = Rest::open(folder.path(), &running.description, files)?;
    rest.top_up(&customer, &balance, 10_000, "EUR").await?;
    let mut player = running.player().await?;
    let id = card.id.clone();
    player.know("mine", card);
    expect(&running, &mut player, ("mine", 6_000), ("00", "APPROVED")).await?;
    expect(&running, &mut player, ("mine", 4_001), ("51", "INSUFFICIENT_FUNDS")).await?;
    assert_eq!(rest.funds(&customer, &balance).await?, Funds { ledger: 10_000, held: 6_000 });

    assert_eq!(rest.lock(&customer, &id, 2).await?.status, 204);
    expect(&running, &mut player, ("mine", 1), ("43", "CARD_LOCKED")).await?;
    let refused = rest.unlock(&customer, &id).await?;
    assert_eq!((refused.status, &*refused.title), (409, "CARD_LOCKED_IRREVERSIBLY"));
    expect(&running, &mut player, ("mine", 1), ("43", "CARD_LOCKED")).await?;

    let second = rest.issue_card(&customer, &balance, "0019167984").await?;
    let id = second.id.clone();
    player.know("second", second);
    assert_eq!(rest.lock(&customer, &id, 7).await?.status, 204);
    expect(&running, &mut player, ("second", 1), ("59", "CARD_LOCKED")).await?;
    assert_eq!(rest.unlock(&customer, &id).await?.status, 204);
    expect(&running, &mut player, ("second", 1), ("00", "APPROVED")).await?;

    let volume = folder.path().join("volume.jsonl");
    volume::write(7, 60, &volume)?;
    let volume = Fixtures::parse(&std::fs::read_to_string(volume)?)?;
    let rest = running.demo()?;
    player.issue(&rest, &volume.cards).await?;
    for one in player.play(&volume, &running.journal()).await? {
        assert!(one.agrees(), "{one:?}");
    }
    running.stop()
}

/// Runs the load generator; its JSON.
fn loadtest(arguments: &[&str], folder: &Path) -> anyhow::Result<Value> {
    let output = Command::new(LOADTEST).args(arguments).arg(folder).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}\n{errors}");
    Ok(serde_json::from_str(&said)?)
}

#[tokio::test]
async fn what_was_done_survives_a_stop_and_a_killed_switch() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let first = Running::start(folder.path()).await?;
    let rest = first.demo()?;
    let wallet = wallets::make(&rest, "0019167985", 1, 10_000).await?.remove(0);
    let mut player = first.player().await?;
    player.know("mine", wallet.card);
    expect(&first, &mut player, ("mine", 6_000), ("00", "APPROVED")).await?;
    let open = r#"{"kind": "deposit", "mti": "0800", "set": {"70": "301"}}"#;
    play(&first, &mut player, "mine", open).await?;
    let deposit = deposit_of(folder.path())?;
    let expected = Funds { ledger: 1_000_000_000_000_000, held: 6_000 };
    assert_eq!(rest.partner_funds(&deposit).await?, expected);
    drop(player);
    first.stop()?;

    let mut second = Running::start(folder.path()).await?;
    let rest = second.demo()?;
    assert_eq!(deposit_of(folder.path())?, deposit);
    assert_eq!(rest.partner_funds(&deposit).await?, expected, "funded once, held as before");
    let funds = rest.funds(&wallet.customer, &wallet.balance).await?;
    assert_eq!(funds, Funds { ledger: 10_000, held: 6_000 });

    let answers = folder.path().join("answers.tsv");
    let answers_text = answers.to_str().context("a path of text")?.to_owned();
    let load = {
        let folder = folder.path().to_owned();
        let arguments = ["run", "--mode", "closed", "--connections", "2", "--window", "16"];
        let more = ["--duration", "3", "--cards", "8", "--reconnect", "--json", "--answers"];
        let all: Vec<String> =
            arguments.iter().chain(&more).map(|text| (*text).to_owned()).collect();
        tokio::task::spawn_blocking(move || {
            let mut all: Vec<&str> = all.iter().map(String::as_str).collect();
            all.extend([answers_text.as_str(), "--sandbox"]);
            loadtest(&all, &folder)
        })
    };
    let traffic = records_grow(&second).await;
    let killed = second.description.switch_pid;
    second.signal(killed, Signal::KILL)?;
    second.refresh().await?;
    let report = load.await??;
    traffic?;
    assert_eq!(report["mismatches"], 0, "{report}");
    assert!(report["approved"].as_u64().is_some_and(|count| count > 0), "{report}");
    second.stop()?;

    let journal = folder.path().join("switch/journal");
    let arguments =
        ["check", "--json", "--answers", answers.to_str().context("text")?, "--journal"];
    let report = loadtest(&arguments, &journal)?;
    assert_eq!(report["mismatches"], 0, "{report}");
    assert!(report["answers"].as_u64().is_some_and(|count| count > 0), "{report}");
    Ok(())
}

/// Until the switch has answered some of the load.
async fn records_grow(running: &Running) -> anyhow::Result<()> {
    let deadline = Instant::now() + DEADLINE;
    let metrics = running.description.metrics.clone();
    loop {
        let page = reqwest::get(&metrics).await?.text().await?;
        let answered = page
            .lines()
            .filter(|line| {
                line.starts_with("switch_answers_total") && line.contains("\"APPROVED\"")
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum::<u64>();
        if answered > 200 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "no load in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn deposit_of(folder: &Path) -> anyhow::Result<String> {
    let ids: Value = serde_json::from_slice(&std::fs::read(folder.join("partner-balances.json"))?)?;
    text(&ids, "DEPOSIT-EUR")
}

#[test]
fn a_folder_in_use_is_refused_with_a_reason() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("switch"), "in the way")?;
    let mut child = Command::new(SANDBOX)
        .args(["--ephemeral", "--no-demo", "--data"])
        .arg(folder.path())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    child.stderr.take().context("stderr")?.read_to_string(&mut said)?;
    assert!(!child.wait()?.success() && said.contains("switch"), "{said}");
    Ok(())
}
