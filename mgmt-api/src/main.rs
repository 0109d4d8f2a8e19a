//! `mgmt-api`: arguments, then one function of the library, then the exit code (0 done, 1 failed,
//! 2 wrong arguments).

mod cli;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use mgmt_api::{Config, art, operators, pki, vault};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::cli::{
    Arguments, ArtCommand, AuditCommand, CaCommand, Command, ConfigCommand, KeyCommand, UserCommand,
};

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "mgmt-api: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(file) => serve(Config::load(&file.config)?),
        Command::Migrate(file) => {
            let config = Config::load(&file.config)?;
            runtime()?.block_on(mgmt_api::migrate(&config))?;
            say("the schema is up to date")
        }
        Command::Config(ConfigCommand::Check(file)) => {
            mgmt_api::check(&Config::load(&file.config)?)?;
            say("the configuration is good")
        }
        Command::Ca(CaCommand::Init { dir }) => {
            pki::init(&dir)?;
            say(&format!("certificates are in {}", dir.display()))
        }
        Command::Ca(CaCommand::Sign(wish)) => {
            let request = std::fs::read_to_string(&wish.csr)?;
            let signed =
                pki::sign_request(&wish.dir, &request, &wish.name, wish.days, wish.strict)?;
            std::fs::write(&wish.out, signed)?;
            say(&format!("the certificate is in {}", wish.out.display()))
        }
        Command::Art(ArtCommand::Check { kind, file }) => check_art(kind, &file),
        Command::Audit(AuditCommand::Verify(file)) => {
            let config = Config::load(&file.config)?;
            let (last, hash) = runtime()?.block_on(mgmt_api::verify_audit(&config))?;
            say(&format!("{last} entries, each follows from the one before; last hash {hash}"))
        }
        Command::User(UserCommand::Add(user)) => {
            let config = Config::load(&user.file.config)?;
            let mut password = Zeroizing::new(String::new());
            std::io::stdin().read_line(&mut password)?;
            let password = password.trim_end_matches(['\r', '\n']);
            let partner = user.partner.as_deref();
            let wish = operators::Wish { name: &user.name, password, roles: user.roles, partner };
            runtime()?.block_on(operators::add(&config, &wish))?;
            say(&format!("{} may log in", user.name))
        }
        Command::User(UserCommand::Disable { file, name }) => {
            runtime()?.block_on(operators::disable(&Config::load(&file.config)?, &name))?;
            say(&format!("{name} may not log in any more"))
        }
        Command::Ca(CaCommand::Revoke { file, certificate }) => {
            let config = Config::load(&file.config)?;
            runtime()?.block_on(mgmt_api::revoke(&config, &certificate))?;
            say("the certificate is refused from now on")
        }
        Command::Key(KeyCommand::Generate { out }) => {
            vault::generate_keys(&out)?;
            say(&format!("keys are in {}", out.display()))
        }
    }
}

fn check_art(kind: art::Kind, file: &Path) -> anyhow::Result<()> {
    let content =
        std::fs::read(file).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    let found = art::check(kind, &content);
    for finding in &found {
        let weight = if finding.fatal { "wrong" } else { "look at" };
        say(&format!("{weight}: {}", finding.message))?;
    }
    for what in kind.to_look_at() {
        say(&format!("look at: {what}"))?;
    }
    let wrong = found.iter().any(|finding| finding.fatal);
    anyhow::ensure!(!wrong, "{} cannot be used as {kind}", file.display());
    say("nothing is wrong that a program can see")
}

fn serve(config: Config) -> anyhow::Result<()> {
    mgmt_api::install_logs(&config.log, !std::io::stderr().is_terminal())?;
    runtime()?.block_on(async {
        let shutdown = CancellationToken::new();
        for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
            let (mut signals, stop) = (signal(kind)?, shutdown.clone());
            tokio::spawn(async move {
                signals.recv().await;
                stop.cancel();
            });
        }
        mgmt_api::serve(config, shutdown).await
    })
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
