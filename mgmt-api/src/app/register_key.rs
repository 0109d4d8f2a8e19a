//! POST /secure/keys: the key that answers to this client are encrypted to from now on. Source:
//! security 4.4.

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{App, Body};
use crate::answer::Answer;
use crate::call::Call;
use crate::error::Result;

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewResponseKey {
    public_key: String,
}

/// The key that answers are encrypted to from now on.
#[derive(Serialize, ToSchema)]
pub struct RegisteredKey {
    thumbprint: String,
}

impl App {
    /// Registers a response key for the client's certificate.
    pub async fn register_response_key(
        &self,
        by: Call,
        body: Body<NewResponseKey>,
    ) -> Result<Response> {
        let client = by.client()?;
        let key = self.jwe.response_key(&body.content.public_key)?;
        let carry_out = async |()| {
            self.store.set_response_key(&client.certificate, &key.thumbprint).await?;
            Answer::created(&RegisteredKey { thumbprint: URL_SAFE_NO_PAD.encode(key.thumbprint) })
        };
        self.once(&by, body.hash, async || Ok(()), carry_out).await
    }
}
