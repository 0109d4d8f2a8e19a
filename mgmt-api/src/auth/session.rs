//! Sessions: a random token, kept as its hash, good for so long after its last use and never
//! longer than a maximum age. Source: requirements #39.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::ids::PartnerId;
use zeroize::Zeroizing;

use super::encryption::{Keyring, Place};
use crate::app::App;
use crate::call::{Caller, Holder, Operator, SessionToken, header};
use crate::error::{Code, Error, Result};
use crate::store::SessionRow;
use crate::{clock, pki, vault};

/// A use is written down where the last one written lies back this part of the idle time: one
/// request in many writes, and a session ends at most this part early.
const TOUCH_PART: i64 = 40;

/// A token that was drawn: the text for its owner and the hash to keep.
pub(crate) struct NewToken {
    pub(crate) text: Zeroizing<String>,
    pub(crate) hash: [u8; 32],
}

/// Draws 256 random bits.
pub(crate) fn draw_token() -> Result<NewToken> {
    let mut random = Zeroizing::new([0_u8; 32]);
    vault::draw(&mut *random)?;
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(*random));
    Ok(NewToken { hash: hash(&text), text })
}

/// The hash that a token is kept under. The token has 256 random bits: no salt is needed.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    pki::sha256(token.as_bytes())
}

/// Compares hashes in constant time.
pub(crate) fn is_same(kept: &[u8], given: &[u8; 32]) -> bool {
    verify_slices_are_equal(kept, given).is_ok()
}

/// Who holds the token in `Authorization: Bearer`: a cardholder or an operator.
pub(super) async fn holder(app: &App, parts: &Parts) -> Result<(Caller, Keyring)> {
    let token = header(&parts.headers, AUTHORIZATION.as_str())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _token)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_scheme, token)| token.trim())
        .ok_or(Code::Unauthorized)?;
    if app.admin_token.admits(token) {
        let keyring = Keyring { place: Place::Nowhere, registered: None };
        return Ok((Caller::Operator(Operator::INSTALLATION), keyring));
    }
    let token = SessionToken(hash(token));
    let session = app.store.session(&token.0).await?.ok_or(Code::Unauthorized)?;
    let now = clock::now_millis();
    let limits = &app.config.sessions;
    let idle = limits.idle_ms();
    if now.saturating_sub(session.used_at_ms) > idle
        || now.saturating_sub(session.created_at_ms) > limits.age_ms()
    {
        app.store.end_session(&token.0).await?;
        return Err(Code::Unauthorized.into());
    }
    if now.saturating_sub(session.used_at_ms) > idle / TOUCH_PART {
        app.store.touch_session(&token.0, now).await?;
    }
    let caller = caller(&session, token, now)?;
    let keyring = Keyring { place: Place::Session(token), registered: session.response_key_sha256 };
    Ok((caller, keyring))
}

fn caller(session: &SessionRow, token: SessionToken, now_ms: i64) -> Result<Caller> {
    if let (Some(customer), Some(installation)) = (session.customer_id, session.installation_id) {
        let stepped_up = session.stepped_up_until_ms > now_ms;
        return Ok(Caller::Customer(Holder { customer, installation, session: token, stepped_up }));
    }
    let (Some(id), Some(roles)) = (session.operator_id, &session.roles) else {
        return Err(Code::Unauthorized.into());
    };
    Ok(Caller::Operator(Operator {
        id,
        roles: roles.parse().map_err(|unknown| Error::internal("operators", &unknown))?,
        partner: session.partner_id.map(|id| PartnerId(u32::try_from(id).unwrap_or_default())),
        session: Some(token),
    }))
}
