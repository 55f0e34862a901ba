//! Listening, accepting, draining.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::routes::Routes;
use super::{Settings, Source, connection};

/// How long the listener rests when the process has no descriptor or memory for a new connection.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// A listen address that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; {}", advice(.source))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the kernel said.
    pub source: io::Error,
}

/// What to do about it.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process listens there (`ss -ltnp` names it): stop it, or choose another --web.listen-address"
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this host has that address: choose another --web.listen-address"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE: choose another --web.listen-address"
        }
        _ => "choose another --web.listen-address",
    }
}

/// Listens on every address, or on none.
///
/// # Errors
///
/// The first address that cannot be had, with what to do about it.
pub async fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for &address in addresses {
        let listener = TcpListener::bind(address).await.map_err(|source| BindError { address, source })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Serves until `shutdown` completes, then closes the listeners, lets running requests finish within
/// [`Settings::drain_timeout`], and cuts off what is left.
pub async fn run(
    listeners: Vec<TcpListener>,
    settings: Arc<Settings>,
    source: Arc<dyn Source>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let (stop, stopping) = watch::channel(false);
    let room = Arc::new(Semaphore::new(settings.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    let drain_timeout = settings.drain_timeout;
    let routes = Arc::new(Routes::new(settings, source));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, Arc::clone(&routes), Arc::clone(&room), stopping.clone()));
    }
    shutdown.await;
    stop.send_replace(true);
    let deadline = Instant::now() + drain_timeout;
    let mut cut = 0;
    while let Some(ended) = accepting.join_next().await {
        let Ok(mut connections) = ended else { continue };
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline, drained).await.is_err() {
            cut += connections.len();
            connections.shutdown().await;
        }
    }
    if cut > 0 {
        tracing::warn!(
            connections = cut,
            "cut off connections that had not ended {drain_timeout:?} after the shutdown began"
        );
    }
}

/// Accepts on one listener until the server stops; gives back the connections that still run.
async fn accept(
    listener: TcpListener,
    routes: Arc<Routes>,
    room: Arc<Semaphore>,
    mut stopping: watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = connection::stopped(&mut stopping) => return connections,
            (stream, permit) = next(&listener, &room) => {
                // Not a branch of the select: it would drop a client that waits for room.
                while connections.try_join_next().is_some() {}
                let (routes, stopping) = (Arc::clone(&routes), stopping.clone());
                connections.spawn(async move {
                    connection::attend(stream, routes, stopping).await;
                    drop(permit);
                });
            }
        }
    }
}

/// The next connection that there is room for. The room is sought after accepting, so that an idle listener keeps
/// none of it from another.
async fn next(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written whole; waiting to fill a segment would only delay their end. A socket that
                // refuses the option still serves.
                let _ = stream.set_nodelay(true);
                return (stream, Arc::clone(room).acquire_owned().await.ok());
            }
            Err(error) => {
                if let Some(rest) = rest_after(&error) {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(rest).await;
                }
            }
        }
    }
}

/// How long to rest after accepting failed: not at all where only that one client was lost (accept(2)), a while
/// where the next try would fail as well, such as for want of a descriptor.
fn rest_after(error: &io::Error) -> Option<Duration> {
    match error.kind() {
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted => {
            None
        }
        _ => Some(ACCEPT_REST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_descriptor_table_rests_the_listener_and_a_lost_client_does_not() {
        const ECONNABORTED: i32 = 103;
        const EMFILE: i32 = 24;
        assert_eq!(rest_after(&io::Error::from_raw_os_error(EMFILE)), Some(ACCEPT_REST));
        assert_eq!(rest_after(&io::Error::from_raw_os_error(ECONNABORTED)), None);
    }
}
