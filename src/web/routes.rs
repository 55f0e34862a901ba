//! From a request to an answer.

use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::body::Reply;
use super::cache::{Cache, Moment, Packed};
use super::guard::Denied;
use super::negotiate::{self, Encoding};
use super::route::Route;
use super::{Exposition, RequestSeen, Settings, Source, api, page, query};
use crate::model::{CollectorSet, Snapshot};

type Answer = Response<Reply>;

/// Everything that an answer is made from. One for all connections.
pub(super) struct Routes {
    pub(super) settings: Arc<Settings>,
    pub(super) source: Arc<dyn Source>,
    cache: Arc<Cache>,
    /// The rights to render; none where their number is not bounded.
    permits: Option<Arc<Semaphore>>,
}

impl Routes {
    pub(super) fn new(settings: Arc<Settings>, source: Arc<dyn Source>) -> Self {
        let permits = (settings.max_requests > 0)
            .then(|| Arc::new(Semaphore::new(settings.max_requests.min(Semaphore::MAX_PERMITS))));
        Self { settings, source, cache: Arc::default(), permits }
    }

    /// Answers a request, whatever it is.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let started = Instant::now();
        // The body goes unread: hyper closes the connection behind one that has not all arrived.
        let (head, _) = request.into_parts();
        let route = self.route(head.uri.path());
        let made = tokio::time::timeout(self.settings.request_timeout, self.admit_and_dispatch(route, &head));
        let mut answer = made
            .await
            .unwrap_or_else(|_| text(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long to make"));
        let length = answer.body().left();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        if let Some(guard) = &self.settings.guard {
            headers.extend(guard.headers());
        }
        if has_body(&head.headers) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        self.source.observe(RequestSeen { route, code: answer.status().as_u16(), took: started.elapsed() });
        answer
    }

    fn route(&self, path: &str) -> Route {
        match path {
            path if path == self.settings.telemetry_path => Route::Metrics,
            "/" => Route::Landing,
            "/style.css" => Route::Style,
            "/-/healthy" => Route::Healthy,
            "/-/ready" => Route::Ready,
            "/-/reload" => Route::Reload,
            "/api/v1/status" => Route::Status,
            "/api/v1/cgroups" => Route::Cgroups,
            "/api/v1/cgroup" => Route::Cgroup,
            "/cgroup" => Route::CgroupPage,
            "/api/v1/policies" => Route::Policies,
            "/api/v1/decisions" => Route::Decisions,
            _ => Route::Unknown,
        }
    }

    async fn admit_and_dispatch(&self, route: Route, head: &Parts) -> Answer {
        if let Some(guard) = &self.settings.guard
            && let Err(denied) = guard.admit(&head.headers, |event| self.source.observe_access(event)).await
        {
            return turned_away(denied);
        }
        match refusal(head, route) {
            Some(refusal) => refusal,
            None => self.dispatch(route, head).await,
        }
    }

    async fn dispatch(&self, route: Route, head: &Parts) -> Answer {
        let made = match route {
            Route::Landing => self.landing(head.uri.query()).await,
            Route::CgroupPage => self.cgroup_page(head.uri.query()).await,
            Route::Style => Ok(style()),
            Route::Metrics => self.metrics(head).await,
            Route::Healthy => Ok(text(StatusCode::OK, "Stockade is healthy.")),
            Route::Ready => Ok(self.ready()),
            Route::Reload => Ok(self.reload().await),
            Route::Status => Ok(json(StatusCode::OK, api::status(self.source.snapshot().as_deref()))),
            Route::Cgroups => self.cgroups().await,
            Route::Cgroup => Ok(self.cgroup(head.uri.query())),
            Route::Policies => self.told(|source| api::policies(&source.overview(None))).await,
            Route::Decisions => self.told(|source| api::decisions(&source.decisions())).await,
            Route::Unknown => Ok(text(StatusCode::NOT_FOUND, "no such page: / lists them")),
        };
        made.unwrap_or_else(|refused| refused)
    }

    async fn metrics(&self, head: &Parts) -> Result<Answer, Answer> {
        let collectors =
            query::collectors(head.uri.query()).map_err(|message| text(StatusCode::BAD_REQUEST, message))?;
        let snapshot = self.source.snapshot().ok_or_else(|| unready(text))?;
        let permit = self.permit().map_err(|_| busy(text))?;
        let format = negotiate::format(values(&head.headers, &header::ACCEPT));
        let encoding = negotiate::encoding(values(&head.headers, &header::ACCEPT_ENCODING));
        let request = Exposition { format, collectors };
        let sequence = (collectors == CollectorSet::ALL).then_some(snapshot.sequence);
        let (packed, permit) = self.packed(snapshot, request, permit).await?;
        let reply = match encoding {
            Encoding::Gzip => Reply::whole(packed.gzip),
            Encoding::Identity => Reply::unpacked(&packed),
        };
        let mut answer = Response::new(reply.carrying(sequence).holding(permit));
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if encoding == Encoding::Gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(answer)
    }

    /// The compressed exposition. The permit goes with the rendering, which goes on when its client has left.
    async fn packed(
        &self,
        snapshot: Arc<Snapshot>,
        request: Exposition,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<(Packed, Option<OwnedSemaphorePermit>), Answer> {
        if let Some(packed) = self.cache.at_hand(Moment::now(&snapshot, &*self.source), request) {
            return Ok((packed, permit));
        }
        let (cache, source) = (Arc::clone(&self.cache), Arc::clone(&self.source));
        let (packed, permit) = blocking(move || (cache.pack(&*source, &snapshot, request), permit)).await?;
        let packed = packed.map_err(|error| {
            tracing::error!(%error, "cannot render the metrics");
            text(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot render the metrics: {error}"))
        })?;
        Ok((packed, permit))
    }

    async fn landing(&self, query: Option<&str>) -> Result<Answer, Answer> {
        let refresh = query::refresh(query).map_err(|message| text(StatusCode::BAD_REQUEST, message))?;
        let telemetry_path = self.settings.telemetry_path.clone();
        self.page(move |snapshot, source| {
            let (overview, decisions) = (source.overview(None), source.decisions());
            let page = page::Landing { snapshot, overview, decisions, telemetry_path, refresh };
            (StatusCode::OK, page.to_string())
        })
        .await
    }

    async fn cgroup_page(&self, query: Option<&str>) -> Result<Answer, Answer> {
        let pairs = query::pairs(query.unwrap_or_default());
        let path = pairs.into_iter().find(|(name, _)| name == b"path").map(|(_, path)| path);
        let path = path.ok_or_else(|| text(StatusCode::BAD_REQUEST, NO_PATH))?;
        self.page(move |snapshot, source| {
            let Some(snapshot) = snapshot else {
                return (
                    StatusCode::SERVICE_UNAVAILABLE,
                    page::problem("The first sample has not been taken yet."),
                );
            };
            match api::find(&snapshot, &path) {
                Some(cgroup) => {
                    let (overview, decisions) = (source.overview(Some(&cgroup.identity)), source.decisions());
                    (
                        StatusCode::OK,
                        page::One { snapshot: &snapshot, cgroup, overview, decisions }.to_string(),
                    )
                }
                None => (StatusCode::NOT_FOUND, page::problem(&no_cgroup(&path))),
            }
        })
        .await
    }

    /// A page, made off the async threads, that may do nothing in a browser but look like one.
    async fn page(
        &self,
        make: impl FnOnce(Option<Arc<Snapshot>>, &dyn Source) -> (StatusCode, String) + Send + 'static,
    ) -> Result<Answer, Answer> {
        let permit = self.permit().map_err(|_| busy(text))?;
        let (snapshot, source) = (self.source.snapshot(), Arc::clone(&self.source));
        let ((status, page), permit) = blocking(move || (make(snapshot, &*source), permit)).await?;
        let mut answer = typed(status, "text/html; charset=utf-8", page).map(|reply| reply.holding(permit));
        let headers = answer.headers_mut();
        headers
            .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::CONTENT_SECURITY_POLICY));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        Ok(answer)
    }

    /// What the source knows beside the snapshot, as JSON.
    async fn told(&self, tell: fn(&dyn Source) -> Vec<u8>) -> Result<Answer, Answer> {
        let permit = self.permit().map_err(|_| busy(problem))?;
        let source = Arc::clone(&self.source);
        let (body, permit) = blocking(move || (tell(&*source), permit)).await?;
        Ok(json(StatusCode::OK, body).map(|reply| reply.holding(permit)))
    }

    async fn cgroups(&self) -> Result<Answer, Answer> {
        let snapshot = self.source.snapshot().ok_or_else(|| unready(problem))?;
        let permit = self.permit().map_err(|_| busy(problem))?;
        let (body, permit) = blocking(move || (api::cgroups(&snapshot), permit)).await?;
        Ok(json(StatusCode::OK, body).map(|reply| reply.holding(permit)))
    }

    fn cgroup(&self, query: Option<&str>) -> Answer {
        let pairs = query::pairs(query.unwrap_or_default());
        let Some((_, path)) = pairs.iter().find(|(name, _)| name == b"path") else {
            return problem(StatusCode::BAD_REQUEST, NO_PATH);
        };
        let Some(snapshot) = self.source.snapshot() else { return unready(problem) };
        match api::cgroup(&snapshot, path) {
            Some(body) => json(StatusCode::OK, body),
            None => problem(StatusCode::NOT_FOUND, no_cgroup(path)),
        }
    }

    fn ready(&self) -> Answer {
        match self.source.snapshot() {
            Some(_) => text(StatusCode::OK, "Stockade is ready."),
            None => unready(text),
        }
    }

    async fn reload(&self) -> Answer {
        if !self.settings.enable_lifecycle {
            return text(
                StatusCode::FORBIDDEN,
                "reload over HTTP is off: start with --web.enable-lifecycle, or send SIGHUP",
            );
        }
        match self.source.reload().await {
            Ok(()) => text(StatusCode::OK, "The configuration was reloaded."),
            Err(error) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("the configuration was not reloaded, the old one stays in force: {error}"),
            ),
        }
    }

