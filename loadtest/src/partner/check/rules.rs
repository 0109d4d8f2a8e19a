//! The rules in the order in which they are checked, each with the seed's words in short.
//!
//! Invariant: a rule needs only rules above it.

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Link,
    LinkAgain,
    LinkUnknownUser,
    Read,
    List,
    ReadUnknown,
    ReadForeign,
    ListForeign,
    Credit,
    CreditUnknown,
    Debit,
    DebitAgain,
    DebitAtOnce,
    OthersAgain,
    DebitTooMuch,
    DebitUnknown,
    ForceDebit,
    ForceCredit,
    Reversal,
    ReversalTwice,
    ReversalOfOthers,
    ReversalUnknown,
    ReversalFirst,
    Update,
    UpdateUnknown,
    DeleteUnknown,
    DeleteForeign,
    DeleteWithMoney,
    Delete,
    ReadDeleted,
    LateForceDebit,
    ErrorBodies,
    InTime,
}

impl Rule {
    /// Whether it takes a second user to check it.
    pub(super) fn is_about_others(self) -> bool {
        matches!(self, Self::ReadForeign | Self::ListForeign | Self::DeleteForeign)
    }
}

/// What there is to say of a rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) rule: Rule,
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    /// It is skipped unless all of these are kept.
    pub(super) needs: &'static [Rule],
}

const fn row(rule: Rule, name: &'static str, says: &'static str, needs: &'static [Rule]) -> Row {
    Row { rule, name, says, needs }
}

#[rustfmt::skip] // one rule a line
pub(super) const ROWS: [Row; 33] = [
    row(Rule::Link, "link", "POST /users/:id/balances: 204", &[]),
    row(Rule::LinkAgain, "link-again", "the same key again: an identical response", &[Rule::Link]),
    row(Rule::LinkUnknownUser, "link-unknown-user", "no user matches: 404 USER_NOT_FOUND", &[]),
    row(Rule::Read, "read", "GET /users/:id/balances/:balanceId: 200 with currency and amount", &[Rule::Link]),
    row(Rule::List, "list", "GET /users/:id/balances: 200 with id, currency and amount of each", &[Rule::Read]),
    row(Rule::ReadUnknown, "read-unknown", "no balance found: 404 BALANCE_NOT_FOUND", &[]),
    row(Rule::ReadForeign, "read-foreign", "the balance does not belong to the user: 403 FORBIDDEN", &[Rule::Link]),
    row(Rule::ListForeign, "list-foreign", "the collection has only balances of the user", &[Rule::Link]),
    row(Rule::Credit, "credit", "POST /transactions/credit: 204, the balance is credited", &[Rule::Read]),
    row(Rule::CreditUnknown, "credit-unknown", "a credit of an unknown balance: 404 BALANCE_NOT_FOUND", &[]),
    row(Rule::Debit, "debit", "POST /transactions/debit: 204, the balance is debited", &[Rule::Read]),
    row(Rule::DebitAgain, "debit-again", "the same key again: processed only once, an identical response", &[Rule::Debit]),
    row(Rule::DebitAtOnce, "debit-at-once", "the same key 20 times at once: processed only once, identical responses", &[Rule::Debit]),
    row(Rule::OthersAgain, "others-again", "credit, force-debit, force-credit: the same key again is processed only once", &[Rule::Read]),
    row(Rule::DebitTooMuch, "debit-too-much", "a debit beyond the balance: 422 INSUFFICIENT_FUNDS", &[Rule::Read]),
    row(Rule::DebitUnknown, "debit-unknown", "a debit of an unknown balance: 404 BALANCE_NOT_FOUND", &[]),
    row(Rule::ForceDebit, "force-debit", "a force-debit can not be rejected: 204, beyond the balance too", &[Rule::Read]),
    row(Rule::ForceCredit, "force-credit", "a force-credit can not be rejected: 204, the balance is credited", &[Rule::Read]),
    row(Rule::Reversal, "reversal", "POST /transactions/reversal: 204, the debit is reverted", &[Rule::Debit]),
    row(Rule::ReversalTwice, "reversal-twice", "a second reversal of it: 204, reverted once", &[Rule::Reversal]),
    row(Rule::ReversalOfOthers, "reversal-of-others", "a credit, a force-debit and a force-credit are reverted too", &[Rule::Read]),
    row(Rule::ReversalUnknown, "reversal-unknown", "a reversal of what cannot be found: 204, no action", &[Rule::Read]),
    row(Rule::ReversalFirst, "reversal-first", "a debit whose reversal came first does not stay debited", &[Rule::Debit]),
    row(Rule::Update, "update", "PUT /transactions/:id with CLEARED: 204, no money moves", &[Rule::Debit]),
    row(Rule::UpdateUnknown, "update-unknown", "an update of what cannot be found: 404 TRANSACTION_NOT_FOUND", &[]),
    row(Rule::DeleteUnknown, "delete-unknown", "a delete of what cannot be found: 404 BALANCE_NOT_FOUND", &[]),
    row(Rule::DeleteForeign, "delete-foreign", "a delete of another user's balance: 403 FORBIDDEN", &[Rule::Link]),
    row(Rule::DeleteWithMoney, "delete-with-money", "a balance is deleted only if there is no money on it", &[Rule::Read]),
    row(Rule::Delete, "delete", "DELETE /users/:id/balances/:balanceId, empty: 204", &[Rule::DeleteWithMoney]),
    row(Rule::ReadDeleted, "read-deleted", "a deleted balance is not found: 404 BALANCE_NOT_FOUND", &[Rule::Delete]),
    row(Rule::LateForceDebit, "late-force-debit", "a force-debit can not be rejected: 204, after the delete too", &[Rule::Delete]),
    row(Rule::ErrorBodies, "error-bodies", "an error has the texts title and detail", &[]),
    row(Rule::InTime, "in-time", "a cardholder waits at a terminal: each answer comes in time", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_one_row_and_needs_only_rows_above_it() {
        for (index, row) in ROWS.iter().enumerate() {
            let above = &ROWS[..index];
            assert!(above.iter().all(|other| other.rule != row.rule && other.name != row.name));
            for need in row.needs {
                assert!(above.iter().any(|other| other.rule == *need), "{}", row.name);
            }
            assert!(row.name.len() <= 18 && !row.says.ends_with('.'), "{}", row.name);
        }
    }
}
