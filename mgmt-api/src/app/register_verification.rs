//! POST /secure/customers/{id}/register: an identity check. Source: requirements #67-#71.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::add_customer::calendar_date;
use super::put_program::KycMode;
use super::{App, Body, check_text};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::clock;
use crate::config::Profile;
use crate::error::{Code, Error, Fault, Result};
use crate::store::NewVerification;
use crate::vault::Purpose;

const DOCUMENT_TYPES: [&str; 4] = ["passport", "identityCard", "drivingLicence", "residenceCard"];
/// Characters of a text member at most.
const TEXT_CHARS_MAX: usize = 128;
/// Weights of the first ten digits of a PESEL.
const PESEL_WEIGHTS: [u32; 10] = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3];

/// The form's texts.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerificationForm {
    first_name: String,
    last_name: String,
    street: String,
    pesel: Option<String>,
    number: String,
    city: String,
    birth_date: String,
    post_code: String,
    identity_card_no: String,
    apartment: Option<String>,
    document_type: String,
    country: String,
    document_expiration_date: String,
    nationality: String,
}

/// An image of the form.
pub struct Image {
    /// The member's name.
    pub kind: &'static str,
    /// As sniffed.
    pub media_type: &'static str,
    /// The bytes.
    pub content: Zeroizing<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    verification: Uuid,
    customer: i64,
}

/// An identity check that was registered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredVerification {
    verification_id: Uuid,
    status: String,
}

impl App {
    /// Registers an identity check; a check that has succeeded before is never undone by it.
    pub async fn register_verification(
        &self,
        by: CustomerCall,
        body: Body<(VerificationForm, Vec<Image>)>,
    ) -> Result<Response> {
        let (form, images) = body.content;
        form.check(self.config.profile)?;
        form.check_images(&images)?;
        let draw = || async {
            let customer = self.customer(&by).await?.id;
            if self.store.kyc_mode(customer).await? == KycMode::External.name() {
                // The partner checks identities itself, and says so with the customer's flags.
                return Err(Code::FeatureNotEnabled.into());
            }
            Ok(Plan { verification: Uuid::now_v7(), customer })
        };
        let carry_out = |plan| self.carry_out_register(&form, &images, plan);
        self.once(&by.call, body.hash, draw, carry_out).await
    }

    async fn carry_out_register(
        &self,
        form: &VerificationForm,
        images: &[Image],
        plan: Plan,
    ) -> Result<Answer> {
        let row = format!("verification {}", plan.verification);
        let plain = Zeroizing::new(serde_json::to_vec(form)?);
        let sealed = |image: &Image| -> Result<_> {
            let row = format!("{row} {}", image.kind);
            let content = self.vault.seal(Purpose::PersonalData, row.as_bytes(), &image.content)?;
            Ok((image.kind, image.media_type, content))
        };
        let new = NewVerification {
            id: plan.verification,
            customer: plan.customer,
            form_sealed: self.vault.seal(Purpose::PersonalData, row.as_bytes(), &plain)?,
            images: images.iter().map(sealed).collect::<Result<_>>()?,
            created_at_ms: clock::now_millis(),
        };
        let status = self.store.insert_verification(&new).await?;
        Answer::created(&RegisteredVerification { verification_id: plan.verification, status })
    }
}

impl VerificationForm {
    /// The birth date.
    pub(crate) fn born(&self) -> Option<Date> {
        calendar_date(&self.birth_date)
    }

    /// The document's last day.
    pub(crate) fn expires(&self) -> Option<Date> {
        calendar_date(&self.document_expiration_date)
    }

    /// The document's number.
    pub(crate) fn document_number(&self) -> &str {
        &self.identity_card_no
    }

    /// Whether the PESEL names another birth date.
    pub(crate) fn is_born_otherwise(&self) -> bool {
        let pesel = self.pesel.as_deref().filter(|_pesel| self.country == "PL");
        let stated = pesel.and_then(pesel_digits).map(|digits| digits.map(|digit| digit - b'0'));
        stated.is_some_and(|digits| self.born().is_none_or(|born| !names(digits, born)))
    }

