//! The body of a request that is answered before it was read: the rest is taken and thrown away
//! for a while, so that a sender who writes first and reads then hears why.
//!
//! Without it the connection would be reset under the sender's hands, and the answer with it.
//! Invariant: bounded in bytes and in time for each request.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use axum::body::{Body, Bytes};
use hyper::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::header::EXPECT;
use tokio::time::timeout;

/// Bytes that are thrown away of one request.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long they may take.
const TIME_MAX: Duration = Duration::from_secs(2);

/// A request whose body lingers.
pub(crate) fn lingering(request: Request<Incoming>) -> Request<Body> {
    // Who asks before sending has nothing under way.
    let asks_first = request.headers().contains_key(EXPECT);
    request.map(|body| Body::new(Lingering { body: Some(body), under_way: !asks_first }))
}

struct Lingering {
    /// Nothing only while it is dropped.
    body: Option<Incoming>,
    under_way: bool,
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.under_way = true;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        if let (true, Ok(runtime)) = (self.under_way, tokio::runtime::Handle::try_current()) {
            runtime.spawn(timeout(TIME_MAX, throw_away(body)));
        }
    }
}

async fn throw_away(mut body: Incoming) {
    let mut left = BYTES_MAX;
    let next = async |body: &mut Incoming| {
        core::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
    };
    while let Some(Ok(frame)) = next(&mut body).await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}
