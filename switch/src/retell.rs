//! Explanations for the control link: a record decided again beside live traffic.
//!
//! Invariants: one at a time, on a thread of its own that yields to the rest of the machine and whose
//! panic ends itself alone; never
//! over a longer journal than is set, since the state before the record is built beside the one in
//! use; what was found is kept for whoever asks again. Source: authorization 7.

use std::collections::VecDeque;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use shared::ids::Sequence;
use shared::journal_record::Record;
use shared::ledger::{Ledger, Retold};
use shared::limits;
use tracing::warn;

use crate::journal::reader::Reader;

/// Explanations kept for whoever asks again.
const KEPT_MAX: usize = 64;
/// Balances and checks of one explanation at most, so that it fits into a frame.
const ACCOUNTS_MAX: usize = 64;
const SIGHTS_MAX: usize = 256;
/// Records read at once.
const RECORDS_READ_MAX: usize = 512;
/// The thread's name.
pub(crate) const THREAD: &str = "retell";
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
        // The engine's thread waits for nobody.
        let Ok(mut state) = self.state.try_lock() else { return Told::Busy };
        if let Some((_, found)) = state.kept.iter().find(|(kept, _)| *kept == sequence) {
            return found.clone().map_or(Told::None, Told::Here);
        }
        if !state.running {
            state.running = true;
            let (journal, shared) = (self.journal.clone(), Arc::clone(&self.state));
            let thread = std::thread::Builder::new().name(THREAD.into());
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
    // Rules of today meet a record of long ago: what they make of it must not end the switch.
    let found = catch_unwind(|| decide_again(journal, sequence));
    let found = found.unwrap_or_else(|_panic| Err(anyhow::anyhow!("the rules of today panic")));
    let found = found.unwrap_or_else(|error| {
        warn!(%error, "a record was not explained");
        None
    });
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.running = false;
    if state.kept.len() >= KEPT_MAX {
        state.kept.pop_front();
    }
    state.kept.push_back((sequence, found.map(Box::new)));
}

/// Builds the state before a record and decides it again. The journal is read as it is written: no
/// sync, and nothing is taken out of the page cache.
fn decide_again(journal: &Path, sequence: Sequence) -> anyhow::Result<Option<Retold>> {
    let mut reader = Reader::open(journal, Sequence(0))?;
    let (mut ledger, mut found) = (Ledger::new(limits::PRODUCTION), None);
    while found.is_none() {
        let before = ledger.last().sequence;
        reader.read(sequence, RECORDS_READ_MAX, |bytes| {
            let record = Record::decode(bytes).map_err(std::io::Error::other)?;
            let applied = match record.sequence == sequence {
                true => ledger.retell(&record).map(|retold| found = Some(retold)),
                false => ledger.replay(&record),
            };
            applied.map_err(std::io::Error::other)
        })?;
        anyhow::ensure!(ledger.last().sequence > before, "the journal ends before {sequence}");
    }
    Ok(found.map(|mut retold: Retold| {
        retold.accounts.truncate(ACCOUNTS_MAX);
        retold.sights.truncate(SIGHTS_MAX);
        retold
    }))
}
