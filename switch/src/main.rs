//! The `switch` command: arguments, configuration, run, exit code.
//!
//! Exit codes: 0 done; 1 the journal is damaged, in use, or decides otherwise now; 2 wrong
//! arguments or configuration; 3 stopped on an error while serving.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use shared::ids::Sequence;
use switch::config::Config;
use switch::recovery::{self, RecoveryError};
use switch::{decode, explain};

/// Decides ISO 8583 authorizations in memory and journals every one before it answers.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Recovers the journal and serves every link until SIGTERM.
    Serve {
        /// The configuration file; paths in it are relative to its folder.
        #[arg(long, default_value = "switch.toml")]
        config: PathBuf,
    },
    /// Reads a journal without changing it, decides every command again, and prints the state.
    Verify {
        /// The journal's folder; a copy, or that of a running switch.
        #[arg(long)]
        journal: PathBuf,
        /// Prints one JSON object: outcome, lastSequence, stateHash.
        #[arg(long)]
        json: bool,
    },
    /// Takes messages apart: field, offset, name and value, everything sensitive masked.
    Decode {
        /// A built-in dialect's name or a dialect file.
        #[arg(long, default_value = "iso87-ascii")]
        dialect: String,
        /// Messages in hexadecimal digits, one a line, without their length headers; - for standard
        /// input.
        #[arg(default_value = "-")]
        file: PathBuf,
        /// Prints one JSON object a message: sound, error, description.
        #[arg(long)]
        json: bool,
    },
    /// Says why a message was answered as it was: every check with its inputs and verdict, balances
    /// before and after, recomputed from the journal.
    Explain {
        /// The journal's folder; a copy, or that of a running switch.
        #[arg(long)]
        journal: PathBuf,
        /// The transaction's id: its place in the journal.
        #[arg(required_unless_present = "rrn")]
        id: Option<u64>,
        /// Every message with this retrieval reference number (DE37) instead.
        #[arg(long, conflicts_with = "id")]
        rrn: Option<String>,
        /// Prints one JSON object a message.
        #[arg(long)]
        json: bool,
    },
    /// Looks at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Says whether a switch would start with it, and names what is wrong.
    Check {
        /// The configuration file.
        #[arg(long, default_value = "switch.toml")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    switch::abort_on_panic();
    let (outcome, failure) = match Arguments::parse().command {
        Command::Serve { config } => {
            switch::log_to_stderr();
            match Config::load(&config).and_then(|config| config.check_files().map(|()| config)) {
                Ok(config) => (switch::serve(&config), 3),
                Err(error) => (Err(error), 2),
            }
        }
        Command::Verify { journal, json } => (verify(&journal, json), 1),
        Command::Decode { dialect, file, json } => (decode(&dialect, &file, json), 2),
        Command::Explain { journal, id, rrn, json } => (explain(&journal, id, rrn, json), 1),
        Command::Config(ConfigCommand::Check { config }) => {
            let checked = Config::load(&config).and_then(|config| config.check_files());
            (checked.and_then(|()| say("the configuration is sound")), 2)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let refused = error.downcast_ref::<RecoveryError>().is_some();
            let shown = writeln!(std::io::stderr(), "switch: {error:#}");
            ExitCode::from(if refused || shown.is_err() { 1 } else { failure })
        }
    }
}

fn verify(journal: &std::path::Path, json: bool) -> anyhow::Result<()> {
    let found = recovery::verify(journal)?;
    let outcome = match found.torn {
        0 => "clean".to_owned(),
        torn => format!("torn tail of {torn} bytes, none acknowledged"),
    };
    let hash = format!("{:032x}", found.state_hash);
    if json {
        let report = serde_json::json!({
            "outcome": outcome, "lastSequence": found.last.0, "stateHash": hash
        });
        return say(&report.to_string());
    }
    say(&format!("{outcome}\nlast sequence {}\nstate hash {hash}", found.last))
}

fn decode(dialect: &str, file: &std::path::Path, json: bool) -> anyhow::Result<()> {
    let dialect = decode::dialect(dialect)?;
    for message in decode::messages(file)? {
        let (text, sound) = decode::shown(&dialect, &message);
        if json {
            let lines: Vec<&str> = text.lines().collect();
            let error = sound.err();
            let report = serde_json::json!({
                "sound": error.is_none(), "error": error, "description": lines
            });
            say(&report.to_string())?;
        } else {
            let verdict = sound.map_or_else(|error| error, |()| "sound".to_owned());
            say(&format!("{text}{verdict}"))?;
        }
    }
    Ok(())
}

fn explain(
    journal: &std::path::Path,
    id: Option<u64>,
    rrn: Option<String>,
    json: bool,
) -> anyhow::Result<()> {
    let ids = match (id, rrn) {
        (Some(id), _) => vec![Sequence(id)],
        (None, rrn) => explain::find(journal, &rrn.unwrap_or_default())?,
    };
    anyhow::ensure!(!ids.is_empty(), "no message in the journal has this RRN");
    for id in ids {
        let found = explain::explain(journal, id)?;
        let found = found.with_context(|| format!("the journal has no transaction {id}"))?;
        say(&if json { found.json().to_string() } else { found.text() })?;
    }
    Ok(())
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
