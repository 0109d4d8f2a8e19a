//! What a partner can be asked for, by the name that faults and counts use.

use serde::{Deserialize, Serialize};

/// A call of the External Balance API, or a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Operation {
    /// `POST /users/:id/balances`
    Link,
    /// `GET /users/:id/balances`
    List,
    /// `GET /users/:id/balances/:balanceId`
    Read,
    /// `DELETE /users/:id/balances/:balanceId`
    Delete,
    /// `POST /transactions/debit`
    Debit,
    /// `POST /transactions/force-debit`
    ForceDebit,
    /// `POST /transactions/credit`
    Credit,
    /// `POST /transactions/force-credit`
    ForceCredit,
    /// `POST /transactions/reversal`
    Reversal,
    /// `PUT /transactions/:id`
    Update,
    /// `POST /notifications/:kind`
    Notification,
}
