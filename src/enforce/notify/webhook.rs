//! POSTs a message, over TLS where the address says `https://`.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::policy::rule::Webhook;

/// How long the receiver may take, from the first packet to the status.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends one message after the other, each on a connection of its own.
pub(super) struct Client(Runtime);

impl Client {
    pub fn new() -> io::Result<Self> {
        Builder::new_current_thread().enable_io().enable_time().build().map(Self)
    }

    /// Sends a document. Redirects are not followed.
    pub fn post(&self, to: &Webhook, json: &str) -> Result<String, String> {
        let address = &to.address;
        let send = || {
            let uri: Uri = address.parse().map_err(|error| format!("no address: {error}"))?;
            let tls = match uri.scheme_str() {
                Some("http") => None,
                Some("https") => Some(tls(to.ca_file.as_deref())?),
                _ => return Err("expected an address that starts with https:// or http://".to_owned()),
            };
            self.0
                .block_on(async { tokio::time::timeout(TIMEOUT, post(&uri, tls, json)).await })
                .unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")))
        };
        send().map_err(|reason| format!("{address}: {reason}"))
    }
}

async fn post(uri: &Uri, tls: Option<TlsConnector>, json: &str) -> Result<String, String> {
    let port = if tls.is_some() { 443 } else { 80 };
    let host = uri.host().ok_or("no host")?;
    let authority = uri.authority().ok_or("no host")?.as_str();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, uri.port_u16().unwrap_or(port))).await;
    let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(HOST, authority.rsplit('@').next().unwrap_or(authority))
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("stockade/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::copy_from_slice(json.as_bytes())))
        .map_err(|error| format!("no request: {error}"))?;
    let status = match tls {
        None => talk(stream, request).await?,
        Some(tls) => {
            let name = ServerName::try_from(bare.to_owned()).map_err(|error| format!("no host: {error}"))?;
            let stream = tls.connect(name, stream).await.map_err(|error| {
                format!(
                    "no TLS connection: {error}; `ca_file` beside `webhook` names the receiver's authority"
                )
            })?;
            talk(stream, request).await?
        }
    };
    if status.is_success() { Ok(status.to_string()) } else { Err(format!("answered {status}")) }
}

/// One request, and the status of its answer.
async fn talk<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
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
    talk.await.map_err(|error| format!("no answer: {error}"))
}

/// TLS with a receiver of these authorities, or of those that the host trusts. They are read each time: messages are
/// few, and authorities are renewed.
fn tls(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    let mut authorities = RootCertStore::empty();
    let (found, whence) = match ca_file {
        Some(file) => {
            let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let file = file.display().to_string();
            (read.map_err(|error| format!("the authorities in {file} cannot be read: {error}"))?, file)
        }
        None => (rustls_native_certs::load_native_certs().certs, "the host's trust store".to_owned()),
    };
    let (usable, _) = authorities.add_parsable_certificates(found);
    if usable == 0 {
        return Err(format!(
            "there is no authority in {whence}: name some with `ca_file` beside `webhook` (PEM)"
        ));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("no TLS: {error}"))?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
