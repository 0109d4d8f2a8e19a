//! The admin token: one secret in a file, sent as `Authorization: Bearer`.
//!
//! Invariant: the token itself is not kept; hashes are compared in constant time.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::app::App;
use crate::call::{Call, Caller, header};
use crate::error::{Code, Error};
use crate::{pki, secret_file, vault};

/// Characters of a token at least.
const CHARS_MIN: usize = 32;

/// What a token is checked against.
pub struct AdminToken {
    sha256: [u8; 32],
}

/// A call by an operator.
pub struct AdminCall(pub Call);

impl AdminToken {
    /// Reads the file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let text = secret_file::read(path)?;
        let token = text.trim();
        anyhow::ensure!(
            token.len() >= CHARS_MIN,
            "{}: a token has {CHARS_MIN} characters at least",
            path.display()
        );
        Ok(Self { sha256: pki::sha256(token.as_bytes()) })
    }

    fn admits(&self, token: &str) -> bool {
        verify_slices_are_equal(&self.sha256, &pki::sha256(token.as_bytes())).is_ok()
    }
}

/// Draws a token into a file with mode 0600 unless one is there; gives back the one that is there.
pub fn generate_if_absent(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mut random = Zeroizing::new([0_u8; 32]);
    vault::draw(&mut *random)?;
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(*random));
    secret_file::create_if_absent(path, token.as_bytes())?;
    let text = secret_file::read(path)?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

impl FromRequestParts<Arc<App>> for AdminCall {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let token = header(&parts.headers, AUTHORIZATION.as_str())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _token)| scheme.eq_ignore_ascii_case("bearer"));
        match token {
            Some((_scheme, token)) if app.admin_token.admits(token.trim()) => {
                Ok(Self(Call::new(Caller::Admin, parts)?))
            }
            Some(_) | None => Err(Code::Unauthorized.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_of_the_file_is_admitted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.token");
        let token = generate_if_absent(&path).unwrap();
        assert_eq!(generate_if_absent(&path).unwrap(), token);
        let known = AdminToken::open(&path).unwrap();
        assert!(known.admits(&token));
        for wrong in ["", &token[1..], &format!("{}x", *token), "Bearer"] {
            assert!(!known.admits(wrong), "{wrong}");
        }
    }
}
