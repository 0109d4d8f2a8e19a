//! `switch config check`: what a switch would not start with is told before it is started.

use std::fs;

use super::ended;
use crate::rig::{Home, run};

const DIALECT: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/dialects/iso87-ascii.toml"));

/// Checks the configuration of a home: exit code, standard output, standard error.
fn check(home: &Home) -> (i32, String, String) {
    let file = home.path("switch.toml");
    let output = run(&["config", "check", "--config", file.to_str().unwrap()]);
    let (code, out, err) = ended(&output);
    assert!(!home.journal().exists() && !home.path("control.sock").exists(), "it starts nothing");
    (code, out.to_owned(), err.to_owned())
}

fn sound(home: &Home) {
    assert_eq!(check(home), (0, "the configuration is sound\n".to_owned(), String::new()));
}

/// Refused with the code of a wrong configuration, saying all of this.
fn refused(home: &Home, says: &[&str]) {
    let (code, out, err) = check(home);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    for part in says {
        assert!(err.contains(part), "{part} in {err}");
    }
    // The switch itself says the same and ends.
    let started = home.command().output().unwrap();
    let (code, out, told) = ended(&started);
    assert_eq!((code, out), (2, ""), "{told}");
    assert!(says.iter().all(|part| told.contains(part)), "{told}");
}

/// The number of the first line that contains it.
fn line_of(text: &str, part: &str) -> usize {
    1 + text.lines().position(|line| line.contains(part)).unwrap()
}

#[test]
fn a_sound_configuration_is_told_to_be() {
    sound(&Home::new("", ""));
    sound(&Home::new("mode = \"write-behind\"", "response_codes = { DUPLICATE = \"26\" }"));
    for dialect in ["iso87-ascii", "iso87-bcd", "iso93-ascii", "iso2003-ascii"] {
        sound(&Home::new("", &format!("dialect = {dialect:?}")));
    }
}

#[test]
fn a_dialect_file_is_checked_and_its_faulty_line_named() {
    let home = Home::new("", "dialect = \"own.toml\"");
    refused(&home, &["link net: dialect ", "own.toml: No such file"]);
    fs::write(home.path("own.toml"), DIALECT).unwrap();
    sound(&home);
    let amount = "{ number = 4, name = \"Amount, transaction\", class = \"n\", length = 12 }";
    for (from, to, says) in [
        (amount, amount.replace("number = 4", "number = 5"), "field 5: is out of order: field 4"),
        (amount, amount.replace("12 }", "12, ll = 3 }"), "field 4: give exactly one of `length`"),
        (amount, amount.replace("length = 12", "length = 0"), "field 4: a length of 0 is not"),
        (amount, amount.replace("class = \"n\"", "class = \"q\""), "field 4: "),
        ("\"0420\" = {", "\"0420\" = { conditional = 1, ".to_owned(), "message 0420: "),
        ("\"0420\" = {", "\"0429\" = {".to_owned(), "message 0429: is not a message type"),
        ("version = 1987", "version = 1988".to_owned(), "version 1988 is not supported"),
        ("name = \"iso87-ascii\"", "name = own".to_owned(), ""),
    ] {
        let line = line_of(DIALECT, from);
        assert!(line > 50, "behind the head of the file");
        fs::write(home.path("own.toml"), DIALECT.replacen(from, &to, 1)).unwrap();
        refused(&home, &["link net: dialect ", "own.toml: ", &format!("line {line}: {says}")]);
    }
}

#[test]
fn an_unknown_key_is_named() {
    refused(&Home::new("segmants = 1", ""), &["switch.toml", "unknown field", "segmants"]);
    refused(&Home::new("", "dialekt = \"iso87-ascii\""), &["unknown field", "dialekt"]);
    refused(&Home::new("", "[links.markers]\ncolour = 1"), &["unknown field", "colour"]);
    let home = Home::new("", "");
    let text = fs::read_to_string(home.path("switch.toml")).unwrap();
    fs::write(home.path("switch.toml"), format!("colour = 1\n{text}")).unwrap();
    refused(&home, &["unknown field", "colour"]);
}

#[test]
fn a_response_code_must_be_of_a_reason_and_as_long_as_the_edition_has_it() {
    let check = |dialect: &str, key: &str, code: &str| {
        let codes = format!("dialect = {dialect:?}\nresponse_codes = {{ {key} = {code:?} }}");
        Home::new("", &codes)
    };
    for (dialect, key, code) in [
        ("iso87-ascii", "DUPLICATE", "9"),
        ("iso87-ascii", "DUPLICATE", "940"),
        ("iso87-ascii", "DUPLICATE", "9 "),
        ("iso87-ascii", "NO_SUCH_REASON", "94"),
        ("iso93-ascii", "DUPLICATE", "94"),
        ("iso2003-ascii", "DUPLICATE", "913"),
    ] {
        let named = format!("link net: response_codes.{key} = {code:?}: ");
        refused(&check(dialect, key, code), &[&named]);
    }
    for (dialect, code) in
        [("iso87-ascii", "94"), ("iso93-ascii", "913"), ("iso2003-ascii", "9113")]
    {
        sound(&check(dialect, "DUPLICATE", code));
    }
}

#[test]
fn a_file_that_a_start_needs_is_named_where_it_is_not_there() {
    let home = Home::new("", "");
    fs::remove_file(home.path("keys.toml")).unwrap();
    refused(&home, &["keys.toml: No such file"]);
    fs::remove_file(home.path("switch.toml")).unwrap();
    refused(&home, &["switch.toml: no such configuration file"]);
}
