//! The credentials that a message carries, verified; only what came of it goes on.
//!
//! Invariant: a value that is there is verified, for an unknown card too and at the same cost;
//! nothing of it outlives this file. Source: security 4.2, authorization 2 (credentials).

use shared::card::YearMonth;
use shared::command::{Credentials, EntryMode};
use shared::credential::track::{Layout, Track, TrackError};
use shared::credential::{CredentialResult, Cvv, CvvKind, PinBlock, Pvv, Stored};
use shared::iso8583::{Content, FormatError, Message, Rule};
use shared::pan::Pan;
use zeroize::Zeroizing;

use super::fields::TEXT_MAX;
use super::markers::{Markers, value_at};
use super::{Reading, fields};

const TRACK_1: u8 = 45;
const TRACK_2: u8 = 35;
const PIN: u8 = 52;

/// What came of a message's credentials.
pub(super) struct Verified {
    pub(super) credentials: Credentials,
    /// The month on the track, where the message states none besides.
    pub(super) track_expiry: Option<YearMonth>,
}

/// Whether there is anything to verify.
pub(super) fn are_there(message: &Message<'_>, markers: &Markers) -> bool {
    [TRACK_1, TRACK_2, PIN, markers.cvc2.field].iter().any(|field| message.has(*field))
}

/// Verifies every credential of the message.
pub(super) fn verify(
    reading: &Reading,
    message: &Message<'_>,
    (expiry, entry): (Option<YearMonth>, EntryMode),
    stored: &Stored,
) -> Result<Verified, FormatError> {
    let pan = fields::pan(message)?;
    let track_2 = track(message, TRACK_2, Track::parse_2)?;
    let track_1 = track(message, TRACK_1, Track::parse_1)?;
    let track_expiry = track_2.as_ref().or(track_1.as_ref()).map(|track| track.expiry);
    let month = expiry.or(track_expiry).unwrap_or(stored.expiry);
    let counts = reading.track_value_counts(message);
    let on_track = |track: Option<&Track>| match track {
        // Two months on one card.
        Some(track) if track.expiry != month => CredentialResult::Bad,
        track => of_track(reading, track, (&pan, entry), counts),
    };
    let results = [
        on_track(track_2.as_ref()),
        on_track(track_1.as_ref()),
        of_cvc2(reading, message, &pan, month, stored.cvv2_generation),
    ];
    let verification_value = results.into_iter().max_by_key(|result| severity(*result));
    let credentials = Credentials {
        verification_value: verification_value.unwrap_or_default(),
        pin: of_pin(reading, message, &pan, stored.pvv)?,
    };
    Ok(Verified { credentials, track_expiry })
}

/// Of several results the one that decides.
fn severity(result: CredentialResult) -> u8 {
    match result {
        CredentialResult::Absent => 0,
        CredentialResult::Ok => 1,
        CredentialResult::Unavailable => 2,
        CredentialResult::Bad => 3,
    }
}

fn track(
    message: &Message<'_>,
    field: u8,
    parse: fn(&[u8], Layout) -> Result<Track, TrackError>,
) -> Result<Option<Track>, FormatError> {
    if !message.has(field) {
        return Ok(None);
    }
    let mut scratch = Zeroizing::new([0; 80]);
    let text = message.text(field, &mut *scratch).unwrap_or_default();
    let found = parse(text, Layout::default());
    found.map(Some).map_err(|_fault| message.error(field, Rule::Content(Content::Track)))
}

/// The value on a track, where it counts: a chip's copy of it is computed with another service
/// code.
fn of_track(
    reading: &Reading,
    track: Option<&Track>,
    (pan, entry): (&Pan, EntryMode),
    counts: bool,
) -> CredentialResult {
    let Some(track) = track else { return CredentialResult::Absent };
    if track.pan.expose() != pan.expose() {
        return CredentialResult::Bad;
    }
    let Some(value) = track.cvv.as_ref().filter(|_| counts) else {
        return CredentialResult::Absent;
    };
    let kind = match entry {
        EntryMode::Chip | EntryMode::Contactless => CvvKind::Icvv,
        EntryMode::Unknown
        | EntryMode::Manual
        | EntryMode::Stripe
        | EntryMode::Ecommerce
        | EntryMode::StoredCredential => CvvKind::Cvv1(track.service_code),
    };
    reading.keys.verify_cvv(value, kind, pan, track.expiry)
}

fn of_cvc2(
    reading: &Reading,
    message: &Message<'_>,
    pan: &Pan,
    month: YearMonth,
    generation: u16,
) -> CredentialResult {
    let place = &reading.markers.cvc2;
    let mut scratch = Zeroizing::new([0; TEXT_MAX]);
    let text = value_at(message, place.field, place.tag.as_deref(), &mut *scratch);
    match text.map(Cvv::parse) {
        None => CredentialResult::Absent,
        // Something else than three digits was typed in.
        Some(None) => CredentialResult::Bad,
        Some(Some(value)) => {
            reading.keys.verify_cvv(&value, CvvKind::Cvv2 { generation }, pan, month)
        }
    }
}

fn of_pin(
    reading: &Reading,
    message: &Message<'_>,
    pan: &Pan,
    pvv: Pvv,
) -> Result<CredentialResult, FormatError> {
    let Some(block) = message.bytes(PIN) else { return Ok(CredentialResult::Absent) };
    let block = PinBlock::parse(block);
    let block = block.ok_or_else(|| message.error(PIN, Rule::WrongLength { expected: 8 }))?;
    Ok(reading.keys.verify_pin(&block, pan, pvv))
}
