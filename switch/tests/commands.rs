//! The commands of the binary for people and programs: what they print, and how they end.

mod config;
mod decode;
mod explain;

use std::process::Output;

/// Its exit code, standard output and standard error.
fn ended(output: &Output) -> (i32, &str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// Words with one space between them, a line each: columns are for people.
fn squeezed(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}
