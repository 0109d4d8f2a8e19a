//! A connection's answers between decision and socket.
//!
//! Invariants: no byte of an answer is offered to the socket before its gate is open; answers leave
//! in the order they were made; none begins to leave after its deadline; an approval whose answer
//! never began to leave is handed back to be voided. Source: authorization 4, durability 2.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::engine::{Approval, Gate};
use crate::journal::Progress;

struct Waiting {
    gate: Gate,
    bytes: usize,
    deadline: Instant,
    approval: Option<Approval>,
}

/// Answers of one connection.
#[derive(Default)]
pub struct Outbox {
    /// Bytes of all waiting answers, one behind another.
    bytes: Vec<u8>,
    /// Of these, how many left already.
    passed: usize,
    waiting: VecDeque<Waiting>,
    /// What may be written now.
    ready: Vec<u8>,
    written: usize,
    /// The answers in `ready` of which the socket took nothing yet.
    leaving: VecDeque<Leaving>,
}

struct Leaving {
    start: usize,
    bytes: usize,
    deadline: Instant,
    approval: Option<Approval>,
}

impl Outbox {
    /// Appends an answer: `write` puts its bytes at the end of the buffer it gets. Nothing is
    /// appended where it fails.
    pub fn push<E>(
        &mut self,
        gate: Gate,
        deadline: Instant,
        approval: Option<Approval>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        let result = write(&mut self.bytes);
        if result.is_err() {
            self.bytes.truncate(start);
        }
        let bytes = self.bytes.len() - start;
        if bytes > 0 {
            self.waiting.push_back(Waiting { gate, bytes, deadline, approval });
        }
        result
    }

    /// Lets go of every answer whose gate is open; the late ones' approvals go to `void` and
    /// their bytes nowhere.
    pub fn release(&mut self, progress: Progress, now: Instant, void: &mut Vec<Approval>) {
        self.drop_written();
        self.drop_late(now, void);
        while let Some(front) = self.waiting.front()
            && front.gate.is_open(progress)
        {
            let Waiting { bytes, deadline, approval, .. } = *front;
            let end = self.passed + bytes;
            if now > deadline {
                void.extend(approval);
            } else {
                let start = self.ready.len();
                self.ready.extend_from_slice(self.bytes.get(self.passed..end).unwrap_or(&[]));
                self.leaving.push_back(Leaving { start, bytes, deadline, approval });
            }
            self.passed = end;
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() {
            self.bytes.clear();
            self.passed = 0;
        } else if self.passed > self.bytes.len() / 2 {
            self.bytes.drain(..self.passed);
            self.passed = 0;
        }
    }

    /// Gives back what the socket took of `ready`, where that is most of it: a peer that never
    /// quite catches up must not make it grow.
    fn drop_written(&mut self) {
        if self.written > self.ready.len() / 2 {
            self.ready.drain(..self.written);
            for answer in &mut self.leaving {
                answer.start -= self.written;
            }
            self.written = 0;
        }
    }

    /// Takes the answers out of `ready` that became late while the socket took none of them.
    fn drop_late(&mut self, now: Instant, void: &mut Vec<Approval>) {
        let Some(first) = self.leaving.front().map(|answer| answer.start) else { return };
        let mut bytes = 0;
        while let Some(late) = self.leaving.pop_front_if(|answer| now > answer.deadline) {
            bytes += late.bytes;
            void.extend(late.approval);
        }
        if bytes > 0 {
            self.ready.drain(first..first + bytes);
            for answer in &mut self.leaving {
                answer.start -= bytes;
            }
        }
    }

    /// What the socket should take next.
    #[must_use]
    pub fn ready(&self) -> &[u8] {
        self.ready.get(self.written..).unwrap_or_default()
    }

    /// The socket took this much.
    pub fn took(&mut self, bytes: usize) {
        self.written += bytes;
        while self.leaving.pop_front_if(|answer| answer.start < self.written).is_some() {}
        if self.written >= self.ready.len() {
            self.ready.clear();
            self.written = 0;
        }
    }

    /// Answers that wait for their gate.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes held for the peer.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes.len() - self.passed + self.ready().len()
    }

