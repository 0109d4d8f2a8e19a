//! The single writer: stamps the time, lets the core decide, hands the record to the journal.
//!
//! Invariant: a command is applied and appended in one step, in one order; nothing here waits.

use std::collections::{HashMap, VecDeque};

use shared::command::{Authorization, Change, Command, MessageClass, MessageKey, PartnerAnswer};
use shared::control::{ClockView, Outcome, Query, Question, View};
use shared::effect::{Decision, Effect};
use shared::ids::{CommandId, Sequence, Timestamp};
use shared::journal_record::{Answer, RecordRef};
use shared::ledger::Ledger;
use shared::money::Amount;
use tokio::sync::watch;

use crate::clock::{self, AheadFile};
use crate::config::Mode;
use crate::journal::{Appender, Progress};
use crate::questions::Questions;

/// Bytes that may wait for the journal thread before no more messages are read.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// Records that may be applied and not durable before no more messages are read.
const UNSYNCED_RECORDS_MAX: u64 = 1 << 18;
/// Changes that may be applied beyond either bound.
const CHANGES_RESERVED: usize = 1 << 12;
/// What one of them takes of the waiting bytes.
const CHANGE_BYTES: usize = 1 << 9;
/// Approvals told again, of which it is remembered how many answers are on their way: more than
/// can be within a link's deadlines.
const TOLD_AGAIN_MAX: usize = 1 << 16;
/// A clock runs ahead by this much at most: a leap year.
const AHEAD_MS_MAX: u64 = 366 * 86_400_000;

/// The state and the journal's end of one shard.
pub struct Engine {
    ledger: Ledger,
    appender: Appender,
    mode: Mode,
    effects: Vec<Effect>,
    hashed: (Sequence, u128),
    /// For each approval that was told again, by its place, the answers that are not known to be
    /// lost.
    told_again: HashMap<Sequence, u32>,
    /// The same approvals, oldest first.
    told_in_order: VecDeque<Sequence>,
    /// What partners are asked for.
    pub questions: Questions,
    /// What was decided of questions, and not told yet.
    decided: Vec<(Sequence, Decided)>,
    /// How far the clock runs ahead of the machine's, where it may: in sandboxes, to see things end.
    ahead: Option<(u64, AheadFile)>,
}

/// The key of an approved message and where it was decided: what is voided if no answer with it
/// leaves.
pub type Approval = (MessageKey, Sequence);

/// What an answer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The kernel has this record.
    Written(Sequence),
    /// This record is on disk.
    Durable(Sequence),
}

impl Gate {
    /// Whether an answer behind it may leave.
    #[must_use]
    pub fn is_open(self, progress: Progress) -> bool {
        match self {
            Self::Written(sequence) => sequence <= progress.written,
            Self::Durable(sequence) => sequence <= progress.durable,
        }
    }
}

/// A message's answer.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// What was decided.
    pub decision: Decision,
    /// When it may leave.
    pub gate: Gate,
    /// The approval that it tells, if it tells one.
    pub approval: Option<Approval>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug)]
pub enum Ruling {
    /// It is decided.
    Decided(Decided),
    /// The partner is asked for the request of this place; what it says decides.
    Asked(Sequence),
}

impl Engine {
    /// Serves from a recovered state.
    #[must_use]
    pub fn new(ledger: Ledger, appender: Appender, mode: Mode) -> Self {
        let hashed = (ledger.last().sequence, ledger.state_hash());
        Self {
            ledger,
            appender,
            mode,
            effects: Vec::with_capacity(16),
            hashed,
            told_again: HashMap::new(),
            told_in_order: VecDeque::new(),
            questions: Questions::default(),
            decided: Vec::new(),
            ahead: None,
        }
    }

    /// With a clock that may run ahead of the machine's; how far is kept in a file.
    pub fn with_clock_ahead(mut self, file: AheadFile) -> std::io::Result<Self> {
        self.ahead = Some((file.read()?.min(AHEAD_MS_MAX), file));
        Ok(self)
    }

