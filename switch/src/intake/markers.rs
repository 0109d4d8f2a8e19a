//! Signs that networks put into fields of their own choice: which field, which part of it, what
//! value.
//!
//! Invariant: a sign that is not found is not there; nothing in a private field can refuse a
//! message. Source: iso8583 4.4, 4.9.

use serde::{Deserialize, Serialize};
use shared::iso8583::Message;
use shared::iso8583::mti::Version;
use shared::iso8583::tlv::subelement;

use super::fields::TEXT_MAX;

/// A sign: a field, or a subelement of it, begins with a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// The field.
    pub field: u8,
    /// The subelement of it: two digits, in a field made of tag, two digits of length and value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What it begins with, leading zeros aside.
    pub value: String,
}

/// A place in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// The field.
    pub field: u8,
    /// The subelement of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// All signs of a link. Each is there where one of its markers is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Markers {
    /// Amount 0 asks whether the card is good.
    pub account_verification: Vec<Marker>,
    /// The acquirer takes an approval of a part.
    pub partial_approval: Vec<Marker>,
    /// The request adds to an earlier authorization.
    pub incremental: Vec<Marker>,
    /// Other clearings of the same authorization will follow.
    pub more_clearings: Vec<Marker>,
    /// CVC2 of a remote payment.
    pub cvc2: Location,
    /// The field that begins with the network's life-cycle id.
    pub life_cycle_field: u8,
    /// Where the new billing amount begins among the replacement amounts (DE95), if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement_billing_offset: Option<usize>,
}

impl Default for Markers {
    fn default() -> Self {
        Self::of(Version::V1987)
    }
}

impl Markers {
    /// Those of the sandbox links.
    #[must_use]
    pub fn of(edition: Version) -> Self {
        let in_private = |tag: &str, value: &str| Marker {
            field: 48,
            tag: Some(tag.to_owned()),
            value: value.to_owned(),
        };
        let function = |value: &str| Marker { field: 24, tag: None, value: value.to_owned() };
        let incremental = match edition {
            Version::V1987 => vec![in_private("62", "I")],
            // Function codes of supplementary authorizations.
            Version::V1993 | Version::V2003 => {
                vec![in_private("62", "I"), function("106"), function("107")]
            }
        };
        Self {
            account_verification: vec![Marker { field: 25, tag: None, value: "51".into() }],
            partial_approval: vec![in_private("61", "1")],
            incremental,
            more_clearings: vec![in_private("62", "M")],
            cvc2: Location { field: 48, tag: Some("92".into()) },
            life_cycle_field: 63,
            replacement_billing_offset: None,
        }
    }

    /// Names the first marker that can never be found.
    ///
    /// # Errors
    /// Its name in the table.
    pub fn check(&self) -> Result<(), &'static str> {
        let lists = [
            ("account_verification", &self.account_verification),
            ("partial_approval", &self.partial_approval),
            ("incremental", &self.incremental),
            ("more_clearings", &self.more_clearings),
        ];
        let sound_tag = |tag: &Option<String>| {
            tag.as_ref().is_none_or(|tag| tag.len() == 2 && tag.bytes().all(|b| b.is_ascii_digit()))
        };
        for (name, markers) in lists {
            if markers.iter().any(|marker| !sound_tag(&marker.tag) || marker.value.is_empty()) {
                return Err(name);
            }
        }
        if sound_tag(&self.cvc2.tag) { Ok(()) } else { Err("cvc2") }
    }
}

/// Whether one of the markers is in the message.
pub(super) fn is_marked(message: &Message<'_>, markers: &[Marker]) -> bool {
    markers.iter().any(|marker| {
        let mut scratch = [0; TEXT_MAX];
        let value = value_at(message, marker.field, marker.tag.as_deref(), &mut scratch);
        value.is_some_and(|found| begins_with(found, marker.value.as_bytes()))
    })
}

/// The text of a field, or of a subelement of it.
pub(super) fn value_at<'s>(
    message: &'s Message<'_>,
    field: u8,
    tag: Option<&str>,
    scratch: &'s mut [u8],
) -> Option<&'s [u8]> {
    if !message.has(field) {
        return None;
    }
    let text = message.text(field, scratch)?;
    match tag.map(|tag| <&[u8; 2]>::try_from(tag.as_bytes())) {
        None => Some(text),
        Some(Ok(tag)) => subelement(text, tag),
        Some(Err(_)) => None,
    }
}

/// Leading zeros aside; a value of zeros alone is there where nothing else is.
fn begins_with(found: &[u8], value: &[u8]) -> bool {
    match without_zeros(value) {
        [] => !found.is_empty() && without_zeros(found).is_empty(),
        value => without_zeros(found).starts_with(value),
    }
}

fn without_zeros(text: &[u8]) -> &[u8] {
    let zeros = text.iter().take_while(|byte| **byte == b'0').count();
    text.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_behind_leading_zeros_and_zeros_find_only_zeros() {
        for (found, value, there) in [
            ("51", "51", true),
            ("0051", "51", true),
            ("51", "0051", true),
            ("I 25", "I", true),
            ("52", "51", false),
            ("", "51", false),
            ("00", "0", true),
            ("0051", "0", false),
            ("M", "0", false),
            ("", "0", false),
        ] {
            assert_eq!(begins_with(found.as_bytes(), value.as_bytes()), there, "{found} {value}");
        }
    }
}
