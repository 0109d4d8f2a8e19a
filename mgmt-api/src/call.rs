//! Who asks, and under which conditions: what every use case knows of its request.
//!
//! Invariant: a call exists only after its caller was authenticated, and says whose things the
//! caller may see.

use axum::http::HeaderMap;
use axum::http::request::Parts;
use shared::ids::PartnerId;
use shared::lock_code::LockSource;
use uuid::Uuid;

use crate::auth::role::Roles;
use crate::error::{Code, Error, Result};
use crate::jwe::ResponseKey;

/// Characters of an idempotency key.
const KEY_CHARS: core::ops::RangeInclusive<usize> = 1..=128;
/// Both spellings of the header. Source: requirements #63.
const KEY_HEADERS: [&str; 2] = ["x-idempotency-key", "idempotency-key"];

/// Request id and address; put into each request by the outermost layer.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// What `X-Request-Id` and `traceId` carry.
    pub request_id: String,
    /// The path as asked for.
    pub path: String,
    /// The trace that it is part of, and its place in it.
    pub trace: Trace,
}

/// A place in a trace. Source: W3C Trace Context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Which trace; never zero.
    pub trace: u128,
    /// Which place in it; never zero.
    pub span: u64,
    /// Whether its callers record it.
    pub flags: u8,
}

impl Trace {
    /// The caller's trace, or a new one, and our own place in it, made of a random id.
    #[must_use]
    pub fn of(parent: Option<&str>, random: Uuid) -> Self {
        let (high, low) = random.as_u64_pair();
        let (trace, flags) = parent.and_then(Self::read).unwrap_or((random.as_u128(), 0));
        Self { trace, span: (high ^ low.rotate_left(32)).max(1), flags }
    }

    /// Trace and flags of `00-<trace>-<place>-<flags>`, or of a later version that begins so.
    fn read(parent: &str) -> Option<(u128, u8)> {
        let mut parts = parent.trim().splitn(5, '-');
        let mut hex = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            part.bytes().all(lower).then(|| u128::from_str_radix(part, 16).ok()).flatten()
        };
        let (version, trace, place, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let more = parts.next().is_some();
        let sound = version != 0xFF && !(version == 0 && more) && trace != 0 && place != 0;
        sound.then(|| (trace, u8::try_from(flags).unwrap_or_default() & 1))
    }
}

impl core::fmt::Display for Trace {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A partner with its certificate.
    Partner(Client),
    /// A cardholder with a session on a paired device.
    Customer(Holder),
    /// An operator with a session, or with the installation's admin token.
    Operator(Operator),
    /// A network or an acquirer with its certificate, by its number.
    Processor(u32),
}

/// A partner's client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Whose it is.
    pub partner: PartnerId,
    /// SHA-256 of its certificate's public key.
    pub certificate: [u8; 32],
}

/// A cardholder's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub customer: i64,
    /// On which installation of the application.
    pub installation: Uuid,
    /// Under which session.
    pub session: SessionToken,
    /// Whether the wallet PIN was given a moment ago.
    pub stepped_up: bool,
}

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Who; 0 is the installation's admin token.
    pub id: i64,
    /// What for.
    pub roles: Roles,
    /// The one partner whose things it may see; all of them without.
    pub partner: Option<PartnerId>,
    /// Under which session; none with the admin token.
    pub session: Option<SessionToken>,
}

impl Operator {
    /// Whoever holds the installation's admin token.
    pub const INSTALLATION: Self = Self { id: 0, roles: Roles::ALL, partner: None, session: None };
}

/// The hash that a session is kept under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionToken(pub [u8; 32]);

/// Whose things a caller may see: a row must match both where they are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Things of this partner.
    pub partner: Option<i64>,
    /// Things of this cardholder.
    pub customer: Option<i64>,
}

impl Scope {
    /// Whether what a partner has is within it.
    #[must_use]
    pub fn admits_partner(self, partner: i64) -> bool {
        self.customer.is_none() && self.partner.is_none_or(|only| only == partner)
    }
}

