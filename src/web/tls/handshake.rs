//! From a TCP connection to a TLS one, or to the reason why not.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{Error, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::super::connection::{LINGER, LINGER_BYTES};

/// What a client gets that speaks HTTP where HTTPS is served. It is no TLS record, so that the client can read it.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\nthis port serves HTTPS, and the request is plain HTTP: ask https://\n";

/// Why a TLS connection did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandshakeFailure {
    /// The client was too slow.
    Timeout,
    /// The client left, or the network failed.
    Disconnected,
    /// The client speaks HTTP without TLS.
    PlainHttp,
    /// The client speaks something else.
    NotTls,
    /// No version, cipher suite or group that both take.
    Incompatible,
    /// The client showed no certificate where one is required.
    NoCertificate,
    /// The client's certificate is not let in: run out, not yet valid, of a foreign authority, with no allowed name.
    BadCertificate,
    /// The client said no: as a rule, it does not trust this server's certificate.
    RefusedByClient,
    /// Anything else.
    Other,
}

impl HandshakeFailure {
    /// Every reason, in order.
    pub const ALL: &'static [Self] = &[
        Self::Timeout,
        Self::Disconnected,
        Self::PlainHttp,
        Self::NotTls,
        Self::Incompatible,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::RefusedByClient,
        Self::Other,
    ];

    /// A short, fixed word: the value of a metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Disconnected => "disconnected",
            Self::PlainHttp => "plain_http",
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::RefusedByClient => "refused_by_client",
            Self::Other => "other",
        }
    }

    fn of(error: &io::Error) -> Self {
        let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return Self::Disconnected;
        };
        match error {
            Error::InvalidMessage(_) => Self::NotTls,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible,
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(_) => Self::BadCertificate,
            Error::AlertReceived(_) => Self::RefusedByClient,
            _ => Self::Other,
        }
    }
}

/// Agrees with the client on keys.
///
/// # Errors
/// Why not. A client that can read the reason was told.
pub(crate) async fn shake_hands(
    stream: TcpStream,
    config: Arc<ServerConfig>,
) -> Result<TlsStream<TcpStream>, HandshakeFailure> {
    let mut first = [0];
    let seen = stream.peek(&mut first).await.map_err(|_| HandshakeFailure::Disconnected)?;
    // A method begins with a letter; no record of TLS does.
    if seen == 1 && first[0].is_ascii_uppercase() {
        refuse_plain_http(stream).await;
        return Err(HandshakeFailure::PlainHttp);
    }
    TlsAcceptor::from(config).accept(stream).await.map_err(|error| {
        // Anybody can cause these, as often as they like: they are counted, not logged.
        tracing::debug!(%error, "no TLS connection");
        HandshakeFailure::of(&error)
    })
}

/// Says what is wrong. What the client sent is read, lest the kernel resets the connection and with it the answer.
async fn refuse_plain_http(mut stream: TcpStream) {
    let farewell = async {
        stream.write_all(PLAIN_HTTP).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(LINGER_BYTES as u64), &mut tokio::io::sink()).await
    };
    // A client that is gone, or goes on for ever, misses nothing.
    let _ = tokio::time::timeout(LINGER, farewell).await;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let words: HashSet<_> = HandshakeFailure::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(words.len(), HandshakeFailure::ALL.len());
    }
}
