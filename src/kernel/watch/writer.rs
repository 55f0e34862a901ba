//! Who a process id is, among those that write control files.
//!
//! The name is `/proc/PID/comm`, which any process may choose for itself: good for a metric, no ground for trust. It
//! is looked up after the write, so a process that ended at once is [`Writer::Other`], and a number that was given
//! to a new process in between is taken for that one. Process ids are those of the reader's pid namespace, so
//! `procfs` must show the same one. A look-up is one small read and control writes are rare, so nothing is cached.
//!
//! PID 1 has no rule of its own: systemd calls itself `systemd` there too, and another init is not systemd.

use std::path::{Path, PathBuf};

use crate::model::Writer;

/// The length at which the kernel cuts a `comm` (`TASK_COMM_LEN` - 1).
const COMM_MAX: usize = 15;

/// Names of programs that make and limit containers, in full; compared as far as a `comm` goes.
const RUNTIMES: &[&str] = &[
    "apptainer",
    "buildah",
    "buildkitd",
    "conmon",
    "conmonrs",
    "containerd",
    "containerd-shim-runc-v2",
    "cri-dockerd",
    "cri-o",
    "crio",
    "crun",
    "dockerd",
    "incusd",
    "kata-runtime",
    "kubelet",
    "libvirtd",
    "lxc-execute",
    "lxc-start",
    "lxcfs",
    "lxd",
    "nomad",
    "podman",
    "runc",
    "runsc",
    "slurmd",
    "slurmstepd",
    "systemd-nspawn",
    "virtqemud",
    "youki",
];

/// Looks processes up in one procfs.
#[derive(Clone, Debug)]
pub struct Writers {
    procfs: PathBuf,
    own: u32,
}

impl Writers {
    /// With the procfs to look in (`/proc`, or what `--path.procfs` says).
    #[must_use]
    pub fn new(procfs: &Path) -> Self {
        Self { procfs: procfs.to_owned(), own: std::process::id() }
    }

    /// What kind of writer that process is; [`Writer::Unknown`] without a process id.
    #[must_use]
    pub fn classify(&self, pid: Option<u32>) -> Writer {
        match pid {
            None => Writer::Unknown,
            Some(pid) if pid == self.own => Writer::Own,
            Some(pid) => std::fs::read(self.procfs.join(pid.to_string()).join("comm"))
                .map_or(Writer::Other, |comm| by_comm(comm.trim_ascii_end())),
        }
    }
}

fn by_comm(comm: &[u8]) -> Writer {
    // runc and crun name their own children `runc:[2:INIT]`.
    let name = comm.split(|&byte| byte == b':').next().unwrap_or(comm);
    let is = |program: &&str| name == &program.as_bytes()[..program.len().min(COMM_MAX)];
    if RUNTIMES.iter().any(is) {
        Writer::Runtime
    } else if name == b"systemd" || name.starts_with(b"systemd-") {
        Writer::Systemd
    } else {
        Writer::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_as_far_as_the_kernel_keeps_them() {
        let check = |comm: &str, expected| assert_eq!(by_comm(comm.as_bytes()), expected, "{comm}");
        check("systemd", Writer::Systemd);
        check("systemd-oomd", Writer::Systemd);
        check("systemd-nspawn", Writer::Runtime);
        check("containerd-shim", Writer::Runtime);
        check("runc:[2:INIT]", Writer::Runtime);
        check("slurmstepd", Writer::Runtime);
        check("runcible", Writer::Other);
        check("bash", Writer::Other);
        check("", Writer::Other);
    }

    #[test]
    fn processes_are_looked_up_in_the_given_procfs() {
        let procfs = tempfile::tempdir().unwrap();
        for (pid, comm) in [("1", "systemd\n"), ("7", "crun\n"), ("8", "vim\n")] {
            std::fs::create_dir(procfs.path().join(pid)).unwrap();
            std::fs::write(procfs.path().join(pid).join("comm"), comm).unwrap();
        }
        let writers = Writers { procfs: procfs.path().to_owned(), own: 4242 };
        let check = |pid, expected| assert_eq!(writers.classify(pid), expected, "{pid:?}");
        check(None, Writer::Unknown);
        check(Some(4242), Writer::Own);
        check(Some(1), Writer::Systemd);
        check(Some(7), Writer::Runtime);
        check(Some(8), Writer::Other);
        check(Some(9), Writer::Other);
    }
}
