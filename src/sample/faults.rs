//! What went wrong, counted by file and kind.

use crate::model::{FaultKind, FaultRow, display_path};

/// The faults since the start.
#[derive(Debug, Default)]
pub struct Faults {
    rows: Vec<FaultRow>,
}

impl Faults {
    /// Counts one fault. The first of its kind is logged with its path; the others would only repeat it.
    pub fn count(
        &mut self,
        source: &'static str,
        kind: FaultKind,
        path: &[u8],
        detail: &dyn std::fmt::Display,
    ) {
        match self.rows.binary_search_by(|row| (row.source, row.kind).cmp(&(source, kind))) {
            Ok(at) => self.rows[at].count += 1,
            Err(at) => {
                self.rows.insert(at, FaultRow { source, kind, count: 1 });
                if kind != FaultKind::Vanished {
                    tracing::warn!(
                        file = source,
                        kind = kind.name(),
                        cgroup = display_path(path),
                        "{detail}; this kind of fault is only counted from now on, in stockade_read_faults_total"
                    );
                }
            }
        }
    }

    /// By file and kind, sorted.
    #[must_use]
    pub fn rows(&self) -> &[FaultRow] {
        &self.rows
    }
}

/// Whether a fault of this kind makes a collector's pass unsuccessful. A cgroup that ends and a file that the kernel
/// does not serve are no failures.
#[must_use]
pub const fn is_failure(kind: FaultKind) -> bool {
    !matches!(kind, FaultKind::Vanished | FaultKind::Unsupported)
}
