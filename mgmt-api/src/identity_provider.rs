//! The automatic identity provider: what a form says is enough to decide.
//!
//! Invariant: the same form at the same time gets the same verdict. A provider that looks at
//! images answers through the same two verdicts.

use shared::ids::Timestamp;
use time::{Date, OffsetDateTime};

use crate::app::{RejectReason, VerificationForm};

/// Years of a customer at least.
const AGE_MIN: i32 = 18;
/// A document whose number ends with this cannot be read: for tests of a rejection.
const UNREADABLE: &str = "0000";

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The customer is who they say.
    Accepted,
    /// Not, or not shown.
    Rejected(RejectReason),
}

/// Checks a form at `now`: dates, age, document, and the birth date in a PESEL.
#[must_use]
pub(crate) fn check(form: &VerificationForm, now: Timestamp) -> Verdict {
    let today = OffsetDateTime::from_unix_timestamp(i64::try_from(now.0 / 1_000).unwrap_or(0));
    let today = today.unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    let (Some(born), Some(expires)) = (form.born(), form.expires()) else {
        return Verdict::Rejected(RejectReason::InvalidCustomerData);
    };
    if form.document_number().ends_with(UNREADABLE) {
        Verdict::Rejected(RejectReason::DocumentUnreadable)
    } else if expires < today {
        Verdict::Rejected(RejectReason::DocumentExpired)
    } else if age(born, today) < AGE_MIN {
        Verdict::Rejected(RejectReason::Underage)
    } else if form.is_born_otherwise() {
        Verdict::Rejected(RejectReason::InvalidCustomerData)
    } else {
        Verdict::Accepted
    }
}

fn age(born: Date, today: Date) -> i32 {
    let had_birthday =
        (u8::from(today.month()), today.day()) >= (u8::from(born.month()), born.day());
    today.year() - born.year() - i32::from(!had_birthday)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-25.
    const NOW: Timestamp = Timestamp(1_795_600_000_000);

    fn verdict(changes: &[(&str, &str)]) -> Verdict {
        let mut form = serde_json::json!({ "firstName": "Ada", "lastName": "Nowak",
            "street": "Polna", "number": "7", "city": "Lublin", "birthDate": "1990-01-01",
            "postCode": "20-128", "identityCardNo": "ASD123456", "documentType": "passport",
            "country": "PL", "documentExpirationDate": "2030-01-30", "nationality": "polish" });
        for (member, value) in changes {
            form[*member] = (*value).into();
        }
        check(&serde_json::from_value(form).unwrap(), NOW)
    }

    #[test]
    fn a_form_is_checked_for_what_it_says() {
        let rejected = |reason| Verdict::Rejected(reason);
        for (changes, expected) in [
            (&[][..], Verdict::Accepted),
            (&[("documentExpirationDate", "2026-11-24")], rejected(RejectReason::DocumentExpired)),
            (&[("documentExpirationDate", "2026-11-25")], Verdict::Accepted),
            (&[("birthDate", "2008-11-26")], rejected(RejectReason::Underage)),
            (&[("birthDate", "2008-11-25")], Verdict::Accepted),
            (&[("identityCardNo", "ASD120000")], rejected(RejectReason::DocumentUnreadable)),
            (&[("birthDate", "soon")], rejected(RejectReason::InvalidCustomerData)),
            (&[("pesel", "90010155582")], Verdict::Accepted),
            (&[("pesel", "70010155582")], rejected(RejectReason::InvalidCustomerData)),
            (&[("birthDate", "2001-01-01"), ("pesel", "01210155582")], Verdict::Accepted),
        ] {
            assert_eq!(verdict(changes), expected, "{changes:?}");
        }
    }
}
