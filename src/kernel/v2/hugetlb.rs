//! `hugetlb.SIZE.*` of both versions, for the page sizes that the host has.

use std::path::Path;
use std::sync::Arc;

use crate::kernel::catalog::{Context, FileSpec, Read};
use crate::kernel::parse::{self, Malformed};
use crate::model::{Collector, Column, Key, Readings, RowKind, Schema, Version};

/// A huge page size that Linux knows on some architecture, and its files.
struct Page {
    size: &'static str,
    kibibytes: u64,
    v2: &'static [FileSpec],
    v1: &'static [FileSpec],
}

macro_rules! page {
    ($size:literal, $kibibytes:literal) => {
        Page {
            size: $size,
            kibibytes: $kibibytes,
            v2: &[
                page!(@ $size, ".current", HugetlbCurrent),
                page!(@ $size, ".rsvd.current", HugetlbReserved),
                page!(@ $size, ".max", HugetlbMax).slow(),
                FileSpec::new(
                    concat!("hugetlb.", $size, ".events"),
                    Collector::Hugetlb,
                    Read::Numbers(|text, readings, context| events(text, readings, context, $size)),
                )
                .notified(),
            ],
            v1: &[
                page!(@ $size, ".usage_in_bytes", HugetlbCurrent),
                page!(@ $size, ".rsvd.usage_in_bytes", HugetlbReserved),
                page!(@ $size, ".max_usage_in_bytes", HugetlbPeak),
                page!(@ $size, ".limit_in_bytes", HugetlbMax).slow(),
                page!(@ $size, ".failcnt", HugetlbFailures),
            ],
        }
    };
    (@ $size:literal, $file:literal, $column:ident) => {
        FileSpec::new(
            concat!("hugetlb.", $size, $file),
            Collector::Hugetlb,
            Read::Numbers(|text, readings, context| amount(text, readings, context, $size, Column::$column)),
        )
    };
}

const PAGES: [Page; 9] = [
    page!("64KB", 64),
    page!("1MB", 1024),
    page!("2MB", 2048),
    page!("8MB", 8192),
    page!("16MB", 16_384),
    page!("32MB", 32_768),
    page!("512MB", 524_288),
    page!("1GB", 1_048_576),
    page!("16GB", 16_777_216),
];

const COLUMNS: [Column; 5] = [
    Column::HugetlbCurrent,
    Column::HugetlbPeak,
    Column::HugetlbMax,
    Column::HugetlbReserved,
    Column::HugetlbFailures,
];

/// The names of the page sizes that `/sys/kernel/mm/hugepages` lists.
#[must_use]
pub fn sizes(sysfs: &Path) -> Vec<&'static str> {
    let directory = sysfs.join("kernel/mm/hugepages");
    PAGES
        .iter()
        .filter(|page| directory.join(format!("hugepages-{}kB", page.kibibytes)).exists())
        .map(|page| page.size)
        .collect()
}

/// The files of these page sizes.
pub(in crate::kernel) fn files(version: Version, sizes: &[&str]) -> impl Iterator<Item = FileSpec> {
    PAGES.iter().filter(|page| sizes.contains(&page.size)).flat_map(move |page| match version {
        Version::V2 => page.v2.iter().copied(),
        Version::V1 => page.v1.iter().copied(),
    })
}

/// The shape of the table: each file is one row.
#[must_use]
pub fn schema(sizes: &[&str]) -> Schema {
    Schema::new(
        COLUMNS.iter().flat_map(|&column| sizes.iter().map(move |size| Key::new(column, size))).collect(),
    )
}

fn amount(
    text: Option<&[u8]>,
    readings: &mut Readings,
    context: &mut Context<'_>,
    size: &str,
    column: Column,
) -> Result<(), Malformed> {
    set(None, readings, context, size, column);
    // v1 writes "no limit" as its largest page-rounded number, v2 rounds its own `max` for printing.
    let value = match text.map(parse::trim) {
        None | Some(b"max") => None,
        Some(digits) => parse::v1_limit(digits)?.value(),
    };
    set(value, readings, context, size, column);
    Ok(())
}

fn events(
    text: Option<&[u8]>,
    readings: &mut Readings,
    context: &mut Context<'_>,
    size: &str,
) -> Result<(), Malformed> {
    let mut max = None;
    for line in parse::flat(text.unwrap_or_default()) {
        let (key, value) = line?;
        if key == b"max" {
            max = Some(value);
        }
    }
    set(max, readings, context, size, Column::HugetlbFailures);
    Ok(())
}

fn set(value: Option<u64>, readings: &mut Readings, context: &mut Context<'_>, size: &str, column: Column) {
    let schema = &context.shapes.huge_pages;
    let rows = readings.rows_mut(RowKind::Hugetlb);
    if !rows.schema().is_some_and(|own| Arc::ptr_eq(own, schema)) {
        rows.reshape(Arc::clone(schema));
    }
    let row = schema.column(column).iter().copied().find(|&row| *schema.keys()[row as usize].item == *size);
    if let Some(row) = row {
        rows.values_mut()[row as usize] = value.into();
    }
}
