//! The eight lock codes of a card: one table. Source: the seed's "Card stop reason" list,
//! requirements #97-#103.
//!
//! Invariant: an irreversible lock is never lifted and never replaced.

use serde::{Deserialize, Serialize};

use crate::action_code::ActionCode;
use crate::ids::Timestamp;

/// Why a card is locked; the discriminant is the seed's code number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LockCode {
    /// 1: card lost.
    Lost = 1,
    /// 2: card stolen.
    Stolen = 2,
    /// 3: pending query.
    PendingQuery = 3,
    /// 4: card consolidation.
    Consolidation = 4,
    /// 5: card inactive, for ever; not to be confused with a card before its activation.
    Inactive = 5,
    /// 6: PIN tries exceeded.
    PinTriesExceeded = 6,
    /// 7: suspected fraud.
    SuspectedFraud = 7,
    /// 8: card replaced.
    Replaced = 8,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockRow {
    /// The lock.
    pub code: LockCode,
    /// The internal action code that every authorization then gets.
    pub action: ActionCode,
    /// Whether it can be lifted.
    pub reversible: bool,
}

/// The table, in order of code number.
pub const TABLE: [LockRow; 8] = [
    row(LockCode::Lost, 2008, false),
    row(LockCode::Stolen, 2009, false),
    row(LockCode::PendingQuery, 1000, true),
    row(LockCode::Consolidation, 1016, true),
    row(LockCode::Inactive, 1018, false),
    row(LockCode::PinTriesExceeded, 1006, true),
    row(LockCode::SuspectedFraud, 1002, true),
    row(LockCode::Replaced, 1011, false),
];

const fn row(code: LockCode, action: u16, reversible: bool) -> LockRow {
    LockRow { code, action: ActionCode(action), reversible }
}

impl LockCode {
    /// The lock of the seed's code number 1 to 8.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        TABLE.iter().map(|row| row.code).find(|code| code.number() == number)
    }

    /// The seed's code number, 1 to 8.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// This lock's row of the table.
    #[must_use]
    pub const fn row(self) -> LockRow {
        match self {
            Self::Lost => TABLE[0],
            Self::Stolen => TABLE[1],
            Self::PendingQuery => TABLE[2],
            Self::Consolidation => TABLE[3],
            Self::Inactive => TABLE[4],
            Self::PinTriesExceeded => TABLE[5],
            Self::SuspectedFraud => TABLE[6],
            Self::Replaced => TABLE[7],
        }
    }
}

/// Who set a lock. Source: requirements #100, #102.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LockSource {
    /// The cardholder.
    User,
    /// The partner over REST.
    Partner,
    /// An operator.
    Admin,
    /// A network or an acquirer.
    Outside,
    /// The switch itself, at the third wrong PIN.
    Switch,
}

/// A lock on a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Why.
    pub code: LockCode,
    /// By whom.
    pub source: LockSource,
    /// Since when.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_at_its_code_number() {
        for (place, row) in TABLE.iter().enumerate() {
            assert_eq!(usize::from(row.code.number()), place + 1);
            assert_eq!(row.code.row(), *row);
            assert_eq!(LockCode::from_number(row.code.number()), Some(row.code));
        }
        assert_eq!(LockCode::from_number(0), None);
        assert_eq!(LockCode::from_number(9), None);
    }

    #[test]
    fn the_irreversible_ones_are_those_of_the_seed() {
        let irreversible: Vec<u8> =
            TABLE.iter().filter(|row| !row.reversible).map(|row| row.code.number()).collect();
        assert_eq!(irreversible, [1, 2, 5, 8]);
    }
}
