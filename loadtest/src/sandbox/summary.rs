//! What the sandbox says: one row for each kind of decision, latency, and where everything is.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::absolute;
use super::demo::Shown;
use crate::description::{Description, FILE};

/// `{ok, decisions, latencyUs}`. Source: surface 1.
pub(super) fn json(shown: &Shown) -> anyhow::Result<String> {
    let decisions: Vec<_> = shown
        .decisions
        .iter()
        .map(|row| json!({ "kind": row.kind, "link": row.link, "expected": row.expected, "got": row.got }))
        .collect();
    let latency = shown.burst.latency_us;
    let summary = json!({
        "ok": shown.agrees(),
        "decisions": decisions,
        "mismatches": shown.burst.mismatches,
        "latencyUs": {
            "p50": latency.p50,
            "p99": latency.p99,
            "p999": latency.p999,
            "max": latency.max,
        },
    });
    serde_json::to_string(&summary).context("a summary serializes")
}

/// The same for people.
pub(super) fn text(shown: &Shown) -> String {
    let rows = &shown.decisions;
    let width = |cell: fn(&crate::fixtures::player::Played) -> &str| {
        rows.iter().map(|row| cell(row).chars().count()).max().unwrap_or_default()
    };
    let (kind, link) = (width(|row| &row.kind), width(|row| &row.link));
    let expected = width(|row| &row.expected);
    let mut text = format!(
        "Quick start done: user, identity check, balance, card ending in {}, top-up.\n\n",
        shown.last_four
    );
    let mut line = |mark: &str, cells: [&str; 4]| {
        let [first, second, third, fourth] = cells;
        // A String takes every write.
        writeln!(text, "{mark} {first:kind$}  {second:link$}  {third:expected$}  {fourth}").ok();
    };
    line("  ", ["kind", "link", "expected (field 39, reason)", "got"]);
    for row in rows {
        let mark = if row.agrees() { "ok" } else { "!!" };
        line(mark, [&row.kind, &row.link, &row.expected, &row.got]);
    }
    text.push('\n');
    text.push_str(&shown.burst.text());
    text.push('\n');
    text
}

/// Where everything is, and what to do next.
pub(super) fn addresses(folder: &Path, description: &Description) -> String {
    let folder = absolute(folder);
    let Description { secure, public, metrics, client_cert, client_key, ca, .. } = description;
    let Description { panel, operator, operator_password, .. } = description;
    let file = |path: &Path| folder.join(path).display().to_string();
    let mut text = String::from("Serving:\n");
    for link in &description.iso8583 {
        writeln!(text, "  ISO 8583   {} ({}, {})", link.address, link.link, link.dialect).ok();
    }
    let lines = [
        format!("  REST       {secure} (client certificate), {public} (/admin, health)"),
        format!("  panel      {panel} (user {operator}, password {operator_password})"),
        format!("  metrics    {metrics}, {public}/metrics"),
        format!("  all of it  {}", file(Path::new(FILE))),
        format!("  logs       {}", file(Path::new("logs"))),
        "\nAdd a user:\n".to_owned(),
        format!("curl -X POST '{secure}/lifecycle/v1/wallet' --cacert {} \\", file(ca)),
        format!("  --cert {} --key {} \\", file(client_cert), file(client_key)),
        "  --header 'Content-Type: application/json' --header 'Accept: application/json' \\".into(),
        format!(
            "  --header 'Issuer-Code: {}' --header 'Application-Id: {}' --header 'Collection: lifecycle' \\",
            description.issuer_code, description.application_id
        ),
        r#"  --data-raw '{ "firstName": "John", "lastName": "Doe", "phone": "481234567899", "email": "john.doe@example.com", "birthDate": "2000-01-01", "wPIN": "1234", "state": "VERIFIED", "kyc": "SUCCESS" }'"#.into(),
        "\nCtrl-C stops everything; the next start finds it again.".to_owned(),
    ];
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}
