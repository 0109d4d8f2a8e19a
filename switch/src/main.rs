//! The `switch` command: arguments, configuration, run, exit code.
//!
//! Exit codes: 0 done; 1 the journal is damaged, in use, or decides otherwise now; 2 wrong
//! arguments or configuration; 3 stopped on an error while serving.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use switch::config::Config;
use switch::recovery::{self, RecoveryError};

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
            match Config::load(&config).and_then(|config| config.token_key().map(|_key| config)) {
                Ok(config) => (switch::serve(&config), 3),
                Err(error) => (Err(error), 2),
            }
        }
        Command::Verify { journal, json } => (verify(&journal, json), 1),
        Command::Config(ConfigCommand::Check { config }) => {
            let checked = Config::load(&config).and_then(|config| config.token_key().map(drop));
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

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
