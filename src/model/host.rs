//! The host's own numbers: its pressure, its memory, its CPUs.

use super::Reading;

/// A number of the whole host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HostField {
    /// `/proc/meminfo` MemTotal, bytes.
    MemoryTotal,
    /// `/proc/meminfo` MemAvailable, bytes.
    MemoryAvailable,
    /// `/proc/meminfo` SwapTotal, bytes.
    SwapTotal,
    /// `/proc/meminfo` SwapFree, bytes.
    SwapFree,
    /// CPUs online.
    Cpus,
}

impl HostField {
    /// Every field, in order.
    pub const ALL: &'static [Self] =
        &[Self::MemoryTotal, Self::MemoryAvailable, Self::SwapTotal, Self::SwapFree, Self::Cpus];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();
}

/// The host at one moment. Pressure stands in the same fields as a cgroup's own.
#[derive(Clone, Debug, Default)]
pub struct Host {
    fields: [Reading; HostField::COUNT],
    /// `/proc/pressure/{cpu,memory,io,irq}` in the pressure fields; the rest stays absent.
    pub pressure: super::Readings,
}

impl Host {
    /// One number.
    #[must_use]
    pub fn get(&self, field: HostField) -> Option<u64> {
        self.fields[field as usize].get()
    }

    /// Stores one number, or takes it away.
    pub fn set(&mut self, field: HostField, value: Option<u64>) {
        self.fields[field as usize] = value.into();
    }
}
