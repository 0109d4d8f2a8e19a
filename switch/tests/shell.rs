//! The switch from outside: its journal on disk, its sockets, and what is left after every kind of
//! end. Nothing here waits for a length of time: a test waits for the thing itself.
//!
//! `CRASHES=20 cargo test -p switch --test shell crash -- --nocapture` is the long form of the crash
//! test (`SEED=n` repeats one); `FAULTS=all` stops the switch at every system call of its life.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and says what it did"
)]

mod commands;
mod crash;
mod faults;
mod hostile;
mod journal;
mod links;
mod messages;
mod rig;
mod serve;
