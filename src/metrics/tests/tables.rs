//! The tables hold every number of the model, under names that follow the conventions.

use std::collections::HashSet;

use crate::metrics::families;
use crate::metrics::family::{Family, From, of_control, of_field};
use crate::metrics::registered::REGISTERED;
use crate::metrics::text::{Kind, Scale, unit_of};
use crate::model::{Column, Control, Field, HostField};

/// How many series sources of cgroups match.
fn sources(matches: impl Fn(&Family) -> usize) -> usize {
    families::all().map(matches).sum()
}

#[test]
fn every_number_of_the_model_is_exported_once() {
    for field in Field::ALL {
        let found = sources(|family| match family.from {
            From::Fields(list) => list.iter().filter(|(_, other)| other == field).count(),
            _ => 0,
        });
        assert_eq!(found, 1, "{field:?}");
    }
    for control in Control::ALL {
        let found = sources(|family| match family.from {
            From::Controls(list) => list.iter().filter(|(_, other)| other == control).count(),
            _ => 0,
        });
        assert_eq!(found, 1, "{control:?}");
    }
    for column in Column::ALL {
        let found =
            sources(|family| usize::from(matches!(family.from, From::Column(other, _) if other == *column)));
        assert_eq!(found, 1, "{column:?}");
    }
    for field in HostField::ALL {
        let found =
            sources(|family| usize::from(matches!(family.from, From::Host(other) if other == *field)));
        assert_eq!(found, 1, "{field:?}");
    }
}

#[test]
fn the_hosts_pressure_has_every_field_that_a_cgroups_has() {
    let fields = |of_host: bool| -> HashSet<(Field, &str)> {
        let of = |family: &Family| match family.from {
            From::Fields(list) if !of_host && family.name.contains("_pressure_") => list,
            From::HostPressure(list) if of_host => list,
            _ => &[],
        };
        families::all().flat_map(|family| of(family).iter().map(|(text, field)| (*field, *text))).collect()
    };
    assert_eq!(fields(true), fields(false));
    assert_eq!(fields(true).len(), 28);
}

#[test]
fn names_and_helps_follow_the_conventions() {
    let mut names = HashSet::new();
    let registered = REGISTERED.iter().map(|family| (family.name, family.kind, family.help, family.labels));
    let tables = families::all().map(|family| (family.name, family.kind, family.help, family.labels));
    for (name, kind, help, labels) in tables.chain(registered) {
        // OpenMetrics derives names from a family's; none of them may meet another family's.
        let base = name.strip_suffix("_total").or(name.strip_suffix("_info")).unwrap_or(name);
        assert!(names.insert(base), "{name} is taken");
        assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
        assert_eq!(name.ends_with("_info"), kind == Kind::Info, "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()), "{name}");
        assert!(help.ends_with('.') && !help.contains(['"', '\\', '\n', '|']), "{name}: {help}");
        assert!(!labels.contains(&"cgroup"), "{name}");
    }
}

#[test]
fn every_familys_unit_is_in_its_name_and_its_sources_are_of_one_scale() {
    for family in families::all() {
        let unit = unit_of(family.name);
        let expected: &[&str] = match family.scale() {
            Scale::Nano if matches!(family.from, From::CpuLimit) => &["cores"],
            Scale::Nano | Scale::Micro => &["seconds"],
            Scale::CentiPercent => &["ratio"],
            Scale::One => &["", "bytes", "bytes_per_second", "operations_per_second"],
        };
        if !matches!(family.from, From::Program(_)) {
            assert!(expected.contains(&unit), "{} is shown in {unit:?}", family.name);
        }
        let texts = match family.from {
            From::Fields(list) | From::HostPressure(list) => {
                assert!(list.iter().all(|(_, field)| of_field(*field) == family.scale()), "{}", family.name);
                list.iter().map(|(text, _)| *text).collect()
            }
            From::Controls(list) => {
                assert!(
                    list.iter().all(|(_, control)| of_control(*control) == family.scale()),
                    "{}",
                    family.name
                );
                list.iter().map(|(text, _)| *text).collect()
            }
            _ => vec![],
        };
        assert!(texts.iter().all(|text| text.is_empty() == family.labels.is_empty()), "{}", family.name);
        assert_eq!(texts.iter().collect::<HashSet<_>>().len(), texts.len(), "{}", family.name);
    }
}

#[test]
fn the_documentation_has_a_line_for_every_family() {
    let table = crate::metrics::documentation();
    let families = families::all().count() + REGISTERED.len();
    assert_eq!(table.lines().count(), families + 2);
    assert!(table.lines().all(|line| line.matches('|').count() == 8), "{table}");
    let line = "| `cgroup_memory_limit_bytes` | gauge | bytes | `cgroup`, `limit` | memory |";
    assert!(table.lines().any(|other| other.starts_with(line)), "{table}");
}
