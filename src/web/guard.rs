//! Who may connect, and who may ask: what a web configuration says, and how it is held to.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use hyper::header::HeaderMap;
use tokio::sync::watch;
use tokio_rustls::rustls::ServerConfig;

use super::auth::{AuthFailure, Checker, Users};
use super::rate::{Bucket, RateLimit};
use super::tls::HandshakeFailure;

/// What a web configuration says. The default lets everybody in, without TLS.
#[derive(Clone, Debug, Default)]
pub struct Protection {
    /// What TLS is served with; `None` is plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// Who may ask; without users, everybody.
    pub users: Users,
    /// How many requests are let through.
    pub rate_limit: Option<RateLimit>,
    /// What every answer says besides; in place of what the program itself says under the same names.
    pub headers: HeaderMap,
}

/// A connection or a request that was turned away, or a password that was checked: for the program's own metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessEvent {
    /// A TLS connection did not come about.
    HandshakeFailed(HandshakeFailure),
    /// A request was not let in.
    AuthFailed(AuthFailure),
    /// A password was held against a hash, which is what a password costs.
    PasswordHashed {
        /// The cost of the hash: it took 2 to the power of this many rounds.
        cost: u32,
    },
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// More come than [`RateLimit`] lets through.
    TooMany,
    /// Its user is not let in.
    Unauthorized,
}

/// Decides who may connect and ask. What it goes by may be replaced at any time.
#[derive(Debug)]
pub struct Guard {
    protection: watch::Sender<Arc<Protection>>,
    checker: Checker,
    bucket: Bucket,
}

impl Guard {
    /// One that goes by this.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub fn new(protection: Protection) -> io::Result<Self> {
        let checker = Checker::new().map_err(|_| io::Error::other("the kernel gives no random bytes"))?;
        let (protection, _) = watch::channel(Arc::new(protection));
        Ok(Self { protection, checker, bucket: Bucket::default() })
    }

    /// Goes by another protection from now on: at the next handshake, the next request. Kept TLS connections are closed
    /// behind the request that they answer, so that nobody stays who would not be let in again.
    pub fn replace(&self, protection: Protection) {
        let before = self.protection.send_replace(Arc::new(protection));
        if before.users != self.protection.borrow().users {
            self.checker.forget();
        }
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.protection.borrow().tls.is_some()
    }

    /// What TLS is served with now, and how to learn that it is replaced.
    pub(super) fn tls(&self) -> (Option<Arc<ServerConfig>>, watch::Receiver<Arc<Protection>>) {
        let mut protection = self.protection.subscribe();
        let tls = protection.borrow_and_update().tls.clone();
        (tls, protection)
    }

    /// What every answer says besides.
    pub(super) fn headers(&self) -> HeaderMap {
        self.protection.borrow().headers.clone()
    }

    /// Lets a request through, or says why not.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn admit(&self, headers: &HeaderMap, tell: impl Fn(AccessEvent)) -> Result<(), Denied> {
        let protection = Arc::clone(&self.protection.borrow());
        if protection.rate_limit.is_some_and(|limit| !self.bucket.take(limit, Instant::now())) {
            return Err(Denied::TooMany);
        }
        let hashed = |cost| tell(AccessEvent::PasswordHashed { cost });
        self.checker.check(&protection.users, headers, hashed).await.map_err(|failure| {
            tell(AccessEvent::AuthFailed(failure));
            Denied::Unauthorized
        })
    }
}
