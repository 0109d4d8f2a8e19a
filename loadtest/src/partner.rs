//! A partner that keeps its customers' balances itself, simulated, and a check of a real one.
//! Source: seed, External Balance; requirements #143 to #155.
//!
//! | to learn | read |
//! |---|---|
//! | what money does, and what each request is answered | `bank` |
//! | how a transaction object is read | `transaction` |
//! | routes, what is counted, what the control routes show and set | `server` |
//! | late, wrong, cut and unreadable answers on request | `faults` |
//! | how a restarted partner finds its balances again | `journal` |
//! | whether another implementation keeps the rules | [`check`] |
//!
//! Invariants: the bank does no I/O, and what it decides depends on nothing but the commands in
//! their order, so that the file decides the same when it is read again; every table is bounded.

mod bank;
pub mod check;
mod connections;
mod faults;
mod journal;
mod operation;
mod recent;
mod reply;
mod server;
mod transaction;

use std::path::PathBuf;

use tokio::net::TcpListener;

use bank::Settings;
use server::Partner;

/// How a simulated partner behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What was done, to be found again at the next start; kept in memory alone if absent.
    pub file: Option<PathBuf>,
    /// What a balance has when it is linked, minor units.
    pub opening_amount: i64,
    /// A debit above it is answered with `LIMITS_EXCEEDED`, minor units.
    pub debit_max: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self { file: None, opening_amount: 100_000, debit_max: 100_000_000 }
    }
}

/// Serves a simulated partner on `listener` until the future is dropped, which cuts every connection.
///
/// # Errors
/// The file cannot be read, is in use, or has a line that is none of ours.
pub async fn serve(listener: TcpListener, options: Options) -> anyhow::Result<()> {
    let Options { file, opening_amount, debit_max } = options;
    let partner = Partner::open(Settings { opening_amount, debit_max }, file.as_deref())?;
    connections::serve(listener, server::router(partner)).await
}