impl Caller {
    /// The caller's name where idempotency keys and audit entries are kept.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Partner(client) => format!("partner:{}", client.partner),
            Self::Customer(holder) => format!("customer:{}", holder.customer),
            Self::Operator(operator) => format!("operator:{}", operator.id),
            Self::Processor(id) => format!("processor:{id}"),
        }
    }

    /// Whose things it may see.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Partner(client) => {
                Scope { partner: Some(i64::from(client.partner.0)), customer: None }
            }
            Self::Customer(holder) => Scope { partner: None, customer: Some(holder.customer) },
            Self::Operator(operator) => {
                Scope { partner: operator.partner.map(|id| i64::from(id.0)), customer: None }
            }
            // Nobody's: it names a card by its number or not at all.
            Self::Processor(_) => Scope { partner: Some(0), customer: Some(0) },
        }
    }

    /// As what it locks cards. Source: requirements #100.
    #[must_use]
    pub const fn lock_source(self) -> LockSource {
        match self {
            Self::Partner(_) => LockSource::Partner,
            Self::Customer(_) => LockSource::User,
            Self::Operator(_) => LockSource::Admin,
            Self::Processor(_) => LockSource::Outside,
        }
    }
}

/// An authenticated request.
#[derive(Clone)]
pub struct Call {
    /// Who asks.
    pub caller: Caller,
    /// Method and path.
    pub route: String,
    /// Request id and address.
    pub exchange: Exchange,
    /// The idempotency key, if one was sent.
    pub key: Option<String>,
    /// The body is a JWE to our key.
    pub encrypted_request: bool,
    /// The answer must be a JWE to this key.
    pub response_key: Option<ResponseKey>,
}

/// A call about a cardholder: the one in the path, or the caller itself under `/customers/me`.
pub struct CustomerCall {
    /// The call.
    pub call: Call,
    /// The cardholder as the path names it.
    pub customer: String,
}

impl CustomerCall {
    /// A cardholder has given the wallet PIN a moment ago; others answer for themselves. Source:
    /// requirements #37, #42.
    pub fn check_stepped_up(&self) -> Result<()> {
        match self.call.caller {
            Caller::Customer(holder) if !holder.stepped_up => Err(Code::StepUpRequired.into()),
            Caller::Customer(_)
            | Caller::Partner(_)
            | Caller::Operator(_)
            | Caller::Processor(_) => Ok(()),
        }
    }
}

impl Call {
    /// The call of `caller`, without encryption.
    pub fn new(caller: Caller, parts: &Parts) -> Result<Self> {
        let exchange = parts.extensions.get::<Exchange>().cloned().unwrap_or_default();
        Ok(Self {
            caller,
            route: format!("{} {}", parts.method, parts.uri.path()),
            exchange,
            key: idempotency_key(&parts.headers)?,
            encrypted_request: false,
            response_key: None,
        })
    }
}

/// A header's text, where it has one.
#[must_use]
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let invalid = || Error::from(Code::InvalidIdempotencyKey);
    let mut found: Option<String> = None;
    for name in KEY_HEADERS {
        for value in headers.get_all(name) {
            let key = value.to_str().map_err(|_not_ascii| invalid())?;
            if !KEY_CHARS.contains(&key.len()) || found.as_deref().is_some_and(|one| one != key) {
                return Err(invalid());
            }
            found = Some(key.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(headers: &[(&'static str, &'static str)]) -> Option<Option<String>> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        idempotency_key(&map).ok()
    }

    #[test]
    fn a_trace_goes_on_where_its_header_is_sound_and_begins_anew_where_not() {
        let (random, trace) = (Uuid::new_v4(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let goes_on = |header: &str| Trace::of(Some(header), random).to_string().contains(trace);
        let header = format!("00-{trace}-00f067aa0ba902b7-01");
        let ours = Trace::of(Some(&header), random).to_string();
        assert!(ours.starts_with(&format!("00-{trace}-")) && ours.ends_with("-01"), "{ours}");
        assert!(!ours.contains("00f067aa0ba902b7"), "the place is ours");
        assert!(goes_on(&format!("cc-{trace}-00f067aa0ba902b7-01-what")));
        for header in [
            format!("00-{trace}-00f067aa0ba902b7-01-what"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00-{trace}-00f067aa0ba902b7"),
            String::new(),
        ] {
            assert!(!goes_on(&header), "{header}");
        }
        let new = Trace::of(None, random);
        assert!(new.trace == random.as_u128() && new.span != 0 && new.flags == 0);
    }

    #[test]
    fn either_header_gives_the_key_and_both_must_agree() {
        assert_eq!(key_of(&[]), Some(None));
        assert_eq!(key_of(&[("x-idempotency-key", "a")]), Some(Some("a".into())));
        assert_eq!(key_of(&[("idempotency-key", "a")]), Some(Some("a".into())));
        let both = [("idempotency-key", "a"), ("x-idempotency-key", "a")];
        assert_eq!(key_of(&both), Some(Some("a".into())));
        assert_eq!(key_of(&[("idempotency-key", "a"), ("x-idempotency-key", "b")]), None);
        assert_eq!(key_of(&[("idempotency-key", "")]), None);
    }
}
