//! Every file of the catalogue: what a text fills, and what must be gone when the text is.
//!
//! The first byte picks the file. Up to the first NUL stands what the file held before, behind it what it holds now.

use std::path::Path;
use std::sync::LazyLock;

use stockade::kernel::catalog::catalog;
use stockade::kernel::devices::Devices;
use stockade::kernel::hugepages;
use stockade::kernel::layout::{Hierarchy, Layout};
use stockade::kernel::shapes::Shapes;
use stockade::kernel::spec::{Context, FileSpec};
use stockade::model::{
    CollectorSet, Control, Controls, Field, IoLimit, Key, LayoutKind, Readings, RowKind, Unit, Version,
};

use super::values::quotes_little;

const HUGE_PAGES: [&str; 2] = ["2MB", "1GB"];
const V1: [&str; 11] =
    ["memory", "pids", "cpu", "cpuacct", "blkio", "freezer", "cpuset", "hugetlb", "rdma", "misc", "net_cls"];
const V2: [&str; 8] = ["cpu", "memory", "io", "pids", "cpuset", "rdma", "misc", "hugetlb"];

/// Every file of every hierarchy: of v2 with all controllers, of v2 without any, of v1 with all.
pub static FILES: LazyLock<Vec<FileSpec>> = LazyLock::new(|| {
    [(Version::V2, &V2[..]), (Version::V2, &[]), (Version::V1, &V1)]
        .into_iter()
        .flat_map(|(version, controllers)| {
            let hierarchy = Hierarchy {
                version,
                mount: "/nonexistent".into(),
                root: "/".to_owned(),
                controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
            };
            let layout = Layout { kind: LayoutKind::Hybrid, hierarchies: vec![hierarchy] };
            catalog(&layout, CollectorSet::ALL, &HUGE_PAGES).into_iter().flatten()
        })
        .collect()
});

/// An input that gives the files of this name such a text: a seed. One for each file of that name.
pub fn seeds<'a>(name: &'a [u8], text: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + 'a {
    (0u8..)
        .zip(FILES.iter())
        .filter(move |(_, file)| file.name.as_bytes() == name)
        .map(move |(pick, _)| [&[pick, 0], text].concat())
}

/// Checks one file on one text.
pub fn check(data: &[u8]) {
    assert!(FILES.len() < 256, "a byte picks the file");
    let Some((&pick, rest)) = data.split_first() else { return };
    let file = &FILES[usize::from(pick) % FILES.len()];
    let mut parts = rest.splitn(2, |&byte| byte == 0);
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let (before, now) = second.map_or((&b""[..], first), |second| (first, second));
    let mut shapes = Shapes::new(Devices::new(Path::new("/nonexistent")), hugepages::schema(&HUGE_PAGES));
    let mut context = Context { shapes: &mut shapes };
    if file.read.fills_controls() {
        controls(file, before, now, &mut context);
    } else {
        numbers(file, before, now, &mut context);
    }
}

fn numbers(file: &FileSpec, before: &[u8], now: &[u8], context: &mut Context<'_>) {
    let (mut used, mut fresh) = (Readings::default(), Readings::default());
    if file.read.numbers(Some(before), &mut used, context).is_err() {
        let _ = file.read.numbers(None, &mut used, context);
        assert_eq!(present(&used), [], "{}: numbers of a malformed text", file.name);
    }
    let after_other = file.read.numbers(Some(now), &mut used, context);
    let alone = file.read.numbers(Some(now), &mut fresh, context);
    quotes_little(&alone);
    assert_eq!(after_other, alone, "{}: what the file held before decides about its text", file.name);
    if alone.is_ok() {
        assert_eq!(present(&used), present(&fresh), "{}: a number outlived its text", file.name);
        for field in Field::ALL.iter().filter(|field| field.unit() == Unit::Flag) {
            assert!(fresh.get(*field) <= Some(1), "{}: {field:?} is neither 0 nor 1", file.name);
        }
        assert_eq!(file.read.numbers(Some(now), &mut fresh, context), Ok(()));
        assert_eq!(present(&used), present(&fresh), "{}: two readings of one text differ", file.name);
    }
    for readings in [&mut used, &mut fresh] {
        assert_eq!(file.read.numbers(None, readings, context), Ok(()), "{}: no text", file.name);
        assert_eq!(present(readings), [], "{}: numbers of no text", file.name);
    }
}

fn controls(file: &FileSpec, before: &[u8], now: &[u8], context: &mut Context<'_>) {
    let (mut used, mut fresh) = (Controls::default(), Controls::default());
    if file.read.controls(Some(before), &mut used, context).is_err() {
        let _ = file.read.controls(None, &mut used, context);
        assert_eq!(set(&used), [""; 0], "{}: controls of a malformed text", file.name);
    }
    let after_other = file.read.controls(Some(now), &mut used, context);
    let alone = file.read.controls(Some(now), &mut fresh, context);
    quotes_little(&alone);
    assert_eq!(after_other, alone, "{}: what the file held before decides about its text", file.name);
    if alone.is_ok() {
        assert_eq!(set(&used), set(&fresh), "{}: a control outlived its text", file.name);
        assert_eq!(file.read.controls(Some(now), &mut fresh, context), Ok(()));
        assert_eq!(set(&used), set(&fresh), "{}: two readings of one text differ", file.name);
    }
    for controls in [&mut used, &mut fresh] {
        assert_eq!(file.read.controls(None, controls, context), Ok(()), "{}: no text", file.name);
        assert_eq!(set(controls), [""; 0], "{}: controls of no text", file.name);
    }
}

/// What a number is of, and the number.
#[derive(Debug, PartialEq)]
enum Present {
    Field(Field, u64),
    Row(RowKind, Key, u64),
}

/// Every number that is there. No row is there twice.
fn present(readings: &Readings) -> Vec<Present> {
    let fields = Field::ALL.iter().filter_map(|&field| Some(Present::Field(field, readings.get(field)?)));
    let rows = RowKind::ALL.iter().flat_map(|&kind| {
        let rows: Vec<_> = readings.rows(kind).iter().collect();
        let mut keys: Vec<_> = rows.iter().map(|(key, _)| (key.column, &*key.item, &*key.detail)).collect();
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "a row is there twice: {keys:?}");
        rows.into_iter().map(move |(key, value)| Present::Row(kind, key.clone(), value)).collect::<Vec<_>>()
    });
    fields.chain(rows).collect()
}

/// Every control that is there, in a fixed order.
fn set(controls: &Controls) -> Vec<String> {
    let mut io: Vec<_> = controls
        .io
        .iter()
        .filter(|entry| **entry != IoLimit::new(&entry.device))
        .map(|entry| format!("{entry:?}"))
        .collect();
    io.sort_unstable();
    let plain =
        Control::ALL.iter().filter_map(|&control| Some(format!("{control:?} {:?}", controls.get(control)?)));
    plain.chain(io).collect()
}
