//! Huge pages.

use std::fs;
use std::path::Path;

use crate::load::Load;
use crate::outcome::{During, Outcome, Stop, ensure};
use crate::swap::busybox;
use crate::tree::Group;
use crate::{Guest, set};

/// Two pages are given and a limit of two refuses a third.
pub(crate) fn given_and_refused(guest: &mut Guest) -> Outcome {
    let unified = guest.tree.need("hugetlb")?.unified;
    let pages = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
    if !Path::new(pages).exists() {
        return Err(Stop::Absent("no huge pages of 2 MB".into()));
    }
    set(pages, "6")?;
    let group = Group::make(&guest.tree, "hugetlb")?;
    fs::create_dir_all("/tmp/huge").during("/tmp/huge")?;
    busybox(&["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "huge", "/tmp/huge"])?;
    let file = if unified { "hugetlb.2MB.max" } else { "hugetlb.2MB.limit_in_bytes" };
    group.write(&guest.tree, "hugetlb", file, "4194304")?;
    let said = Load::start(&group, &["huge", "4M", "/tmp/huge/given"])?.await_ready()?;
    let scrape = guest.agree(&[&group])?;
    let label = group.label();
    let labels = [("cgroup", label.as_str()), ("size", "2MB")];
    let current = scrape.want("cgroup_hugetlb_current_bytes", &labels)?;
    ensure(said == "given" && (current - 4_194_304.0).abs() < 0.5, || {
        format!("4 MiB were {said}, {current} are shown")
    })?;
    let said = Load::start(&group, &["huge", "2M", "/tmp/huge/refused"])?.await_ready()?;
    ensure(said == "refused", || "a third page fitted into a limit of two".into())?;
    let scrape = guest.agree(&[&group])?;
    let failures = scrape.want("cgroup_hugetlb_failures_total", &labels)?;
    ensure(failures > 0.0, || format!("a page was refused, {failures} are counted"))?;
    busybox(&["umount", "/tmp/huge"])?;
    set(pages, "0")?;
    Ok(String::new())
}
