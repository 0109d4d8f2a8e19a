//! Who may ask: partners by certificate, operators by token.
//!
//! Invariant: identity comes from the TLS connection or a secret that was compared in constant
//! time, never from what a body or a payload says.

pub mod admin_token;
pub mod client_cert;
