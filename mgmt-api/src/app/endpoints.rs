//! Where a partner is told of what happens, put by itself or by operators. Source: requirements 2.2, #156.
//!
//! Invariant: a key is shown once, when it is made; with another one, notices are signed with both.

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{App, Body, EndpointPath, Nothing, PartnerPath, instant};
use crate::answer::Answer;
use crate::auth::role::Roles;
use crate::call::{Call, Caller};
use crate::config::Profile;
use crate::error::{Code, Error, Result};
use crate::notices::{BALANCE, KINDS, News, OTP, PING, check_url, endpoint_row_name};
use crate::store::EndpointRow;
use crate::vault::{self, Purpose};
use crate::{clock, pki};

/// Endpoints of one partner at most.
const ENDPOINTS_MAX: usize = 10;
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of a certificate and those it came from at most.
const CHAIN_BYTES_MAX: usize = 16 * 1024;

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointWish {
    /// What paths like `/notifications/transaction` are put behind.
    url: String,
    /// Of what it is told: `transaction`, `verification`, `card` (issued in the background, linked),
    /// `lowBalance`; `balance` where the money of the partner's holders is, which is asked and told
    /// there; `otp` where one-time passwords are brought to them.
    events: Vec<String>,
    /// ACTIVE, or PAUSED for nothing to be sent.
    #[serde(default)]
    state: EndpointState,
    /// Bodies are JWEs to the key that `GET …/public-key` there answers with.
    #[serde(default)]
    encrypted: bool,
}

/// Whether an endpoint is told.
#[derive(Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum EndpointState {
    /// It is.
    #[default]
    Active,
    /// Not now.
    Paused,
}

impl EndpointState {
    const fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Paused => "PAUSED",
        }
    }
}

/// Where a partner is told.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownEndpoint {
    endpoint_id: Uuid,
    url: String,
    events: Vec<String>,
    state: String,
    encrypted: bool,
    /// Until when the client certificate is good that we show there; none is shown without.
    certificate_until: Option<String>,
}

/// A request for our client certificate at an endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointCsr {
    /// PKCS#10, PEM: to be signed by the partner's authority.
    certificate_request: String,
}

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointCertificate {
    /// Our client certificate and those it came from, PEM.
    certificate: String,
}

/// An endpoint and the key of its signatures.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeEndpoint {
    #[serde(flatten)]
    endpoint: ShownEndpoint,
    /// `whsec_` and the base64 of the key that notices are signed with (Standard Webhooks).
    secret: String,
}

/// Another key for signatures.
#[derive(Serialize, ToSchema)]
pub struct EndpointSecret {
    /// `whsec_` and its base64.
    secret: String,
}

/// All endpoints of a partner, oldest first.
#[derive(Serialize, ToSchema)]
pub struct EndpointList {
    items: Vec<ShownEndpoint>,
}

/// A notice that says nothing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ping {
    endpoint_id: Uuid,
    date: String,
}

#[derive(Serialize, Deserialize)]
struct CsrPlan {
    id: Uuid,
    key: String,
    request: String,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    id: Uuid,
    key: [u8; KEY_BYTES],
}

impl Plan {
    fn draw(id: Uuid) -> Result<Self> {
        let mut key = [0; KEY_BYTES];
        vault::draw(&mut key)?;
        Ok(Self { id, key })
    }

    fn secret(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.key))
    }
}

impl From<EndpointRow> for ShownEndpoint {
    fn from(row: EndpointRow) -> Self {
        let kinds = row.kinds.split(',').filter(|kind| !kind.is_empty()).map(str::to_owned);
        let leaf = row.client_certificate.as_deref().and_then(|pem| pki::leaf(pem).ok());
        Self {
            endpoint_id: row.id,
            url: row.url.clone(),
            events: kinds.collect(),
            state: row.state.clone(),
            encrypted: row.encrypts == 1,
            certificate_until: leaf.map(|leaf| instant(leaf.not_after_ms)),
        }
    }
}

