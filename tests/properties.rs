//! No input panics, holds memory without bound, or makes wrong what it has nothing to do with: the checks of
//! `tests/fuzz` on arbitrary and on damaged texts, and the sampler on trees of such texts.

#[allow(dead_code, reason = "the fuzz targets use the rest")]
#[path = "fuzz/src/lib.rs"]
mod invariants;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use stockade::kernel::layout::Paths;
use stockade::kernel::parse;
use stockade::model::{self, Column, Control, Field, Limit, RowKind, WatchMethod};
use stockade::sample::{Sampler, Settings, carried};

use invariants::{CHECKS, bounded, files::FILES};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What is measured is the process's: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Words that kernel texts are made of, well placed and ill.
const WORDS: &[&str] = &[
    "0",
    "1",
    "42",
    "4096",
    "100000",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854771712",
    "-1",
    "max",
    "default",
    "8:0",
    "254:16",
    "Read",
    "Write",
    "Total",
    "rbytes=1",
    "wios=2",
    "rbps=max",
    "rbps=",
    "target=75000",
    "N0=1",
    "total=3",
    "total=18446744073709551615",
    "avg10=0.00",
    "avg60=1.5",
    "avg300=100.00",
    "avg10=1.234",
    "some",
    "full",
    "anon",
    "file",
    "total_rss",
    "hierarchical_memory_limit",
    "pgfault",
    "populated",
    "frozen",
    "oom_kill",
    "usage_usec",
    "user",
    "system",
    "0-3,5",
    "3-1",
    "THAWED",
    "FROZEN",
    "under_oom",
    "hca_handle=2",
    "mlx5_0",
    "misc_a.max",
    "\u{fffd}",
    "=",
    "",
    " ",
    "\t",
    "\n",
    "\n",
    "\n",
    "\n\n",
    "\0",
    "é",
];

fn text() -> impl Strategy<Value = Vec<u8>> {
    let words =
        prop::collection::vec((select(WORDS), select(&[" ", " ", "\n", ""][..])), 0..40).prop_map(|words| {
            words.into_iter().flat_map(|(word, end)| [word, end]).collect::<String>().into_bytes()
        });
    let noise = prop::collection::vec(any::<u8>(), 0..400);
    prop_oneof![4 => words, 1 => noise, 3 => damaged()]
}

/// A captured text with a few bytes changed, put in, taken out, or cut off.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let texts = captured();
    let damage = (any::<Index>(), any::<u8>(), 0..6u8);
    (any::<Index>(), prop::collection::vec(damage, 0..4)).prop_map(move |(which, damage)| {
        let (_, mut text) = which.get(&texts).clone();
        for (at, byte, how) in damage {
            let at = at.index(text.len() + 1);
            match how {
                0 => text.truncate(at),
                1 => text.insert(at, byte),
                2 => text.extend_from_within(at..),
                3 if at < text.len() => drop(text.remove(at)),
                _ if at < text.len() => text[at] = byte,
                _ => {}
            }
        }
        text
    })
}

/// The name and text of every captured file of the catalogue, and a few that need no capture.
fn captured() -> Vec<(String, Vec<u8>)> {
    let mut texts: Vec<(String, Vec<u8>)> = [
        ("memory.stat", "anon 8192\nfile 4096\npgfault 7\nworkingset_nodes 1\n"),
        ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n254:0 rbytes=1\n"),
        ("cpu.max", "max 100000\n"),
    ]
    .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
    .into();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), &mut texts);
    texts
}

fn collect(directory: &Path, texts: &mut Vec<(String, Vec<u8>)>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .expect("tests/fixtures")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, texts);
        } else if FILES.iter().any(|file| file.name == name) {
            let text = fs::read(&path).expect("a captured file");
            if text.len() < 8192 {
                texts.push((name, text));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// The checks of every parser hold for any text.
    #[test]
    fn every_check_holds_for_any_text(text in text(), pick in any::<u8>()) {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, check) in CHECKS {
            bounded(&ALLOCATOR, check, &text);
        }
        let picked = [&[pick], &text[..]].concat();
        bounded(&ALLOCATOR, invariants::files::check, &picked);
    }

    /// A name can hold brackets, spaces, letters of states, and bytes that are no text.
    #[test]
    fn a_process_of_any_name_is_told_from_its_name(
        name in prop::collection::vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 0..16),
        state in select(model::TaskState::ALL),
        threads in any::<u64>(),
        start in any::<u64>(),
    ) {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let letter = (b'A'..=b'z').find(|letter| model::TaskState::from_letter(*letter) == Some(state));
        let letter = char::from(letter.expect("a letter of every state"));
        let rest = format!(") {letter} 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 {threads} 0 {start} 1000000 5\n");
        let line = [&b"7 ("[..], &name, rest.as_bytes()].concat();
        let expected = parse::TaskStat { state, threads, start };
        prop_assert_eq!(parse::task_stat(&line), Ok(expected));
        invariants::values::check(&line);
    }

    /// What a file held before, well formed or not, is gone with the next text.
    #[test]
    fn no_number_outlives_its_text(before in text(), now in text(), pick in any::<u8>()) {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before: Vec<u8> = before.into_iter().filter(|&byte| byte != 0).collect();
        bounded(&ALLOCATOR, invariants::files::check, &[&[pick], &before[..], &[0], &now].concat());
    }
}

