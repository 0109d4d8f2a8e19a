//! A ledger and its journal in this process, so that a test says exactly which records stand in
//! which group.

use std::fs;
use std::path::{Path, PathBuf};

use shared::action_code::Reason;
use shared::command::{
    Acceptance, Authorization, Change, Command, Credentials, MessageClass, MessageKey, References,
};
use shared::effect::Effect;
use shared::ids::{CommandId, LinkId, PartnerId, Sequence, Timestamp};
use shared::journal_record::{Answer, RecordRef};
use shared::ledger::Ledger;
use shared::money::{Amount, Currency, Money};
use shared::pan::PanToken;
use switch::journal::mark::{Mark, MarkFile};
use switch::journal::{Appender, Options, Progress};
use switch::recovery::{Recovered, RecoveryError, recover};
use tempfile::TempDir;

/// A folder in memory where there is such a thing: these tests sync often.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// A journal being written.
pub(crate) struct Book {
    pub(crate) ledger: Ledger,
    appender: Appender,
    effects: Vec<Effect>,
    clock: Timestamp,
    directory: PathBuf,
    /// Held as long as it is in use.
    _lock: fs::File,
}

impl Book {
    pub(crate) fn open(directory: &Path, segment_bytes: u64) -> Self {
        Self::on(take_over(directory).unwrap(), directory, segment_bytes)
    }

    pub(crate) fn on(recovered: Recovered, directory: &Path, segment_bytes: u64) -> Self {
        let directory = directory.to_owned();
        let options = Options {
            directory: directory.clone(),
            segment_bytes,
            unsynced_records_max: 100,
            unsynced_amount_max: 1_000_000,
        };
        let appender = Appender::start(options, recovered.tail).unwrap();
        let Recovered { ledger, lock, .. } = recovered;
        let clock = Timestamp(1_800_000_000_000);
        Self { ledger, appender, effects: Vec::new(), clock, directory, _lock: lock }
    }

    /// Applies and appends; nothing is on its way yet.
    pub(crate) fn append(&mut self, command: &Command) -> Sequence {
        let now = Timestamp(self.clock.0 + self.ledger.last().sequence.0);
        let (stamp, answer) = self.ledger.apply(command, now, &mut self.effects);
        self.appender.append(&RecordRef {
            sequence: stamp.sequence,
            at: stamp.at,
            command,
            effects: &self.effects,
            answer,
        });
        if let Answer::Decision(decision) = answer {
            assert_ne!(decision.reason, Reason::UnknownError);
        }
        stamp.sequence
    }

    /// What comes from now on happens then, a millisecond a record.
    pub(crate) fn set_clock(&mut self, at: Timestamp) {
        self.clock = at;
    }

    pub(crate) fn count_early(&mut self, amount: i64) {
        self.appender.count_early(978, amount);
    }

    pub(crate) fn submit(&mut self) {
        self.appender.submit();
    }

    pub(crate) fn progress(&self) -> Progress {
        *self.appender.progress().borrow()
    }

    pub(crate) fn watch(&self) -> tokio::sync::watch::Receiver<Progress> {
        self.appender.progress()
    }

    /// `count` records as one group, synced.
    pub(crate) fn group(&mut self, count: u64) {
        for _ in 0..count {
            let next = self.ledger.last().sequence.next();
            self.append(&some_command(next));
        }
        self.submit();
        let last = self.ledger.last().sequence;
        let ended = wait(self.watch(), |now| now.durable >= last || now.failed);
        assert!(!ended.failed, "the journal took the group");
    }

    /// The mark, when it has caught up with the last record.
    pub(crate) fn mark(&self) -> Mark {
        let last = self.ledger.last().sequence;
        let deadline = std::time::Instant::now() + super::WAIT;
        loop {
            let mark = MarkFile::read(&self.directory).unwrap();
            if mark.sequence == last {
                return mark;
            }
            assert!(std::time::Instant::now() < deadline, "the mark never reached {last}");
            std::thread::yield_now();
        }
    }

    pub(crate) fn close(self) -> Ledger {
        let mark = self.appender.close().unwrap();
        assert_eq!(mark.sequence, self.ledger.last().sequence);
        self.ledger
    }

    /// The end of the thread, where it fails.
    pub(crate) fn failure(self) -> String {
        self.appender.close().unwrap_err().to_string()
    }
}

/// Until the journal thread is as far.
pub(crate) fn wait(
    mut progress: tokio::sync::watch::Receiver<Progress>,
    far: impl FnMut(&Progress) -> bool,
) -> Progress {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let waited = async { *progress.wait_for(far).await.unwrap() };
    runtime.block_on(async { tokio::time::timeout(super::WAIT, waited).await }).unwrap()
}

/// Records of different lengths: changes, declines, reversals.
pub(crate) fn some_command(sequence: Sequence) -> Command {
    let number = u32::try_from(sequence.0).unwrap();
    let key = MessageKey {
        link: LinkId(1),
        class: MessageClass::Authorization,
        stan: u64::from(number),
        sent_at: 314_092_653,
        acquirer: 990_001,
        forwarder: 0,
    };
    match number % 3 {
        0 => Command::Manage(
            CommandId(u128::from(number) << 90),
            Change::PutPartner(PartnerId(number)),
        ),
        1 => Command::Authorize(Authorization {
            key,
            repeat: false,
            token: PanToken([number.to_le_bytes()[0]; 16]),
            processing_code: 0,
            transaction: Money::new(1050, Currency(978)),
            billing: None,
            cash_back: Amount::ZERO,
            expiry: None,
            verification: false,
            incremental: false,
            partial_allowed: false,
            credentials: Credentials::default(),
            original: None,
            references: References::default(),
            acceptance: Acceptance::default(),
        }),
        _ => Command::Void(key, Sequence(1)),
    }
}

/// A copy of a journal's files, as a crash leaves them.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Takes the journal and replays it. A process that another test is just starting holds a copy of
/// our files, locks included, until it has become another program.
pub(crate) fn take_over(directory: &Path) -> Result<Recovered, RecoveryError> {
    let deadline = std::time::Instant::now() + super::WAIT;
    loop {
        match recover(directory) {
            Err(RecoveryError::InUse(_)) if std::time::Instant::now() < deadline => {
                std::thread::yield_now();
            }
            other => return other,
        }
    }
}

/// What a refused recovery says.
pub(crate) fn refusal(directory: &Path) -> RecoveryError {
    match take_over(directory) {
        Err(error) => error,
        Ok(found) => panic!("it was served from, up to {}", found.tail.sequence),
    }
}
