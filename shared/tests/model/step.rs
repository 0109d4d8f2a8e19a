//! One command through the model.

use shared::command::Command;
use shared::ids::Timestamp;
use shared::journal_record::Answer;

use crate::state::Model;

impl Model {
    /// What the core should answer; the model is then as the core should be.
    pub(crate) fn step(&mut self, command: &Command, now: Timestamp) -> Answer {
        self.sequence += 1;
        self.now = self.now.max(now.0);
        let made_before = self.entries_made;
        let answer = self.carry(command);
        if !matches!(command, Command::Manage(..)) {
            self.settle_fees(command, made_before);
        }
        answer
    }

    fn carry(&mut self, command: &Command) -> Answer {
        match command {
            Command::Authorize(request) => self.authorize(request),
            Command::Advise(advice) => Answer::Decision(self.advise(advice)),
            Command::Reverse(reversal) => Answer::Decision(self.reverse(reversal)),
            Command::LockOutside(lock) => Answer::Decision(self.lock_outside(lock)),
            Command::Void(key, sequence) => {
                self.void(key, sequence.0);
                Answer::Noted
            }
            Command::Expire => {
                self.expire();
                Answer::Noted
            }
            Command::Answered(key, id, answer) => self.answered(key, id.0, *answer),
            Command::Manage(id, change) => Answer::Outcome(self.manage(*id, change)),
        }
    }
}
