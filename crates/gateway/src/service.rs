//! One request: let in or not, routed, answered, logged. Whatever happens, exactly one response comes out: a whole one is
//! given to hyper, an event stream to the connection.

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, request};
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
use crate::sending::{Manner, Sending};
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
    desk: Arc<Desk>,
}

/// What the requests of a connection leave for it.
#[derive(Default)]
struct Desk {
    /// A response was sent while its request's body was still coming.
    unread: AtomicBool,
    /// A response that hyper is not to send.
    sending: Mutex<Option<Sending>>,
}

/// What a request is answered with.
enum Answer {
    Whole(Response<ReplyBody>),
    Events(Response<()>, Box<Events>),
}

impl Handler {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self {
            app,
            desk: Arc::default(),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.app.options
    }

    /// The event stream that answers the last request, once it has begun. The request stays unanswered for hyper.
    pub(crate) fn take_sending(&self) -> Option<Sending> {
        self.desk.sending().take()
    }

    /// Whether the client may still be sending a body that nobody wants.
    pub(crate) fn left_something_unread(&self) -> bool {
        self.desk.unread.load(Ordering::Relaxed)
    }
}

impl Desk {
    fn sending(&self) -> MutexGuard<'_, Option<Sending>> {
        // Nothing that is done under this lock can panic half way.
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service<Request<Incoming>> for Handler {
    type Response = Response<ReplyBody>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Result<Self::Response, Self::Error>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let handler = self.clone();
        Box::pin(async move {
            if let Some(response) = handler.respond(request).await {
                return Ok(response);
            }
            // The connection takes what is on its desk, and drops this with all that hyper has of the request.
            pending().await
        })
    }
}

impl Handler {
    /// The response, unless it is left on the desk.
    async fn respond(&self, request: Request<Incoming>) -> Option<Response<ReplyBody>> {
        let (head, body) = request.into_parts();
        let mut body = Intake::new(body);
        let mut exchange = Exchange::begin(&head.method, head.uri.path());
        let request_id = HeaderValue::from_str(exchange.id()).ok();

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
        let headers = response.headers_mut();
        if let Some(id) = request_id {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        if !body.is_complete() {
            self.desk.unread.store(true, Ordering::Relaxed);
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        match response {
            Answer::Whole(response) => Some(response),
            Answer::Events(response, events) => {
                let sending = Sending::new(&response, events, Manner::of(&head));
                *self.desk.sending() = Some(sending);
                None
            }
        }
    }

    fn write(&self, outcome: Result<Reply, Refusal>, mut exchange: Exchange) -> Answer {
        let response = match outcome {
            Ok(Reply::Live(live)) => {
                exchange.committed(200);
                let mut response = reply::events();
                reply::name_stream(&mut response, live.follow.log().id());
                let events = Events::new(*live, exchange, self.app.options.keepalive);
                return Answer::Events(response, Box::new(events));
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
        Answer::Whole(response)
    }
}

impl Answer {
    fn headers_mut(&mut self) -> &mut HeaderMap {
        match self {
            Self::Whole(response) => response.headers_mut(),
            Self::Events(response, _) => response.headers_mut(),
        }
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
        Route::InputItems(id) => responses::input_items(&app.streams, &id, &head.uri, &caller).await,
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
