//! Kernel notices of pressure: a descriptor that becomes readable (POLLPRI) when tasks were stalled for so long within a
//! window, and fails (POLLERR) when the cgroup is gone.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use super::control::{Control, Target};

/// The windows that the kernel takes.
const WINDOWS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(10)];
/// Without CAP_SYS_RESOURCE a window is a multiple of this.
const COARSE: Duration = Duration::from_secs(2);

/// Whose stalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `cpu.pressure`.
    Cpu,
    /// `memory.pressure`.
    Memory,
    /// `io.pressure`.
    Io,
}

impl Resource {
    const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Io => "io",
        }
    }
}

/// Who is stalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stall {
    /// At least one task.
    Some,
    /// All that are not idle.
    Full,
}

/// An armed trigger; it is disarmed when dropped. Poll it for POLLPRI.
#[derive(Debug)]
pub struct Trigger {
    file: OwnedFd,
    /// The window that the kernel took.
    pub window: Duration,
    /// How long tasks must be stalled within it.
    pub stall: Duration,
}

impl AsFd for Trigger {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Why a trigger was not armed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    /// The cgroup has no v2 directory, or the kernel does not tell pressure.
    #[error(
        "{file}: no pressure there: it needs cgroup2 and a kernel with PSI; boot with psi=1 where it is off"
    )]
    Absent {
        /// The file.
        file: String,
    },
    /// The kernel refused.
    #[error(
        "{file}: the kernel refused `{text}`: {}; before Linux 6.4 it needs CAP_SYS_RESOURCE; the window is from 0.5 s \
         to 10 s, and the stall longer than nothing and no longer than the window",
        errno.desc()
    )]
    Refused {
        /// The file.
        file: String,
        /// What was written.
        text: String,
        /// What the kernel said.
        errno: Errno,
    },
}

impl Control {
    /// Arms a trigger on a cgroup's pressure, or on the host's where no target is given.
    ///
    /// Where the program lacks CAP_SYS_RESOURCE the window is rounded up to a multiple of 2 s, and the stall grows with it;
    /// that is tried once, and then remembered.
    ///
    /// # Errors
    /// See [`TriggerError`].
    pub fn arm(
        &self,
        target: Option<&Target>,
        resource: Resource,
        who: Stall,
        stall: Duration,
        window: Duration,
    ) -> Result<Trigger, TriggerError> {
        let window = window.clamp(WINDOWS[0], WINDOWS[1]);
        let stall = stall.min(window);
        let host = &self.0;
        if !host.coarse_windows.load(Ordering::Relaxed) || is_coarse(window) {
            match arm(&host.procfs, target, resource, who, stall, window) {
                Err(TriggerError::Refused { errno: Errno::EINVAL | Errno::EPERM, .. })
                    if !is_coarse(window) => {}
                other => return other,
            }
        }
        let (stall, window) = coarse(stall, window);
        let armed = arm(&host.procfs, target, resource, who, stall, window);
        if armed.is_ok() {
            host.coarse_windows.store(true, Ordering::Relaxed);
        }
        armed
    }
}

fn is_coarse(window: Duration) -> bool {
    window.as_micros().is_multiple_of(COARSE.as_micros())
}

/// The next larger window that needs no capability, and the same share of it stalled.
fn coarse(stall: Duration, window: Duration) -> (Duration, Duration) {
    let rounds = u32::try_from(window.as_micros().div_ceil(COARSE.as_micros())).unwrap_or(1).max(1);
    let rounded = COARSE * rounds;
    (stall.mul_f64(rounded.as_secs_f64() / window.as_secs_f64()).min(rounded), rounded)
}

fn arm(
    procfs: &Path,
    target: Option<&Target>,
    resource: Resource,
    who: Stall,
    stall: Duration,
    window: Duration,
) -> Result<Trigger, TriggerError> {
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let (file, opened) = match target {
        Some(target) => {
            let file = format!("{}/{}.pressure", target.identity().display, resource.name());
            let Some(directory) = target.unified() else { return Err(TriggerError::Absent { file }) };
            let name = format!("{}.pressure", resource.name());
            (file, openat(directory, name.as_str(), flags, Mode::empty()))
        }
        None => {
            let path = procfs.join("pressure").join(resource.name());
            (path.display().to_string(), open(&path, flags, Mode::empty()))
        }
    };
    let who = match who {
        Stall::Some => "some",
        Stall::Full => "full",
    };
    let text = format!("{who} {} {}", stall.as_micros(), window.as_micros());
    // The kernel takes the last byte for the end of the text, whatever it is.
    let written = opened.and_then(|fd| nix::unistd::write(&fd, format!("{text}\0").as_bytes()).map(|_| fd));
    match written {
        Ok(file) => Ok(Trigger { file, window, stall }),
        Err(Errno::ENOENT | Errno::ENODEV | Errno::EOPNOTSUPP) => Err(TriggerError::Absent { file }),
        Err(errno) => Err(TriggerError::Refused { file, text, errno }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_rounded_up_with_its_stall() {
        let ms = Duration::from_millis;
        assert_eq!(coarse(ms(50), ms(500)), (ms(200), ms(2_000)));
        assert_eq!(coarse(ms(300), ms(3_000)), (ms(400), ms(4_000)));
        assert_eq!(coarse(ms(150), ms(2_000)), (ms(150), ms(2_000)));
        assert!(is_coarse(ms(4_000)) && !is_coarse(ms(500)));
    }
}
