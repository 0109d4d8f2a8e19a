//! Partners' certificates: signing a request, listing, revoking. Source: requirements #47, #49.
//!
//! Invariants: of a request only its public key and its e-mail address are taken; what is revoked
//! is refused from the answer on and stays so.

use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use shared::ids::Timestamp;
use utoipa::ToSchema;

use super::{App, Body, CertificatePath, Nothing};
use crate::answer::Answer;
use crate::call::Call;
use crate::clock;
use crate::config::Profile;
use crate::error::{Code, Error, Result};
use crate::pki::{self, RequestError};
use crate::store::{CertificateRow, EndingCertificate, IssuedCertificate, MailRow};

/// Days of a certificate where none are asked for.
const DAYS_DEFAULT: u16 = 365;
/// Networks of one certificate.
const NETWORKS_MAX: usize = 32;

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateRequest {
    /// Number of the partner whose it is.
    partner: u32,
    /// The certificate request, PEM.
    csr: String,
    /// Days that it is good for, 825 at most.
    days: Option<u16>,
    /// Networks that it may connect from, like `10.1.0.0/16`; from anywhere without.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    networks: Vec<IpNet>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    certificate: String,
}

/// A certificate that was signed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedCertificate {
    certificate_id: String,
    /// PEM.
    certificate: String,
    not_after: String,
}

/// Certificates that may connect, and revoked ones.
#[derive(Serialize, ToSchema)]
pub struct CertificateList {
    items: Vec<ShownCertificate>,
}

/// A certificate.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownCertificate {
    /// SHA-256 of its public key.
    certificate_id: String,
    partner: i64,
    /// ACTIVE or REVOKED.
    state: String,
    /// CONFIGURED or ISSUED.
    source: String,
    name: String,
    serial: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
    networks: Vec<String>,
}

/// Owners of certificates are told so many days before the end. Source: requirements #47.
const WARNED_DAYS: [i64; 3] = [3, 14, 30];
const DAY_MS: i64 = 86_400_000;

impl App {
    /// Writes the e-mails about certificates that end soon, each once for 30, 14 and 3 days; how
    /// many.
    pub(crate) async fn warn_of_certificates(&self) -> Result<u64> {
        let mut told = 0;
        if self.mailer.is_none() {
            return Ok(told);
        }
        for days in WARNED_DAYS {
            let now = clock::now_millis();
            let range = (now, now + days * DAY_MS);
            while let Some(ending) = self.store.certificate_to_warn_of(range, days).await? {
                let mail = mail_about(self.store.next_number("mail").await?, &ending, now);
                let key = &ending.spki_sha256;
                self.store.warn_of_certificate(key, days, &mail, now).await?;
                told += 1;
            }
        }
        Ok(told)
    }

    /// Signs a partner's certificate request and lets the certificate connect.
    pub async fn sign_certificate(
        &self,
        by: Call,
        body: Body<CertificateRequest>,
    ) -> Result<Response> {
        by.check_sees_all()?;
        let folder = self.config.ca.as_deref().ok_or(Code::FeatureNotEnabled)?;
        let asked = body.content;
        if asked.networks.len() > NETWORKS_MAX {
            return Err(Error::fault(Code::InvalidRequest, "networks", "must be 32 at most"));
        }
        let partner = i64::from(asked.partner);
        let is_strict = self.config.profile == Profile::Strict;
        let draw = || async {
            self.store.partner_named(&partner.to_string()).await?.ok_or(Code::PartnerNotFound)?;
            let days = asked.days.unwrap_or(DAYS_DEFAULT);
            let name = format!("partner-{partner}");
            let signed = pki::sign_request(folder, &asked.csr, &name, days, is_strict);
            Ok(Plan { certificate: signed.map_err(refused)? })
        };
        let carry_out = async |plan: Plan| {
            let leaf = pki::leaf(&plan.certificate).map_err(refused)?;
            let networks: Vec<_> = asked.networks.iter().map(IpNet::to_string).collect();
            let issued = IssuedCertificate {
                spki_sha256: leaf.spki_sha256,
                partner,
                name: leaf.name,
                email: pki::email_of(&asked.csr),
                serial: leaf.serial,
                not_after_ms: leaf.not_after_ms,
                networks: networks.join(","),
                created_at_ms: clock::now_millis(),
            };
            if !self.store.insert_certificate(&issued).await? {
                return Err(Code::CertificateExists.into());
            }
            Answer::created(&SignedCertificate {
                certificate_id: hex(&issued.spki_sha256),
                certificate: plan.certificate,
                not_after: rfc3339(issued.not_after_ms),
            })
        };
        self.once(&by, body.hash, draw, carry_out).await
    }

