//! The host's own numbers: `/proc/pressure`, `/proc/meminfo`, the CPUs online.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use procfs::{FromRead as _, Meminfo};

use super::dir::ReadError;
use super::v2::RESOURCES;
use crate::model::{FaultKind, Host, HostField};

/// Where the host's files are.
#[derive(Debug)]
pub struct HostFiles {
    meminfo: PathBuf,
    cpus_online: PathBuf,
    pressure: [PathBuf; RESOURCES.len()],
}

impl HostFiles {
    /// The files below these file systems.
    #[must_use]
    pub fn new(procfs: &Path, sysfs: &Path) -> Self {
        Self {
            meminfo: procfs.join("meminfo"),
            cpus_online: sysfs.join("devices/system/cpu/online"),
            pressure: RESOURCES.map(|(resource, _)| procfs.join("pressure").join(resource)),
        }
    }

    /// Reads everything; what cannot be read is absent. `fault` is told of each file that exists and fails.
    pub fn read(&self, host: &mut Host, mut fault: impl FnMut(&'static str, FaultKind)) {
        for (path, (resource, fields)) in self.pressure.iter().zip(RESOURCES) {
            let text = match std::fs::read(path) {
                Ok(text) => Some(text),
                Err(error) => {
                    // Without PSI the file is missing, or gives EOPNOTSUPP: the host has no pressure, no fault.
                    let absent = error.kind() == std::io::ErrorKind::NotFound
                        || error.raw_os_error() == Some(nix::libc::EOPNOTSUPP);
                    if !absent {
                        fault(source(resource), kind(&error));
                    }
                    None
                }
            };
            if fields.fill(text.as_deref(), &mut host.pressure).is_err() {
                fault(source(resource), FaultKind::Malformed);
                // Nothing of a malformed file is believed.
                let _ = fields.fill(None, &mut host.pressure);
            }
        }
        let meminfo = std::fs::read(&self.meminfo)
            .map_err(|error| kind(&error))
            .and_then(|text| Meminfo::from_read(&text[..]).map_err(|_| FaultKind::Malformed))
            .map_err(|kind| fault("meminfo", kind))
            .ok();
        let meminfo = meminfo.as_ref();
        host.set(HostField::MemoryTotal, meminfo.map(|m| m.mem_total));
        host.set(HostField::MemoryAvailable, meminfo.and_then(|m| m.mem_available));
        host.set(HostField::SwapTotal, meminfo.map(|m| m.swap_total));
        host.set(HostField::SwapFree, meminfo.map(|m| m.swap_free));
        let online = std::fs::read(&self.cpus_online).ok();
        host.set(HostField::Cpus, online.and_then(|list| super::parse::list_count(&list).ok()));
    }
}

fn kind(error: &std::io::Error) -> FaultKind {
    error.raw_os_error().map_or(FaultKind::Io, |errno| ReadError::Os(Errno::from_raw(errno)).kind())
}

fn source(resource: &str) -> &'static str {
    match resource {
        "cpu" => "pressure/cpu",
        "memory" => "pressure/memory",
        "io" => "pressure/io",
        _ => "pressure/irq",
    }
}
