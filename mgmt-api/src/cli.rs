//! The command line: what there is, and the help that teaches it.
//!
//! Invariant: only what works is here.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use mgmt_api::art::Kind;
use mgmt_api::auth::role::Roles;

/// The management API of the issuer: users, balances, cards over REST.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve until SIGTERM or Ctrl-C, then drain.
    Serve(ConfigFile),
    /// Bring the database's schema up to date.
    Migrate(ConfigFile),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The development certificate authority.
    #[command(subcommand)]
    Ca(CaCommand),
    /// The software key provider.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Art of cards and wallets.
    #[command(subcommand)]
    Art(ArtCommand),
    /// The audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Operators of the admin channel.
    #[command(subcommand)]
    User(UserCommand),
}

#[derive(clap::Args)]
pub(crate) struct ConfigFile {
    /// The TOML file; MGMT__TABLE__KEY in the environment overrides a key.
    #[arg(long, default_value = "mgmt.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read the configuration and say what is wrong with it.
    Check(ConfigFile),
}

#[derive(Subcommand)]
pub(crate) enum CaCommand {
    /// Make an authority, a server certificate and a partner certificate; keeps what is there.
    Init {
        /// Folder for the files.
        #[arg(long, default_value = "pki")]
        dir: PathBuf,
    },
    /// Sign a certificate request for client authentication; the certificate may connect when it
    /// stands under `clients` in the configuration.
    Sign(Signing),
    /// Refuse a certificate from now on, whatever the configuration says.
    Revoke {
        #[command(flatten)]
        file: ConfigFile,
        /// The certificate, PEM.
        #[arg(long)]
        certificate: PathBuf,
    },
}

#[derive(clap::Args)]
pub(crate) struct Signing {
    /// The authority's folder.
    #[arg(long, default_value = "pki")]
    pub(crate) dir: PathBuf,
    /// The request, PEM.
    #[arg(long)]
    pub(crate) csr: PathBuf,
    /// Where the certificate goes.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Common name of the certificate; the request's own subject is not taken.
    #[arg(long, default_value = "partner")]
    pub(crate) name: String,
    /// Days that it is good for, 825 at most.
    #[arg(long, default_value_t = 365)]
    pub(crate) days: u16,
    /// Demand what a partner's request must have: an RSA key, and CN, O, OU (a UUID), L, ST, C and
    /// emailAddress without commas.
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Subcommand)]
pub(crate) enum ArtCommand {
    /// Say what is wrong with a file, and what somebody has to look at; exit code 1 where it cannot
    /// be used.
    Check {
        /// mdes-card, mdes-card-vector, mdes-logo, mdes-icon, 3ds-logo, physical-preview,
        /// physical-print or physical-logo.
        #[arg(long)]
        kind: Kind,
        /// The file.
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that no entry was changed or left out; prints the last one's number and hash, which,
    /// kept elsewhere, also show whether the end was cut off.
    Verify(ConfigFile),
}

#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// Add an operator, or give the one of this name another password, roles and partner. The
    /// password is read from standard input, one line; sessions that it has end.
    Add(NewUser),
    /// Keep an operator out from now on.
    Disable {
        #[command(flatten)]
        file: ConfigFile,
        /// Who.
        name: String,
    },
}

#[derive(clap::Args)]
pub(crate) struct NewUser {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Who.
    pub(crate) name: String,
    /// ADMIN, MANAGER, EMPLOYEE, LICENSED; several with commas.
    #[arg(long)]
    pub(crate) roles: Roles,
    /// Number or issuer code of the one partner whose things it may see; all without.
    #[arg(long)]
    pub(crate) partner: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Draw new keys into a file with mode 0600; never over one that is there.
    Generate {
        /// The file.
        #[arg(long, default_value = "keys.toml")]
        out: PathBuf,
    },
}