    /// What the seed's own sample breaks (a PESEL's check digit, a past date) is a warning in the
    /// sandbox and an error elsewhere. Source: requirements #0.6, #70.
    fn check(&self, profile: Profile) -> Result<()> {
        for (field, text) in [
            ("firstName", &self.first_name),
            ("lastName", &self.last_name),
            ("street", &self.street),
            ("number", &self.number),
            ("city", &self.city),
            ("postCode", &self.post_code),
            ("identityCardNo", &self.identity_card_no),
            ("country", &self.country),
            ("nationality", &self.nationality),
        ] {
            check_text(field, text, TEXT_CHARS_MAX)?;
        }
        let mut faults = Vec::new();
        let mut fault =
            |field, message: &'static str| faults.push(Fault { field, message: message.into() });
        if !DOCUMENT_TYPES.contains(&self.document_type.as_str()) {
            let message = "must be passport, identityCard, drivingLicence or residenceCard";
            fault("documentType", message);
        }
        if calendar_date(&self.birth_date).is_none() {
            fault("birthDate", "must be a date like 2000-01-31");
        }
        let expiration = calendar_date(&self.document_expiration_date);
        if expiration.is_none() {
            fault("documentExpirationDate", "must be a date like 2000-01-31");
        }
        let pesel = self.pesel.as_deref().filter(|_pesel| self.country == "PL");
        if pesel.is_some_and(|pesel| pesel_digits(pesel).is_none()) {
            fault("pesel", "must be 11 digits");
        }
        let is_past = expiration.is_some_and(|date| date < OffsetDateTime::now_utc().date());
        let is_mistyped = pesel.and_then(pesel_digits).is_some_and(|digits| !checks(digits));
        match profile {
            Profile::Sandbox if is_past || is_mistyped => {
                tracing::warn!(is_past, is_mistyped, "the strict profile would refuse this form");
            }
            Profile::Sandbox => {}
            Profile::Strict => {
                if is_past {
                    fault("documentExpirationDate", "must not be past");
                }
                if is_mistyped {
                    fault("pesel", "has a wrong check digit");
                }
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(Error { code: Code::InvalidCustomerData, faults })
    }

    /// The back of a passport is not needed. Source: requirements #68.
    fn check_images(&self, images: &[Image]) -> Result<()> {
        for kind in ["imageFace", "imageFront", "imageBack"] {
            let optional = kind == "imageBack" && self.document_type == "passport";
            if !optional && !images.iter().any(|image| image.kind == kind) {
                return Err(Error::fault(Code::InvalidCustomerData, kind, "is needed"));
            }
        }
        Ok(())
    }
}

fn pesel_digits(pesel: &str) -> Option<[u8; 11]> {
    let digits: [u8; 11] = pesel.as_bytes().try_into().ok()?;
    digits.iter().all(u8::is_ascii_digit).then_some(digits)
}

/// Whether a PESEL's first digits are this date: the month says the century.
fn names([y1, y2, m1, m2, d1, d2, ..]: [u8; 11], born: Date) -> bool {
    let century = match born.year() {
        1800..1900 => 80,
        1900..2000 => 0,
        2000..2100 => 20,
        2100..2200 => 40,
        _ => 60,
    };
    let year = u8::try_from(born.year().rem_euclid(100)).unwrap_or_default();
    (y1 * 10 + y2, m1 * 10 + m2, d1 * 10 + d2)
        == (year, u8::from(born.month()) + century, born.day())
}

fn checks(digits: [u8; 11]) -> bool {
    let [first @ .., check] = digits.map(|digit| u32::from(digit - b'0'));
    let sum: u32 = first.iter().zip(PESEL_WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    (10 - sum % 10) % 10 == check
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> VerificationForm {
        let text = str::to_owned;
        VerificationForm {
            first_name: text("Leon"),
            last_name: text("Bakiewicz"),
            street: text("Pieklo"),
            pesel: Some(text("70010155587")),
            number: text("17a"),
            city: text("Lublin"),
            birth_date: text("1970-01-01"),
            post_code: text("20-128"),
            identity_card_no: text("ASD123456"),
            apartment: Some(text("2")),
            document_type: text("passport"),
            country: text("PL"),
            document_expiration_date: text("2025-01-30"),
            nationality: text("polish"),
        }
    }

    #[test]
    fn the_seeds_sample_passes_in_the_sandbox_and_fails_elsewhere() {
        assert!(sample().check(Profile::Sandbox).is_ok());
        let error = sample().check(Profile::Strict).unwrap_err();
        let fields: Vec<_> = error.faults.iter().map(|fault| fault.field).collect();
        assert_eq!(fields, ["documentExpirationDate", "pesel"]);
    }

    #[test]
    fn a_document_is_one_of_four_kinds() {
        for (kind, good) in [
            ("passport", true),
            ("identityCard", true),
            ("drivingLicence", true),
            ("residenceCard", true),
            ("Passport", false),
            ("libraryCard", false),
            ("", false),
        ] {
            let form = VerificationForm { document_type: kind.to_owned(), ..sample() };
            let faults =
                form.check(Profile::Sandbox).err().map_or(Vec::new(), |error| error.faults);
            let fields: Vec<_> = faults.iter().map(|fault| fault.field).collect();
            assert_eq!(fields.is_empty(), good, "{kind}");
            assert!(good || fields == ["documentType"], "{kind}: {fields:?}");
        }
    }

    #[test]
    fn the_check_digit_of_a_pesel_is_the_documented_one() {
        assert!(checks(*b"70010155582"));
        assert!(!checks(*b"70010155587"));
        assert_eq!(pesel_digits("7001015558"), None);
    }
}
