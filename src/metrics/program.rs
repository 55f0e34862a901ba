//! What a family about the program itself is given, and where it writes.

use std::time::Duration;

use crate::model::{ProcessStats, Snapshot};

use super::own::{Enforcement, Reload, WebReload};
use super::text::{self, Scale};

/// Everything that the program tells about itself beside its registry.
pub(crate) struct Program<'a> {
    /// The snapshot that is rendered.
    pub(crate) snapshot: &'a Snapshot,
    /// How old it is.
    pub(crate) age: Duration,
    /// Cgroup series in this exposition.
    pub(crate) series: u64,
    /// Cgroup series that the budget kept out.
    pub(crate) dropped: u64,
    /// The newest reload of the configuration, and the newest good one.
    pub(crate) reload: Reload,
    /// The same of the web configuration.
    pub(crate) web: WebReload,
    /// What enforcement is about to do.
    pub(crate) enforcement: Enforcement,
    /// The process as the kernel sees it.
    pub(crate) process: ProcessStats,
}

/// Takes the series of one family.
pub(crate) struct Series<'a> {
    out: &'a mut Vec<u8>,
    name: &'static str,
}

impl<'a> Series<'a> {
    pub(crate) const fn new(out: &'a mut Vec<u8>, name: &'static str) -> Self {
        Self { out, name }
    }

    /// A series with labels; those without a value are left out.
    pub(crate) fn put(&mut self, labels: &[(&str, &str)], value: u64, scale: Scale) {
        self.out.extend_from_slice(self.name.as_bytes());
        let start = self.out.len();
        for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
            text::label(self.out, name, value);
        }
        if let Some(first) = self.out.get_mut(start) {
            *first = b'{';
            self.out.push(b'}');
        }
        self.out.push(b' ');
        text::number(self.out, value, scale);
        self.out.push(b'\n');
    }

    /// A series with no label, a whole number.
    pub(crate) fn count(&mut self, value: u64) {
        self.put(&[], value, Scale::One);
    }

    /// A length of time, in seconds.
    pub(crate) fn seconds(&mut self, labels: &[(&str, &str)], value: Duration) {
        self.put(labels, u64::try_from(value.as_nanos()).unwrap_or(u64::MAX), Scale::Nano);
    }
}
