//! The load generator, its oracle, the fixtures' runner, the simulated partner, and the sandbox for
//! newcomers.
//!
//! Invariants: every reply is checked when it comes, and again against the journal decided anew by
//! the core; load is generated without allocation, lock or wake-up for a single message.
//!
//! | to learn | read |
//! |---|---|
//! | what one run does, in order | [`run`] |
//! | how load is generated | [`drive`], [`connection`], [`template`], [`schedule`], [`traffic`] |
//! | how answers are checked | [`template`], [`oracle`], [`answers`] |
//! | what is reported | [`report`], [`cpu`] |
//! | how cards are made and what they put into messages | [`rest`], [`wallets`], [`card_side`] |
//! | how a partner that keeps balances is simulated, and checked | [`partner`] |
//! | where a sandbox is | [`description`] |

pub mod answers;
pub mod card_side;
pub mod connection;
pub mod control;
pub mod cpu;
pub mod description;
pub mod digits;
pub mod drive;
pub mod fixtures;
pub mod interface;
pub mod moment;
pub mod oracle;
pub mod partner;
pub mod report;
pub mod rest;
pub mod run;
pub mod sandbox;
pub mod schedule;
pub mod template;
pub mod traffic;
pub mod wallets;
