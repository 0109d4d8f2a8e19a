//! The identity check's form: texts and images, read part by part within bounds.
//!
//! Invariants: at most the form's members, each once; an image is what its first bytes say, never
//! what its name or type claims; the hash does not depend on the boundary.

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use zeroize::Zeroizing;

use crate::app::{App, Body, Image, VerificationForm};
use crate::error::{Code, Error, Result};
use crate::idempotency::ContentHash;
use crate::pki;

/// Members that are texts. Source: requirements #67.
const TEXTS: [&str; 14] = [
    "firstName",
    "lastName",
    "street",
    "pesel",
    "number",
    "city",
    "birthDate",
    "postCode",
    "identityCardNo",
    "apartment",
    "documentType",
    "country",
    "documentExpirationDate",
    "nationality",
];
/// Members that are images.
const IMAGES: [&str; 3] = ["imageFace", "imageFront", "imageBack"];
/// Bytes of a text.
const TEXT_BYTES_MAX: usize = 1_024;

type Form = (VerificationForm, Vec<Image>);

/// Reads the form.
pub(super) async fn read_form(app: &App, mut multipart: Multipart) -> Result<Body<Form>> {
    let mut texts = serde_json::Map::new();
    let mut images: Vec<Image> = Vec::new();
    while let Some(field) = multipart.next_field().await.map_err(|error| unreadable(&error))? {
        let name = field.name().unwrap_or_default().to_owned();
        if let Some(known) = TEXTS.iter().find(|known| **known == name) {
            let text = read_text(field, known).await?;
            if texts.insert((*known).to_owned(), text.into()).is_some() {
                return Err(twice(known));
            }
        } else if let Some(known) = IMAGES.iter().find(|known| **known == name) {
            if images.iter().any(|image| image.kind == *known) {
                return Err(twice(known));
            }
            images.push(read_image(field, known, app.config.limits.image_bytes_max).await?);
        } else {
            return Err(Error::fault(Code::InvalidRequest, "form", "has an unknown member"));
        }
    }
    let hash = hash(app, &texts, &images)?;
    let form = serde_json::from_value(texts.into()).map_err(|_incomplete| {
        Error::fault(Code::InvalidCustomerData, "form", "lacks a member that is needed")
    })?;
    Ok(Body { content: (form, images), hash })
}

async fn read_text(field: Field<'_>, name: &'static str) -> Result<String> {
    let bytes = read_bytes(field, TEXT_BYTES_MAX).await?;
    let text = core::str::from_utf8(&bytes)
        .map_err(|_other| Error::fault(Code::InvalidRequest, name, "must be UTF-8"))?;
    Ok(text.to_owned())
}

async fn read_image(field: Field<'_>, kind: &'static str, max: usize) -> Result<Image> {
    let content = read_bytes(field, max).await?;
    let media_type = sniffed(&content)
        .ok_or_else(|| Error::fault(Code::InvalidCustomerData, kind, "must be JPEG or PNG"))?;
    Ok(Image { kind, media_type, content })
}

async fn read_bytes(mut field: Field<'_>, max: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    while let Some(chunk) = field.chunk().await.map_err(|error| unreadable(&error))? {
        if bytes.len() + chunk.len() > max {
            return Err(Code::BodyTooLarge.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// By the first bytes. Source: requirements #68.
fn sniffed(content: &[u8]) -> Option<&'static str> {
    if content.starts_with(&[0xff, 0xd8, 0xff]) {
        Some("image/jpeg")
    } else if content.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else {
        None
    }
}

fn hash(
    app: &App,
    texts: &serde_json::Map<String, serde_json::Value>,
    images: &[Image],
) -> Result<ContentHash> {
    let mut parts = Vec::new();
    for name in TEXTS {
        parts.push(serde_json::to_vec(&texts.get(name))?);
    }
    for kind in IMAGES {
        let image = images.iter().find(|image| image.kind == kind);
        parts.push(image.map(|image| pki::sha256(&image.content).to_vec()).unwrap_or_default());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(ContentHash(app.vault.fingerprint(&parts)))
}

fn twice(name: &'static str) -> Error {
    Error::fault(Code::InvalidRequest, name, "stands there twice")
}

fn unreadable(error: &MultipartError) -> Error {
    match error.status().as_u16() {
        413 => Code::BodyTooLarge.into(),
        _ => Error::fault(Code::InvalidRequest, "form", "is not readable multipart/form-data"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_what_its_first_bytes_say() {
        assert_eq!(sniffed(&[0xff, 0xd8, 0xff, 0xe0]), Some("image/jpeg"));
        assert_eq!(sniffed(b"\x89PNG\r\n\x1a\n...."), Some("image/png"));
        for other in [b"GIF89a".as_slice(), b"<svg>", b"", &[0xff, 0xd8]] {
            assert_eq!(sniffed(other), None);
        }
    }
}
