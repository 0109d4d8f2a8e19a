//! Zero-written segment files, made ahead of use by a thread of their own: a file that grows while
//! it is written syncs more than twice as slowly (goals 2).
//!
//! Invariant: a spare is handed out only when all its zeros are on disk; a spare left over from an
//! earlier start is written again in place, never deleted.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, bounded};

/// Bytes written at once.
const BLOCK_BYTES: usize = 1 << 20;

/// The next segment's file, under the name `spare`.
pub(super) struct Spares {
    ready: Option<Receiver<io::Result<File>>>,
    path: PathBuf,
    bytes: u64,
    thread: Option<JoinHandle<()>>,
}

impl Spares {
    /// Starts making the first one.
    pub(super) fn start(directory: &Path, bytes: u64) -> io::Result<Self> {
        let path = directory.join("spare");
        let mut spares = Self { ready: None, path, bytes, thread: None };
        spares.begin()?;
        Ok(spares)
    }

    /// The spare under its final name, `header` at its start, both on disk; begins the next one.
    /// Waits where it is not ready yet.
    pub(super) fn take(&mut self, name: &Path, header: &[u8]) -> io::Result<File> {
        let gone = || io::Error::other("the thread that makes segments has ended");
        let ready = self.ready.take().ok_or_else(gone)?;
        let file = ready.recv().map_err(|_gone| gone())??;
        file.write_all_at(header, 0)?;
        file.sync_data()?;
        std::fs::rename(&self.path, name)?;
        File::open(name.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        self.join();
        self.begin()?;
        Ok(file)
    }

    fn begin(&mut self) -> io::Result<()> {
        let (send, ready) = bounded(1);
        let (path, bytes) = (self.path.clone(), self.bytes);
        let make = move || {
            // The other end has gone only where the journal itself has ended.
            send.send(zeroed(&path, bytes)).ok();
        };
        self.thread = Some(std::thread::Builder::new().name("segments".into()).spawn(make)?);
        self.ready = Some(ready);
        Ok(())
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It has sent its result already; a panic in it shows there as a closed channel.
            thread.join().ok();
        }
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.join();
    }
}

/// A file of `bytes` zeros, all of them on disk.
fn zeroed(path: &Path, bytes: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let zeros = vec![0; BLOCK_BYTES];
    let mut at = 0;
    while at < bytes {
        let part = usize::try_from((bytes - at).min(BLOCK_BYTES as u64)).unwrap_or(BLOCK_BYTES);
        file.write_all_at(zeros.get(..part).unwrap_or_default(), at)?;
        at += part as u64;
    }
    file.set_len(bytes)?;
    file.sync_all()?;
    Ok(file)
}
