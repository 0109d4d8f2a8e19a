//! The simulated partner over a socket, and the conformance check against it and against partners
//! that break a rule on purpose: each is found by the checks of that rule and by no other.

#[path = "partner/broken.rs"]
mod broken;
#[path = "partner/served.rs"]
mod served;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use loadtest::partner::check::{Options, Outcome, Report, Suite};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::broken::broken;
use crate::served::{Served, transaction};

fn options(address: &str) -> anyhow::Result<Options> {
    let mut options = Options::new(Url::parse(address)?);
    options.other_user = Some("2".to_owned());
    options.answer_max = Duration::MAX;
    Ok(options)
}

async fn checked(options: Options) -> anyhow::Result<Report> {
    let mut told = Vec::new();
    let report = Suite::new(options)?.run(|check| told.push(check.name)).await;
    let names: Vec<_> = report.checks.iter().map(|check| check.name).collect();
    ensure!(told == names, "told {told:?}, reported {names:?}");
    Ok(report)
}

fn names(report: &Report, outcome: Outcome) -> Vec<&'static str> {
    let checks = report.checks.iter().filter(|check| check.outcome == outcome);
    checks.map(|check| check.name).collect()
}

fn text(report: &Report) -> String {
    report.checks.iter().map(|check| format!("{check}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_partner_keeps_every_rule() -> anyhow::Result<()> {
    let partner = Served::start().await?;
    let report = checked(options(&partner.address)?).await?;
    assert!(report.agrees(), "{}", text(&report));
    assert_eq!((report.checks.len(), report.failed, report.skipped), (33, 0, 0));
    assert!(report.to_string().contains("33 ok"), "{report}");

    let mut alone = options(&partner.address)?;
    alone.other_user = None;
    let report = checked(alone).await?;
    assert_eq!((report.passed, report.failed, report.skipped), (30, 0, 0), "{}", text(&report));

    let shown = serde_json::to_value(&report)?;
    assert_eq!(shown["passed"], 30);
    assert_eq!(shown["checks"][0]["name"], "link");
    assert_eq!(shown["checks"][0]["outcome"], "ok");
    assert!(shown["checks"][0]["rule"].is_string() && shown["checks"][0]["detail"].is_string());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_partner_fails_the_checks_of_its_rule_and_no_other() -> anyhow::Result<()> {
    for (fault, expected) in broken::EXPECTED {
        let partner = Served::start().await?;
        let front = broken(*fault, &partner.address).await?;
        let report = checked(options(&front.address)?).await?;
        let failed = names(&report, Outcome::Failed);
        assert_eq!(&failed, expected, "{fault:?}\n{}", text(&report));
        assert!(!report.agrees(), "{fault:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_take_too_long_are_found() -> anyhow::Result<()> {
    let partner = Served::start().await?;
    let mut options = options(&partner.address)?;
    options.answer_max = Duration::ZERO;
    let report = checked(options).await?;
    assert_eq!(names(&report, Outcome::Failed), ["in-time"], "{}", text(&report));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_counts_as_kept_where_nobody_answers() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    drop(listener);
    let report = checked(options(&address)?).await?;
    assert_eq!(report.passed, 0, "{}", text(&report));
    assert!(report.failed > 0 && report.skipped > 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_on_one_call_is_found_where_it_hits() -> anyhow::Result<()> {
    for fault in ["close", "garbage", "status"] {
        let partner = Served::start().await?;
        let wish = json!({ "operation": "debit", "fault": fault, "times": 1 });
        partner.expect("POST", "/control/faults", &wish, 204).await?;
        let report = checked(options(&partner.address)?).await?;
        let failed = names(&report, Outcome::Failed);
        assert_eq!(failed, ["debit"], "{fault}\n{}", text(&report));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_comes_before_or_after_the_effect() -> anyhow::Result<()> {
    let partner = Served::start().await?;
    partner.link("1", "a").await?;
    for (fault, after, left) in [
        ("status", false, 100_000),
        ("status", true, 99_900),
        ("close", false, 99_900),
        ("close", true, 99_800),
        ("garbage", false, 99_800),
        ("garbage", true, 99_700),
    ] {
        let wish = json!({ "operation": "debit", "fault": fault, "after": after });
        partner.expect("POST", "/control/faults", &wish, 204).await?;
        let name = format!("{fault}-{after}");
        let (body, key) = (transaction("a", &name, 100), Some(name.as_str()));
        let disturbed = partner.send("POST", "/transactions/debit", &body, key).await;
        match fault {
            "close" => assert!(disturbed.is_err(), "{after}"),
            "garbage" => {
                let (status, body) = disturbed?;
                assert!(status == 200 && serde_json::from_slice::<Value>(&body).is_err());
            }
            _ => assert_eq!(disturbed?.0, 503),
        }
        assert_eq!(partner.amount("a").await?, left, "{fault} {after}");
        if after {
            // The request that was answered wrongly is done, and answered rightly the next time.
            let again = partner.send("POST", "/transactions/debit", &body, key).await?;
            assert_eq!((again.0, partner.amount("a").await?), (204, left), "{fault}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_comes_all_the_same() -> anyhow::Result<()> {
    let partner = Served::start().await?;
    partner.link("1", "a").await?;
    for after in [false, true] {
        let wish =
            json!({ "operation": "read", "fault": "delay", "milliseconds": 1, "after": after });
        partner.expect("POST", "/control/faults", &wish, 204).await?;
        let (status, _) = partner.send("GET", "/users/1/balances/a", &Value::Null, None).await?;
        assert_eq!(status, 200);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_counted_shown_and_can_be_set() -> anyhow::Result<()> {
    let partner = Served::start().await?;
    partner.link("1", "a").await?;
    let debit = transaction("a", "t1", 300);
    partner.send("POST", "/transactions/debit", &debit, Some("k1")).await?;
    partner.send("POST", "/transactions/debit", &debit, Some("k1")).await?;
    partner.expect("POST", "/notifications/transaction", &json!({ "any": 1 }), 204).await?;
    partner.expect("PUT", "/control/balances/a", &json!({ "amount": -5 }), 204).await?;
    partner.expect("PUT", "/control/balances/b", &json!({ "amount": 5 }), 404).await?;

    let state = partner.state().await?;
    let balance = json!([{ "id": "a", "user": "1", "currency": "EUR", "amount": -5 }]);
    assert_eq!(state["balances"], balance);
    let moved =
        json!([{ "transactionId": "t1", "balanceId": "a", "net": -300, "status": "AUTHORIZED" }]);
    assert_eq!(state["transactions"], moved);
    assert_eq!(state["calls"], json!({ "link": 1, "debit": 2, "notification": 1 }));
    assert_eq!(state["notifications"], 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_read_is_refused_with_title_and_detail() -> anyhow::Result<()> {
    let partner = Served::start().await?;
    let (mut without, whole) = (transaction("a", "t1", 1), transaction("a", "t1", 1));
    without.as_object_mut().context("an object")?.remove("amount");
    let large = json!({ "balanceId": "x".repeat(70_000) });
    let long = format!("/users/1/balances/{}", "x".repeat(300));
    for (method, path, body, key, status, about) in [
        ("POST", "/transactions/debit", &without, Some("k"), 400, "amount"),
        ("POST", "/transactions/debit", &whole, None, 400, "X-Idempotency-Key"),
        ("POST", "/transactions/debit", &large, Some("k"), 413, ""),
        ("PUT", "/transactions/t2", &whole, None, 400, "transactionId"),
        ("POST", "/users/1/balances", &json!({ "balanceId": "a" }), None, 400, "currency"),
        ("GET", long.as_str(), &Value::Null, None, 400, "balance"),
        ("GET", "/users/%FF/balances", &Value::Null, None, 400, ""),
        ("POST", "/control/faults", &json!({ "fault": "close" }), None, 400, "operation"),
        ("GET", "/nowhere", &Value::Null, None, 404, ""),
        ("PATCH", "/users/1/balances", &Value::Null, None, 405, ""),
    ] {
        let (found, answer) = partner.send(method, path, body, key).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        assert_eq!(found, status, "{method} {path} {answer}");
        let detail = answer["detail"].as_str().context("no detail")?;
        assert!(answer["title"].is_string() && detail.contains(about), "{path} {answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_partner_finds_balances_transactions_and_answers_again() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("partner.jsonl");
    let debit = transaction("a", "t1", 300);
    let partner = Served::with_file(&file).await?;
    partner.link("1", "a").await?;
    partner.send("POST", "/transactions/debit", &debit, Some("k1")).await?;
    let before = partner.state().await?;
    partner.stop(&file).await?;

    let partner = Served::with_file(&file).await?;
    let after = partner.state().await?;
    assert_eq!(before["balances"], after["balances"]);
    assert_eq!(before["transactions"], after["transactions"]);
    let (status, _) = partner.send("POST", "/transactions/debit", &debit, Some("k1")).await?;
    assert_eq!((status, partner.amount("a").await?), (204, 99_700));
    let other = transaction("a", "t1", 301);
    let (status, _) = partner.send("POST", "/transactions/debit", &other, Some("k1")).await?;
    assert_eq!(status, 422);
    let (status, _) = partner.send("POST", "/transactions/reversal", &debit, Some("k2")).await?;
    assert_eq!((status, partner.amount("a").await?), (204, 100_000));
    Ok(())
}

/// The partner as a process, and where it listens.
async fn process(file: &Path) -> anyhow::Result<(Child, String)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["partner", "--address", "127.0.0.1:0", "--file"])
        .arg(file)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().context("no output")?;
    let line = BufReader::new(output).lines().next_line().await?.context("it said nothing")?;
    let address = line.strip_prefix("partner on ").context("it said something else")?;
    Ok((child, address.to_owned()))
}

/// What `partner-check` prints, and its exit code.
async fn check_command(arguments: &[&str]) -> anyhow::Result<(String, Option<i32>)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    let output =
        command.args(["partner-check", "--within", "60000"]).args(arguments).output().await?;
    Ok((String::from_utf8(output.stdout)?, output.status.code()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_serve_and_check_and_a_killed_partner_loses_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("partner.jsonl");
    let (mut child, address) = process(&file).await?;
    let (printed, code) = check_command(&[&address]).await?;
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.ends_with("30 rules: 30 ok, 0 failed, 0 skipped\n"), "{printed}");
    let before = served::state(&address).await?;
    child.kill().await?;

    let (_child, address) = process(&file).await?;
    let after = served::state(&address).await?;
    assert_eq!(before["balances"], after["balances"]);
    assert_eq!(before["transactions"], after["transactions"]);

    let (printed, code) = check_command(&[&address, "--user", "unknown-1", "--json"]).await?;
    let printed: Value = serde_json::from_str(&printed)?;
    assert_eq!((code, &printed["checks"][0]["outcome"]), (Some(1), &json!("failed")));
    let key = ["--client-key", "nowhere"];
    let both = ["--client-cert", "nowhere", "--client-key", "nowhere"];
    for wrong in
        [&["nowhere"][..], &[&address, key[0], key[1]], &[&[&*address], &both[..]].concat()]
    {
        assert_eq!(check_command(wrong).await?.1, Some(2), "{wrong:?}");
    }
    Ok(())
}