    /// The right to render, if there is one left; nothing to hold where their number is not bounded.
    fn permit(&self) -> Result<Option<OwnedSemaphorePermit>, TryAcquireError> {
        self.permits.as_ref().map(|permits| Arc::clone(permits).try_acquire_owned()).transpose()
    }
}

/// Why a request for one cgroup is refused that does not say which.
const NO_PATH: &str = "the query names no path: expected ?path=/system.slice";

/// Why there is nothing to say about a path.
fn no_cgroup(path: &[u8]) -> String {
    format!(
        "no cgroup has the path \"{}\": /api/v1/cgroups lists the paths, each begins with a slash",
        crate::model::display_path(path)
    )
}

/// Too many requests render.
fn busy(refuse: fn(StatusCode, &'static str) -> Answer) -> Answer {
    let message = "as many requests are being answered as --web.max-requests allows: try again";
    retry_soon(refuse(StatusCode::SERVICE_UNAVAILABLE, message))
}

/// Not let in.
fn turned_away(denied: Denied) -> Answer {
    match denied {
        Denied::TooMany => {
            let message =
                "more requests come than rate_limit of the web configuration lets through: try again";
            retry_soon(text(StatusCode::TOO_MANY_REQUESTS, message))
        }
        Denied::Unauthorized => {
            let mut refused = text(StatusCode::UNAUTHORIZED, "a user and the right password are needed");
            let challenge = HeaderValue::from_static("Basic realm=\"Stockade\", charset=\"UTF-8\"");
            refused.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            refused
        }
    }
}

/// Why a request is not even looked at, if it is not.
fn refusal(head: &Parts, route: Route) -> Option<Answer> {
    if head.headers.contains_key(header::TRANSFER_ENCODING) {
        // hyper reads the body that this announces and drops a Content-Length beside it; a proxy in front may have
        // done the reverse. Nothing here wants a body, so nobody needs to guess where it ends.
        let message = "Transfer-Encoding is not accepted: no request here needs a body";
        return Some(text(StatusCode::BAD_REQUEST, message));
    }
    if head.version == Version::HTTP_11 && head.headers.get_all(header::HOST).iter().count() != 1 {
        return Some(text(StatusCode::BAD_REQUEST, "an HTTP/1.1 request has exactly one Host header"));
    }
    if route != Route::Unknown && !route.takes(&head.method) {
        let message = format!("{} is not allowed here: use {}", head.method, route.allow());
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, message);
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static(route.allow()));
        return Some(refused);
    }
    None
}

