//! Questions to partners, on a connection of its own, and what became of them.

use std::path::Path;

use shared::control::{Question, Reply, Request};

use super::connect;
use super::wire::{Reader, Writer};

/// Takes questions until it is dropped.
pub(crate) struct Questions {
    reader: Reader,
    writer: Writer,
}

impl Questions {
    /// Connects and takes questions from then on.
    pub(crate) async fn take(socket: &Path) -> std::io::Result<Self> {
        let (reader, mut writer) = connect(socket).await?;
        writer.put(&Request::TakeQuestions)?;
        writer.flush().await?;
        Ok(Self { reader, writer })
    }

    /// The next question. Waiting for it may be cut off without losing it.
    pub(crate) async fn next(&mut self) -> std::io::Result<Question> {
        loop {
            match self.reader.next().await? {
                Reply::Question(question) => return Ok(*question),
                Reply::Rejected { detail } => return Err(std::io::Error::other(detail)),
                Reply::Welcome { .. }
                | Reply::Outcome { .. }
                | Reply::Busy { .. }
                | Reply::View { .. }
                | Reply::Event(_) => {}
            }
        }
    }

    /// Puts an answer behind what is to be written.
    pub(crate) fn put(&mut self, answer: &Request) -> std::io::Result<()> {
        self.writer.put(answer)
    }

    /// Writes all that was put.
    pub(crate) async fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush().await
    }
}