    /// Every certificate that is or was known, of partners that the caller may see.
    pub async fn list_certificates(&self, by: Call) -> Result<Response> {
        let rows = self.store.certificates(by.caller.scope().partner).await?;
        let items = rows.into_iter().map(ShownCertificate::from).collect();
        Ok(Answer::ok(&CertificateList { items })?.into_response())
    }

    /// Keeps a certificate out from now on, whatever the configuration says.
    pub async fn revoke_certificate(
        &self,
        by: Call,
        at: CertificatePath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        by.check_sees_all()?;
        let carry_out = async |()| {
            let key = from_hex(&at.certificate).ok_or(Code::CertificateNotFound)?;
            let now = clock::now_millis();
            let of_processor = self.processors.iter().any(|processor| processor.has(&key));
            if of_processor {
                self.store.revoke_processor(&key, now).await?;
            }
            if !self.store.revoke_certificate(&key, now).await? && !of_processor {
                return Err(Code::CertificateNotFound.into());
            }
            Ok(Answer::no_content())
        };
        self.once(&by, hash, async || Ok(()), carry_out).await
    }
}

fn refused(error: RequestError) -> Error {
    match error {
        RequestError::Unusable(_) => Error::fault(Code::InvalidCsr, "csr", "cannot be read"),
        RequestError::WeakKey => {
            let message = "needs an RSA key of 2048 to 4096 bits with the exponent 65537";
            Error::fault(Code::InvalidCsr, "csr", message)
        }
        RequestError::Profile(what) => Error::fault(Code::InvalidCsr, "csr", what),
        RequestError::Authority(error) => Error::internal("authority", &error),
    }
}

impl From<CertificateRow> for ShownCertificate {
    fn from(row: CertificateRow) -> Self {
        let networks = row.networks.split(',').filter(|network| !network.is_empty());
        Self {
            certificate_id: hex(&row.spki_sha256),
            partner: row.partner_id,
            state: row.state,
            source: row.source,
            name: row.name,
            serial: row.serial,
            email: row.email,
            not_after: (row.not_after_ms > 0).then(|| rfc3339(row.not_after_ms)),
            networks: networks.map(str::to_owned).collect(),
        }
    }
}

fn rfc3339(at_ms: i64) -> String {
    clock::rfc3339(Timestamp(u64::try_from(at_ms).unwrap_or_default()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut out = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (to, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = core::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
        *to = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(out)
}

fn mail_about(id: i64, ending: &EndingCertificate, now_ms: i64) -> MailRow {
    let days = (ending.not_after_ms - now_ms) / DAY_MS;
    let content = format!(
        "The client certificate {name} ends on {end}, in {days} days.\r\n\r\n\
         Its key (SHA-256): {key}\r\n\r\n\
         Send another request, signed with a new key, in time: without a certificate that is good \
         still, no request is answered.\r\n",
        name = ending.name,
        end = rfc3339(ending.not_after_ms),
        key = hex(&ending.spki_sha256),
    );
    let subject = format!("Your certificate {} ends in {days} days", ending.name);
    MailRow { id, email: ending.email.clone(), subject, content, attempts: 0 }
}
