//! The kernel's pressure triggers: it tells when tasks were stalled for long enough (`Documentation/accounting/psi.rst`).
//!
//! A line such as `some 150000 2000000` is written into an open pressure file: 150 ms of stall in a window of 2 s. The
//! descriptor is then ready for POLLPRI once a window while that is so, and for POLLERR when the cgroup is gone. Without
//! `CAP_SYS_RESOURCE` the window is a multiple of 2 s; with it, half a second is taken.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::control::{Control, ControlError, Target};

/// The shortest window that the kernel knows.
const FINE: Duration = Duration::from_millis(500);
/// The shortest window that it grants to everybody.
const COARSE: Duration = Duration::from_secs(2);

/// An armed trigger. It is disarmed when it is dropped.
#[derive(Debug)]
pub struct Trigger {
    fd: OwnedFd,
    /// How long the window is that the kernel granted.
    pub window: Duration,
}

impl AsFd for Trigger {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Target {
    /// Arms a trigger on the cgroup's own pressure. `resource` is `cpu`, `memory` or `io`; `full` counts the time in which
    /// all tasks waited; `share` is of the window, above 0 and at most 1.
    ///
    /// # Errors
    /// [`ControlError::Unsupported`] without cgroup2 or PSI; see [`ControlError`].
    pub fn arm(&self, resource: &str, full: bool, share: f64) -> Result<Trigger, ControlError> {
        let place = self.v2().ok_or_else(|| {
            ControlError::Unsupported(format!(
                "{} has no pressure: it is not in cgroup2",
                self.identity().display
            ))
        })?;
        let file = format!("{resource}.pressure");
        self.host.arm(full, share, || place.open(&file, OFlag::O_RDWR | OFlag::O_NONBLOCK)).map_err(
            |(line, error)| match error {
                Failure::Open(error) => error,
                Failure::Write(errno) => place.failure(&file, &line, errno),
            },
        )
    }
}

impl Control {
    /// The same on the whole host's pressure.
    ///
    /// # Errors
    /// See [`Target::arm`].
    pub fn arm_host(&self, resource: &str, full: bool, share: f64) -> Result<Trigger, ControlError> {
        let path = self.0.procfs.join("pressure").join(resource);
        let file = || path.display().to_string();
        let opened = || {
            open(&path, OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty()).map_err(
                |errno| match errno {
                    Errno::ENOENT | Errno::EOPNOTSUPP => ControlError::Unsupported(format!(
                        "{}: the kernel tells no pressure: boot with psi=1",
                        file()
                    )),
                    errno => ControlError::Os { file: file(), value: String::new(), errno },
                },
            )
        };
        self.0.arm(full, share, opened).map_err(|(value, error)| match error {
            Failure::Open(error) => error,
            Failure::Write(errno) => ControlError::Os { file: file(), value, errno },
        })
    }
}

/// Which of the two calls failed.
enum Failure {
    Open(ControlError),
    Write(Errno),
}

impl super::control::Host {
    fn arm(
        &self,
        full: bool,
        share: f64,
        opened: impl Fn() -> Result<OwnedFd, ControlError>,
    ) -> Result<Trigger, (String, Failure)> {
        let mut windows = vec![COARSE];
        if !self.coarse_windows.load(Ordering::Relaxed) {
            windows.insert(0, FINE);
        }
        let mut failure = (String::new(), Failure::Write(Errno::EINVAL));
        for window in windows {
            let line = line(full, share, window);
            let fd = opened().map_err(|error| (line.clone(), Failure::Open(error)))?;
            match nix::unistd::write(&fd, line.as_bytes()) {
                Ok(_) => return Ok(Trigger { fd, window }),
                Err(errno @ (Errno::EINVAL | Errno::EPERM)) if window == FINE => {
                    self.coarse_windows.store(true, Ordering::Relaxed);
                    failure = (line, Failure::Write(errno));
                }
                Err(errno) => return Err((line, Failure::Write(errno))),
            }
        }
        Err(failure)
    }
}

/// The line that arms it: the stall and the window in microseconds. The kernel wants some of the one, and no more of it
/// than of the other.
fn line(full: bool, share: f64, window: Duration) -> String {
    let kind = if full { "full" } else { "some" };
    let stall = window.mul_f64(share.clamp(0.0, 1.0)).as_micros().max(1000);
    format!("{kind} {stall} {}\0", window.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_asks_for_a_share_of_its_window() {
        assert_eq!(line(true, 0.4, COARSE), "full 800000 2000000\0");
        assert_eq!(line(false, 0.0, FINE), "some 1000 500000\0");
        assert_eq!(line(false, 7.0, FINE), "some 500000 500000\0");
    }
}
