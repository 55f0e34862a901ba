//! The layout, from any mountinfo.

use std::sync::LazyLock;

use stockade::kernel::layout::{Layout, Paths};
use stockade::model::{LayoutKind, Version};
use tempfile::TempDir;

static PROC: LazyLock<TempDir> = LazyLock::new(|| {
    let proc = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(proc.path().join("self")).expect("a directory");
    proc
});

/// Checks that a layout is what its name says, its hierarchies in their order.
pub fn check(mountinfo: &[u8]) {
    std::fs::write(PROC.path().join("self/mountinfo"), mountinfo).expect("a file");
    let paths = Paths { procfs: PROC.path().to_owned(), ..Paths::default() };
    let Ok(layout) = Layout::detect(&paths) else { return };
    let versions: Vec<Version> = layout.hierarchies.iter().map(|hierarchy| hierarchy.version).collect();
    assert!(versions.is_sorted_by_key(|&version| version == Version::V1), "v2 first: {layout:?}");
    let has = |version| versions.contains(&version);
    let kind = match (has(Version::V2), has(Version::V1)) {
        (true, true) => LayoutKind::Hybrid,
        (true, false) => LayoutKind::Unified,
        (false, true) => LayoutKind::Legacy,
        (false, false) => panic!("a layout without hierarchies: {layout:?}"),
    };
    assert_eq!(layout.kind, kind);
    assert_eq!(Layout::detect(&paths).ok(), Some(layout), "one mountinfo, two layouts");
}
