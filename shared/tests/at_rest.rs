//! Every column of the database and every field of a log line, listed. A new one has to be entered
//! here by someone who knows that it holds no card number, track, PIN or verification value; the
//! journal's fields are listed in `journal_record.rs`. Source: security 4.6, requirements #40.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Sealed columns hold AES-256-GCM ciphertext; `token` and `pan_token` are keyed hashes;
/// `wpin_hash` is the argon2id hash of the wallet's own PIN, which is no card's; `email` and
/// `alert_email` are addresses of whoever looks after a certificate or a partner's balance.
const COLUMNS: &str = "
    alert_email alert_level alerted amount answer_ms answer_sealed application_id approval asked asked_at_ms
    asked_until_ms at_ms attempts authorised auto_balance balance balance_id batch_id bin
    blocked_until_ms booked booked_at_ms caller captured card card_id card_kind cardholder_lifts cash_back
    cash_hold_hours chain_hash changed_at_ms client_certificate client_key_sealed closed
    code_hash collateral command_id comment_sealed config_id content content_sealed country
    created_at_ms credential_hash credit credit_hold_hours currency customer customer_id
    decided_at_ms decided_by deleted_at_ms delivery_sealed description_sealed device_hash due
    email encrypts endpoint_id entrusted entry error expires_at_ms expiry_yymm external_id
    failures fee fee_id field fingerprint first_state fixed flagged followed form_sealed
    home_country iban iban_prefix id import_id installation_id instant_credit_max issuer_code
    key_before_sealed key_sealed kind kinds kyc kyc_mode last_four licensed life_cycle lifecycle_state
    locked mcc media_type merchant months_valid name network_verifies networks next_at_ms next_balance next_card
    next_key_sealed next_period_ms next_value not_after_ms not_before_ms notice number on_silence opened_for
    operator_id origin original_amount original_currency own_bin pan_sealed pan_token partial_approval
    partner_amount partner_balance_id partner_calls partner_id password_hash period
    period_end_ms period_ms place plan_sealed posted processing_code processor profile_sealed
    purchase_hold_hours rate_ppm reason reference reference_id region released removed_at_ms replaces request_id
    requested_by reserved_at_ms resource_id response_key_sha256 returned revoked_at_ms roles
    root route row_count row_no row_state rrn scope sequence serial settlement slot source
    spki_sha256 stan state status stepped_up_until_ms subject taken target terminal
    to_balance_id token token_hash token_no told tracking_no transaction_id url used_at_ms
    verification_id waived_from wallet_id warned_days wpin_failures wpin_hash wrong_entries_max
    zone";

/// `cause` and `error` are texts of our own types, none of which holds what a peer sent.
const LOG_FIELDS: &str = "
    address cause code count dropped epoch error files id is_mistyped is_past last link listener
    micros milliseconds partner peer reason records route share state status torn_bytes trace what";

const SECRET_WORDS: [&str; 10] =
    ["pan", "track", "track2", "pin", "cvv", "cvv2", "cvc", "cvc2", "digits", "secret"];

#[test]
fn no_column_is_for_a_secret() {
    let mut columns = BTreeSet::new();
    for migration in files(&root().join("mgmt-api/migrations"), "sql") {
        let text = fs::read_to_string(migration).unwrap();
        for table in text.split("CREATE TABLE ").skip(1) {
            let body = table.split_once('(').unwrap().1;
            let body = body.split(");").next().unwrap().split(") STRICT").next().unwrap();
            let first_words = body.lines().filter_map(|line| line.split_whitespace().next());
            let names = first_words.filter(|word| word.starts_with(|c: char| c.is_lowercase()));
            columns.extend(names.map(str::to_owned));
        }
        let added = text.split(" ADD COLUMN ").skip(1);
        columns.extend(added.filter_map(|rest| rest.split_whitespace().next()).map(str::to_owned));
    }
    assert!(columns.contains("wpin_hash") && columns.contains("balance_id"), "{columns:?}");
    compare(&columns, COLUMNS);
}

#[test]
fn no_log_field_is_for_a_secret() {
    let mut fields = BTreeSet::new();
    for folder in ["switch/src", "mgmt-api/src", "loadtest/src", "shared/src"] {
        for file in files(&root().join(folder), "rs") {
            let text = fs::read_to_string(file).unwrap();
            for name in ["trace", "debug", "info", "warn", "error", "event", "span", "info_span"] {
                for call in text.split(&format!("{name}!(")).skip(1) {
                    fields.extend(arguments(call).iter().filter_map(|part| field_of(part)));
                }
            }
        }
    }
    assert!(fields.contains("link") && fields.contains("error"), "{fields:?}");
    compare(&fields, LOG_FIELDS);
}

/// The found names are the listed ones, and none of them is for a secret. `pan_token` and
/// `pan_sealed` name what stands in its place.
fn compare(found: &BTreeSet<String>, list: &str) {
    let known: BTreeSet<String> = list.split_whitespace().map(str::to_owned).collect();
    assert_eq!(found, &known);
    for name in found {
        let stands_in = name.ends_with("_token") || name.ends_with("_sealed");
        let secret = name.split(['_', '.']).any(|part| SECRET_WORDS.contains(&part));
        assert!(stands_in || !secret, "{name}");
    }
}

/// The arguments of a macro call, from behind its opening parenthesis.
fn arguments(call: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let mut parts = vec![String::new()];
    for letter in call.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(letter);
    }
    parts
}

/// The name under which an argument is logged; none for the message itself.
fn field_of(argument: &str) -> Option<String> {
    let argument = argument.trim();
    let name = argument.split_once(" = ").map_or(argument, |(name, _value)| name);
    let name = name.trim_start_matches(['%', '?']);
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c);
    (!name.is_empty() && name.chars().all(is_name)).then(|| name.to_owned())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}
