//! One fanotify group and one file system mark for each hierarchy.
//!
//! A group of its own for each hierarchy, so that the descriptor tells which hierarchy an event is from (events carry
//! a file system id too, but a group each also keeps one hierarchy's overflow from another's queue).

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::libc;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};

use super::wire::{FanotifyEvent, next_fanotify};
use super::{Event, Kind, READS_PER_DRAIN, WatchTarget, read_some};

/// The groups, one for each hierarchy.
#[derive(Debug)]
pub(super) struct Groups(Vec<(u8, Fanotify)>);

impl Groups {
    /// A marked group for each target, or the reason why this host gives none.
    pub(super) fn new(targets: &[WatchTarget<'_>]) -> Result<Self, String> {
        targets
            .iter()
            .map(|target| Ok((target.hierarchy, group(target)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|(_, group)| group.as_fd())
    }

    /// Hands on what is queued; true when a bound was reached and more may wait.
    pub(super) fn drain(&self, buffer: &mut [u8], each: &mut dyn FnMut(Event<'_>)) -> bool {
        let mut more = false;
        for (hierarchy, group) in &self.0 {
            more |= drain_group(*hierarchy, group, buffer, each);
        }
        more
    }
}

fn drain_group(hierarchy: u8, group: &Fanotify, buffer: &mut [u8], each: &mut dyn FnMut(Event<'_>)) -> bool {
    for _ in 0..READS_PER_DRAIN {
        let mut rest = match read_some(group.as_fd(), buffer) {
            Ok(None) => return false,
            Ok(Some(bytes)) => bytes,
            Err(_) => {
                each(Event::Lost { hierarchy });
                return false;
            }
        };
        while let Some(event) = next_fanotify(&mut rest) {
            let Ok(event) = event else {
                each(Event::Lost { hierarchy });
                break;
            };
            translate(hierarchy, &event, each);
        }
    }
    true
}

/// From the kernel's event to ours. One merged event can be several of ours; see the module's page for the order.
fn translate(hierarchy: u8, event: &FanotifyEvent<'_>, each: &mut dyn FnMut(Event<'_>)) {
    let has = |bits: u64| event.mask & bits != 0;
    if has(libc::FAN_Q_OVERFLOW) {
        each(Event::Lost { hierarchy });
    }
    let Some(place) = event.place else { return };
    let (dir, name) = (place.dir, place.name);
    if has(libc::FAN_ONDIR) {
        if has(libc::FAN_DELETE | libc::FAN_MOVED_FROM) {
            each(Event::Died { hierarchy, parent: dir, name });
        }
        if has(libc::FAN_CREATE | libc::FAN_MOVED_TO) {
            each(Event::Born { hierarchy, parent: dir, name });
        }
    } else if has(libc::FAN_MODIFY) {
        each(match Kind::of(name) {
            Kind::Notice => Event::Notice { hierarchy, dir, name },
            Kind::Control => {
                let pid = u32::try_from(event.pid).ok().filter(|&pid| pid != 0);
                Event::Written { hierarchy, dir, name, pid }
            }
        });
    }
}

fn group(target: &WatchTarget<'_>) -> Result<Fanotify, String> {
    // nix has no name for FAN_REPORT_DFID_NAME.
    let flags = InitFlags::FAN_CLASS_NOTIF
        | InitFlags::FAN_CLOEXEC
        | InitFlags::FAN_NONBLOCK
        | InitFlags::from_bits_retain(libc::FAN_REPORT_DFID_NAME);
    let group = Fanotify::init(flags, EventFFlags::O_RDONLY)
        .map_err(|errno| refused("fanotify_init", None, errno))?;
    // A mark is on a whole file system: on a disk with a tree of plain files it would tell of everything on that disk.
    let found = statfs(target.mount).map_err(|errno| refused("statfs", Some(target), errno))?;
    if ![CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&found.filesystem_type()) {
        return Err(format!("fanotify is not in use: {} is no cgroup file system", target.mount.display()));
    }
    let mask = MaskFlags::FAN_CREATE
        | MaskFlags::FAN_DELETE
        | MaskFlags::FAN_MOVED_FROM
        | MaskFlags::FAN_MOVED_TO
        | MaskFlags::FAN_MODIFY
        | MaskFlags::FAN_ONDIR;
    group
        .mark(MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_FILESYSTEM, mask, AT_FDCWD, Some(target.mount))
        .map_err(|errno| refused("fanotify_mark", Some(target), errno))?;
    Ok(group)
}

fn refused(call: &str, target: Option<&WatchTarget<'_>>, errno: Errno) -> String {
    let on = target.map(|target| format!(" on {}", target.mount.display())).unwrap_or_default();
    format!("fanotify is not in use: {call}{on}: {errno}{}", advice(errno))
}

/// What the error means here, and what to do.
fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => {
            "; it needs CAP_SYS_ADMIN in the initial user namespace: run as root or grant the capability"
        }
        Errno::ENODEV | Errno::EOPNOTSUPP => {
            "; this kernel gives no file handles for cgroups to fanotify (seen to work from 6.12, not on 6.1): \
             a newer kernel is needed"
        }
        Errno::EINVAL => "; this kernel does not report directories and names (Linux 5.9 and newer do)",
        Errno::ENOSYS => "; this kernel is built without CONFIG_FANOTIFY",
        Errno::EMFILE => {
            "; no group or descriptor is left: raise fs.fanotify.max_user_groups or RLIMIT_NOFILE"
        }
        Errno::ENOSPC => "; no mark is left: raise fs.fanotify.max_user_marks",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::wire::Place;
    use super::*;

    fn ours(mask: u64, pid: i32, name: &[u8]) -> Vec<String> {
        let mut seen = Vec::new();
        let event = FanotifyEvent { mask, pid, place: Some(Place { dir: 7, name }) };
        translate(3, &event, &mut |event| seen.push(format!("{event:?}")));
        seen.iter().map(|text| text.split(' ').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn each_bit_of_a_merged_event_is_handed_on_and_births_come_last() {
        let check = |mask: u64, name: &[u8], expected: &[&str]| assert_eq!(ours(mask, 9, name), expected);
        check(libc::FAN_CREATE | libc::FAN_ONDIR, b"a", &["Born"]);
        check(libc::FAN_CREATE | libc::FAN_DELETE | libc::FAN_ONDIR, b"a", &["Died", "Born"]);
        check(libc::FAN_MOVED_FROM | libc::FAN_CREATE | libc::FAN_ONDIR, b"a", &["Died", "Born"]);
        check(libc::FAN_MOVED_TO | libc::FAN_ONDIR, b"b", &["Born"]);
        check(libc::FAN_MODIFY, b"memory.max", &["Written"]);
        check(libc::FAN_MODIFY, b"memory.events.local", &["Notice"]);
        check(libc::FAN_CREATE, b"memory.max", &[]);
    }

    #[test]
    fn an_overflow_is_a_loss_and_a_pid_of_another_namespace_is_unknown() {
        let mut lost = 0;
        let overflow = FanotifyEvent { mask: libc::FAN_Q_OVERFLOW, pid: 0, place: None };
        translate(3, &overflow, &mut |event| lost += u32::from(event == Event::Lost { hierarchy: 3 }));
        assert_eq!(lost, 1);
        let hidden = FanotifyEvent {
            mask: libc::FAN_MODIFY,
            pid: 0,
            place: Some(Place { dir: 7, name: b"pids.max" }),
        };
        translate(3, &hidden, &mut |event| {
            assert_eq!(event, Event::Written { hierarchy: 3, dir: 7, name: b"pids.max", pid: None });
        });
    }

    #[test]
    fn a_refusal_names_the_call_the_mount_and_the_way_out() {
        let target = WatchTarget { hierarchy: 0, mount: Path::new("/nowhere") };
        let text = group(&target).map(drop).unwrap_err();
        assert!(text.contains("/nowhere") || text.contains("CAP_SYS_ADMIN"), "{text}");
        assert!(refused("fanotify_mark", Some(&target), Errno::ENODEV).contains("newer kernel"));
    }
}
