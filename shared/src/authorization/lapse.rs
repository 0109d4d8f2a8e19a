//! Approvals whose answer never left, and holds whose time is over.
//!
//! Invariant: what ends here gives back exactly what is open, once. Source: authorization 3 and 4.

use super::asking::silence_of;
use super::{Case, Witness};
use crate::command::MessageKey;
use crate::effect::{Effect, TransactionState};
use crate::ids::Sequence;
use crate::limits::EXPIRED_A_COMMAND_MAX;

/// Takes back the approval decided at `id`, of which no byte reached a socket: unless the network
/// has spoken of it since, by an advice, a clearing, a reversal or an increment. Then it knows of
/// the approval, and only its messages end it.
pub(crate) fn void<W: Witness>(case: &mut Case<'_, W>, key: &MessageKey, id: Sequence) {
    let found = case.ledger.transactions.find(key);
    let Some((slot, found)) = found.filter(|(_, found)| found.id == id) else { return };
    if found.spoken_of || !found.decision.reason.is_approval() {
        return;
    }
    case.end(slot, found, TransactionState::Voided);
}

/// Releases holds past their lifetime, ends questions past theirs, and forgets answers past their retention.
pub(crate) fn expire<W: Witness>(case: &mut Case<'_, W>) {
    let (ledger, now) = (case.ledger, case.stamp.at);
    for slot in ledger.transactions.expired(now).take(EXPIRED_A_COMMAND_MAX) {
        match ledger.transactions.get(slot) {
            Some(found) if found.state == TransactionState::Asked => {
                let ended = (silence_of(case, found), TransactionState::Answered);
                case.stop_asking(slot, found, ended);
            }
            Some(found) => case.release_all(slot, found, TransactionState::Expired),
            None => {}
        }
    }
    let outdated = ledger.transactions.outdated(now, &ledger.limits);
    case.effects.extend(outdated.take(EXPIRED_A_COMMAND_MAX).map(Effect::Forgotten));
}
