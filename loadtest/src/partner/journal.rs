//! What the bank was told, a line of JSON each, so that a restarted partner finds it again.
//!
//! Invariants: a line is in the kernel's hands before its command is done, so that it outlives the
//! process; only a last line without its end is dropped, any other that cannot be read is an error.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::bank::{Bank, Command, Once};

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// What to do.
    pub(super) command: Command,
    /// Which request it came with.
    pub(super) once: Option<Once>,
}

/// A file that is written to its end.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    length: u64,
}

impl Journal {
    /// Opens the file, making it where it is not there, and tells the bank all that is in it.
    pub(super) fn open(path: &Path, bank: &mut Bank) -> anyhow::Result<Self> {
        let place = || path.display().to_string();
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).read(true).write(true);
        let mut file = file.open(path).with_context(place)?;
        file.try_lock().with_context(|| format!("{}: another process has it", place()))?;
        let length = replay(&mut BufReader::new(&file), bank).with_context(place)?;
        file.set_len(length).with_context(place)?;
        file.seek(SeekFrom::Start(length)).with_context(place)?;
        Ok(Self { file, length })
    }

    /// Adds a line; where that fails, the file is as it was.
    pub(super) fn append(&mut self, record: &Record) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.flush());
        if let Err(error) = written {
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
            return Err(error.into());
        }
        self.length += u64::try_from(line.len())?;
        Ok(())
    }
}

/// Applies whole lines; gives how many bytes they have.
fn replay(lines: &mut impl BufRead, bank: &mut Bank) -> anyhow::Result<u64> {
    let (mut line, mut length, mut number) = (Vec::new(), 0, 0_u64);
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(length);
        }
        number += 1;
        let record: Record = match serde_json::from_slice(&line) {
            Ok(record) => record,
            Err(error) => bail!("line {number} is none of ours: {error}"),
        };
        // Its answer was given when it was written.
        bank.apply(&record.command, record.once.as_ref()).ok();
        length += u64::try_from(read)?;
    }
}

#[cfg(test)]
mod tests {
    use super::super::bank::Settings;
    use super::*;

    const SETTINGS: Settings = Settings { opening_amount: 500, debit_max: 1_000 };

    fn link(balance: &str) -> Record {
        let text = str::to_owned;
        let (user, balance, currency) = (text("1"), text(balance), text("EUR"));
        Record { command: Command::Link { user, balance, currency }, once: None }
    }

    fn ids(bank: &Bank) -> Vec<String> {
        bank.balances().map(|(id, _)| id.clone()).collect()
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_the_next_takes_its_place() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("partner.jsonl");
        let mut journal = Journal::open(&path, &mut Bank::new(SETTINGS))?;
        journal.append(&link("a"))?;
        journal.append(&link("b"))?;
        drop(journal);
        let whole = std::fs::read(&path)?;
        std::fs::write(&path, &whole[..whole.len() - 3])?;

        let mut bank = Bank::new(SETTINGS);
        let mut journal = Journal::open(&path, &mut bank)?;
        assert_eq!(ids(&bank), ["a"]);
        journal.append(&link("c"))?;
        drop(journal);

        let mut bank = Bank::new(SETTINGS);
        Journal::open(&path, &mut bank)?;
        assert_eq!(ids(&bank), ["a", "c"]);
        Ok(())
    }

    #[test]
    fn a_whole_line_that_cannot_be_read_stops_the_start() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("partner.jsonl");
        std::fs::write(&path, "{\"command\":\n")?;
        let error = Journal::open(&path, &mut Bank::new(SETTINGS)).unwrap_err();
        assert!(format!("{error:#}").contains("line 1 is none of ours"), "{error:#}");
        Ok(())
    }

    #[test]
    fn a_file_has_one_partner() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("partner.jsonl");
        let _held = Journal::open(&path, &mut Bank::new(SETTINGS))?;
        let error = Journal::open(&path, &mut Bank::new(SETTINGS)).unwrap_err();
        assert!(format!("{error:#}").contains("another process has it"), "{error:#}");
        Ok(())
    }
}
