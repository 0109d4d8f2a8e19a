//! What no lint can see: sizes, names, first lines and words that a folder may not have, each with
//! its reason. Source: house 2, 4 and 6.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 600;
const README_LINES_MAX: usize = 150;

const BANNED_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc", "mod"];

/// Folder, a text that no code below it may have, files that may, and why; tests and comments may.
type Row = (&'static str, &'static str, &'static [&'static str], &'static str);

#[rustfmt::skip] // one ban a line
const BANS: &[Row] = &[
    ("shared/src", "std::net", &[], "the core does no I/O"),
    ("shared/src", "std::fs", &["golden"], "the core does no I/O (golden.rs is a test)"),
    ("shared/src", "std::thread", &[], "the core has one thread: the caller's"),
    ("shared/src", "Mutex", &[], "the core has one writer"),
    ("shared/src", "RwLock", &[], "the core has one writer"),
    ("shared/src", "std::time::", &[], "the core takes the time as an argument"),
    ("shared/src", "tokio", &[], "the core never waits"),
    ("shared/src", "async fn", &[], "the core never waits"),
    ("switch/src", "sqlx", &[], "nothing on the path asks a database"),
    ("switch/src", "axum", &["metrics", "listener"], "the switch shows its metrics and serves no other HTTP"),
    ("switch/src", "mgmt_api", &[], "the two servers meet on the control link"),
    ("mgmt-api/src", "switch::", &[], "the two servers meet on the control link"),
    ("mgmt-api/src/routes", "sqlx::", &[], "SQL lives in the store"),
    ("", "std::env", &["config", "main"], "surroundings are read in config.rs and main.rs"),
];

/// The groups of requirements that are about the management API: entities, channels, users,
/// balances, partners' balances and cards; notices; fees; the panel; art.
const REQUIREMENTS: &[RangeInclusive<u16>] = &[22..=117, 156..=184];

/// Rows of the table of paths.
const PATHS: RangeInclusive<u16> = 1..=37;

/// Tests of a running server through TLS and HTTP.
const HTTP: [&str; 2] = ["mgmt-api/tests/api/", "loadtest/tests/"];

/// Crates of this workspace that a crate may not depend on.
const GRAPH: &[(&str, &[&str])] = &[
    ("shared", &["switch", "mgmt-api", "loadtest", "benches"]),
    ("switch", &["mgmt-api", "loadtest", "benches"]),
    ("mgmt-api", &["switch", "loadtest", "benches"]),
];

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    walk(&root, &mut files);
    assert!(files.len() > 30, "the walk found the workspace");
    let mut complaints = Vec::new();
    for file in &files {
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap();
        let Ok(text) = fs::read_to_string(file) else { continue };
        for complaint in complaints_about(path, &text) {
            complaints.push(format!("{path}: {complaint}"));
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn the_walk_would_complain() {
    let count = |path, text: &str| complaints_about(path, text).len();
    assert_eq!(count("shared/src/util.rs", "use std::net::TcpStream;\n"), 3);
    assert_eq!(count("switch/src/a.rs", &format!("//! A.\n{}", "x\n".repeat(600))), 1);
    assert_eq!(count("switch/Cargo.toml", "mgmt-api.workspace = true\n"), 1);
    assert_eq!(count("switch/src/a.rs", "//! A.\n#[cfg(test)]\nuse sqlx;\n"), 0);
}

#[test]
fn each_requirement_has_code_and_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = fs::read_to_string(root.join("shared/src/manual/requirements.md")).unwrap();
    let complaints = untraced(&root, &table);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));

    for (row, other) in [
        ("| 97 |", "| 297 |"),
        ("`shared/src/lock_code.rs`", "`shared/src/lock.rs`"),
        ("each_of_the_eight_locks_declines", "each_of_the_locks_declines"),
    ] {
        assert!(!untraced(&root, &table.replacen(row, other, 1)).is_empty(), "{row}");
    }
}

