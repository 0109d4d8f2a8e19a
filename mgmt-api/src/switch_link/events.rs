//! Every durable record of the switch, in order, behind a sequence that is known already.
//!
//! Invariant: a gap in the sequence is an error, never skipped.

use core::time::Duration;
use std::path::Path;

use shared::control::{Reply, Request};
use shared::ids::Sequence;
use shared::journal_record::Record;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::connect;
use super::wire::{Reader, Writer};

/// Records of a batch at most.
const BATCH_MAX: usize = 1_000;
/// How long the first record of a batch waits for others.
const LINGER: Duration = Duration::from_millis(5);

/// Why no more records come.
#[derive(Debug, Error)]
pub(crate) enum EventError {
    #[error("connection: {0}")]
    Connection(#[from] std::io::Error),
    #[error("sequence {got} came where {expected} was due")]
    Gap { expected: Sequence, got: Sequence },
}

/// A subscription on a connection of its own.
pub(crate) struct Events {
    reader: Reader,
    /// Closing this half would end the connection.
    _writer: Writer,
    last: Sequence,
}

impl Events {
    /// Subscribes to the records behind `after`.
    pub(crate) async fn after(socket: &Path, after: Sequence) -> Result<Self, EventError> {
        let (reader, mut writer) = connect(socket).await?;
        writer.put(&Request::Subscribe { after })?;
        writer.flush().await?;
        Ok(Self { reader, _writer: writer, last: after })
    }

    /// The next records, in order: as many as come within a moment of the first one; none where that
    /// does not come until an instant.
    pub(crate) async fn batch(&mut self, until: Instant) -> Result<Vec<Record>, EventError> {
        let mut batch = Vec::new();
        if let Ok(record) = timeout_at(until, self.next()).await {
            batch.push(record?);
            let until = Instant::now() + LINGER;
            while batch.len() < BATCH_MAX
                && let Ok(record) = timeout_at(until, self.next()).await
            {
                batch.push(record?);
            }
        }
        Ok(batch)
    }

    /// The next record. Waiting for it may be cut off without losing it.
    async fn next(&mut self) -> Result<Record, EventError> {
        let record = loop {
            match self.reader.next().await? {
                Reply::Event(record) => break record,
                Reply::Rejected { detail } => return Err(std::io::Error::other(detail).into()),
                Reply::Welcome { .. }
                | Reply::Outcome { .. }
                | Reply::Busy { .. }
                | Reply::View { .. }
                | Reply::Question(_) => {}
            }
        };
        let expected = self.last.next();
        if record.sequence != expected {
            return Err(EventError::Gap { expected, got: record.sequence });
        }
        self.last = expected;
        Ok(*record)
    }
}
