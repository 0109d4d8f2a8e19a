//! Signs that networks put into fields of their own choice: which field, which part of it, what
//! value.
//!
//! Invariant: a sign that is not found is not there; nothing in a private field can refuse a
//! message. Source: iso8583 4.4, 4.9.

use serde::{Deserialize, Serialize};
use shared::iso8583::mti::Version;
use shared::iso8583::tlv::subelement;
use shared::iso8583::{Content, Dialect, Message};

use super::fields::TEXT_MAX;

/// The field of the life-cycle id where a link says nothing else.
const USUAL_LIFE_CYCLE_FIELD: u8 = 63;

/// A sign: a field, or a subelement of it, begins with a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// The field.
    pub field: u8,
    /// The subelement of it: two digits, in a field made of tag, two digits of length and value;
    /// one letter may stand in front of them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What the subelement begins with; without a tag, what the field is, leading zeros aside.
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

/// Signs that a link has elsewhere than its edition's usual ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MarkerTable {
    account_verification: Option<Vec<Marker>>,
    partial_approval: Option<Vec<Marker>>,
    incremental: Option<Vec<Marker>>,
    more_clearings: Option<Vec<Marker>>,
    cvc2: Option<Location>,
    life_cycle_field: Option<u8>,
    replacement_billing_offset: Option<usize>,
}

/// All signs of a link. Each is there where one of its markers is.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub replacement_billing_offset: Option<usize>,
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
            life_cycle_field: USUAL_LIFE_CYCLE_FIELD,
            replacement_billing_offset: None,
        }
    }

    /// With a link's own ones in place of the usual.
    #[must_use]
    pub fn replaced(self, own: &MarkerTable) -> Self {
        let own = own.clone();
        Self {
            account_verification: own.account_verification.unwrap_or(self.account_verification),
            partial_approval: own.partial_approval.unwrap_or(self.partial_approval),
            incremental: own.incremental.unwrap_or(self.incremental),
            more_clearings: own.more_clearings.unwrap_or(self.more_clearings),
            cvc2: own.cvc2.unwrap_or(self.cvc2),
            life_cycle_field: own.life_cycle_field.unwrap_or(self.life_cycle_field),
            replacement_billing_offset: own
                .replacement_billing_offset
                .or(self.replacement_billing_offset),
        }
    }

    /// Names the first marker that can never be found in the dialect, or that would put card data
    /// where it must not be.
    ///
    /// # Errors
    /// Its name in the table.
    pub fn check(&self, dialect: &Dialect) -> Result<(), &'static str> {
        let is_text =
            |field: u8| dialect.field(field).is_some_and(|spec| spec.content != Content::Binary);
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
            let sound = |marker: &Marker| {
                sound_tag(&marker.tag) && !marker.value.is_empty() && is_text(marker.field)
            };
            if !markers.iter().all(sound) {
                return Err(name);
            }
        }
        if !sound_tag(&self.cvc2.tag) || !is_text(self.cvc2.field) {
            return Err("cvc2");
        }
        // The life-cycle id is journaled.
        let secret = dialect.field(self.life_cycle_field).is_none_or(|spec| spec.sensitive);
        if secret && self.life_cycle_field != USUAL_LIFE_CYCLE_FIELD
            || [2, self.cvc2.field].contains(&self.life_cycle_field)
        {
            return Err("life_cycle_field");
        }
        // Three amounts of twelve digits; the new billing amount is one of them.
        match self.replacement_billing_offset {
            Some(25..) => Err("replacement_billing_offset"),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether one of the markers is in the message.
pub(super) fn is_marked(message: &Message<'_>, markers: &[Marker]) -> bool {
    markers.iter().any(|marker| {
        let mut scratch = [0; TEXT_MAX];
        let value = value_at(message, marker.field, marker.tag.as_deref(), &mut scratch);
        let wanted = marker.value.as_bytes();
        value.is_some_and(|found| match marker.tag {
            Some(_) => found.starts_with(wanted),
            None => !found.is_empty() && without_zeros(found) == without_zeros(wanted),
        })
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
        Some(Ok(tag)) => {
            let behind_letter = match text {
                [first, rest @ ..] if !first.is_ascii_digit() => rest,
                text => text,
            };
            subelement(behind_letter, tag)
        }
        Some(Err(_)) => None,
    }
}

fn without_zeros(text: &[u8]) -> &[u8] {
    let zeros = text.iter().take_while(|byte| **byte == b'0').count();
    text.get(zeros..).unwrap_or_default()
}