/// One file of a cgroup in a made tree.
type Written = (&'static str, Vec<u8>);

fn any_files() -> impl Strategy<Value = Vec<Written>> {
    let names: Vec<&'static str> = FILES.iter().map(|file| file.name).collect();
    prop::collection::vec((select(names), text()), 0..24)
}

/// Some bytes that a directory may be named with.
fn any_name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((1..=255u8).prop_filter("no slash", |byte| *byte != b'/'), 1..40)
        .prop_filter("a name of its own", |name| name.iter().any(|&byte| byte != b'.') && name != b"good")
}

fn write_files(directory: &Path, files: &[Written]) {
    fs::create_dir_all(directory).expect("a directory");
    for (name, text) in files {
        fs::write(directory.join(name), text).expect("a file");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Cgroups with any files, under any names, in any hierarchy, leave the numbers of their neighbours alone.
    #[test]
    fn no_cgroup_makes_another_ones_numbers_wrong(
        bad in any_files(),
        worse in any_files(),
        name in any_name(),
        v1 in any::<bool>(),
    ) {
        use std::os::unix::ffi::OsStrExt as _;

        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let tree = tempfile::tempdir().expect("a directory");
        let root = tree.path().join("cgroup");
        let mount = if v1 { root.join("memory,blkio,cpu,cpuacct,pids,misc") } else { root.clone() };
        let good: Vec<Written> =
            if v1 { GOOD_V1 } else { GOOD_V2 }.iter().map(|(name, text)| (*name, text.as_bytes().to_vec())).collect();
        write_files(&mount, &[]);
        if !v1 {
            fs::write(mount.join("cgroup.controllers"), "cpu io memory pids misc cpuset hugetlb rdma\n").expect("a file");
        }
        let strange = std::ffi::OsStr::from_bytes(&name);
        let (above, below) = (mount.join("good").join(strange), mount.join(strange).join("good"));
        write_files(&mount.join("good"), &good);
        write_files(&above, &bad);
        write_files(&mount.join(strange), &worse);
        write_files(&below, &good);

        let settings = Settings {
            paths: Paths {
                procfs: tree.path().join("proc"),
                sysfs: tree.path().join("sys"),
                cgroupfs: Some(root),
                root: tree.path().join("root"),
            },
            collectors: model::CollectorSet::ALL,
            watch: Some(WatchMethod::Walk),
            descriptors: Some(16),
            ..Settings::default()
        };
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let mut sampler = Sampler::new(settings, carried()).expect("a tree of cgroups");
        for _ in 0..2 {
            let snapshot = sampler.pass();
            prop_assert_eq!(snapshot.cgroups.len(), 5);
            for path in [b"/good".to_vec(), [b"/", &name[..], b"/good"].concat()] {
                let cgroup = snapshot.find(&path).expect("a good cgroup");
                prop_assert_eq!(cgroup.readings.get(Field::MemoryCurrent), Some(8192));
                prop_assert_eq!(cgroup.readings.get(Field::Processes), Some(2));
                prop_assert_eq!(cgroup.readings.get(Field::PidsCurrent), Some(2));
                prop_assert_eq!(cgroup.readings.get(Field::CpuUsage), Some(5_000_000));
                prop_assert_eq!(cgroup.readings.memory_stat("anon"), Some(4096));
                prop_assert_eq!(cgroup.readings.io(Column::IoReadBytes), Some(512));
                prop_assert_eq!(cgroup.readings.rows(RowKind::MiscCurrent).get(Column::MiscCurrent, "a"), Some(3));
                prop_assert_eq!(cgroup.controls.get(Control::MemoryMax), Some(Limit::Value(65_536)));
                prop_assert_eq!(cgroup.controls.get(Control::PidsMax), Some(Limit::Max));
                prop_assert_eq!(cgroup.readings.get(Field::MemoryPeak), None);
            }
        }
        drop(sampler);
        let held = ALLOCATOR.peak_usage().saturating_sub(before);
        prop_assert!(held < 16 << 20, "{} bytes held", held);
    }
}

const GOOD_V2: &[(&str, &str)] = &[
    ("cgroup.procs", "1\n2\n"),
    ("memory.current", "8192\n"),
    ("pids.current", "2\n"),
    ("cpu.stat", "usage_usec 5000\nuser_usec 1\nsystem_usec 2\n"),
    ("memory.stat", "anon 4096\nfile 0\npgfault 9\n"),
    ("io.stat", "8:0 rbytes=512 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n"),
    ("misc.current", "a 3\n"),
    ("memory.max", "65536\n"),
    ("pids.max", "max\n"),
];

const GOOD_V1: &[(&str, &str)] = &[
    ("cgroup.procs", "1\n2\n"),
    ("memory.usage_in_bytes", "8192\n"),
    ("pids.current", "2\n"),
    ("cpuacct.usage", "5000000\n"),
    ("memory.stat", "rss 1\ntotal_rss 4096\n"),
    ("blkio.throttle.io_service_bytes_recursive", "8:0 Read 512\n8:0 Write 0\nTotal 512\n"),
    ("misc.current", "a 3\n"),
    ("memory.limit_in_bytes", "65536\n"),
    ("pids.max", "max\n"),
];
