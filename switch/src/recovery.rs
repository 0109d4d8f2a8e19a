//! From the journal back to the state, before anything is served.
//!
//! Invariants: one process at a time holds a journal; effects are applied, nothing is decided
//! again; the last segment is closed before the next one is opened, so what was torn off never
//! comes back. Source: durability 1.4, 1.5.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use shared::ids::Sequence;
use shared::journal_record::Record;
use shared::ledger::Ledger;
use shared::limits;
use thiserror::Error;

use crate::journal::mark::{Mark, MarkFile};
use crate::journal::scan::{Corruption, OpenSegment, Scan, ScanError, scan};
use crate::journal::{Tail, segment};

/// Why a journal cannot be served from.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// Another process has it.
    #[error("{} is in use by another switch", .0.display())]
    InUse(PathBuf),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is damaged, or does not fit the state.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The state's sums do not agree.
    #[error("REFUSED: after recovery, {0}")]
    Unbalanced(#[from] shared::books::Imbalance),
}

/// A journal that was read to its end, and the state that it makes.
pub struct Recovered {
    /// The state.
    pub ledger: Ledger,
    /// What the next record follows.
    pub tail: Tail,
    /// Bytes of a write that never completed, now removed.
    pub torn: u64,
    /// Held as long as the journal is in use.
    pub lock: File,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The state after the last record.
    pub last: Sequence,
    /// Its hash.
    pub state_hash: u128,
    /// Bytes behind it that are no record.
    pub torn: u64,
}

/// Takes the journal, replays it, and closes what an earlier process left open.
pub fn recover(directory: &Path) -> Result<Recovered, RecoveryError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| RecoveryError::Io { path, source }
    };
    make_folder(directory).map_err(at(directory))?;
    let lock = lock(directory)?;
    let mark = MarkFile::open(directory).map_err(at(directory))?.last();
    check_marked(directory, mark)?;
    let mut ledger = Ledger::new(limits::PRODUCTION);
    let found = scan(directory, mark, &mut |frame| {
        let record = Record::decode(frame.payload).map_err(|error| error.to_string())?;
        ledger.replay(&record).map_err(|error| error.to_string())
    })?;
    ledger.audit()?;
    if let Some(open) = found.open {
        let path = segment::path(directory, found.segment);
        seal(&path, &open, &found).map_err(at(&path))?;
    }
    let tail = Tail {
        sequence: found.last,
        chain: found.chain,
        segment: found.segment + 1,
        epoch: found.epoch.max(mark.epoch) + 1,
    };
    Ok(Recovered { ledger, tail, torn: found.open.map_or(0, |open| open.torn), lock })
}

/// Reads a journal without changing it and decides every command again.
pub fn verify(directory: &Path) -> Result<Verified, RecoveryError> {
    let mark = MarkFile::read(directory)
        .map_err(|source| RecoveryError::Io { path: directory.to_owned(), source })?;
    check_marked(directory, mark)?;
    let mut ledger = Ledger::new(limits::PRODUCTION);
    let found = scan(directory, mark, &mut |frame| {
        let record = Record::decode(frame.payload).map_err(|error| error.to_string())?;
        ledger.verify(&record).map_err(|error| error.to_string())
    })?;
    ledger.audit()?;
    let torn = found.open.map_or(0, |open| open.torn);
    Ok(Verified { last: found.last, state_hash: ledger.state_hash(), torn })
}

/// Reads a journal's records in order without changing it, until `take` says that it has enough or
/// the journal ends; every byte up to there is checked on the way.
pub fn read(
    directory: &Path,
    mut take: impl FnMut(Record) -> Result<bool, String>,
) -> Result<(), RecoveryError> {
    let mark = MarkFile::read(directory)
        .map_err(|source| RecoveryError::Io { path: directory.to_owned(), source })?;
    check_marked(directory, mark)?;
    let mut enough = false;
    let read = scan(directory, mark, &mut |frame| {
        let record = Record::decode(frame.payload).map_err(|error| error.to_string())?;
        enough = !take(record)?;
        if enough { Err("enough".to_owned()) } else { Ok(()) }
    });
    match read {
        Err(_) if enough => Ok(()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the folder, and its name durable: what is synced in it must be found again.
fn make_folder(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(directory)?;
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// The first mark is synced before the first segment is there: without one, nobody could tell what
/// had been acknowledged.
fn check_marked(directory: &Path, mark: Mark) -> Result<(), RecoveryError> {
    let listed = segment::list(directory);
    let segments =
        listed.map_err(|source| RecoveryError::Io { path: directory.to_owned(), source })?;
    if mark.generation > 0 || segments.is_empty() {
        return Ok(());
    }
    Err(RecoveryError::Scan(ScanError::Corrupt(Corruption {
        file: directory.join("mark"),
        offset: 0,
        sequence: Sequence(0),
        what: "there are segments, and no intact mark".to_owned(),
    })))
}

fn lock(directory: &Path) -> Result<File, RecoveryError> {
    let path = directory.join("lock");
    let at = |source| RecoveryError::Io { path: path.clone(), source };
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(at)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RecoveryError::InUse(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(at(source)),
    }
}

/// Closes a segment that its process did not close; what was torn is cut off with the rest.
fn seal(path: &Path, open: &OpenSegment, found: &Scan) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut used = io::Read::take(&file, open.used);
    io::copy(&mut used, &mut hasher)?;
    segment::close_short(&file, &open.header, found.last, open.used, hasher)
}
