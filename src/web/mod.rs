//! The HTTP server: `/metrics`, a landing page, health and readiness, reload, and a read-only JSON API.
//!
//! | path | methods | what |
//! |---|---|---|
//! | `/` | GET, HEAD | the landing page; `?refresh=SECONDS` loads it again |
//! | `/cgroup?path=` | GET, HEAD | one cgroup as a page |
//! | `/metrics` ([`Settings::telemetry_path`]) | GET, HEAD | the newest snapshot for Prometheus; `?collect[]=`, `?exclude[]=` |
//! | `/-/healthy` | GET, HEAD | 200 while the process serves |
//! | `/-/ready` | GET, HEAD | 503 until there is a first snapshot |
//! | `/-/reload` | PUT, POST | reads the configuration again; 403 unless [`Settings::enable_lifecycle`] |
//! | `/api/v1/status` | GET, HEAD | this process, its layout, its last pass |
//! | `/api/v1/cgroups` | GET, HEAD | every cgroup with its key numbers |
//! | `/api/v1/cgroup?path=` | GET, HEAD | one cgroup with everything |
//! | `/api/v1/policies` | GET, HEAD | the rules: where they stand, what is in force |
//! | `/api/v1/decisions` | GET, HEAD | the newest decisions, the newest first |
//!
//! Nothing but reload changes anything, and nothing here reads a kernel file: every answer comes from the newest
//! snapshot of a [`Source`]. Rendering is CPU work and runs on blocking threads.
//!
//! # Who may ask
//!
//! A [`Guard`] says, by what `--web.config.file` says ([`Protection`]): TLS, client certificates, users and passwords,
//! and a bound on requests. It stands before every route, `/-/healthy` and `/-/ready` too, as in every program that
//! takes this file: a probe needs a user, or a look at the port alone. In this order: the handshake, the bound on
//! requests (429), the user (401), and only then is the request looked at. HTTP/1.1 is all that is spoken.
//!
//! # What a client can cost
//!
//! - A TLS handshake takes at most [`Settings::handshake_timeout`], and counts as a connection.
//! - One password is checked at a time, off the async threads, and within the time of an answer; what came of it is
//!   remembered.
//! - At most [`Settings::max_connections`] connections are served. Further clients wait in the kernel's backlog, one
//!   per listener accepted and waiting; nobody is turned away, and the timeouts below make room.
//! - Headers are at most 16 KiB and 100 lines (431), and arrive within [`Settings::header_timeout`], which is also
//!   how long a kept connection may be idle.
//! - An answer is computed within [`Settings::request_timeout`] (503), and is taken by the client within
//!   [`Settings::write_timeout`] from the first moment that the client does not keep up.
//! - At most [`Settings::max_requests`] requests render at a time (503). They render one after the other, so that one
//!   uncompressed body's worth of work is under way, and the compressed body is made once per snapshot and format.
//! - Request bodies are never read. A request that has one is the last on its connection, and one that says
//!   `Transfer-Encoding` is refused, so that nothing in a body can pass for a request.

mod api;
mod auth;
mod body;
mod cache;
mod connection;
mod guard;
mod negotiate;
mod page;
mod query;
mod rate;
mod route;
mod routes;
mod server;
pub mod tls;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Format;
use crate::model::{CollectorSet, Identity, Snapshot};
use crate::record::enforcement::{Decision, Overview};

pub use auth::{AuthFailure, BadHash, PasswordHash, Users};
pub use guard::{AccessEvent, Guard, Protection};
pub use rate::RateLimit;
pub use route::Route;
pub use server::{BindError, bind, run};

/// What the server serves from. Every call that does not say otherwise must return at once: it is made on an async
/// thread.
pub trait Source: Send + Sync + 'static {
    /// The newest snapshot; none before the first pass.
    fn snapshot(&self) -> Option<Arc<Snapshot>>;

    /// Writes the exposition of a snapshot. Called on a blocking thread, one call at a time; may take as long as the
    /// rendering takes. `out` is buffered and compresses as it goes, so the whole text never needs to be in memory.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    fn render(&self, snapshot: &Snapshot, request: Exposition, out: &mut dyn io::Write) -> io::Result<()>;

    /// Another number when decisions or reloads have changed what an exposition says beside its snapshot: one that was
    /// made before is then not used again.
    fn generation(&self) -> u64;

    /// An unfiltered exposition of the snapshot of this sequence number has gone to a client as a whole: the kernel
    /// took its last byte. One that was cut off, a HEAD, and one with collectors left out do not count.
    fn carried(&self, sequence: u64);

    /// Reads the configuration again and puts it in force.
    ///
    /// The error says what is wrong with the new configuration; the old one then stays in force.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;

    /// Where this program runs, and what its rules are about. What is in force is that of one cgroup only, where one is
    /// given. Called on a blocking thread.
    fn overview(&self, about: Option<&Identity>) -> Overview;

    /// The newest decisions, the newest first; there is a bound on how many are remembered. Called on a blocking thread.
    fn decisions(&self) -> Vec<Decision>;

    /// A request has been answered: for the program's own metrics.
    fn observe(&self, request: RequestSeen);

    /// A connection or a request was turned away, or a password was checked: for the program's own metrics.
    fn observe_access(&self, event: AccessEvent);
}

/// What to render of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposition {
    /// The format.
    pub format: Format,
    /// The collectors whose families are wanted, of those that run: [`CollectorSet::ALL`] unless the request filters.
    pub collectors: CollectorSet,
}

/// A request that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSeen {
    /// The route.
    pub route: Route,
    /// The status code.
    pub code: u16,
    /// From the end of the request's headers to the start of the answer.
    pub took: Duration,
}

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--web.telemetry-path`: where the metrics are. Begins with a slash; at `/` there is no landing page.
    pub telemetry_path: String,
    /// `--web.max-requests`: requests that may render at a time; 0 is no bound.
    pub max_requests: usize,
    /// `--web.enable-lifecycle`: whether `/-/reload` is served.
    pub enable_lifecycle: bool,
    /// Connections served at a time, over all listeners; at least one.
    pub max_connections: usize,
    /// Who may connect and ask; `None` lets everybody in, without TLS.
    pub guard: Option<Arc<Guard>>,
    /// How long a client may take to agree on keys, where TLS is spoken.
    pub handshake_timeout: Duration,
    /// How long a client may take to send a request's headers, and may keep an idle connection.
    pub header_timeout: Duration,
    /// How long an answer may take to compute.
    pub request_timeout: Duration,
    /// How long a client may take to receive an answer, from when it first did not keep up.
    pub write_timeout: Duration,
    /// How long running requests may go on after the shutdown began.
    pub drain_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            telemetry_path: "/metrics".to_owned(),
            max_requests: 40,
            enable_lifecycle: false,
            max_connections: 512,
            guard: None,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
