//! One connection: its timeouts, its answers, its end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Sleep;

use super::body::{Answer, Progress, Sending};
use super::guard::AccessEvent;
use super::routes::Routes;
use super::tls::{self, HandshakeFailure};

/// Headers of a request at most, and what hyper may buffer for writing.
const MAX_HEADERS: usize = 16 * 1024;

/// How long a closing connection waits for the client's end, so that what the client still sends does not make the
/// kernel reset the connection and throw away an answer on its way.
pub(super) const LINGER: Duration = Duration::from_millis(500);

/// How much is read and thrown away in that time.
pub(super) const LINGER_BYTES: usize = 256 * 1024;

/// Serves a client, over TLS where that is spoken, until it leaves, a timeout cuts it off, or, once `stopping` is
/// true, the running request is answered.
pub(super) async fn attend(stream: TcpStream, routes: Arc<Routes>, mut stopping: watch::Receiver<bool>) {
    let guard = routes.settings.guard.as_ref().map(|guard| guard.tls());
    let Some((Some(config), mut protection)) = guard else {
        return serve(stream, routes, stopped(&mut stopping)).await;
    };
    let timeout = routes.settings.handshake_timeout;
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(timeout, tls::shake_hands(stream, config)) => shaken,
        // Nothing was asked yet.
        () = stopped(&mut stopping) => return,
    };
    match shaken.unwrap_or(Err(HandshakeFailure::Timeout)) {
        Ok(stream) => {
            let ending = async {
                tokio::select! {
                    () = stopped(&mut stopping) => {}
                    _ = protection.changed() => {}
                }
            };
            serve(stream, routes, ending).await;
        }
        Err(failure) => routes.source.observe_access(AccessEvent::HandshakeFailed(failure)),
    }
}

/// Serves a stream until the client leaves, a timeout cuts it off, or, once `ending` has come, the running request is
/// answered.
async fn serve<S>(stream: S, routes: Arc<Routes>, ending: impl Future<Output = ()>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let progress = Arc::new(Progress::default());
    let io = Watched::new(stream, Arc::clone(&routes), Arc::clone(&progress));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(routes.settings.header_timeout)
        .max_buf_size(MAX_HEADERS)
        .half_close(true);
    let service = service_fn(move |request| {
        let (routes, progress) = (Arc::clone(&routes), Arc::clone(&progress));
        async move {
            let response = routes.answer(request).await;
            Answer::Ok(response.map(|reply| Sending::new(reply, progress)))
        }
    });
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = ending => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        // Clients that leave, stall or speak no HTTP are everyday: nothing an operator must act on.
        tracing::debug!(%error, "connection ended");
    }
}

/// Completes once the server stops.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // The error, a server that is gone, says the same.
    let _ = stopping.wait_for(|&stopping| stopping).await;
}

/// A stream that cuts off a client that does not take its answer, and says when an answer has gone.
struct Watched<S> {
    io: TokioIo<S>,
    routes: Arc<Routes>,
    progress: Arc<Progress>,
    /// Runs from the first write that had to wait until the whole answer has been written.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs while the client's end is awaited, with what may still be read.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> Watched<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn new(stream: S, routes: Arc<Routes>, progress: Arc<Progress>) -> Self {
        Self { io: TokioIo::new(stream), routes, progress, stalled: None, lingering: None }
    }

    /// Passes a write's outcome on, unless the client has had its time.
    fn judge<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_pending() && self.stalled.is_none() {
            self.stalled = Some(Box::pin(tokio::time::sleep(self.routes.settings.write_timeout)));
        }
        let Some(stalled) = &mut self.stalled else { return written };
        if stalled.as_mut().poll(cx).is_pending() {
            return written;
        }
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client did not take its answer in time",
        )))
    }

    /// Reads and throws away until the client's end, the time's end, or too much.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (deadline, left) =
            self.lingering.get_or_insert_with(|| (Box::pin(tokio::time::sleep(LINGER)), LINGER_BYTES));
        let mut space = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(self.io.inner_mut()).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && *left > buffer.filled().len() => {
                    *left -= buffer.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return deadline.as_mut().poll(cx),
            }
        }
    }
}

impl<S> Read for Watched<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<S> Write for Watched<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper flushes the stream only when it has written all that it had buffered.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        ready!(self.judge(cx, flushed))?;
        if !self.progress.sending() {
            self.stalled = None;
            if let Some(sequence) = self.progress.take_flushed() {
                self.routes.source.carried(sequence);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let closed = Pin::new(&mut self.io).poll_shutdown(cx);
            ready!(self.judge(cx, closed))?;
        }
        self.poll_linger(cx).map(Ok)
    }
}
