//! Locks that a network or an acquirer sets or lifts by a file-action message.
//!
//! Invariant: the rules of locks are those of every other source: an irreversible one is neither
//! lifted nor replaced. Source: requirements #97-#103.

use super::{Case, Witness, bare_entry};
use crate::action_code::Reason;
use crate::card::CardState;
use crate::command::LockOutside;
use crate::effect::{CardChange, CardSlot, Decision, Effect, Transaction};
use crate::ledger::Card;
use crate::lock_code::{Lock, LockSource};

/// Decides a file action.
pub(crate) fn lock_outside<W: Witness>(case: &mut Case<'_, W>, asked: &LockOutside) -> Decision {
    let content = super::fingerprint::of_lock(asked);
    if let Some((_, earlier)) = case.ledger.transactions.find(&asked.key) {
        return case.answer_again(earlier, content);
    }
    let Some(room) = case.room() else { return Decision::bare(Reason::UnknownError) };
    let card = case.ledger.card_of(asked.token);
    let card = card.filter(|(_, card)| card.state != CardState::Removed);
    let decision = Decision::bare(outcome(asked, card));
    let own = bare_entry(asked.key, content, decision, case.stamp);
    case.push(Effect::Remembered(
        room.own,
        Transaction { card: card.map(|(slot, _)| slot), ..own },
    ));
    if let (Reason::LockChanged, Some((slot, card))) = (decision.reason, card) {
        let (source, since) = (LockSource::Outside, case.stamp.at);
        match asked.lock {
            Some(code) => {
                let lock = Lock { code, source, since };
                case.push(Effect::CardChanged(slot, CardChange::Locked(lock)));
            }
            None if card.lock.is_some() => {
                case.push(Effect::CardChanged(slot, CardChange::Unlocked));
            }
            None => {}
        }
    }
    decision
}

fn outcome(_asked: &LockOutside, card: Option<(CardSlot, &Card)>) -> Reason {
    match card {
        None => Reason::LockCardNotFound,
        Some((_, card)) if card.lock.is_some_and(|lock| !lock.code.row().reversible) => {
            Reason::LockRefused
        }
        Some(_) => Reason::LockChanged,
    }
}
