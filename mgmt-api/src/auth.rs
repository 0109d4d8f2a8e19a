//! Who may ask: partners by certificate, cardholders and operators by session.
//!
//! Invariants: identity comes from the TLS connection or a secret that was compared by its hash,
//! never from what a body or a payload says; a request reaches its handler only through
//! `access::admit`.

pub mod access;
pub mod admin_token;
pub(crate) mod client_cert;
pub(crate) mod encryption;
pub mod password;
pub mod rate;
pub mod role;
pub mod session;
