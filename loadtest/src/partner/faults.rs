//! Answers that go wrong because somebody asked for it: late, with another status, none, unreadable.
//!
//! Invariant: a fault is used up by the calls of its operation, in the order in which faults were
//! asked for; there are never more than so many.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::operation::Operation;
use super::reply::Reply;

/// Faults of an operation that wait.
const FAULTS_MAX: usize = 100;
/// Calls that one fault is for.
const TIMES_MAX: u32 = 1_000_000;
/// The longest delay, ms.
const DELAY_MS_MAX: u64 = 600_000;
/// What is sent in place of JSON.
const GARBAGE: &str = "{\"title\": \"GARB";

/// The body of `POST /control/faults`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    operation: Operation,
    fault: Kind,
    milliseconds: Option<u64>,
    status: Option<u16>,
    times: Option<u32>,
    #[serde(default)]
    after: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Delay,
    Status,
    Close,
    Garbage,
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// It comes later.
    Delay(Duration),
    /// It has another status.
    Status(StatusCode),
    /// The connection closes in its place.
    Close,
    /// It has this status and a body that breaks off.
    Garbage(StatusCode),
}

/// A fault of some calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// What happens to the answer.
    pub(super) disturbance: Disturbance,
    /// Whether the request has its effect before that; otherwise it has none, unless it is only late.
    pub(super) after: bool,
    left: u32,
}

/// Set on a response in whose place the connection closes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Close;

/// Faults that wait for calls.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<Operation, VecDeque<Fault>>);

impl Disturbance {
    /// What is sent in place of the answer; nothing if it is only late.
    pub(super) fn instead(self) -> Option<Response> {
        match self {
            Self::Delay(_) => None,
            Self::Status(status) => {
                Some(Reply::problem(status, "FAULT", "asked for").into_response())
            }
            Self::Close => {
                let mut response = StatusCode::SERVICE_UNAVAILABLE.into_response();
                response.extensions_mut().insert(Close);
                Some(response)
            }
            Self::Garbage(status) => {
                let kind = [(header::CONTENT_TYPE, "application/json")];
                Some((status, kind, GARBAGE).into_response())
            }
        }
    }

    /// How long the answer waits.
    pub(super) fn pause(self) -> Duration {
        match self {
            Self::Delay(pause) => pause,
            Self::Status(_) | Self::Close | Self::Garbage(_) => Duration::ZERO,
        }
    }
}

impl Faults {
    /// Takes a wish; says what is wrong with it.
    pub(super) fn add(&mut self, wish: Wish) -> Result<(), String> {
        let Wish { operation, fault, milliseconds, status, times, after } = wish;
        let (left, pause) = (times.unwrap_or(1), milliseconds.unwrap_or(1_000));
        if !(1..=TIMES_MAX).contains(&left) {
            return Err(format!("times: it must be 1 to {TIMES_MAX}"));
        }
        if pause > DELAY_MS_MAX {
            return Err(format!("milliseconds: it must be 0 to {DELAY_MS_MAX}"));
        }
        let status = |otherwise: StatusCode| match status.map(StatusCode::from_u16) {
            None => Ok(otherwise),
            Some(Ok(status)) if (200..600).contains(&status.as_u16()) => Ok(status),
            Some(_) => Err("status: it must be 200 to 599".to_owned()),
        };
        let disturbance = match fault {
            Kind::Delay => Disturbance::Delay(Duration::from_millis(pause)),
            Kind::Status => Disturbance::Status(status(StatusCode::SERVICE_UNAVAILABLE)?),
            Kind::Close => Disturbance::Close,
            Kind::Garbage => Disturbance::Garbage(status(StatusCode::OK)?),
        };
        let waiting = self.0.entry(operation).or_default();
        if waiting.len() >= FAULTS_MAX {
            return Err(format!("operation: {FAULTS_MAX} faults wait for it already"));
        }
        waiting.push_back(Fault { disturbance, after, left });
        Ok(())
    }

    /// The fault of the call that comes now.
    pub(super) fn next(&mut self, operation: Operation) -> Option<Fault> {
        let waiting = self.0.get_mut(&operation)?;
        let first = waiting.front_mut()?;
        first.left -= 1;
        let fault = *first;
        if fault.left == 0 {
            waiting.pop_front();
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn add(faults: &mut Faults, wish: Value) -> Result<(), String> {
        faults.add(serde_json::from_value(wish).map_err(|error| error.to_string())?)
    }

    #[test]
    fn faults_are_used_up_in_order_by_calls_of_their_operation_alone() {
        let mut faults = Faults::default();
        add(&mut faults, json!({ "operation": "force-debit", "fault": "close", "times": 2 }))
            .unwrap();
        add(
            &mut faults,
            json!({ "operation": "force-debit", "fault": "status", "status": 500,
            "after": true }),
        )
        .unwrap();
        assert_eq!(faults.next(Operation::Debit), None);
        let mut next =
            || faults.next(Operation::ForceDebit).map(|fault| (fault.disturbance, fault.after));
        assert_eq!(next(), Some((Disturbance::Close, false)));
        assert_eq!(next(), Some((Disturbance::Close, false)));
        let status = Disturbance::Status(StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(next(), Some((status, true)));
        assert_eq!(next(), None);
    }

    #[test]
    fn a_wish_that_makes_no_sense_is_refused() {
        let mut faults = Faults::default();
        for (wish, why) in [
            (json!({ "fault": "close" }), "missing field `operation`"),
            (json!({ "operation": "debit", "fault": "explode" }), "unknown variant"),
            (json!({ "operation": "debit", "fault": "close", "time": 1 }), "unknown field `time`"),
            (json!({ "operation": "debit", "fault": "close", "times": 0 }), "times: "),
            (json!({ "operation": "debit", "fault": "status", "status": 101 }), "status: "),
            (
                json!({ "operation": "debit", "fault": "delay", "milliseconds": 600_001 }),
                "milliseconds: ",
            ),
        ] {
            let refused = add(&mut faults, wish.clone()).unwrap_err();
            assert!(refused.contains(why), "{wish}: {refused}");
        }
        let close = json!({ "operation": "debit", "fault": "close" });
        for _fault in 0..FAULTS_MAX {
            add(&mut faults, close.clone()).unwrap();
        }
        assert!(add(&mut faults, close).unwrap_err().contains("wait for it already"));
    }
}
