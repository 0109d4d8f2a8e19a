//! What all tasks of a shard share: the engine, how far the journal is, and who waits for it.
//!
//! Invariant: one thread; a borrow of the engine never crosses an await. A task that waits for the
//! journal is woken by the next progress after it asked, however that interleaves.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::engine::{Approval, Engine};
use crate::journal::Progress;
use crate::metrics::Metrics;
use crate::questions::Listeners;

/// One shard.
pub struct Shard {
    engine: RefCell<Engine>,
    progress: watch::Receiver<Progress>,
    waiting: RefCell<Vec<Rc<Waiter>>>,
    /// Who waits for what a partner says.
    pub listeners: Listeners,
    /// Counted by every task.
    pub metrics: Metrics,
    /// Cancelled when nothing new is taken any more.
    pub draining: CancellationToken,
    /// Cancelled when the drain has lasted long enough: connections end as they are.
    pub cut: CancellationToken,
}

/// One task's place in the queue for progress.
#[derive(Default)]
pub struct Waiter {
    wake: Notify,
    queued: Cell<bool>,
}

impl Waiter {
    /// Wakes the task, or lets its next wait end at once.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Until the next progress after [`Shard::wait`]; at once where that has come already.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }
}

impl Shard {
    /// Around an engine.
    #[must_use]
    pub fn new(engine: Engine, metrics: Metrics, draining: CancellationToken) -> Rc<Self> {
        let progress = engine.progress();
        let waiting = RefCell::new(Vec::new());
        let (engine, cut) = (RefCell::new(engine), CancellationToken::new());
        let listeners = Listeners::default();
        Rc::new(Self { engine, progress, waiting, listeners, metrics, draining, cut })
    }

    /// The engine, for the length of one synchronous step.
    pub fn engine(&self) -> RefMut<'_, Engine> {
        self.engine.borrow_mut()
    }

    /// Hands what the engine appended to the journal thread, and what it decided of questions to
    /// whom waits for that.
    pub fn submit(&self) {
        let mut engine = self.engine();
        for (id, decided) in engine.take_decided() {
            let told = self.listeners.tell(id, decided);
            if let Some(approval) = decided.approval {
                self.void_unless(told > 0, &mut engine, approval);
                engine.tell_several(approval, told);
            }
        }
        engine.submit();
    }

    /// Takes an approval back whose answer never left.
    pub fn void(&self, approval: Approval) {
        self.void_unless(false, &mut self.engine(), approval);
    }

    fn void_unless(&self, told: bool, engine: &mut Engine, approval: Approval) {
        if !told && engine.void(approval) {
            self.metrics.voided();
        }
    }

    /// How far the journal is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Watches how far the journal is.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Queues a task for the next progress.
    pub fn wait(&self, waiter: &Rc<Waiter>) {
        if !waiter.queued.replace(true) {
            self.waiting.borrow_mut().push(Rc::clone(waiter));
        }
    }

    /// Wakes whoever waits, each time the journal gets further; ends when the journal has failed,
    /// or its thread has ended.
    pub async fn follow_journal(&self) -> JournalEnded {
        let mut progress = self.progress.clone();
        loop {
            if progress.changed().await.is_err() || progress.borrow_and_update().failed {
                return JournalEnded;
            }
            self.metrics.journal_progress(*progress.borrow());
            self.submit();
            for waiter in self.waiting.take() {
                waiter.queued.set(false);
                waiter.wake.notify_one();
            }
        }
    }

    /// Gives the engine back when every task is done.
    #[must_use]
    pub fn into_engine(self: Rc<Self>) -> Option<Engine> {
        Rc::into_inner(self).map(|shard| shard.engine.into_inner())
    }
}

/// The journal takes nothing any more.
pub struct JournalEnded;
