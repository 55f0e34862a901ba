//! POSTs a message. Plain HTTP only: a receiver elsewhere belongs behind a proxy that speaks TLS.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// How long the receiver may take, from the first packet to the status.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends one message after the other, each on a connection of its own.
pub(super) struct Client(Runtime);

impl Client {
    pub fn new() -> io::Result<Self> {
        Builder::new_current_thread().enable_io().enable_time().build().map(Self)
    }

    /// Sends a document. Redirects are not followed.
    pub fn post(&self, to: &str, json: &str) -> Result<String, String> {
        let sent = self.0.block_on(async { tokio::time::timeout(TIMEOUT, post(to, json)).await });
        sent.map_err(|_| format!("{to} did not answer within {TIMEOUT:?}"))?
            .map_err(|reason| format!("{to}: {reason}"))
    }
}

async fn post(to: &str, json: &str) -> Result<String, String> {
    let uri: Uri = to.parse().map_err(|error| format!("no address: {error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err("expected an address that starts with http://".to_owned());
    }
    let host = uri.host().ok_or("no host")?;
    let authority = uri.authority().ok_or("no host")?.as_str();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, uri.port_u16().unwrap_or(80))).await;
    let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(HOST, authority.rsplit('@').next().unwrap_or(authority))
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("stockade/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::copy_from_slice(json.as_bytes())))
        .map_err(|error| format!("no request: {error}"))?;
    let talk = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let (mut response, mut connection) = (pin!(sender.send_request(request)), pin!(connection));
        // The connection is driven as long as the answer is waited for; the receiver may close it behind the answer.
        let response = tokio::select! {
            biased;
            response = &mut response => response,
            _ = &mut connection => response.await,
        };
        response.map(|response| response.status())
    };
    let status = talk.await.map_err(|error| format!("no answer: {error}"))?;
    if status.is_success() { Ok(status.to_string()) } else { Err(format!("answered {status}")) }
}
