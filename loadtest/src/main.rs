//! The `loadtest` command: arguments, run, report, exit code.
//!
//! Exit codes: 0 everything agrees; 1 something does not, or the run failed; 2 wrong arguments.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use loadtest::drive::Pace;
use loadtest::fixtures::volume;
use loadtest::interface;
use loadtest::partner;
use loadtest::partner::check::{self, Suite};
use loadtest::run::{self, Options, PROGRAM, check_journal};
use shared::iso8583::mti::Version;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

/// Loads a switch with ISO 8583 messages and checks every answer against the core.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Issues cards in a running sandbox, sends purchases, checks every reply, then decides the
    /// whole journal again and compares answers and balances.
    Run(Run),
    /// Writes messages to a file: mostly approvals, some declines, repeats and reversals.
    Fixtures {
        /// The same seed gives the same messages.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many messages.
        #[arg(long, default_value_t = 10_000)]
        count: usize,
        /// Where to.
        #[arg(long)]
        out: PathBuf,
    },
    /// Loads the management API of a running sandbox and checks every answer.
    Api(Api),
    /// Decides a journal again and holds it against the answers that a run received.
    Check {
        /// The journal's folder; a copy, or one that is not written at the moment.
        #[arg(long)]
        journal: PathBuf,
        /// What `run --answers` wrote; without it the journal alone is checked.
        #[arg(long)]
        answers: Option<PathBuf>,
        /// The edition whose codes the answers came in.
        #[arg(long, value_enum, default_value_t = Edition::Iso1987)]
        edition: Edition,
        /// Prints one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Serves a simulated partner that keeps its customers' balances itself, until Ctrl-C.
    Partner(Partner),
    /// Checks an implementation of the External Balance API rule by rule, with balances of its own.
    PartnerCheck(PartnerCheck),
}

#[derive(clap::Args)]
struct Partner {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8090")]
    address: SocketAddr,
    /// What was done, a line each, to be found again at the next start; in memory alone if absent.
    #[arg(long)]
    file: Option<PathBuf>,
    /// What a balance has when it is linked, minor units.
    #[arg(long, default_value_t = partner::Options::default().opening_amount)]
    opening_amount: i64,
    /// The largest debit, minor units.
    #[arg(long, default_value_t = partner::Options::default().debit_max)]
    debit_max: i64,
}

