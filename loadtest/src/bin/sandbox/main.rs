//! The `sandbox` command: arguments, then [`loadtest::sandbox::run`], then the exit code.
//!
//! Exit codes: 0 every answer was the expected one; 1 one was not, or something failed; 2 wrong
//! arguments.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use loadtest::sandbox::{self, Options, child};

/// Starts the switch and the management API on this machine, shows what they do, and keeps serving
/// until Ctrl-C. What is in the folder from an earlier start is found again.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    server: Option<Server>,
    /// The folder for keys, certificates, configurations, journal, database and logs.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Free ports; without --data a temporary folder, removed at the end.
    #[arg(long)]
    ephemeral: bool,
    /// Durable: an answer leaves when its record is on disk. Write-behind: when the kernel has it.
    #[arg(long, value_enum, default_value_t = Mode::Durable)]
    mode: Mode,
    /// Stop after the demonstration; the exit code says whether every answer was as expected.
    #[arg(long, conflicts_with = "no_demo")]
    once: bool,
    /// Serve only.
    #[arg(long)]
    no_demo: bool,
    /// Print one JSON object: ok, decisions, latencyUs.
    #[arg(long)]
    json: bool,
    /// Give every card the same recognizable value in place of its CVC2, to search for.
    #[arg(long, hide = true)]
    canary: bool,
}

#[derive(Subcommand)]
enum Server {
    #[command(name = "serve-switch", hide = true)]
    Switch(ServerArguments),
    #[command(name = "serve-mgmt", hide = true)]
    Mgmt(ServerArguments),
    #[command(name = "serve-mgmt-canary", hide = true)]
    MgmtCanary(ServerArguments),
}

#[derive(clap::Args)]
struct ServerArguments {
    #[arg(long)]
    config: PathBuf,
    #[arg(long)]
    parent: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Durable,
    WriteBehind,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.server {
        Some(Server::Switch(ServerArguments { config, parent })) => {
            child::serve_switch(&config, parent).map(|()| true)
        }
        Some(Server::Mgmt(ServerArguments { config, parent })) => {
            child::serve_mgmt(&config, parent, false).map(|()| true)
        }
        Some(Server::MgmtCanary(ServerArguments { config, parent })) => {
            child::serve_mgmt(&config, parent, true).map(|()| true)
        }
        None => run(arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to tell it to if this fails.
            writeln!(std::io::stderr(), "sandbox: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

/// One thread: the servers end with the thread that started them.
fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let data = match (arguments.data, arguments.ephemeral) {
        (None, false) => Some(PathBuf::from("sandbox-data")),
        (data, _) => data,
    };
    let options = Options {
        data,
        ephemeral: arguments.ephemeral,
        mode: match arguments.mode {
            Mode::Durable => switch::config::Mode::Durable,
            Mode::WriteBehind => switch::config::Mode::WriteBehind,
        },
        once: arguments.once,
        demo: !arguments.no_demo,
        json: arguments.json,
        canary: arguments.canary,
        program: std::env::current_exe()?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(sandbox::run(options))
}
