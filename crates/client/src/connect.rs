//! The deadline on connecting, kept where connections are made: only there is it known whether one stands or is still
//! being made. It goes by the wall clock, as all deadlines do; the HTTP library's own goes by a clock that stands still
//! while a laptop sleeps.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tower_layer::Layer;
use tower_service::Service;

use crate::{clock::Clock, progress::Progress};

/// What `connecting` gives, or `None` once it has taken too long. Whoever watches the call is told meanwhile.
pub(crate) async fn within<T>(limit: Option<Duration>, connecting: impl Future<Output = T>) -> Option<T> {
    let _note = limit.map(Progress::connecting);
    Clock::start().bound(limit, connecting).await
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes a connector give up after this long: name resolution, TCP, a proxy's part and TLS together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectWithin(pub(crate) Duration);

/// A connector that gives up in time.
#[derive(Clone, Debug)]
pub(crate) struct Bounded<C> {
    connector: C,
    limit: Duration,
}

/// The connection did not stand in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection in time")]
pub(crate) struct TooLate;

impl<C> Layer<C> for ConnectWithin {
    type Service = Bounded<C>;

    fn layer(&self, connector: C) -> Bounded<C> {
        Bounded {
            connector,
            limit: self.0,
        }
    }
}

impl<C, To> Service<To> for Bounded<C>
where
    C: Service<To, Error = BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, to: To) -> Self::Future {
        let connecting = self.connector.call(to);
        let limit = self.limit;
        Box::pin(async move {
            let connected = within(Some(limit), connecting).await;
            connected.unwrap_or_else(|| Err(TooLate.into()))
        })
    }
}