/// Whether the request announces a body.
fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
}

fn values<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).into_iter().map(HeaderValue::as_bytes)
}

/// Does CPU work off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Answer> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "answering a request failed");
        text(StatusCode::INTERNAL_SERVER_ERROR, "answering failed: the log says why")
    })
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<bytes::Bytes>) -> Answer {
    let mut answer = Response::new(Reply::whole(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// A line of text.
fn text(status: StatusCode, message: impl Into<String>) -> Answer {
    typed(status, "text/plain; charset=utf-8", message.into() + "\n")
}

fn json(status: StatusCode, body: Vec<u8>) -> Answer {
    typed(status, "application/json", body)
}

/// A refusal of the API.
fn problem(status: StatusCode, message: impl AsRef<str>) -> Answer {
    json(status, api::problem(message.as_ref()))
}

/// There is no snapshot yet.
fn unready(refuse: fn(StatusCode, &'static str) -> Answer) -> Answer {
    retry_soon(refuse(StatusCode::SERVICE_UNAVAILABLE, "not ready: the first sample has not been taken yet"))
}

fn retry_soon(mut refused: Answer) -> Answer {
    refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    refused
}

fn style() -> Answer {
    let mut answer = typed(StatusCode::OK, "text/css; charset=utf-8", page::STYLE);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    answer
}