#[derive(clap::Args)]
struct PartnerCheck {
    /// What stands before /users and /transactions.
    #[arg(value_parser = address)]
    url: reqwest::Url,
    /// A user that exists there.
    #[arg(long, default_value = "1")]
    user: String,
    /// A user that does not.
    #[arg(long, default_value = "unknown-user")]
    unknown_user: String,
    /// Another user that exists, to check that nobody sees or deletes balances of others.
    #[arg(long)]
    other_user: Option<String>,
    /// Of the balance that is made.
    #[arg(long, default_value = "EUR")]
    currency: String,
    /// Each answer must come within so many milliseconds.
    #[arg(long, default_value_t = 2_000)]
    within: u64,
    /// The client's certificate, PEM.
    #[arg(long, requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// The only authority to trust, PEM; the system's if absent.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Run {
    /// The folder of a running sandbox.
    #[arg(long, default_value = "sandbox-data")]
    sandbox: PathBuf,
    /// Open: so many messages a second, whatever comes back; latency counts from when a message was
    /// due. Closed: so many outstanding a connection.
    #[arg(long, value_enum, default_value_t = Mode::Closed)]
    mode: Mode,
    /// Open: messages a second, all connections together.
    #[arg(long, default_value_t = 10_000)]
    rate: u32,
    /// Connections to the switch.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Closed: messages outstanding a connection.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    window: u32,
    /// Seconds of sending.
    #[arg(long, default_value_t = 10)]
    duration: u64,
    /// Decides cards, amounts and arrival times.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cards to issue, each with a balance of its own.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    cards: u32,
    /// Their configId; by default the one with a single hot partner deposit.
    #[arg(long, default_value = PROGRAM)]
    program: String,
    /// The link to send on, by its name in sandbox.json; the first one if absent.
    #[arg(long)]
    link: Option<String>,
    /// Chip payments with track 2, whose verification value the switch verifies, in place of
    /// remote commerce without track data.
    #[arg(long)]
    track: bool,
    /// Opens lost connections again; what was outstanding on them counts as unknown.
    #[arg(long)]
    reconnect: bool,
    /// Writes every received answer here, for `check`.
    #[arg(long)]
    answers: Option<PathBuf>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Api {
    /// The folder of a running sandbox.
    #[arg(long, default_value = "sandbox-data")]
    sandbox: PathBuf,
    /// Read a balance, write a top-up, or issue a card with JWE both ways.
    #[arg(long, value_enum, default_value_t = What::Read)]
    what: What,
    /// Requests under way.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Seconds of asking.
    #[arg(long, default_value_t = 10)]
    duration: u64,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Read,
    Write,
    Issue,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Open,
    Closed,
}

#[derive(Clone, Copy, ValueEnum)]
enum Edition {
    #[value(name = "1987")]
    Iso1987,
    #[value(name = "1993")]
    Iso1993,
    #[value(name = "2003")]
    Iso2003,
}

impl From<Edition> for Version {
    fn from(edition: Edition) -> Self {
        match edition {
            Edition::Iso1987 => Self::V1987,
            Edition::Iso1993 => Self::V1993,
            Edition::Iso2003 => Self::V2003,
        }
    }
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run(arguments),
        Command::Api(arguments) => load_interface(arguments).map(|()| true),
        Command::Fixtures { seed, count, out } => volume::write(seed, count, &out).map(|()| true),
        Command::Check { journal, answers, edition, json } => {
            check(&journal, answers.as_deref(), edition.into(), json)
        }
        Command::Partner(arguments) => serve_partner(arguments).map(|()| true),
        Command::PartnerCheck(arguments) => check_partner(arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to tell it to if this fails.
            writeln!(std::io::stderr(), "loadtest: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Whether everything agreed.
fn run(arguments: Run) -> anyhow::Result<bool> {
    let pace = match arguments.mode {
        Mode::Open => Pace::Open { rate: arguments.rate, seed: arguments.seed },
        Mode::Closed => Pace::Closed { window: usize::try_from(arguments.window)? },
    };
    let json = arguments.json;
    let options = Options {
        sandbox: arguments.sandbox,
        pace,
        connections: usize::from(arguments.connections),
        duration: Duration::from_secs(arguments.duration),
        seed: arguments.seed,
        cards: usize::try_from(arguments.cards)?,
        program: arguments.program,
        link: arguments.link,
        track: arguments.track,
        reconnect: arguments.reconnect,
        answers: arguments.answers,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let prepared = runtime.block_on(run::prepare(options))?;
    let sent = prepared.send()?;
    let report = runtime.block_on(prepared.check(sent))?;
    say(&if json { serde_json::to_string(&report)? } else { report.text() })?;
    Ok(report.mismatches == 0)
}

fn load_interface(arguments: Api) -> anyhow::Result<()> {
    let options = interface::Options {
        sandbox: arguments.sandbox,
        what: match arguments.what {
            What::Read => interface::What::Read,
            What::Write => interface::What::Write,
            What::Issue => interface::What::Issue,
        },
        connections: usize::from(arguments.connections),
        duration: Duration::from_secs(arguments.duration),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(interface::run(&options))?;
    say(&if arguments.json { serde_json::to_string(&report)? } else { report.text() })
}

fn check(
    journal: &Path,
    answers: Option<&Path>,
    edition: Version,
    json: bool,
) -> anyhow::Result<bool> {
    let report = check_journal(journal, answers, edition)?;
    if json {
        say(&serde_json::to_string(&report)?)?;
    } else {
        let (records, mismatches) = (report.records, report.mismatches);
        say(&format!(
            "{records} records decided again, {} answers, {mismatches} mismatches\nstate hash {}",
            report.answers, report.state_hash
        ))?;
        report.details.iter().try_for_each(|detail| say(detail))?;
    }
    Ok(report.mismatches == 0)
}

fn serve_partner(arguments: Partner) -> anyhow::Result<()> {
    let Partner { address, file, opening_amount, debit_max } = arguments;
    let options = partner::Options { file, opening_amount, debit_max };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let listener = tokio::net::TcpListener::bind(address).await?;
        say(&format!("partner on http://{}", listener.local_addr()?))?;
        tokio::select! {
            served = partner::serve(listener, options) => served,
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    })
}

/// Whether every rule is kept.
fn check_partner(arguments: PartnerCheck) -> anyhow::Result<bool> {
    let json = arguments.json;
    let suite = match suite(arguments) {
        Ok(suite) => suite,
        Err(error) => Arguments::command()
            .error(clap::error::ErrorKind::ValueValidation, format!("{error:#}"))
            .exit(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut said = Ok(());
    let report = runtime.block_on(suite.run(|check| {
        if !json && said.is_ok() {
            said = say(&check.to_string());
        }
    }));
    said?;
    say(&if json { serde_json::to_string(&report)? } else { report.to_string() })?;
    Ok(report.agrees())
}

/// What fails here is wrong with the arguments.
fn suite(arguments: PartnerCheck) -> anyhow::Result<Suite> {
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    let mut options = check::Options::new(arguments.url);
    options.user = arguments.user;
    options.unknown_user = arguments.unknown_user;
    options.other_user = arguments.other_user;
    options.currency = arguments.currency;
    options.answer_max = Duration::from_millis(arguments.within);
    options.ca = arguments.ca.as_deref().map(read).transpose()?;
    if let (Some(certificate), Some(key)) = (&arguments.client_cert, &arguments.client_key) {
        let mut identity = Zeroizing::new(read(certificate)?);
        identity.push(b'\n');
        identity.extend_from_slice(&Zeroizing::new(read(key)?));
        options.identity = Some(identity);
    }
    Suite::new(options)
}

fn address(text: &str) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err("it must begin with http:// or https://".to_owned()),
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
