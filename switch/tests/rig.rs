//! What the tests of the whole switch stand on: the process, the two kinds of client, the cards.

mod book;
mod control;
mod issuer;
mod notation;
mod pki;
mod plastic;
mod process;
mod wire;

pub(crate) use book::{Book, copy, folder, refusal, some_command, take_over, wait};
pub(crate) use control::Control;
pub(crate) use issuer::{Issuer, PAN_TOKEN, balance_id, pan};
pub(crate) use notation::{Entry, Notation, private};
pub(crate) use pki::{Authority, Identity};
pub(crate) use plastic::{Medium, Plastic, wrong};
pub(crate) use process::{Home, Running, WAIT, feed, run};
pub(crate) use wire::{Client, Message, Processor, framed, purchase, reversal};

/// A number from the environment; what a test does in its long form, or again.
#[expect(clippy::disallowed_methods, reason = "how much a test does is asked for by variable")]
pub(crate) fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
