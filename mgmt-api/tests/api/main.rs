//! The management API from outside: real TLS, a real control link with the real core behind it,
//! and the same tests on SQLite and PostgreSQL.
//!
//! `cfg(test)` stands at each module so that the lints know their functions as tests.

#[cfg(test)]
mod alerts;
#[cfg(test)]
mod art;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod cards;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod channels;
#[cfg(test)]
mod codes;
#[cfg(test)]
mod collateral;
#[cfg(test)]
mod controls;
#[cfg(test)]
mod custody;
#[cfg(test)]
mod database;
#[cfg(test)]
mod deposits;
#[cfg(test)]
mod events;
#[cfg(test)]
mod fees;
#[cfg(test)]
mod history;
#[cfg(test)]
mod http_surface;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod interface;
#[cfg(test)]
mod invoices;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod jwe_refusals;
#[cfg(test)]
mod leaks;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod money;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod otp;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod panel;
#[cfg(test)]
mod partner;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod process;
#[cfg(test)]
mod quick_start;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod strict;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod world;
