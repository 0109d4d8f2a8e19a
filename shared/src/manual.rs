//! The manual: what the issuer does, for those who certify, operate and extend it. Text only.

#[doc = include_str!("manual/fees.md")]
pub mod fees {}

#[doc = include_str!("manual/history.md")]
pub mod history {}

#[doc = include_str!("manual/messages.md")]
pub mod messages {}

#[doc = include_str!("manual/notices.md")]
pub mod notices {}

#[doc = include_str!("manual/panel.md")]
pub mod panel {}

#[doc = include_str!("manual/partners.md")]
pub mod partners {}

#[doc = include_str!("manual/reasons.md")]
pub mod reasons {}

#[doc = include_str!("manual/requirements.md")]
pub mod requirements {}

#[doc = include_str!("manual/sandbox.md")]
pub mod sandbox {}

#[doc = include_str!("manual/wire.md")]
pub mod wire {}
