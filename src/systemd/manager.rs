//! The line to systemd: one connection to the system bus, made when it is needed and again when it broke.
//!
//! Every call blocks the calling thread, with a deadline of its own. The library's tasks run on a runtime of one thread
//! that belongs to this line alone, so that nothing hangs on whoever calls.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};
use zbus::message::Message;
use zbus::zvariant::DynamicType;
use zbus::{Connection, connection};

use super::error::BusError;
use super::unit::Unit;

pub(super) const SERVICE: &str = "org.freedesktop.systemd1";
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
pub(super) const ROOT: &str = "/org/freedesktop/systemd1";
/// How long systemd may take for what it does at once. A reload of a large host keeps it busy for seconds.
pub(super) const PROMPT: Duration = Duration::from_secs(4);
/// How often it is looked for while it is not on the bus: it executes itself anew, or the bus has just begun.
const ABSENT: Duration = Duration::from_millis(50);

/// The line to systemd. Cheap to clone.
#[derive(Clone)]
pub struct Manager(Arc<Line>);

struct Line {
    /// Taken when the line ends: a runtime must not wait for its tasks wherever it is dropped.
    runtime: Option<Runtime>,
    address: String,
    /// The host's `/run`.
    run: PathBuf,
    connection: Mutex<Option<Connection>>,
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Manager").field(&self.0.address).finish()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One method of one object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub path: &'a str,
    pub interface: &'a str,
    pub method: &'a str,
    /// The unit that it is about, for messages.
    pub unit: &'a str,
    pub deadline: Duration,
}

impl<'a> Call<'a> {
    /// A method of the manager that is answered at once.
    pub const fn manager(method: &'a str, unit: &'a str) -> Self {
        Self { path: ROOT, interface: MANAGER, method, unit, deadline: PROMPT }
    }

    pub fn named(&self) -> String {
        format!("{} {}", self.method, self.unit).trim_end().to_owned()
    }
}

impl Manager {
    /// A line to the systemd whose `/run` this is. Nothing is connected yet.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn new(run: &Path) -> std::io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("dbus").enable_all().build()?;
        let address = format!("unix:path={}", run.join("dbus/system_bus_socket").display());
        Ok(Self(Arc::new(Line {
            runtime: Some(runtime),
            address,
            run: run.into(),
            connection: Mutex::default(),
        })))
    }

    /// The host's `/run`.
    pub(super) fn run(&self) -> &Path {
        &self.0.run
    }

    /// The unit that a cgroup belongs to: its own, or the innermost one above it. The path is that below the root.
    ///
    /// # Errors
    /// See [`BusError`]; [`BusError::NoSuchUnit`] where systemd has none there.
    pub fn unit_of(&self, cgroup: &str) -> Result<Unit, BusError> {
        let call = Call::manager("GetUnitByControlGroup", cgroup);
        let reply = self.call(&call, &(cgroup,))?;
        let path: zbus::zvariant::OwnedObjectPath = read(&reply, &call)?;
        Unit::at(self.clone(), path.as_str(), cgroup)
    }

    /// Calls a method and waits for the answer.
    pub(super) fn call<B>(&self, call: &Call<'_>, body: &B) -> Result<Message, BusError>
    where
        B: Serialize + DynamicType + Sync,
    {
        self.within(&call.named(), call.deadline, async {
            let mut broke = false;
            loop {
                let connection = self.connect().await?;
                let answer = connection
                    .call_method(Some(SERVICE), call.path, Some(call.interface), call.method, body)
                    .await;
                match answer {
                    Ok(reply) => return Ok(reply),
                    Err(zbus::Error::MethodError(name, _, _)) if is_absent(&name) => sleep(ABSENT).await,
                    Err(zbus::Error::MethodError(name, reason, _)) => {
                        let reason = reason.unwrap_or_default();
                        return Err(BusError::named(&name, call, &reason));
                    }
                    // A line that broke since the last call is found out by the next one: it is made again, once.
                    Err(error) => {
                        self.hang_up();
                        if std::mem::replace(&mut broke, true) {
                            return Err(self.unreachable(&error));
                        }
                    }
                }
            }
        })
    }

    /// Waits for what is done on the line, no longer than the deadline.
    pub(super) fn within<T>(
        &self,
        what: &str,
        deadline: Duration,
        work: impl Future<Output = Result<T, BusError>>,
    ) -> Result<T, BusError> {
        let runtime = self.0.runtime.as_ref().ok_or_else(|| BusError::Unreachable {
            bus: self.0.address.clone(),
            reason: "the program is ending".to_owned(),
        })?;
        runtime.block_on(async { timeout(deadline, work).await }).unwrap_or_else(|_| {
            // A bus that keeps silent is not asked again on the same line.
            self.hang_up();
            Err(BusError::TimedOut { call: what.to_owned(), after: deadline })
        })
    }

    /// The connection, made where there is none.
    pub(super) async fn connect(&self) -> Result<Connection, BusError> {
        let made = self.0.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(connection) = made {
            return Ok(connection);
        }
        let builder = connection::Builder::address(self.0.address.as_str())
            .map_err(|error| self.unreachable(&error))?;
        let connection = builder.build().await.map_err(|error| self.unreachable(&error))?;
        *self.0.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
        Ok(connection)
    }

    fn hang_up(&self) {
        self.0.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) fn unreachable(&self, error: &zbus::Error) -> BusError {
        BusError::Unreachable { bus: self.0.address.clone(), reason: error.to_string() }
    }
}

/// Whether an error of the bus says that systemd is not on it at the moment.
fn is_absent(name: &str) -> bool {
    let absent = ["ServiceUnknown", "NameHasNoOwner"];
    name.starts_with("org.freedesktop.DBus.Error.Spawn.") || absent.iter().any(|end| name.ends_with(end))
}

/// The body of an answer.
pub(super) fn read<T>(reply: &Message, call: &Call<'_>) -> Result<T, BusError>
where
    T: for<'de> serde::Deserialize<'de> + zbus::zvariant::Type,
{
    reply.body().deserialize().map_err(|error| BusError::Refused {
        call: call.named(),
        reason: format!("the answer cannot be read: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn no_bus_is_an_error_that_names_it() {
        let run = tempfile::tempdir().expect("tempdir");
        let manager = Manager::new(run.path()).expect("a line");
        let error = manager.unit_of("/system.slice").expect_err("there is no bus");
        assert!(matches!(error, BusError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(&run.path().display().to_string()), "{error}");
    }

    #[test]
    fn a_bus_that_keeps_silent_is_given_up() {
        let run = tempfile::tempdir().expect("tempdir");
        std::fs::create_dir(run.path().join("dbus")).expect("directory");
        let socket = run.path().join("dbus/system_bus_socket");
        let _silent = std::os::unix::net::UnixListener::bind(socket).expect("socket");
        let manager = Manager::new(run.path()).expect("a line");
        let began = Instant::now();
        let error = manager.unit_of("/system.slice").expect_err("nobody answers");
        assert!(matches!(error, BusError::TimedOut { .. }), "{error}");
        assert!(began.elapsed() >= PROMPT);
    }
}