/// What is missing in the table of requirements: rows, files or tests.
fn untraced(root: &Path, table: &str) -> Vec<String> {
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| #"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let numbers: Vec<&str> = rows.iter().filter_map(|row| row.first().copied()).collect();
    let groups = REQUIREMENTS.iter().cloned().flatten().map(|number| number.to_string());
    let wanted: Vec<String> = groups.chain(PATHS.map(|row| format!("P{row}"))).collect();
    if numbers != wanted {
        return vec!["the rows are not those of the groups, in order, once each".to_owned()];
    }
    let fault = |row: &[&str]| match row {
        [_, _, code, test] => {
            let code = code.trim_matches('`');
            let named = test.trim_matches('`').split_once("` `");
            let has = |(file, name): (&str, &str)| {
                let text = fs::read_to_string(root.join(file)).unwrap_or_default();
                text.contains(&format!("fn {name}("))
            };
            let over_http = |(file, _): (&str, &str)| HTTP.iter().any(|at| file.starts_with(at));
            !root.join(code).is_file() || !named.is_some_and(|test| has(test) && over_http(test))
        }
        _ => true,
    };
    rows.iter().filter(|row| fault(row)).map(|row| row.join(" | ")).collect()
}

fn complaints_about(path: &str, text: &str) -> Vec<String> {
    let name = Path::new(path).file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let lines = text.lines().count();
    let mut found = Vec::new();
    if path.ends_with(".rs") {
        if lines > LINES_MAX {
            found.push(format!("{lines} lines, at most {LINES_MAX}: split it by what it is about"));
        }
        if BANNED_NAMES.contains(&name) {
            found.push("name the file after what is in it".to_owned());
        }
        if path.contains("/src/") {
            if !text.starts_with("//!") {
                found.push("begin with //!: purpose and invariant".to_owned());
            }
            found.extend(banned_in(path, name, text));
        }
    }
    if path == "README.md" && lines > README_LINES_MAX {
        found.push(format!("{lines} lines, at most {README_LINES_MAX}"));
    }
    if path.ends_with("Cargo.toml") {
        found.extend(forbidden_dependencies(path, text));
    }
    // In two halves, so that this file does not complain about itself.
    let marks =
        [("TO", "DO"), ("FIX", "ME"), ("to", "do!("), ("unimple", "mented!"), ("dbg", "!(")];
    for mark in marks.map(|(one, two)| [one, two].concat()) {
        if text.contains(&mark) {
            found.push(format!("{mark}: finish it, or write an issue"));
        }
    }
    if path.ends_with(".rs") && text.contains(&["[all", "ow("].concat()) {
        found.push("expect a lint with a reason; never silence it".to_owned());
    }
    found
}

fn banned_in(path: &str, name: &str, text: &str) -> Vec<String> {
    let code: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    BANS.iter()
        .filter(|(folder, _, except, _)| path.starts_with(folder) && !except.contains(&name))
        .filter(|(_, banned, ..)| code.iter().any(|line| line.contains(banned)))
        .map(|(_, banned, _, reason)| format!("`{banned}`: {reason}"))
        .collect()
}

fn forbidden_dependencies(path: &str, text: &str) -> Vec<String> {
    let forbidden = GRAPH.iter().filter(|(member, _)| path == format!("{member}/Cargo.toml"));
    let forbidden = forbidden.flat_map(|(_, names)| *names);
    let stated = |name: &&&str| {
        text.lines().any(|line| {
            line.strip_prefix(**name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        })
    };
    forbidden.filter(stated).map(|name| format!("may not depend on {name}")).collect()
}

/// Every text file of ours below `folder`, in order of name.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_str().unwrap_or(".");
        if name.starts_with('.') || name == "target" || name == "sandbox-data" {
            continue;
        }
        if path.is_dir() {
            walk(&path, files);
        } else if [".rs", ".toml", ".md", ".sql", ".html"].iter().any(|end| name.ends_with(end)) {
            files.push(path);
        }
    }
}
