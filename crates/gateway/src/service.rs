//! One request: let in or not, routed, answered, logged. Whatever happens, exactly one response comes out.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use http::header::CONNECTION;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, request};
use hyper::body::Incoming;
use hyper::service::Service;
use serde_json::json;
use tracing::Instrument;

use crate::caller::Caller;
use crate::exchange::Exchange;
use crate::guard::Guard;
use crate::intake::Intake;
use crate::keys::Keyring;
use crate::phase::Watch;
use crate::reply::{self, Reply, ReplyBody, Whole};
use crate::route::{Route, route};
use crate::stream::Events;
use crate::streams::Streams;
use crate::{Backend, BoxFuture, Model, Options, Refusal, chat, responses, resume};

/// What all requests share.
pub(crate) struct App {
    pub(crate) options: Options,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) guard: Guard,
    pub(crate) keys: Keyring,
    pub(crate) streams: Streams,
    pub(crate) phase: Watch,
}

/// The requests of one connection.
#[derive(Clone)]
pub(crate) struct Handler {
    app: Arc<App>,
    /// A response was sent while its request's body was still coming.
    unread: Arc<AtomicBool>,
}

impl Handler {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self {
            app,
            unread: Arc::default(),
        }
    }

    /// Whether the client may still be sending a body that nobody wants.
    pub(crate) fn left_something_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }
}

impl Service<Request<Incoming>> for Handler {
    type Response = Response<ReplyBody>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Result<Self::Response, Self::Error>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let handler = self.clone();
        Box::pin(async move { Ok(handler.respond(request).await) })
    }
}

impl Handler {
    async fn respond(&self, request: Request<Incoming>) -> Response<ReplyBody> {
        let (head, body) = request.into_parts();
        let mut body = Intake::new(body);
        let mut exchange = Exchange::begin(&head.method, head.uri.path());
        let request_id = HeaderValue::from_str(exchange.id());

        let span = exchange.span().clone();
        let answering = AssertUnwindSafe(answer(&self.app, &head, &mut body, &mut exchange));
        let outcome = answering
            .catch_unwind()
            .instrument(span)
            .await
            .unwrap_or_else(|_panic| {
                exchange.verdict("panicked");
                tracing::error!(parent: exchange.span(), "a bug: answering the request panicked");
                Err(Refusal::internal("a bug in this server; its log has more"))
            });

        let mut response = self.write(outcome, exchange);
        if let Ok(id) = request_id {
            response
                .headers_mut()
                .insert(HeaderName::from_static("x-request-id"), id);
        }
        if !body.is_complete() {
            self.unread.store(true, Ordering::Relaxed);
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn write(&self, outcome: Result<Reply, Refusal>, mut exchange: Exchange) -> Response<ReplyBody> {
        let response = match outcome {
            Ok(Reply::Live(live)) => {
                exchange.committed(200);
                let stream = live.follow.log().id();
                let mut response = reply::events(Events::new(*live, exchange, self.app.options.keepalive));
                reply::name_stream(&mut response, stream);
                return response;
            }
            Ok(Reply::Whole(Whole { json, stream })) => {
                let mut response = reply::json(StatusCode::OK, json);
                if let Some(stream) = stream {
                    reply::name_stream(&mut response, stream);
                }
                response
            }
            Err(refusal) => reply::refusal(&refusal),
        };
        exchange.answered(response.status().as_u16(), response.body().len());
        response
    }
}

async fn answer(
    app: &App,
    head: &request::Parts,
    body: &mut Intake,
    exchange: &mut Exchange,
) -> Result<Reply, Refusal> {
    app.guard.check(head.version, &head.uri, &head.headers)?;
    let route = route(&head.method, head.uri.path())?;
    let caller = match route {
        Route::Health => Caller::anyone(),
        _ => app.keys.caller(&head.headers)?,
    };
    if let Some(name) = caller.name() {
        exchange.key(name);
    }
    match route {
        Route::Health => Ok(Reply::json(br#"{"status":"ok"}"#.to_vec())),
        Route::Models => {
            let data: Vec<_> = app.backend.models().iter().map(model_json).collect();
            Ok(Reply::json(
                json!({ "object": "list", "data": data }).to_string().into_bytes(),
            ))
        }
        Route::Model(id) => {
            let model = app
                .backend
                .model(&id)
                .ok_or_else(|| Refusal::unknown_model(&id, &app.backend.names()))?;
            Ok(Reply::json(model_json(&model).to_string().into_bytes()))
        }
        Route::Chat => {
            let body = read(app, head, body).await?;
            chat::answer(app, &head.headers, &body, &caller, exchange).await
        }
        Route::Respond => {
            let body = read(app, head, body).await?;
            responses::create(app, &head.headers, &body, &caller, exchange).await
        }
        Route::Response(id) => {
            responses::retrieve(&app.streams, &id, &head.headers, &head.uri, &caller).await
        }
        Route::DeleteResponse(id) => responses::delete(&app.streams, &id, &caller).await,
        Route::CancelResponse(id) => responses::cancel(&app.streams, &id, &caller).await,
        Route::Stream(id) => resume::read(&app.streams, &id, &head.headers, &head.uri, &caller).await,
        Route::CancelStream(id) => resume::cancel(&app.streams, &id, &caller).await,
    }
}

async fn read(app: &App, head: &request::Parts, body: &mut Intake) -> Result<Vec<u8>, Refusal> {
    let Options {
        max_body,
        body_timeout,
        ..
    } = app.options;
    body.read(&head.headers, max_body, body_timeout).await
}

fn model_json(model: &Model) -> serde_json::Value {
    json!({ "id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by })
}