    /// The time of the next command.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(clock::now().0.saturating_add(self.ahead_ms()))
    }

    /// Lets the clock run ahead by so much at least; [`Engine::expire`] then ends what is over.
    /// `false` where it may not, or not so much; nothing happens then.
    pub fn set_clock_ahead(&mut self, ahead_ms: u64) -> bool {
        let Some((now, file)) = &mut self.ahead else { return false };
        if ahead_ms > AHEAD_MS_MAX {
            return false;
        }
        if ahead_ms > *now {
            if let Err(error) = file.write(ahead_ms) {
                tracing::warn!(%error, "the clock does not run ahead");
                return false;
            }
            *now = ahead_ms;
        }
        true
    }

    fn ahead_ms(&self) -> u64 {
        self.ahead.as_ref().map_or(0, |(ahead_ms, _file)| *ahead_ms)
    }

    /// The clock, and when it may be told.
    #[must_use]
    pub fn clock_view(&self) -> (View, Gate) {
        let view = ClockView {
            now: self.now(),
            ahead_ms: self.ahead_ms(),
            next_expiry: self.ledger.next_expiry(),
        };
        (View::Clock(view), self.now_gate())
    }

    /// Decides a message.
    pub fn decide(&mut self, command: &Command) -> Option<Ruling> {
        let (sequence, answer) = self.apply(command);
        let decision = match (answer, command) {
            (Answer::Decision(decision), _) => decision,
            (Answer::Asked(id), Command::Authorize(request)) => {
                return Some(self.ask(sequence, id, request));
            }
            (Answer::Asked(_) | Answer::Outcome(_) | Answer::Noted, _) => return None,
        };
        let approval = match command {
            Command::Authorize(request) if decision.reason.is_approval() => {
                if self.effects.is_empty() {
                    self.tell_again(request)
                } else {
                    Some((request.key, sequence))
                }
            }
            Command::Authorize(_)
            | Command::Advise(_)
            | Command::Reverse(_)
            | Command::LockOutside(_)
            | Command::Void(..)
            | Command::Expire
            | Command::Manage(..)
            | Command::Answered(..) => None,
        };
        let gate = match (self.mode, command) {
            (Mode::WriteBehind, Command::Authorize(request)) if self.only_held(request) => {
                if decision.reason.is_approval() {
                    let billed = request.billed();
                    self.appender.count_early(billed.currency.0, billed.amount.0);
                }
                Gate::Written(sequence)
            }
            (Mode::WriteBehind | Mode::Durable, _) => Gate::Durable(sequence),
        };
        Some(Ruling::Decided(Decided { decision, gate, approval }))
    }

    /// Asks the partner, where the message is the first to do so. Where nobody takes questions it
    /// is decided without.
    fn ask(&mut self, sequence: Sequence, id: Sequence, message: &Authorization) -> Ruling {
        if sequence != id {
            return Ruling::Asked(id);
        }
        if self.questions.are_taken() {
            let slot = self.effects.iter().find_map(|effect| {
                if let Effect::Remembered(slot, _) = effect { Some(*slot) } else { None }
            });
            let question = slot.and_then(|slot| Some((slot, self.ledger.question(slot, message)?)));
            if let Some((slot, question)) = question {
                self.questions.push(sequence, slot, question);
                return Ruling::Asked(id);
            }
        }
        self.answered(message.key, id, PartnerAnswer::NotAsked);
        let own = self.decided.pop_if(|(decided, _)| *decided == id);
        own.map_or(Ruling::Asked(id), |(_, decided)| Ruling::Decided(decided))
    }

    /// The next question that is to be asked: one that waits still.
    pub fn next_question(&mut self, durable: Sequence, now: Timestamp) -> Option<Question> {
        loop {
            let (slot, question) = self.questions.next(durable, now)?;
            if self.ledger.is_asked(slot, question.waiting.id) {
                return Some(question);
            }
        }
    }

    /// What a partner said, or that it said nothing.
    pub fn answered(&mut self, key: MessageKey, id: Sequence, answer: PartnerAnswer) {
        self.apply(&Command::Answered(key, id, answer));
    }

    /// What was decided of questions since it was asked last.
    pub fn take_decided(&mut self) -> Vec<(Sequence, Decided)> {
        std::mem::take(&mut self.decided)
    }

    /// How many questions to partners are open.
    #[must_use]
    pub fn open_questions(&self) -> usize {
        self.ledger.questions()
    }

    /// An approval is told to several who waited for it.
    pub fn tell_several(&mut self, approval: Approval, told: usize) {
        for _ in 1..told {
            self.count_told(approval.1);
        }
    }

    /// Whether the request that was just decided changed nothing but holds and counters, which a
    /// later message makes good should a power cut take them: not a financial message, not a
    /// counted PIN, not a credit made available at once. A repeat tells of a record that may be
    /// any of these and may not be on disk yet. Source: durability 2.
    fn only_held(&self, request: &Authorization) -> bool {
        let held = |effect: &Effect| {
            matches!(
                effect,
                Effect::Remembered(..)
                    | Effect::Raised { .. }
                    | Effect::RuleCharged { .. }
                    | Effect::FeeSet { taken: Amount::ZERO, .. }
                    | Effect::Forgotten(_)
            )
        };
        request.key.class == MessageClass::Authorization
            && !self.effects.is_empty()
            && self.effects.iter().all(held)
    }

    /// All state.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Lets holds past their lifetime expire, as many as one command may; whether more are due.
    pub fn expire(&mut self) -> bool {
        let now = self.now();
        let due = |ledger: &Ledger| ledger.next_expiry().is_some_and(|next| next <= now);
        if !due(&self.ledger) {
            return false;
        }
        self.apply(&Command::Expire);
        due(&self.ledger)
    }

    /// Carries out a change, or finds what became of it before. The outcome may be told when the
    /// gate is open.
    pub fn change(&mut self, id: CommandId, change: Change) -> Option<(Outcome, Gate)> {
        if let Some(first) = self.ledger.outcome_of(id) {
            return Some((first, self.now_gate()));
        }
        let (sequence, answer) = self.apply(&Command::Manage(id, change));
        match answer {
            Answer::Outcome(outcome) => Some((outcome, Gate::Durable(sequence))),
            Answer::Decision(_) | Answer::Noted | Answer::Asked(_) => None,
        }
    }

    /// An answer with this approval never left: takes the approval back; false where it was told
    /// to a repeat too, and that answer may have left: then the hold stays for the network's
    /// messages.
    pub fn void(&mut self, (key, id): Approval) -> bool {
        if let Some(on_their_way) = self.told_again.get_mut(&id) {
            *on_their_way = on_their_way.saturating_sub(1);
            if *on_their_way > 0 {
                return false;
            }
        }
        self.apply(&Command::Void(key, id));
        true
    }

    /// Hands what was appended to the journal thread.
    pub fn submit(&mut self) {
        self.appender.submit();
    }

    /// State, and when it may be told: not before what it shows is durable.
    #[must_use]
    pub fn view(&self, query: Query) -> (Option<View>, Gate) {
        (self.ledger.view(query), self.now_gate())
    }

    /// Whether another batch of messages may be taken.
    #[must_use]
    pub fn has_room(&self, progress: Progress) -> bool {
        self.has_room_beyond(progress, 0)
    }

    /// Whether another change may be taken: there is room for some when messages must wait, so that
    /// no load keeps a lock out. Source: authorization 6.
    #[must_use]
    pub fn has_room_for_change(&self, progress: Progress) -> bool {
        self.has_room_beyond(progress, CHANGES_RESERVED)
    }

    fn has_room_beyond(&self, progress: Progress, reserved: usize) -> bool {
        let unsynced = self.ledger.last().sequence.0.saturating_sub(progress.durable.0);
        unsynced < UNSYNCED_RECORDS_MAX + u64::try_from(reserved).unwrap_or_default()
            && self.appender.waiting_bytes() < WAITING_BYTES_MAX + reserved * CHANGE_BYTES
    }

    /// Watches how far the journal is.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.appender.progress()
    }

    /// The last command's place.
    #[must_use]
    pub fn last(&self) -> Sequence {
        self.ledger.last().sequence
    }

    /// Cards known, transactions kept.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        self.ledger.sizes()
    }

    /// A sequence and the hash of the state behind it: the last ones, where `anew`, otherwise
    /// those of the last time.
    pub fn state_hash(&mut self, anew: bool) -> (Sequence, u128) {
        if anew && self.hashed.0 != self.last() {
            self.hashed = (self.last(), self.ledger.state_hash());
        }
        self.hashed
    }

    /// Writes and syncs everything and closes the journal.
    pub fn close(self) -> std::io::Result<Sequence> {
        self.appender.close().map(|mark| mark.sequence)
    }

    fn apply(&mut self, command: &Command) -> (Sequence, Answer) {
        let may_decide = self.ledger.questions() > 0;
        let now = self.now();
        let (stamp, answer) = self.ledger.apply(command, now, &mut self.effects);
        self.appender.append(&RecordRef {
            sequence: stamp.sequence,
            at: stamp.at,
            command,
            effects: &self.effects,
            answer,
        });
        if may_decide {
            self.note_decided(stamp.sequence);
        }
        (stamp.sequence, answer)
    }

    /// Keeps what the last command decided of questions, for whom waits.
    fn note_decided(&mut self, sequence: Sequence) {
        for effect in &self.effects {
            let Effect::Decided { transaction, decision, .. } = effect else { continue };
            if let Some((key, id)) = self.ledger.asked_at(*transaction) {
                let approval = decision.reason.is_approval().then_some((key, id));
                let (decision, gate) = (*decision, Gate::Durable(sequence));
                self.decided.push((id, Decided { decision, gate, approval }));
            }
        }
    }

    /// Counts an answer more to the approval that a repeat was told, and says which that is.
    fn tell_again(&mut self, repeat: &Authorization) -> Option<Approval> {
        let approval = self.ledger.told_by(repeat)?;
        self.count_told(approval.1);
        Some(approval)
    }

    fn count_told(&mut self, id: Sequence) {
        let on_their_way = self.told_again.entry(id).or_insert_with(|| {
            self.told_in_order.push_back(id);
            1
        });
        *on_their_way = on_their_way.saturating_add(1);
        if self.told_in_order.len() > TOLD_AGAIN_MAX
            && let Some(oldest) = self.told_in_order.pop_front()
        {
            self.told_again.remove(&oldest);
        }
    }

    fn now_gate(&self) -> Gate {
        Gate::Durable(self.last())
    }
}
