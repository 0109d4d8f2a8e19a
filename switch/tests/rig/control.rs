//! The management API's side of the control link.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use shared::command::{Change, PartnerAnswer};
use shared::control::{
    BalanceView, Outcome, Query, Question, Reply, Request, StatusView, VERSION, View,
};
use shared::ids::{BalanceId, CommandId, Sequence};
use shared::journal_record::Record;

use super::WAIT;

/// One connection.
pub(crate) struct Control {
    stream: UnixStream,
    requests: u64,
}

impl Control {
    pub(crate) fn connect(socket: &Path) -> Self {
        let mut control = Self::unwelcomed(socket);
        control.send(&Request::Hello { version: VERSION });
        assert_eq!(control.receive(), Some(Reply::Welcome { version: VERSION }));
        control
    }

    pub(crate) fn unwelcomed(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        Self { stream, requests: 0 }
    }

    pub(crate) fn send(&mut self, request: &Request) {
        self.send_frame(&postcard::to_stdvec(request).unwrap());
    }

    pub(crate) fn send_frame(&mut self, frame: &[u8]) {
        let mut bytes = u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(frame);
        // A peer that has closed shows at the next read.
        self.stream.write_all(&bytes).ok();
    }

    /// The next frame; `None` where the switch has closed.
    pub(crate) fn receive(&mut self) -> Option<Reply> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(header) as usize];
        self.stream.read_exact(&mut frame).ok()?;
        Some(postcard::from_bytes(&frame).unwrap())
    }

    /// The outcome of a change.
    pub(crate) fn change(&mut self, id: u128, change: Change) -> Outcome {
        self.try_change(id, change).expect("an outcome comes")
    }

    /// The outcome; `None` where the switch has gone.
    pub(crate) fn try_change(&mut self, id: u128, change: Change) -> Option<Outcome> {
        self.requests += 1;
        self.send(&Request::Change { request: self.requests, id: CommandId(id), change });
        let reply = self.receive()?;
        let Reply::Outcome { request, outcome } = reply else { panic!("{reply:?}") };
        assert_eq!(request, self.requests);
        Some(outcome)
    }

    pub(crate) fn query(&mut self, query: Query) -> Option<View> {
        self.requests += 1;
        self.send(&Request::Query { request: self.requests, query });
        match self.receive() {
            Some(Reply::View { request, view }) if request == self.requests => view,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn balance(&mut self, id: BalanceId) -> BalanceView {
        match self.query(Query::Balance(id)) {
            Some(View::Balance(view)) => view,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn status(&mut self) -> StatusView {
        match self.query(Query::Status) {
            Some(View::Status(view)) => view,
            other => panic!("{other:?}"),
        }
    }

    /// From now on [`Self::question`] and [`Self::answer`] only.
    pub(crate) fn take_questions(&mut self) {
        self.send(&Request::TakeQuestions);
    }

    /// The next question to a partner; `None` where the switch has closed.
    pub(crate) fn question(&mut self) -> Option<Question> {
        let reply = self.receive()?;
        let Reply::Question(question) = reply else { panic!("{reply:?}") };
        Some(*question)
    }

    pub(crate) fn answer(&mut self, question: &Question, answer: PartnerAnswer) {
        let (key, id) = (question.waiting.key, question.waiting.id);
        self.send(&Request::Answered { key, id, answer });
    }

    /// From now on [`Self::event`] only.
    pub(crate) fn subscribe(&mut self, after: Sequence) {
        self.send(&Request::Subscribe { after });
    }

    /// The next event; `None` where the switch has closed.
    pub(crate) fn event(&mut self) -> Option<Record> {
        let reply = self.receive()?;
        let Reply::Event(record) = reply else { panic!("{reply:?}") };
        Some(*record)
    }
}
