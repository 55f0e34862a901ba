//! Cgroup trees captured from real kernels (`tests/fixtures/KERNEL-LAYOUT`, each with its `PROVENANCE`): what the
//! sampler and the encoder make of them, against a golden exposition and against a second, simple reading.
//!
//! `STOCKADE_BLESS=1 cargo test --test fixtures` writes the golden expositions anew.

#[path = "support/naive.rs"]
mod naive;
#[path = "../src/metrics/tests/parse.rs"]
mod parse;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stockade::kernel::layout::Paths;
use stockade::metrics::{Format, Options, Own, render};
use stockade::model::{CollectorSet, Snapshot, WatchMethod};
use stockade::sample::{Sampler, Settings, carried};

use naive::{Naive, Series};

/// Series that follow from several files, which [`naive`] does not work out.
const DERIVED: &[&str] = &[
    "cgroup_info",
    "cgroup_cpu_limit_cores",
    "cgroup_memory_effective_limit_bytes",
    "cgroup_memory_headroom_bytes",
    "cgroup_memory_working_set_bytes",
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The name and place of every fixture.
fn fixtures() -> Vec<(String, PathBuf)> {
    let entries =
        fs::read_dir(directory()).expect("tests/fixtures").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<(String, PathBuf)> = entries
        .filter(|path| path.is_dir())
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path))
        .filter(|(name, _)| name != "golden" && name != "identity")
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{} holds no captured tree", directory().display());
    found
}

/// The page sizes and nothing else of a sys file system, made from what the fixture has files for.
fn sysfs(fixture: &Path, scratch: &Path) -> PathBuf {
    let sysfs = scratch.join("sys");
    let mut pending = vec![fixture.join("sys/fs/cgroup")];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("a captured directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let size = name.strip_prefix("hugetlb.").and_then(|rest| rest.split('.').next());
            if path.is_dir() {
                pending.push(path);
            } else if let Some(size) = size {
                let units = [("KB", 1), ("MB", 1 << 10), ("GB", 1 << 20)];
                let kibibytes = units.iter().find_map(|(unit, scale)| {
                    Some(size.strip_suffix(unit)?.parse::<u64>().expect("a page size") * scale)
                });
                let pages = format!("kernel/mm/hugepages/hugepages-{}kB", kibibytes.expect("a unit"));
                fs::create_dir_all(sysfs.join(pages)).expect("a directory");
            }
        }
    }
    let online = "devices/system/cpu/online";
    if let Ok(text) = fs::read(fixture.join("sys").join(online)) {
        fs::create_dir_all(sysfs.join("devices/system/cpu")).expect("a directory");
        fs::write(sysfs.join(online), text).expect("a file");
    }
    sysfs
}

fn sample(fixture: &Path) -> Arc<Snapshot> {
    let scratch = tempfile::tempdir().expect("a directory");
    let settings = Settings {
        paths: Paths {
            procfs: fixture.join("proc"),
            sysfs: sysfs(fixture, scratch.path()),
            cgroupfs: Some(fixture.join("sys/fs/cgroup")),
            root: fixture.join("root"),
        },
        collectors: CollectorSet::ALL,
        watch: Some(WatchMethod::Walk),
        ..Settings::default()
    };
    Sampler::new(settings, carried()).expect("a captured tree").pass()
}

/// The exposition without what the program tells about itself, which no two runs have alike.
fn exposition(snapshot: &Snapshot) -> String {
    let options = Options { format: Format::Text, pressure_averages: true, ..Options::default() };
    let mut out = Vec::new();
    let counts = render(snapshot, &options, &Own::new(), &mut out);
    assert_eq!(counts.dropped, 0);
    let text = String::from_utf8(out).expect("UTF-8");
    let of_kernel = |line: &&str| {
        let name = line.strip_prefix("# HELP ").or(line.strip_prefix("# TYPE ")).unwrap_or(line);
        name.starts_with("cgroup_") || name.starts_with("host_")
    };
    text.lines().filter(of_kernel).flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn every_fixture_says_where_it_comes_from_and_names_its_layout() {
    for (name, path) in fixtures() {
        let provenance = fs::read_to_string(path.join("PROVENANCE"))
            .unwrap_or_else(|error| panic!("tests/fixtures/{name}/PROVENANCE: {error}"));
        for key in ["kernel: ", "layout: ", "captured: ", "load: "] {
            assert!(provenance.lines().any(|line| line.starts_with(key)), "{name}: no `{key}` in PROVENANCE");
        }
        let layout = sample(&path).report.layout.name();
        assert!(name.ends_with(&format!("-{layout}")), "{name} is found to be {layout}");
        assert!(provenance.lines().any(|line| line == format!("layout: {layout}")), "{name}: PROVENANCE");
    }
}

#[test]
fn no_captured_file_is_a_fault() {
    for (name, path) in fixtures() {
        assert_eq!(sample(&path).report.faults, [], "{name}");
    }
}

#[test]
fn every_series_is_what_the_captured_files_say() {
    for (name, path) in fixtures() {
        let naive = Naive::read(&path.join("sys/fs/cgroup"));
        assert!(
            naive.unknown.is_empty(),
            "{name}: neither exported nor known to be left out: {:?}",
            naive.unknown
        );
        let mut rendered = Series::new();
        for sample in parse::exposition(&exposition(&sample(&path))) {
            if sample.name.starts_with("cgroup_") && !DERIVED.contains(&sample.name.as_str()) {
                let labels: Vec<String> =
                    sample.labels.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
                let value = sample.value.parse().expect("a number");
                rendered.insert(format!("{}{{{}}}", sample.name, labels.join(",")), value);
            }
        }
        let mut wrong = Vec::new();
        for series in naive.series.keys().chain(rendered.keys()) {
            let (expected, found) = (naive.series.get(series), rendered.get(series));
            let same = expected.zip(found).is_some_and(|(a, b)| (a - b).abs() <= 1e-12 * a.abs());
            if !same {
                wrong.push(format!("{series}: the files say {expected:?}, the exposition {found:?}"));
            }
        }
        assert!(naive.series.len() > 100, "{name}: only {} series are expected", naive.series.len());
        assert!(wrong.is_empty(), "{name}: {} series differ\n{}", wrong.len(), wrong.join("\n"));
    }
}

#[test]
fn the_exposition_is_the_golden_one() {
    for (name, path) in fixtures() {
        let text = exposition(&sample(&path));
        let golden = directory().join("golden").join(format!("{name}.prom"));
        if std::env::var_os("STOCKADE_BLESS").is_some() {
            fs::write(&golden, &text).expect("a golden exposition");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_else(|error| {
            panic!("{}: {error}; STOCKADE_BLESS=1 cargo test --test fixtures writes it", golden.display())
        });
        for (at, (line, expected)) in (1..).zip(text.lines().zip(expected.lines())) {
            assert_eq!(line, expected, "{name}: line {at} of {}", golden.display());
        }
        assert_eq!(text, expected, "{name} is longer or shorter than {}", golden.display());
    }
}
