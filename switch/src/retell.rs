//! Explanations for the control link: a record decided again beside live traffic.
//!
//! Invariants: one at a time, on a thread of its own that yields to the rest of the machine; never
//! over a longer journal than is set, since the state before the record is built beside the one in
//! use; what was found is kept for whoever asks again. Source: authorization 7.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use shared::ids::Sequence;
use shared::ledger::Retold;
use tracing::warn;

use crate::explain;

/// Explanations kept for whoever asks again.
const KEPT_MAX: usize = 64;
/// Balances and checks of one explanation at most, so that it fits into a frame.
const ACCOUNTS_MAX: usize = 64;
const SIGHTS_MAX: usize = 256;
/// How much the thread yields to others: at 10 it gets a tenth of what they get.
const NICE: i32 = 10;

/// What is known of a record's explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is being looked for, or another one is: ask again.
    Busy,
    /// There is none: no such record, or it stands too far behind.
    None,
    /// Here it is.
    Here(Box<Retold>),
}

/// The explanations of one switch.
pub struct Retelling {
    journal: PathBuf,
    records_max: u64,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    running: bool,
    kept: VecDeque<(Sequence, Option<Box<Retold>>)>,
}

impl Retelling {
    /// Of records up to number `records_max` of a journal.
    #[must_use]
    pub fn new(journal: &Path, records_max: u64) -> Self {
        Self { journal: journal.to_owned(), records_max, state: Arc::default() }
    }

    /// The explanation of a durable record, or that it is not there yet: then it is begun.
    pub fn ask(&self, sequence: Sequence) -> Told {
        if sequence == Sequence(0) || sequence.0 > self.records_max {
            return Told::None;
        }
        let mut state = lock(&self.state);
        if let Some((_, found)) = state.kept.iter().find(|(kept, _)| *kept == sequence) {
            return found.clone().map_or(Told::None, Told::Here);
        }
        if !state.running {
            state.running = true;
            let (journal, shared) = (self.journal.clone(), Arc::clone(&self.state));
            let thread = std::thread::Builder::new().name("retell".into());
            if let Err(error) = thread.spawn(move || retell(&journal, sequence, &shared)) {
                warn!(%error, "nothing can be explained");
                state.running = false;
            }
        }
        Told::Busy
    }
}

fn retell(journal: &Path, sequence: Sequence, state: &Mutex<State>) {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        warn!(%error, "an explanation does not yield to others");
    }
    let found = explain::explain(journal, sequence);
    let mut state = lock(state);
    state.running = false;
    match found {
        Ok(found) => {
            if state.kept.len() >= KEPT_MAX {
                state.kept.pop_front();
            }
            let retold = found.map(|explained| {
                let mut retold = explained.retold;
                retold.accounts.truncate(ACCOUNTS_MAX);
                retold.sights.truncate(SIGHTS_MAX);
                Box::new(retold)
            });
            state.kept.push_back((sequence, retold));
        }
        Err(error) => warn!(%error, "a record was not explained"),
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
