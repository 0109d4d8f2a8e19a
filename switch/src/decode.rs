//! `switch decode`: a message taken apart for people, everything sensitive masked.
//!
//! Invariant: what is shown is what [`shared::iso8583::describe()`] lets be shown; a message that does
//! not parse shows where it broke and no content.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use shared::iso8583::{Dialect, Layout, describe, parse};

/// Hexadecimal digits that are read at most.
const INPUT_MAX: u64 = 4 << 20;

/// The dialect of a built-in name or of a file.
pub fn dialect(name: &str) -> anyhow::Result<Dialect> {
    if let Some(built_in) = Dialect::built_in(name) {
        return Ok(built_in.clone());
    }
    let known = Dialect::BUILT_IN_NAMES.join(", ");
    ensure!(Path::new(name).is_file(), "{name}: neither a dialect file nor one of {known}");
    let text = std::fs::read_to_string(name).with_context(|| name.to_owned())?;
    Dialect::parse(&text).with_context(|| name.to_owned())
}

/// The messages in `file` (`-` for standard input): one a line, in hexadecimal digits; spaces are
/// passed over.
pub fn messages(file: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(INPUT_MAX).read_to_string(&mut text)?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| file.display().to_string())?;
        opened.take(INPUT_MAX).read_to_string(&mut text)?;
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(place, line)| bytes(line).with_context(|| format!("line {}", place + 1))).collect()
}

/// What one message says, and whether it has the fields that its type must have.
pub fn shown(dialect: &Dialect, message: &[u8]) -> (String, Result<(), String>) {
    let mut layout = Layout::new();
    let parsed = parse(dialect, message, &mut layout);
    let sound = parsed.and_then(|message| message.validate()).map_err(|error| error.to_string());
    (describe(dialect, message), sound)
}

fn bytes(line: &str) -> anyhow::Result<Vec<u8>> {
    let mut found = Vec::with_capacity(line.len() / 2);
    let mut high = None;
    for (place, digit) in line.chars().enumerate() {
        if digit.is_whitespace() {
            continue;
        }
        let Some(value) = digit.to_digit(16).and_then(|value| u8::try_from(value).ok()) else {
            bail!("column {}: not a hexadecimal digit", place + 1);
        };
        match high.take() {
            None => high = Some(value),
            Some(high) => found.push(high << 4 | value),
        }
    }
    ensure!(high.is_none(), "an odd number of hexadecimal digits");
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_with_spaces_and_refused_by_its_column() {
        assert_eq!(bytes("30 31\t3132").unwrap(), b"0112");
        assert_eq!(bytes("303x").unwrap_err().to_string(), "column 4: not a hexadecimal digit");
        assert_eq!(bytes("303").unwrap_err().to_string(), "an odd number of hexadecimal digits");
    }

    #[test]
    fn what_a_message_lacks_is_told_beside_what_it_says() {
        let (text, sound) = shown(Dialect::iso87_ascii(), b"0100\0\x20\0\0\0\0\0\x00000001");
        assert!(text.starts_with("0100, 18 bytes, iso87-ascii\n 11"), "{text}");
        assert_eq!(
            sound.unwrap_err(),
            "0100 field 2 at offset 4: the field is mandatory and absent"
        );
    }
}
