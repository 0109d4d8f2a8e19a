//! What waits for partners: the questions on their way to the management API, and the messages
//! whose answers wait for what partners say. Source: authorization 5.
//!
//! Invariants: a question leaves once, when its record is durable; where nobody takes questions
//! none is asked; an approval that nobody waits for any more is taken back.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};

use shared::control::Question;
use shared::effect::TransactionSlot;
use shared::ids::{Sequence, Timestamp};

use crate::engine::Decided;
use crate::shard::Waiter;

/// Questions between the engine and whoever takes them.
#[derive(Default)]
pub struct Questions {
    /// In order, each with its record.
    ready: VecDeque<(Sequence, TransactionSlot, Question)>,
    takers: usize,
}

impl Questions {
    /// Somebody takes questions from now on.
    pub fn join(&mut self) {
        self.takers += 1;
    }

    /// One who took questions has gone; whether that was the last.
    pub fn leave(&mut self) {
        self.takers = self.takers.saturating_sub(1);
    }

    /// Whether anybody takes questions.
    #[must_use]
    pub fn are_taken(&self) -> bool {
        self.takers > 0
    }

    /// A question of this record. Those whose time is over go: whoever takes none keeps none here.
    pub fn push(&mut self, sequence: Sequence, slot: TransactionSlot, question: Question) {
        let now = question.waiting.at;
        while self.ready.pop_front_if(|(_, _, it)| it.waiting.expires_at <= now).is_some() {}
        self.ready.push_back((sequence, slot, question));
    }

    /// The next one whose record is durable and whose time is not over.
    pub fn next(
        &mut self,
        durable: Sequence,
        now: Timestamp,
    ) -> Option<(TransactionSlot, Question)> {
        loop {
            let is_durable = |ready: &mut (Sequence, _, _)| ready.0 <= durable;
            let (_, slot, question) = self.ready.pop_front_if(is_durable)?;
            if now < question.waiting.expires_at {
                return Some((slot, question));
            }
        }
    }
}

/// Where a connection finds what was decided of its messages.
pub struct Mailbox {
    decided: RefCell<Vec<(Sequence, Decided)>>,
    waiter: Rc<Waiter>,
}

impl Mailbox {
    /// Of the connection that `waiter` wakes.
    #[must_use]
    pub fn new(waiter: Rc<Waiter>) -> Rc<Self> {
        Rc::new(Self { decided: RefCell::default(), waiter })
    }

    /// Empties it.
    pub fn take(&self) -> Vec<(Sequence, Decided)> {
        self.decided.take()
    }
}

/// Who waits for which question: a repeat waits beside the message that it repeats.
#[derive(Default)]
pub struct Listeners(RefCell<HashMap<Sequence, Vec<Weak<Mailbox>>>>);

impl Listeners {
    /// `mailbox` gets what is decided of the question of `id`.
    pub fn add(&self, id: Sequence, mailbox: &Rc<Mailbox>) {
        self.0.borrow_mut().entry(id).or_default().push(Rc::downgrade(mailbox));
    }

    /// Tells those who are still there; how many they are.
    pub fn tell(&self, id: Sequence, decided: Decided) -> usize {
        let listeners = self.0.borrow_mut().remove(&id).unwrap_or_default();
        let mut told = 0;
        for mailbox in listeners.iter().filter_map(Weak::upgrade) {
            mailbox.decided.borrow_mut().push((id, decided));
            mailbox.waiter.wake();
            told += 1;
        }
        told
    }
}
