//! Which cgroup is meant: a path, a directory of a mounted hierarchy, a unit's name.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::kernel::layout::Layout;
use crate::model::{Cgroup, Snapshot, display_path, parent_path};

/// How many other names a message proposes.
const PROPOSALS: usize = 3;

/// The living cgroup that a person means.
///
/// - `/a/b` is a cgroup's path, as the kernel or as this program shows it;
/// - `/sys/fs/cgroup/…/a/b` is its directory in any hierarchy;
/// - `a/b` is a path without its first slash, or the end of exactly one path;
/// - `nginx` and `nginx.service` are the only cgroup of that name.
///
/// # Errors
/// Says what was not found, or what is ambiguous, and which names are near.
pub fn find<'a>(snapshot: &'a Snapshot, layout: &Layout, name: &OsStr) -> Result<&'a Cgroup, String> {
    let bytes = name.as_bytes();
    // An empty variable of a script is not the root.
    if bytes.is_empty() {
        return Err(
            "an empty name is no cgroup; expected a path such as /system.slice, or / for the root".to_owned()
        );
    }
    let path = plain(bytes);
    if let Some(found) = at(snapshot, &path) {
        return Ok(found);
    }
    if bytes.starts_with(b"/") {
        return match within(layout, Path::new(OsStr::from_bytes(&path))) {
            Some(inside) => at(snapshot, &inside).ok_or_else(|| unknown(snapshot, &inside)),
            None => Err(unknown(snapshot, &path)),
        };
    }
    let named: Vec<&Cgroup> =
        snapshot.cgroups.iter().filter(|cgroup| is_named(&cgroup.identity.path, &path)).collect();
    match named[..] {
        [] => Err(unknown(snapshot, &path)),
        [one] => Ok(one),
        _ => Err(format!(
            "`{}` is the name of {} cgroups; give the path of one: {}",
            display_path(bytes),
            named.len(),
            listed(named.iter().take(5).map(|cgroup| &*cgroup.identity.display), named.len())
        )),
    }
}

fn at<'a>(snapshot: &'a Snapshot, path: &[u8]) -> Option<&'a Cgroup> {
    snapshot.find(path).or_else(|| {
        // A hostile name is pasted as it was shown.
        let text = std::str::from_utf8(path).ok()?;
        snapshot.cgroups.iter().find(|cgroup| *cgroup.identity.display == *text)
    })
}

/// One slash before each name and none at the end.
fn plain(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len() + 1);
    for name in path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".") {
        plain.push(b'/');
        plain.extend_from_slice(name);
    }
    if plain.is_empty() { b"/".to_vec() } else { plain }
}

/// The path inside a hierarchy of a directory below one of its mounts, also where a link such as `cpu` for
/// `cpu,cpuacct` leads there.
fn within(layout: &Layout, directory: &Path) -> Option<Vec<u8>> {
    let directory = &std::fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    layout
        .hierarchies
        .iter()
        .filter_map(|hierarchy| directory.strip_prefix(&hierarchy.mount).ok())
        .min_by_key(|inside| inside.as_os_str().len())
        .map(|inside| plain(inside.as_os_str().as_bytes()))
}

/// Whether a path ends in the wanted names, the last of them with or without a unit's suffix.
fn is_named(path: &[u8], wanted: &[u8]) -> bool {
    path.ends_with(wanted)
        || [&b".service"[..], b".scope", b".slice"]
            .into_iter()
            .any(|suffix| path.strip_suffix(suffix).is_some_and(|path| path.ends_with(wanted)))
}

fn unknown(snapshot: &Snapshot, path: &[u8]) -> String {
    let mut message =
        format!("there is no cgroup {} among the {} here", display_path(path), snapshot.cgroups.len());
    let near = nearest(snapshot, path);
    if !near.is_empty() {
        message.push_str(&format!("; did you mean {}?", listed(near.iter().copied(), near.len())));
    }
    let ancestor = std::iter::successors(parent_path(path), |path| parent_path(path))
        .find_map(|path| snapshot.find(path))
        .filter(|ancestor| &*ancestor.identity.path != b"/");
    match ancestor {
        Some(ancestor) => {
            message.push_str(&format!("; `stockade ls {}` shows what is there", ancestor.identity.display));
        }
        None => message.push_str("; `stockade ls` shows all of them"),
    }
    message
}

fn listed<'a>(names: impl Iterator<Item = &'a str>, total: usize) -> String {
    let names: Vec<&str> = names.collect();
    let rest = total - names.len();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

/// The paths whose last name is most like the wanted one's, in the same place first.
fn nearest<'a>(snapshot: &'a Snapshot, path: &[u8]) -> Vec<&'a str> {
    let last = |path: &[u8]| path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let wanted = &path[last(path)..];
    let mut near: Vec<(usize, bool, &str)> = snapshot
        .cgroups
        .iter()
        .filter(|cgroup| &*cgroup.identity.path != b"/")
        .filter_map(|cgroup| {
            let path_of = &cgroup.identity.path;
            let name = &path_of[last(path_of)..];
            let distance = distance(name, wanted);
            (distance <= wanted.len().max(4) / 2)
                .then(|| (distance, parent_path(path_of) != parent_path(path), &*cgroup.identity.display))
        })
        .collect();
    near.sort_unstable();
    // What is much less like it than the best is no help.
    let least = near.first().map_or(0, |(distance, ..)| *distance);
    near.retain(|(distance, ..)| *distance <= least + 1);
    near.into_iter().take(PROPOSALS).map(|(.., display)| display).collect()
}

/// How many bytes must be put in, taken out or changed to make one name the other.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, a) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_plain() {
        for (path, expected) in
            [("/", "/"), ("a/b/", "/a/b"), ("//a/./b", "/a/b"), ("", "/"), ("/a/...", "/a/...")]
        {
            assert_eq!(plain(path.as_bytes()), expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn names_match_whole_components_and_units() {
        for (path, wanted, yes) in [
            ("/system.slice/nginx.service", "/nginx", true),
            ("/system.slice/nginx.service", "/nginx.service", true),
            ("/system.slice/nginx.service", "/system.slice/nginx", true),
            ("/system.slice/my-nginx.service", "/nginx", false),
            ("/system.slice/nginx.service/worker", "/nginx", false),
        ] {
            assert_eq!(is_named(path.as_bytes(), wanted.as_bytes()), yes, "{path} {wanted}");
        }
    }

    #[test]
    fn distances() {
        assert_eq!(distance(b"nginx", b"ngnix"), 2);
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(distance(b"same", b"same"), 0);
    }
}