    /// Whether everything has left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.ready().is_empty()
    }

    /// The connection is gone: every approval of which no byte reached the socket.
    pub fn abandon(self) -> impl Iterator<Item = Approval> {
        let leaving = self.leaving.into_iter().filter_map(|answer| answer.approval);
        let waiting = self.waiting.into_iter().filter_map(|waiting| waiting.approval);
        leaving.chain(waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::command::{MessageClass, MessageKey};
    use shared::ids::{LinkId, Sequence};

    use super::*;

    fn approval(id: u64) -> Approval {
        let key = MessageKey {
            link: LinkId(1),
            class: MessageClass::Authorization,
            stan: 1,
            sent_at: 2,
            acquirer: 3,
            forwarder: 4,
        };
        (key, Sequence(id))
    }

    fn push(outbox: &mut Outbox, gate: Gate, deadline: Instant, id: u64) {
        let text = [b'a' + u8::try_from(id).unwrap(); 4];
        outbox
            .push(gate, deadline, Some(approval(id)), |out| {
                out.extend_from_slice(&text);
                Ok::<(), ()>(())
            })
            .unwrap();
    }

    fn at(written: u64, durable: u64) -> Progress {
        Progress { written: Sequence(written), durable: Sequence(durable), failed: false }
    }

    fn voided(approvals: impl IntoIterator<Item = Approval>) -> Vec<u64> {
        approvals.into_iter().map(|(_, id)| id.0).collect()
    }

    #[tokio::test]
    async fn nothing_leaves_before_its_gate_and_order_is_kept() {
        let later = Instant::now() + Duration::from_secs(9);
        let mut outbox = Outbox::default();
        let mut void = Vec::new();
        push(&mut outbox, Gate::Durable(Sequence(1)), later, 1);
        push(&mut outbox, Gate::Written(Sequence(2)), later, 2);
        outbox.release(at(2, 0), Instant::now(), &mut void);
        assert_eq!(outbox.ready(), b"");
        outbox.release(at(2, 1), Instant::now(), &mut void);
        assert_eq!(outbox.ready(), b"bbbbcccc");
        outbox.took(8);
        assert!(outbox.is_empty() && void.is_empty());
    }

    #[tokio::test]
    async fn what_the_socket_took_is_given_back_though_the_peer_never_catches_up() {
        let later = Instant::now() + Duration::from_secs(9);
        let mut outbox = Outbox::default();
        push(&mut outbox, Gate::Durable(Sequence(1)), later, 1);
        for id in 2..=1_000 {
            push(&mut outbox, Gate::Durable(Sequence(id)), later, id % 20);
            outbox.release(at(id, id), Instant::now(), &mut Vec::new());
            outbox.took(4);
        }
        assert_eq!(outbox.ready().len(), 4);
        assert!(outbox.ready.capacity() < 100, "{}", outbox.ready.capacity());
        assert_eq!(voided(outbox.abandon()), [1_000 % 20]);
    }

    #[tokio::test]
    async fn an_answer_that_becomes_late_while_the_peer_takes_nothing_does_not_leave() {
        let now = Instant::now();
        let (soon, later) = (now + Duration::from_secs(1), now + Duration::from_secs(9));
        let (mut outbox, mut void) = (Outbox::default(), Vec::new());
        push(&mut outbox, Gate::Durable(Sequence(1)), soon, 1);
        push(&mut outbox, Gate::Durable(Sequence(1)), soon, 2);
        push(&mut outbox, Gate::Durable(Sequence(1)), later, 3);
        outbox.release(at(1, 1), now, &mut void);
        assert_eq!(outbox.ready().len(), 12);
        outbox.took(1);
        outbox.release(at(1, 1), now + Duration::from_secs(2), &mut void);
        // The first has begun to leave and goes on.
        assert_eq!((outbox.ready(), voided(void)), (&b"bbbdddd"[..], vec![2]));
        outbox.took(7);
        assert!(outbox.is_empty() && voided(outbox.abandon()).is_empty());
    }

    #[tokio::test]
    async fn a_late_answer_is_voided_and_not_sent() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        let mut void = Vec::new();
        push(&mut outbox, Gate::Durable(Sequence(1)), now, 1);
        push(&mut outbox, Gate::Durable(Sequence(2)), now + Duration::from_secs(9), 2);
        outbox.release(at(2, 2), now + Duration::from_millis(1), &mut void);
        assert_eq!(outbox.ready(), b"cccc");
        assert_eq!(voided(void), [1]);
    }

    #[tokio::test]
    async fn a_lost_connection_voids_only_what_never_began_to_leave() {
        let later = Instant::now() + Duration::from_secs(9);
        let mut outbox = Outbox::default();
        for id in 1..=4 {
            push(&mut outbox, Gate::Durable(Sequence(id)), later, id);
        }
        outbox.release(at(3, 3), Instant::now(), &mut Vec::new());
        outbox.took(5);
        assert_eq!(voided(outbox.abandon()), [3, 4]);
    }
}
