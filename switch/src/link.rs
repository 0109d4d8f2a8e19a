//! A link: one processor, its rules, and what its connections share.
//!
//! | file | what it holds |
//! |---|---|
//! | `allow` | the addresses that peers may connect from |
//! | `network_codes` | what the codes of network management mean |
//! | `tls` | certificates, handshakes, who a peer is |
//! | `stream` | a connection's bytes, plain or TLS |
//! | `connection` | one connection's life: frames in, answers out, every wait bounded |
//! | `dial` | connections that we open and keep |
//!
//! Invariant: a link is signed on from a sign-on on any of its connections until a sign-off on any,
//! or until its last connection ends: processors sign a link on once and spread its messages over
//! all of its connections, and a peer that has gone altogether must say again that it is there.

pub mod allow;
pub mod connection;
pub mod dial;
pub mod network_codes;
pub mod stream;
pub mod tls;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use shared::action_code::ResponseData;
use shared::credential::KeyProvider;
use shared::ids::LinkId;
use shared::iso8583::{Dialect, Framing};
use shared::pan::TokenKey;

use crate::clock;
use crate::config::{self, Direction, KeepAlive, SignOn, Unsigned};
use crate::intake::Reading;
use crate::metrics::LinkMetrics;
use network_codes::NetworkCodes;

/// The largest STAN.
const STAN_MAX: u32 = 999_999;

/// A link's settings, compiled.
pub struct LinkRules {
    /// For logs and metrics.
    pub name: String,
    /// Part of every message key.
    pub id: LinkId,
    /// Who opens its connections.
    pub direction: Direction,
    /// Its fields.
    pub dialect: &'static Dialect,
    /// Its frames.
    pub framing: Framing,
    /// Its network management codes.
    pub network_codes: NetworkCodes,
    /// How its messages are read, and its DE39 values.
    pub reading: Reading,
    /// What its answers say besides DE39.
    pub data: ResponseData,
    /// Whether messages are served before a sign-on.
    pub sign_on: SignOn,
    /// What a message before the sign-on gets.
    pub unsigned: Unsigned,
    /// What is sent on a silent connection.
    pub keep_alive: KeepAlive,
    /// After how much silence.
    pub keep_alive_interval: Duration,
    /// A frame that has begun must be whole within this time.
    pub frame_deadline: Duration,
    /// A peer must take its answers within this time.
    pub write_deadline: Duration,
    /// An answer later than this is not sent, and one to us not waited for.
    pub reply_deadline: Duration,
    /// Unreadable frames after which a connection is closed.
    pub unreadable_frames_max: u32,
}

/// One link: its rules, and what all of its connections share.
pub struct Link {
    /// What the configuration says.
    pub rules: LinkRules,
    /// Counted by all of its connections.
    pub metrics: LinkMetrics,
    connections: Cell<usize>,
    signed_on: Cell<bool>,
    stan: Cell<u32>,
}

/// One connection's part in its link.
pub struct Member(Rc<Link>);

impl LinkRules {
    /// From the configuration.
    ///
    /// # Errors
    /// Names link and key.
    pub fn new(
        link: &config::Link,
        token_key: TokenKey,
        keys: Rc<dyn KeyProvider>,
    ) -> anyhow::Result<Self> {
        let dialect = link.dialect()?;
        let reading = Reading {
            link: LinkId(link.id),
            edition: dialect.version(),
            token_key,
            keys,
            markers: link.markers(dialect)?,
            advice_code: link.advice_code,
            codes: link.codes(dialect.version())?,
            volatile_time: link.volatile_time,
            lock_outside: link.lock_outside,
        };
        Ok(Self {
            name: link.name.clone(),
            id: LinkId(link.id),
            direction: link.direction,
            dialect,
            framing: Framing::new(link.framing, link.header, link.frame_bytes_max),
            network_codes: link.network_codes(dialect.version())?,
            reading,
            data: link.data(dialect)?,
            sign_on: link.sign_on,
            unsigned: link.unsigned,
            keep_alive: link.keep_alive,
            keep_alive_interval: Duration::from_millis(link.keep_alive_interval_ms),
            frame_deadline: Duration::from_millis(link.frame_deadline_ms),
            write_deadline: Duration::from_millis(link.write_deadline_ms),
            reply_deadline: Duration::from_millis(link.reply_deadline_ms),
            unreadable_frames_max: link.unreadable_frames_max,
        })
    }
}

impl Link {
    /// Nobody is connected yet.
    #[must_use]
    pub fn new(rules: LinkRules, metrics: LinkMetrics) -> Rc<Self> {
        // A restart must not begin with the numbers of the run before.
        let seconds = clock::now().0 / 1_000 % u64::from(STAN_MAX);
        let stan = Cell::new(u32::try_from(seconds).unwrap_or_default());
        let (connections, signed_on) = (Cell::new(0), Cell::new(false));
        Rc::new(Self { rules, metrics, connections, signed_on, stan })
    }

    /// A connection is there.
    #[must_use]
    pub fn join(self: &Rc<Self>) -> Member {
        self.connections.set(self.connections.get() + 1);
        self.metrics.connections(self.connections.get());
        Member(Rc::clone(self))
    }

    /// Whether messages are served now.
    #[must_use]
    pub fn is_served(&self) -> bool {
        match self.rules.sign_on {
            SignOn::None => true,
            SignOn::Required => self.signed_on.get(),
        }
    }

    /// A sign-on was exchanged.
    pub fn sign_on(&self) {
        self.set_signed_on(true);
    }

    /// A sign-off was exchanged.
    pub fn sign_off(&self) {
        self.set_signed_on(false);
    }

    /// The number of our next message: from 1 to 999,999, then from 1 again.
    pub fn next_stan(&self) -> u32 {
        let stan = self.stan.get() % STAN_MAX + 1;
        self.stan.set(stan);
        stan
    }

    fn set_signed_on(&self, signed_on: bool) {
        self.signed_on.set(signed_on);
        self.metrics.signed_on(signed_on);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let left = self.0.connections.get().saturating_sub(1);
        self.0.connections.set(left);
        self.0.metrics.connections(left);
        if left == 0 {
            self.0.sign_off();
        }
    }
}
