//! PURE: what `stockade inspect -J` prints.

use serde::Serialize;

use super::{Found, apart};
use crate::enforce::ownership::Ownership;
use crate::kernel::members::{Member, Place};
use crate::kernel::process::Membership;
use crate::model::{NamespaceKind, NamespaceSet, display_path};
use crate::record::{self, Document, Full};

#[derive(Serialize)]
struct Inspection<'a> {
    timestamp_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<Asked>,
    cgroup: Full<'a>,
    manager: &'a Ownership,
    /// How it is written: `dbus`, `cgroupfs` or `refuse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    writer: Option<&'static str>,
    hierarchies: Vec<Directory<'a>>,
    process_count: usize,
    processes: Vec<Process>,
}

#[derive(Serialize)]
struct Asked {
    #[serde(flatten)]
    process: Process,
    cgroups: Vec<Group>,
    namespaces: Vec<Namespace>,
    /// In each pid namespace, the outermost first.
    pids: Vec<u32>,
}

#[derive(Serialize)]
struct Namespace {
    #[serde(rename = "type")]
    kind: &'static str,
    ns: u64,
    host: bool,
}

#[derive(Serialize)]
struct Group {
    controllers: Vec<String>,
    path: String,
}

#[derive(Serialize)]
struct Directory<'a> {
    hierarchy: &'a str,
    version: &'static str,
    directory: String,
    controllers: &'a [String],
    subtree_control: &'a [String],
}

#[derive(Serialize)]
struct Process {
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<char>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resident_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// The kinds of which it has another namespace than the host.
    own_namespaces: Vec<&'static str>,
}

/// The document.
pub fn json(found: &Found<'_>) -> Vec<u8> {
    let host = &found.samples.now.report.census.host;
    Document::new(Inspection {
        timestamp_seconds: record::unix_seconds(found.samples.now.wall),
        interval_seconds: found.samples.elapsed_seconds(),
        process: found.process.as_ref().map(|(member, groups)| Asked {
            process: process(member, host),
            cgroups: groups.iter().map(group).collect(),
            namespaces: namespaces(member, host),
            pids: member.pids.clone(),
        }),
        cgroup: record::full(found.cgroup, found.samples.now.at, found.rates.as_ref()),
        manager: &found.manager,
        writer: found.manager.writer(&found.writers).map(|(_, writer)| writer.name()),
        hierarchies: found.places.iter().map(directory).collect(),
        process_count: found.process_count,
        processes: found.processes.iter().map(|(member, _)| process(member, host)).collect(),
    })
    .to_json()
}

fn group(group: &Membership) -> Group {
    Group { controllers: group.controllers.clone(), path: display_path(group.path.as_bytes()) }
}

fn directory(place: &Place) -> Directory<'_> {
    use std::os::unix::ffi::OsStrExt as _;
    Directory {
        hierarchy: &place.hierarchy,
        version: place.version.name(),
        directory: display_path(place.directory.as_os_str().as_bytes()),
        controllers: &place.controllers,
        subtree_control: &place.delegated,
    }
}

fn namespaces(member: &Member, host: &NamespaceSet) -> Vec<Namespace> {
    let set = member.namespaces.unwrap_or_default();
    let known = NamespaceKind::ALL.iter().zip(set).filter_map(|(kind, inode)| Some((*kind, inode?)));
    known
        .map(|(kind, ns)| Namespace { kind: kind.name(), ns, host: host[kind as usize] == Some(ns) })
        .collect()
}

fn process(member: &Member, host: &NamespaceSet) -> Process {
    Process {
        pid: member.pid,
        uid: member.uid,
        user: member.user.clone(),
        state: member.state,
        resident_bytes: member.resident_bytes,
        threads: member.threads,
        command: member.command.as_ref().map(|command| display_path(command.as_bytes())),
        own_namespaces: apart(member, host),
    }
}
