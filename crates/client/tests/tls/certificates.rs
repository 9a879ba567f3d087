//! Certificates that are not to be trusted: the call fails at once, says why, and does not insist.

use aurora_chat::{FailureKind, Fault, Verdict};
use aurora_client::{Client, Endpoint};
use rcgen::{CertificateParams, SanType, date_time_ymd};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use crate::{
    authority::{Authority, trusting},
    call,
    server::Server,
};

#[test]
fn a_bad_certificate_is_named_and_not_tried_again() {
    trusting(
        "certificates::a_bad_certificate_is_named_and_not_tried_again",
        async |authority: Authority| {
            let another_name = |params: &mut CertificateParams| {
                params.subject_alt_names = vec![SanType::DnsName("example.com".try_into().expect("a name"))];
            };
            let expired = |params: &mut CertificateParams| {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            };
            for (tls, words) in [
                (
                    Authority::stranger().certify("h2", |_| {}),
                    ["UnknownIssuer", "no authority that this machine trusts"],
                ),
                (
                    authority.certify("h2", another_name),
                    ["not valid for name", "example.com"],
                ),
                (authority.certify("h2", expired), ["certificate", "expired"]),
            ] {
                let server = Server::start(tls, |_| async { panic!("no request may come") }).await;
                let told = call(&Client::new().expect("a client"), &server.endpoint()).await;
                let failure = told.end().failure.as_ref().expect("a failure");
                assert_eq!(
                    (failure.kind, told.end().verdict),
                    (FailureKind::Connect, Verdict::Failed(Fault::Server)),
                    "{told:?}"
                );
                assert!(
                    words.iter().all(|word| told.message().contains(word)),
                    "{}",
                    told.message()
                );
                assert_eq!(
                    (told.retries(), server.connections()),
                    (0, 1),
                    "{}",
                    told.message()
                );
            }
        },
    );
}

#[test]
fn a_server_without_tls_is_not_tried_again() {
    trusting(
        "certificates::a_server_without_tls_is_not_tried_again",
        async |_| {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let url = format!("https://{}/v1", listener.local_addr().expect("an address"));
            let server = tokio::spawn(async move {
                let mut connections = 0;
                while let Ok(accepted) =
                    tokio::time::timeout(std::time::Duration::from_secs(1), listener.accept()).await
                {
                    let (mut socket, _) = accepted.expect("a connection");
                    connections += 1;
                    let answer = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
                    socket.write_all(answer).await.expect("the client is there");
                    socket.shutdown().await.expect("the client is there");
                }
                connections
            });
            let endpoint = Endpoint::new("up", &url).expect("a URL");
            let told = call(&Client::new().expect("a client"), &endpoint).await;
            assert_eq!(
                told.end().failure.as_ref().map(|failure| failure.kind),
                Some(FailureKind::Connect)
            );
            assert!(told.message().contains("http://"), "{}", told.message());
            assert_eq!(told.retries(), 0);
            assert_eq!(server.await.expect("no panic"), 1);
        },
    );
}