impl EndpointWish {
    /// Kinds between commas, each once, in our order.
    fn check(&self, strict: bool) -> Result<String> {
        check_url(&self.url, strict)?;
        let known = self.events.iter().all(|kind| KINDS.contains(&kind.as_str()));
        if !known || self.events.is_empty() {
            let message = "must name transaction, verification, balance, otp, card or lowBalance";
            return Err(Error::fault(Code::InvalidRequest, "events", message));
        }
        let kinds = KINDS.iter().filter(|kind| self.events.iter().any(|wish| wish == *kind));
        Ok(kinds.fold(",".to_owned(), |list, kind| format!("{list}{kind},")))
    }
}

impl App {
    /// Makes an endpoint.
    pub async fn add_endpoint(&self, by: Call, body: Body<EndpointWish>) -> Result<Response> {
        let partner = i64::from(by.partner()?.0);
        self.add_endpoint_of(&by, partner, body).await
    }

    /// Makes one of a partner that the operator may see.
    pub async fn add_endpoint_of_partner(
        &self,
        by: Call,
        at: PartnerPath,
        body: Body<EndpointWish>,
    ) -> Result<Response> {
        let partner = self.partner_at(&by, &at).await?;
        self.add_endpoint_of(&by, partner, body).await
    }

    async fn add_endpoint_of(
        &self,
        by: &Call,
        partner: i64,
        body: Body<EndpointWish>,
    ) -> Result<Response> {
        let wish = body.content;
        let kinds = wish.check(self.is_strict())?;
        check_trusted(by, &kinds)?;
        let wanted = kinds.clone();
        let draw = || async {
            if self.store.endpoints(partner).await?.len() >= ENDPOINTS_MAX {
                return Err(Code::TooManyEndpoints.into());
            }
            self.check_balances_stay(partner, None, Some(&wanted)).await?;
            Plan::draw(Uuid::now_v7())
        };
        let carry_out = async |plan: Plan| {
            let row = EndpointRow {
                id: plan.id,
                partner_id: partner,
                url: wish.url,
                kinds,
                state: wish.state.name().to_owned(),
                key_sealed: self.sealed_key(&plan)?,
                key_before_sealed: None,
                encrypts: i64::from(wish.encrypted),
                client_key_sealed: None,
                client_certificate: None,
                next_key_sealed: None,
            };
            self.store.insert_endpoint(&row, clock::now_millis()).await?;
            Answer::created(&MadeEndpoint { endpoint: row.into(), secret: plan.secret() })
        };
        self.once(by, body.hash, draw, carry_out).await
    }

    /// A partner's endpoints.
    pub async fn list_endpoints(&self, by: Call) -> Result<Response> {
        self.endpoints_of_partner(i64::from(by.partner()?.0)).await
    }

    pub(super) async fn endpoints_of_partner(&self, partner: i64) -> Result<Response> {
        let rows = self.store.endpoints(partner).await?;
        let items = rows.into_iter().map(ShownEndpoint::from).collect();
        Ok(Answer::ok(&EndpointList { items })?.into_response())
    }

    /// One of a partner's endpoints.
    pub async fn show_endpoint(&self, by: Call, at: EndpointPath) -> Result<Response> {
        let row = self.endpoint_at(&by, &at).await?;
        Ok(Answer::ok(&ShownEndpoint::from(row))?.into_response())
    }

