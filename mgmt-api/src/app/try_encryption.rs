//! /sandbox/encryption: encrypted messages to try one's own code on. Source: requirements #60.
//!
//! Invariant: in the sandbox only; its key pair is drawn for this alone and opens nothing else.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{App, Body};
use crate::answer::Answer;
use crate::call::Call;
use crate::config::Profile;
use crate::error::{Code, Result};

/// What is sent back and forth.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    card_no: u32,
}

/// An encrypted message with the keys that open it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionSample {
    /// PKCS#8 PEM; drawn for this page alone.
    private_key: String,
    /// As it would stand in `Public-Key`.
    public_key: String,
    /// A compact JWE to that key.
    payload: String,
    /// What is in it.
    plain: Trial,
}

impl App {
    /// A message encrypted to a key pair that is shown with it.
    pub async fn show_encryption_sample(&self, _by: Call) -> Result<Response> {
        self.check_sandbox()?;
        let plain = Trial { card_no: 1338 };
        let pair = self.jwe.sample_pair().await?;
        let key = self.jwe.response_key(&pair.public_key)?;
        let payload = self.jwe.seal(&key, Zeroizing::new(serde_json::to_vec(&plain)?)).await?;
        let (private_key, public_key) = (pair.private_pem.to_string(), pair.public_key.clone());
        let sample = EncryptionSample { private_key, public_key, payload, plain };
        Ok(Answer::ok(&sample)?.into_response())
    }

    /// Answers with one more than it was sent, encrypted or not, both ways, as any other call.
    pub async fn try_encryption(&self, by: Call, body: Body<Trial>) -> Result<Response> {
        self.check_sandbox()?;
        let carry_out =
            async |()| Answer::ok(&Trial { card_no: body.content.card_no.wrapping_add(1) });
        self.once(&by, body.hash, async || Ok(()), carry_out).await
    }

    /// Fails outside the sandbox profile.
    pub(super) fn check_sandbox(&self) -> Result<()> {
        match self.config.profile {
            Profile::Sandbox => Ok(()),
            Profile::Strict => Err(Code::FeatureNotEnabled.into()),
        }
    }
}
