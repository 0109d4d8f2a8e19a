//! The door: what a route demands of its caller, and the call that comes of it.
//!
//! Invariant: nothing of a body is read before its caller is known and permitted.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::Method;
use axum::http::request::Parts;
use shared::ids::PartnerId;
use tokio::time::Instant;

use super::rate::Standing;
use super::role::Roles;
use super::{client_cert, encryption, session};
use crate::app::App;
use crate::call::{Call, Caller, Client, CustomerCall};
use crate::error::{Code, Error, Result};
use crate::tls::Peer;

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Anyone,
    /// A partner with its certificate.
    Partner,
    /// The same, with the headers that /lifecycle requires. Source: requirements #61.
    Lifecycle,
    /// A network or an acquirer with its certificate.
    Processor,
    /// A cardholder with a session.
    Customer,
    /// An operator who has one of these roles.
    Operator(Roles),
}

/// What of an exchange must be encrypted; everything may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Nothing.
    Optional,
    /// The answer.
    Answer,
    /// The body, and the answer where it has one.
    Body,
}

/// A caller that was let in, or not, and how it stands with its rate where it was asked.
pub(crate) struct Admitted {
    /// `None` where the route is for anyone.
    pub(crate) call: Result<Option<Call>>,
    pub(crate) standing: Option<Standing>,
}

/// The call of a request's caller, if the route is for it and it does not ask too often.
pub(crate) async fn admit(
    app: &App,
    access: Access,
    encryption: Encryption,
    parts: &Parts,
) -> Admitted {
    let call = match authenticate(app, access, encryption, parts).await {
        Err(error) => return Admitted { call: Err(error), standing: None },
        Ok(call) => call,
    };
    let limits = &app.config.limits;
    let standing = match &call {
        Some(call) => {
            let caller = call.caller.name();
            // A body to decrypt costs as much as an answer to encrypt.
            let encrypted = call.response_key.is_some() || encryption == Encryption::Body;
            let take = |name: &str, rate| app.rates.take(name, rate, Instant::now());
            let standing = take(&caller, limits.requests_per_second);
            Some(match standing.within && encrypted {
                true => take(&format!("{caller} encrypted"), limits.encrypted_per_second),
                false => standing,
            })
        }
        // Whoever tries to log in; what anyone may read is cheap.
        None if parts.method == Method::POST => {
            let peer = parts.extensions.get::<Peer>().and_then(|peer| peer.address);
            let address = peer.map(|address| address.to_string()).unwrap_or_default();
            Some(app.rates.take(&address, limits.log_ins_per_second, Instant::now()))
        }
        None => None,
    };
    let within = standing.is_none_or(|standing| standing.within);
    Admitted { call: if within { Ok(call) } else { Err(Code::RateLimited.into()) }, standing }
}

async fn authenticate(
    app: &App,
    access: Access,
    encryption: Encryption,
    parts: &Parts,
) -> Result<Option<Call>> {
    let (caller, keyring) = match access {
        Access::Anyone => return Ok(None),
        Access::Partner => {
            let (client, keyring, _issuer) = client_cert::partner(app, parts).await?;
            (Caller::Partner(client), keyring)
        }
        Access::Lifecycle => {
            let (client, keyring, issuer) = client_cert::partner(app, parts).await?;
            let issuer = issuer.as_deref();
            client_cert::check_lifecycle_headers(app, parts, client.partner, issuer).await?;
            (Caller::Partner(client), keyring)
        }
        Access::Processor => client_cert::processor(app, parts).await?,
        Access::Customer | Access::Operator(_) => session::holder(app, parts).await?,
    };
    let permitted = match (access, caller) {
        (Access::Anyone, _)
        | (Access::Partner | Access::Lifecycle, Caller::Partner(_))
        | (Access::Customer, Caller::Customer(_))
        | (Access::Processor, Caller::Processor(_)) => true,
        (Access::Operator(roles), Caller::Operator(operator)) => operator.roles.meet(roles),
        // A token of another channel is none here.
        (Access::Customer, Caller::Operator(_)) | (Access::Operator(_), Caller::Customer(_)) => {
            return Err(Code::Unauthorized.into());
        }
        (Access::Customer | Access::Operator(_), Caller::Partner(_) | Caller::Processor(_))
        | (
            Access::Partner | Access::Lifecycle,
            Caller::Customer(_) | Caller::Operator(_) | Caller::Processor(_),
        )
        | (Access::Processor, Caller::Partner(_) | Caller::Customer(_) | Caller::Operator(_)) => {
            false
        }
    };
    if !permitted {
        return Err(Code::Forbidden.into());
    }
    let mut call = Call::new(caller, parts)?;
    encryption::read(app, &mut call, &keyring, &parts.headers).await?;
    let missing = match encryption {
        Encryption::Optional => false,
        Encryption::Answer => call.response_key.is_none(),
        Encryption::Body => !call.encrypted_request,
    };
    if missing { Err(Code::EncryptionRequired.into()) } else { Ok(Some(call)) }
}

impl Call {
    /// The partner that asks.
    pub(crate) fn partner(&self) -> Result<PartnerId> {
        self.client().map(|client| client.partner)
    }

    /// Fails unless an operator asks who is not one partner's.
    pub(crate) fn check_sees_all(&self) -> Result<()> {
        match self.caller {
            Caller::Operator(operator) if operator.partner.is_none() => Ok(()),
            Caller::Operator(_)
            | Caller::Customer(_)
            | Caller::Partner(_)
            | Caller::Processor(_) => Err(Code::Forbidden.into()),
        }
    }

    /// The partner's client that asks.
    pub(crate) fn client(&self) -> Result<Client> {
        match self.caller {
            Caller::Partner(client) => Ok(client),
            Caller::Customer(_) | Caller::Operator(_) | Caller::Processor(_) => {
                Err(Code::Forbidden.into())
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        let call = parts.extensions.get::<Self>().cloned();
        call.ok_or_else(|| Error::internal("routes", &"a handler needs a caller on an open route"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CustomerCall {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let call = Call::from_request_parts(parts, state).await?;
        if let Caller::Customer(holder) = call.caller {
            return Ok(Self { call, customer: holder.customer.to_string() });
        }
        let names = RawPathParams::from_request_parts(parts, state).await;
        let names = names.map_err(|_not_utf8| Error::from(Code::UserNotFound))?;
        let customer = names.iter().find(|(name, _)| *name == "customer");
        let (_, customer) = customer.ok_or_else(|| {
            Error::internal("routes", &"a handler needs a customer and its path names none")
        })?;
        Ok(Self { call, customer: customer.to_owned() })
    }
}