    /// Changes an endpoint.
    pub async fn put_endpoint(
        &self,
        by: Call,
        at: EndpointPath,
        body: Body<EndpointWish>,
    ) -> Result<Response> {
        let wish = body.content;
        let kinds = wish.check(self.is_strict())?;
        let known = self.endpoint_at(&by, &at).await?;
        check_trusted(&by, &kinds)?;
        check_trusted(&by, &known.kinds)?;
        self.check_balances_stay(known.partner_id, Some(&known), Some(&kinds)).await?;
        let carry_out = async |()| {
            let state = wish.state.name().to_owned();
            let encrypts = i64::from(wish.encrypted);
            let row = EndpointRow { url: wish.url, kinds, state, encrypts, ..known };
            self.store.update_endpoint(&row).await?;
            // Another server may be there now, with another key.
            self.notifier.forget(row.id);
            Answer::ok(&ShownEndpoint::from(row))
        };
        self.once(&by, body.hash, async || Ok(()), carry_out).await
    }

    /// Forgets an endpoint and what was on its way there.
    pub async fn remove_endpoint(
        &self,
        by: Call,
        at: EndpointPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let draw = async || {
            let known = self.endpoint_at(&by, &at).await?;
            check_trusted(&by, &known.kinds)?;
            self.check_balances_stay(known.partner_id, Some(&known), None).await?;
            Ok(known.id)
        };
        let carry_out = async |id| {
            self.store.delete_endpoint(id).await?;
            self.notifier.forget(id);
            Ok(Answer::no_content())
        };
        self.once(&by, hash, draw, carry_out).await
    }

    /// Makes another key; notices are signed with the one before too, until the next change.
    pub async fn change_endpoint_key(
        &self,
        by: Call,
        at: EndpointPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let draw = async || Plan::draw(self.endpoint_at(&by, &at).await?.id);
        let carry_out = async |plan: Plan| {
            let known = self.endpoint_at(&by, &at).await?;
            let sealed = self.sealed_key(&plan)?;
            // Carried out before, where the answer was lost.
            if self.endpoint_key(known.id, &known.key_sealed)? != plan.key {
                self.store.change_endpoint_key(known.id, &sealed).await?;
            }
            Answer::ok(&EndpointSecret { secret: plan.secret() })
        };
        self.once(&by, hash, draw, carry_out).await
    }

    /// Sends an endpoint a notice that says nothing, to see whether it is there.
    pub async fn ping_endpoint(
        &self,
        by: Call,
        at: EndpointPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let draw = async || {
            let endpoint = self.endpoint_at(&by, &at).await?;
            Ok((endpoint.id, endpoint.partner_id, Uuid::now_v7()))
        };
        let carry_out = async |(endpoint, partner, id): (Uuid, i64, Uuid)| {
            let at_ms = clock::now_millis();
            let ping = Ping { endpoint_id: endpoint, date: instant(at_ms) };
            let (origin, subject) = (format!("ping {id}"), format!("ping {id}"));
            let news = News { origin, partner, kind: PING, subject, at_ms };
            let notice = news.saying(&self.vault, &serde_json::to_vec(&ping)?)?;
            self.store.insert_notices(&[notice], Some(endpoint), None).await?;
            Ok(Answer::no_content())
        };
        self.once(&by, hash, draw, carry_out).await
    }

    /// Asks the partner for a client certificate; the one there is stays until it comes. Source:
    /// requirements #48.
    pub async fn request_endpoint_certificate(
        &self,
        by: Call,
        at: EndpointPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let draw = async || {
            let endpoint = self.endpoint_at(&by, &at).await?;
            let name = format!("{} notices", self.config.issuer_code);
            let drawn = pki::client_request(&name);
            let (key, request) = drawn.map_err(|error| Error::internal("notices", &error))?;
            Ok(CsrPlan { id: endpoint.id, key: key.to_string(), request })
        };
        let carry_out = async |CsrPlan { id, key, request }: CsrPlan| {
            let row = endpoint_row_name(id);
            let sealed = self.vault.seal(Purpose::PersonalData, row.as_bytes(), key.as_bytes())?;
            self.store.set_next_client_key(id, &sealed).await?;
            Answer::created(&EndpointCsr { certificate_request: request })
        };
        self.once(&by, hash, draw, carry_out).await
    }

