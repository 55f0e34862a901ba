//! Names come from whoever may make a directory.

use std::sync::Arc;

use proptest::prelude::*;

use crate::metrics::{Attach, Format};
use crate::model::{Column, Field, Identity, Owner, OwnerLabel, RowKind, display_path};

use super::{Options, cgroup, fill, parse, rendered, snapshot};

#[test]
fn a_hostile_name_cannot_forge_a_series_or_a_label() {
    let names: [&[u8]; 5] = [
        b"/a\"} 1",
        b"/a\",user=\"0",
        b"/a\\",
        b"/a\r\ncgroup_memory_current_bytes{cgroup=\"/b\"} 1",
        b"/a\xff\x00# EOF",
    ];
    for name in names {
        for format in [Format::Text, Format::OpenMetrics] {
            let mut hostile = cgroup(name, 0);
            hostile.readings.set(Field::MemoryCurrent, Some(7));
            let (text, _) = rendered(&snapshot(vec![hostile]), &Options { format, ..Options::default() });
            let samples = parse::exposition(&text);
            let found: Vec<_> =
                samples.iter().filter(|sample| sample.labels.contains_key("cgroup")).collect();
            assert_eq!(found.len(), 2, "{text}");
            for sample in found {
                assert_eq!(sample.labels.len(), 1, "{text}");
                assert_eq!(sample.labels["cgroup"], display_path(name));
            }
        }
    }
}

#[test]
fn rows_stand_under_the_names_of_their_own_tables_escaped() {
    let mut cgroups = ["/a", "/b", "/c"].map(|path| cgroup(path.as_bytes(), 0));
    let tables = [&["vda", "sdb"][..], &["sdb"], &["x\"} 1\\"]];
    for (cgroup, items) in cgroups.iter_mut().zip(tables) {
        let rows: Vec<_> = items.iter().map(|item| (Column::IoReads, *item, "", item.len() as u64)).collect();
        fill(&mut cgroup.readings, RowKind::IoStat, &rows);
    }
    let (text, _) = rendered(&snapshot(cgroups.into()), &Options::default());
    parse::exposition(&text);
    assert_eq!(
        super::lines(&text, "cgroup_io"),
        [
            r#"cgroup_io_reads_total{cgroup="/a",device="vda"} 3"#,
            r#"cgroup_io_reads_total{cgroup="/a",device="sdb"} 3"#,
            r#"cgroup_io_reads_total{cgroup="/b",device="sdb"} 3"#,
            r#"cgroup_io_reads_total{cgroup="/c",device="x\"} 1\\"} 6"#,
        ]
    );
}

#[test]
fn attached_labels_are_escaped_and_stand_once_on_every_series() {
    let mut owned = cgroup(b"/user.slice/x", 0);
    let mut owner = Owner::default();
    owner.set(OwnerLabel::Slice, Some("user.slice"));
    owner.set(OwnerLabel::Unit, Some("a\"b\\.service"));
    owned.identity = Arc::new(Identity { owner, ..(*owned.identity).clone() });
    owned.readings.set(Field::MemoryCurrent, Some(7));
    let attach = Attach::of(&[OwnerLabel::Unit, OwnerLabel::User]);
    let (text, _) = rendered(&snapshot(vec![owned]), &Options { attach, ..Options::default() });
    parse::exposition(&text);
    assert_eq!(
        super::lines(&text, "cgroup_"),
        [
            r#"cgroup_info{cgroup="/user.slice/x",slice="user.slice",unit="a\"b\\.service"} 1"#,
            r#"cgroup_memory_current_bytes{cgroup="/user.slice/x",unit="a\"b\\.service"} 7"#,
        ]
    );
}

proptest! {
    #[test]
    fn any_bytes_as_paths_give_one_series_each(paths in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 0..12), 1..8)) {
        let paths: Vec<Vec<u8>> = paths.into_iter().map(|name| [b"/".as_slice(), &name].concat()).collect();
        let cgroups = (0..).zip(&paths).map(|(rank, path)| cgroup(path, rank)).collect();
        for format in [Format::Text, Format::OpenMetrics] {
            let (text, counts) = rendered(&snapshot(Vec::clone(&cgroups)), &Options { format, ..Options::default() });
            let shown: Vec<String> =
                parse::exposition(&text).into_iter().filter_map(|mut sample| sample.labels.remove("cgroup")).collect();
            let expected: Vec<String> = paths.iter().map(|path| display_path(path)).collect();
            prop_assert_eq!(shown, expected);
            prop_assert_eq!(counts.series, paths.len() as u64);
        }
    }
}
