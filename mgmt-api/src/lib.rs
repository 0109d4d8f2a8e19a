//! The management API: the sidecar through which partners add users, open balances, issue and lock
//! cards. It meets the switch on the control link only.
//!
//! The way of a request, in order:
//! 1. [`tls`] accepts it and knows the client certificate's key;
//! 2. [`routes`] gives it an id, a deadline and a handler; [`auth`] names the caller;
//! 3. [`idempotency`] stores what was drawn for it, or gives the first answer again;
//! 4. [`app`] writes a pending row in [`store`], asks the switch over [`switch_link`], settles the
//!    row;
//! 5. [`jwe`] encrypts the answer where the caller asks for it.
//!
//! Beside it, [`event_feed`] reads the switch's journal and settles rows whose answer was lost.
//!
//! Invariants: nothing is answered as done before the switch has it durably; clear card numbers
//! live in [`vault`]'s and [`jwe`]'s hands only; SQL is written in [`store`] only.

pub mod answer;
pub mod app;
pub mod art;
pub mod audit;
pub mod auth;
pub mod call;
mod callout;
pub mod clock;
pub mod config;
pub mod error;
pub mod event_feed;
mod history;
pub mod iban;
pub mod idempotency;
mod identity_provider;
mod in_flight;
pub mod jwe;
mod kept;
mod lingering;
mod mail;
pub mod metrics;
mod notices;
pub mod openapi;
pub mod operators;
mod panel;
pub mod pki;
pub mod routes;
pub mod sandbox;
pub mod secret_file;
mod server;
mod simulator;
pub mod store;
pub mod switch_link;
pub mod tls;
pub mod vault;

pub use config::Config;
pub use server::{Server, check, install_logs, migrate, revoke, serve, verify_audit};
