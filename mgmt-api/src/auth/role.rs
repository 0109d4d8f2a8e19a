//! What an operator may do: a set of roles.
//!
//! Invariant: a role grants only what the table of routes names it for. Source: requirements #173.

use core::fmt;
use core::ops::BitOr;
use core::str::FromStr;

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everything that is not the licensed institution's alone.
    pub const ADMIN: Self = Self(1);
    /// Decides identity checks, issues cards.
    pub const MANAGER: Self = Self(2);
    /// Looks things up and helps cardholders.
    pub const EMPLOYEE: Self = Self(4);
    /// The institution that holds the money: collateral and fees. Source: requirements #4, #171.
    pub const LICENSED: Self = Self(8);
    /// The seed's three.
    pub const STAFF: Self = Self(7);
    /// All.
    pub const ALL: Self = Self(15);

    const NAMES: [(Self, &str); 4] = [
        (Self::ADMIN, "ADMIN"),
        (Self::MANAGER, "MANAGER"),
        (Self::EMPLOYEE, "EMPLOYEE"),
        (Self::LICENSED, "LICENSED"),
    ];

    /// Whether one of them is in `allowed`.
    #[must_use]
    pub const fn meet(self, allowed: Self) -> bool {
        self.0 & allowed.0 != 0
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(role, _)| self.meet(*role)).map(|(_, name)| name)
    }
}

impl BitOr for Roles {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(","))
    }
}

/// Not a list of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("roles are ADMIN, MANAGER, EMPLOYEE and LICENSED, separated by commas")]
pub struct UnknownRole;

impl FromStr for Roles {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        text.split(',').try_fold(Self::NONE, |roles, name| {
            let known = Self::NAMES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
            known.map(|(role, _)| roles | *role).ok_or(UnknownRole)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_the_set_they_were() {
        for bits in 1..=Roles::ALL.0 {
            assert_eq!(Roles(bits).to_string().parse(), Ok(Roles(bits)));
        }
        assert_eq!("admin,licensed".parse(), Ok(Roles::ADMIN | Roles::LICENSED));
        for bad in ["", "ROOT", "ADMIN,", "ADMIN MANAGER"] {
            assert_eq!(bad.parse::<Roles>(), Err(UnknownRole), "{bad}");
        }
    }

    #[test]
    fn a_role_meets_only_sets_that_name_it() {
        assert!(Roles::ADMIN.meet(Roles::STAFF) && !Roles::LICENSED.meet(Roles::STAFF));
        assert!(!Roles::EMPLOYEE.meet(Roles::ADMIN | Roles::MANAGER));
        assert!(!Roles::NONE.meet(Roles::ALL));
    }
}
