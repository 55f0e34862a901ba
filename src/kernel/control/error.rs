//! Why a control was not read or written.

use nix::errno::Errno;

/// Why a control was not read or written, a cgroup not frozen, killed or reclaimed from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The cgroup is removed, or another one stands under its path.
    #[error("the cgroup is gone, or another one stands under its path; nothing is left to do for this one")]
    Vanished,
    /// This host or this cgroup has no such thing; the text says what, why, and what helps.
    #[error("{0}")]
    Unsupported(String),
    /// The program may not do it.
    #[error("{file}: not permitted; run as root, and mount the cgroup file system writable")]
    Denied {
        /// The file, by its whole path.
        file: String,
    },
    /// It did not come about in time.
    #[error("{what}")]
    TimedOut {
        /// What was waited for, of whom, for how long, and what was done about it.
        what: String,
    },
    /// The kernel refused.
    #[error("{}", refusal(file, value, *errno))]
    Os {
        /// The file, by its whole path.
        file: String,
        /// What was written; empty when it was read.
        value: String,
        /// What the kernel said.
        errno: Errno,
    },
}

fn refusal(file: &str, value: &str, errno: Errno) -> String {
    if value.is_empty() {
        return format!("{file}: cannot be read: {}", errno.desc());
    }
    let hint = match errno {
        Errno::EBUSY => {
            "; more is in use than that, and not enough could be taken back: choose a larger value"
        }
        Errno::EINVAL => {
            "; expected a value in this file's range that the limits of the parent and the children leave room for"
        }
        Errno::ERANGE => "; choose a value in this file's range",
        Errno::ENODEV | Errno::ENXIO => "; expected a whole disk that this host has: see `ls /sys/block`",
        Errno::ENOSPC => "; a v1 cpuset with processes in it needs at least one CPU and one memory node",
        _ => "",
    };
    format!("{file}: the kernel refused `{value}`: {}{hint}", errno.desc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_file_the_value_and_what_to_do() {
        let error = |value: &str, errno| {
            ControlError::Os { file: "/sys/fs/cgroup/a/io.max".into(), value: value.into(), errno }
                .to_string()
        };
        let refused = error("9:9 rbps=1", Errno::ENODEV);
        for part in ["/sys/fs/cgroup/a/io.max", "`9:9 rbps=1`", "No such device", "whole disk"] {
            assert!(refused.contains(part), "{refused}");
        }
        let unread = error("", Errno::EIO);
        assert!(unread.contains("cannot be read"), "{unread}");
    }
}
