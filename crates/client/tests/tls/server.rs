//! A server of HTTP/2 over TLS whose every frame a test decides.

use std::{
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aurora_client::Endpoint;
use h2::{
    Reason, RecvStream, SendStream,
    server::{Connection, SendResponse},
};
use http::{Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

type Bytes = std::io::Cursor<Vec<u8>>;

/// Runs until it is dropped.
pub(crate) struct Server {
    address: std::net::SocketAddr,
    connections: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

/// The end of a connection as it is to be announced, and who waits until it is.
type Goodbye = (Option<Reason>, oneshot::Sender<()>);

/// One request, to be answered.
pub(crate) struct Exchange {
    /// Counted from 0 over all connections.
    pub(crate) number: usize,
    _request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    goodbyes: mpsc::Sender<Goodbye>,
}

/// The body of a response.
pub(crate) struct Body(SendStream<Bytes>);

impl Server {
    /// Answers every request on a task of its own.
    pub(crate) async fn start<F>(
        tls: Arc<ServerConfig>,
        answer: impl Fn(Exchange) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let (answer, requests) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
            let mut open = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let tls = TlsAcceptor::from(Arc::clone(&tls));
                let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                // A client that does not like our certificate leaves in the handshake.
                open.spawn(async move {
                    if let Ok(socket) = tls.accept(socket).await
                        && let Ok(connection) = h2::server::Builder::new().handshake(socket).await
                    {
                        serve(connection, &*answer, &requests).await;
                    }
                });
            }
        });
        Self {
            address,
            connections,
            _task: task,
        }
    }

    /// How many connections have been made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::new("up", &format!("https://{}/v1", self.address)).expect("a URL")
    }
}

impl Exchange {
    /// Accepts the request.
    pub(crate) fn accept(&mut self) -> Body {
        let head = Response::builder().header("content-type", "text/event-stream");
        let body = self.respond.send_response(head.body(()).expect("a head"), false);
        Body(body.expect("the client is there"))
    }

    /// Refuses the request in HTTP/2's own way.
    pub(crate) fn reset(&mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    /// Announces the end of the connection: with a reason at once, without one when its streams have ended.
    pub(crate) async fn say_goodbye(&self, reason: Option<Reason>) {
        let (said, heard) = oneshot::channel();
        let asked = self.goodbyes.send((reason, said)).await;
        asked.expect("the connection is there");
        heard.await.expect("the connection is there");
    }
}

impl Body {
    pub(crate) fn send(&mut self, events: impl Into<String>) {
        self.write(events.into(), false);
    }

    pub(crate) fn finish(&mut self) {
        self.write(String::new(), true);
    }

    pub(crate) fn reset(&mut self, reason: Reason) {
        self.0.send_reset(reason);
    }

    /// Waits until the client has reset the stream.
    pub(crate) async fn reset_by_client(&mut self) -> Reason {
        let reason = poll_fn(|cx| self.0.poll_reset(cx)).await;
        reason.expect("the connection stays")
    }

    fn write(&mut self, text: String, last: bool) {
        let sent = self.0.send_data(Bytes::new(text.into_bytes()), last);
        sent.expect("the client is there");
    }
}

async fn serve<F>(
    mut connection: Connection<TlsStream<TcpStream>, Bytes>,
    answer: &(impl Fn(Exchange) -> F + Send + Sync),
    requests: &AtomicUsize,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (goodbyes, mut asked) = mpsc::channel(1);
    let mut exchanges = JoinSet::new();
    loop {
        tokio::select! {
            request = connection.accept() => {
                let Some(Ok((request, respond))) = request else { return };
                let exchange = Exchange {
                    number: requests.fetch_add(1, Ordering::Relaxed),
                    _request: request,
                    respond,
                    goodbyes: goodbyes.clone(),
                };
                exchanges.spawn(answer(exchange));
            }
            Some((reason, said)) = asked.recv() => {
                match reason {
                    None => connection.graceful_shutdown(),
                    Some(reason) => connection.abrupt_shutdown(reason),
                }
                // Whoever asked may have gone.
                let _ = said.send(());
            }
        }
    }
}
