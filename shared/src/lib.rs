//! The functional core of the issuer: what is decided, what money moves, and the wire codec.
//!
//! A command and the time go in; a decision and a closed list of effects come out. The same core
//! runs in the switch, in replay and verification, in the load tester's oracle and in the benches.
//!
//! Invariants: no I/O, no clock, no randomness, no threads, no locks in this crate; the same
//! commands at the same times give the same state; money is conserved after every command; nothing
//! secret can be printed or serialized.
//!
//! | to learn | read |
//! |---|---|
//! | why a card was declined | [`authorization`], one column of checks; [`action_code`] |
//! | what state there is, and how it changes | [`ledger`], [`effect`] |
//! | what may happen | [`command`] |
//! | what is written down | [`journal_record`] |
//! | what the wire looks like | [`iso8583`] |
//! | how a CVV or a PIN is checked | [`credential`] |
//! | what the two servers say to each other | [`control`] |
//! | limits and permissions | [`rule`] |
//! | what a payment costs beside its amount | [`fee`] |
//! | what each message does | [`manual`] |
//! | every bound | [`limits`] |

pub mod action_code;
pub mod authorization;
pub mod balance;
pub mod books;
mod cache;
pub mod card;
pub mod command;
pub mod control;
pub mod credential;
pub mod effect;
pub mod fee;
pub mod ids;
pub mod iso8583;
pub mod journal_record;
pub mod key_file;
pub mod ledger;
pub mod limits;
pub mod lock_code;
pub mod manual;
pub mod money;
pub mod pan;
pub mod rule;
mod transactions;
