//! Every reason that there is: its table in the manual, and that some test gets it as an answer.
//! Source: requirements #158, surface 4.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "decisions/manual.rs"]
mod manual;

use std::path::Path;
use std::{fs, str};

use shared::action_code::{Reason, ResponseCodes};
use shared::iso8583::mti::Version;

/// The descriptions that the seed gives its notifications. Source: requirements #158.
const OF_THE_SEED: [&str; 19] = [
    "APPROVED",
    "EXCEEDS_AMOUNT_LIMIT",
    "INSUFFICIENT_FUNDS",
    "CARD_NOT_FOUND",
    "BALANCE_NOT_FOUND",
    "INVALID_AMOUNT",
    "INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE",
    "DEPOSIT_BALANCE_NOT_FOUND",
    "AML_EXCEPTION",
    "AMBIGUOUS_REFERENCED_TRANSACTION",
    "REFERENCED_TRANSACTION_NOT_FOUND",
    "CURRENCY_MISMATCH",
    "CUSTOMER_NOT_FOUND",
    "BUDGET_EXCEEDED",
    "LIMIT_EXCEED",
    "COLLATERAL_BALANCE_NOT_FOUND",
    "INSUFFICIENT_FUNDS_ON_COLLATERAL_BALANCE",
    "UNKNOWN_TRANSACTION_TYPE",
    "UNKNOWN_ERROR",
];

/// Answers that the shell gives without the core; `switch/tests` and `fixtures/transactions` get
/// them over sockets.
const OF_THE_SHELL: [Reason; 3] =
    [Reason::FormatError, Reason::NetworkManagementDone, Reason::AdministrativeTaken];

fn wire(reason: Reason) -> [String; 3] {
    [Version::V1987, Version::V1993, Version::V2003].map(|edition| {
        str::from_utf8(ResponseCodes::of(edition).code(reason).as_bytes()).unwrap().to_owned()
    })
}

#[test]
fn the_table_in_the_manual_is_that_of_the_code() {
    let mut table = String::from(
        "| number | key in a link's table | description | internal | 1987 | 1993 | 2003 | in words |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for reason in Reason::ALL {
        table += &format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            reason.number(),
            reason.table_key(),
            reason.description(),
            reason.action_code(),
            wire(*reason).join(" | "),
            reason.sentence()
        );
    }
    manual::compare("reasons.md", "## Reasons\n", &table);
}

#[test]
fn every_reason_is_the_answer_in_a_decision_table_with_its_codes() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut tables = String::new();
    for entry in fs::read_dir(tests).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            tables += &fs::read_to_string(path).unwrap();
        }
    }
    let absent: Vec<_> = Reason::ALL
        .iter()
        .filter(|reason| !OF_THE_SHELL.contains(reason))
        .map(|reason| {
            let code = reason.action_code();
            format!("-> {} {code} {}", reason.description(), wire(*reason).join(" "))
        })
        .filter(|answer| !tables.contains(answer))
        .collect();
    assert!(absent.is_empty(), "no table has {absent:?}");
}

#[test]
fn every_description_of_the_seed_is_one_of_ours() {
    for description in OF_THE_SEED {
        assert!(Reason::ALL.iter().any(|r| r.description() == description), "{description}");
    }
}