    /// Shows a certificate at an endpoint from now on: one of the key that it was asked for, or of
    /// the one that is shown now.
    pub async fn put_endpoint_certificate(
        &self,
        by: Call,
        at: EndpointPath,
        body: Body<EndpointCertificate>,
    ) -> Result<Response> {
        let fault = |message| Error::fault(Code::InvalidRequest, "certificate", message);
        let pem = body.content.certificate;
        let leaf = pki::leaf(&pem).map_err(|_other| fault("must be a certificate, PEM"))?;
        if leaf.not_after_ms <= clock::now_millis() || pem.len() > CHAIN_BYTES_MAX {
            return Err(fault("must be good still, and 16 KiB at most with those it came from"));
        }
        let draw = async || Ok(self.endpoint_at(&by, &at).await?.id);
        let carry_out = async |id| {
            let known = self.store.endpoint(id).await?.ok_or(Code::EndpointNotFound)?;
            let keys = [known.next_key_sealed.clone(), known.client_key_sealed.clone()];
            for sealed in keys.into_iter().flatten() {
                let key = Zeroizing::new(self.endpoint_key(id, &sealed)?);
                let key = Zeroizing::new(String::from_utf8_lossy(&key).into_owned());
                if pki::spki_sha256_of_key(&key).is_ok_and(|hash| hash == leaf.spki_sha256) {
                    self.store.set_client_certificate(id, &sealed, &pem).await?;
                    let row = EndpointRow { client_certificate: Some(pem), ..known };
                    return Answer::ok(&ShownEndpoint::from(row));
                }
            }
            Err(fault("must be of the key that it was asked for"))
        };
        self.once(&by, body.hash, draw, carry_out).await
    }

    /// The money of a partner's holders is at one endpoint, and stays there while a program needs
    /// it: of what is there, `known` would be told of `kinds` or be gone.
    async fn check_balances_stay(
        &self,
        partner: i64,
        known: Option<&EndpointRow>,
        kinds: Option<&str>,
    ) -> Result<()> {
        let keeps = |kinds: &str| kinds.split(',').any(|kind| kind == BALANCE);
        let kept = known.is_some_and(|known| keeps(&known.kinds));
        let keeps = kinds.is_some_and(keeps);
        if keeps && !kept && self.balance_endpoint(partner).await?.is_some() {
            return Err(Code::EndpointInUse.into());
        }
        if kept && !keeps {
            let programs = self.store.programs(Some(partner)).await?;
            if programs.iter().any(|program| program.answer_ms.is_some()) {
                return Err(Code::EndpointInUse.into());
            }
        }
        Ok(())
    }

    fn is_strict(&self) -> bool {
        self.config.profile == Profile::Strict
    }

    fn sealed_key(&self, plan: &Plan) -> Result<Vec<u8>> {
        let row = endpoint_row_name(plan.id);
        Ok(self.vault.seal(Purpose::PersonalData, row.as_bytes(), &plan.key)?)
    }

    async fn endpoint_at(&self, by: &Call, at: &EndpointPath) -> Result<EndpointRow> {
        let id = Uuid::parse_str(&at.endpoint).map_err(|_other| Code::EndpointNotFound)?;
        let row = self.store.endpoint(id).await?;
        let scope = by.caller.scope();
        let row = row.filter(|row| scope.admits_partner(row.partner_id));
        row.ok_or_else(|| Code::EndpointNotFound.into())
    }
}

/// Whether `kinds` is told where the caller says: where money is asked for and where one-time
/// passwords go is said by the partner, or by an Admin who is not one partner's.
fn check_trusted(by: &Call, kinds: &str) -> Result<()> {
    let is_trusted = kinds.split(',').any(|kind| [BALANCE, OTP].contains(&kind));
    if let Caller::Operator(operator) = by.caller
        && is_trusted
    {
        by.check_sees_all()?;
        if !operator.roles.meet(Roles::ADMIN) {
            return Err(Code::Forbidden.into());
        }
    }
    Ok(())
}
