//! The journal: what it loses, whom it locks out, and what the next start makes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use stockade::enforce::actuator::Saved;
use stockade::enforce::journal::{Damage, Fate, Intent, Journal, JournalError};
use stockade::enforce::order::Outcome;
use stockade::model::{Identity, Knob, Value};

use crate::fake::{Kernel, Mishap, identity, unset};

const BOOT: &str = "this boot";

fn claim(journal: &mut Journal, target: &Identity, control: Option<(Knob, u64)>) -> u64 {
    let entry = journal.next_entry();
    let saved = control.map(|(knob, value)| {
        (Saved { knob, value: unset(), raw: unset().to_string().into() }, Value::of(value))
    });
    let control = saved.as_ref().map(|(saved, value)| (saved, value));
    journal.claim(&[Intent { entry, order: 1, rule: "rule", target, control, ttl: None }]).unwrap();
    entry
}

/// Claims a control, and writes it.
fn limit(journal: &mut Journal, kernel: &Kernel, target: &Arc<Identity>, value: u64) -> u64 {
    let entry = claim(journal, target, Some((Knob::PidsMax, value)));
    set(kernel, &target.display, value);
    journal.applied(entry, Some(&Value::of(value)));
    entry
}

fn set(kernel: &Kernel, path: &str, value: u64) {
    kernel.change(path, |group| {
        group.knobs.insert(Knob::PidsMax, Value::of(value));
    });
}

fn fates(dir: &Path, boot: &str, kernel: &Kernel) -> Vec<(String, Fate)> {
    let recovery = Journal::open(dir, boot).unwrap().recover(kernel);
    recovery
        .claims
        .into_iter()
        .map(|claim| (format!("{} {}", claim.cgroup, claim.what), claim.fate))
        .collect()
}

#[test]
fn a_file_cut_or_damaged_anywhere_loses_one_line_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    {
        let mut journal = Journal::open(dir.path(), BOOT).unwrap();
        for number in 1..=4 {
            claim(&mut journal, &identity("/a b\n", number), Some((Knob::PidsMax, number)));
        }
    }
    let whole = fs::read(&path).unwrap();
    let lines: Vec<usize> =
        whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    assert_eq!(lines.len(), 5, "a beginning and four claims");
    for cut in 0..=whole.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("journal"), &whole[..cut]).unwrap();
        let journal = Journal::open(dir.path(), BOOT).unwrap();
        let complete = lines.iter().filter(|&&end| end <= cut).count();
        assert_eq!(journal.open_claims(), complete.saturating_sub(1), "cut at {cut}");
        let good = if complete == 0 { 0 } else { lines[complete - 1] };
        let Damage { torn, kept, corrupt } = journal.damage();
        assert_eq!((*torn, *corrupt), ((cut - good) as u64, 0), "cut at {cut}");
        match kept {
            Some(kept) => assert_eq!(fs::read(kept).unwrap(), &whole[good..cut]),
            None => assert_eq!(good, cut),
        }
    }
    for at in lines[1]..lines[3] - 1 {
        let dir = tempfile::tempdir().unwrap();
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(dir.path().join("journal"), damaged).unwrap();
        let journal = Journal::open(dir.path(), BOOT).unwrap();
        // A newline that is no more makes one line of two.
        let lost = if whole[at] == b'\n' { 2 } else { 1 };
        assert_eq!(journal.open_claims(), 4 - lost, "a bit of byte {at} flipped");
        assert!(journal.damage().torn == 0 && journal.damage().corrupt >= 1, "{:?}", journal.damage());
    }
}

#[test]
fn there_is_one_writer_and_the_other_is_told_who_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), BOOT).unwrap();
    let error = Journal::open(dir.path(), BOOT).unwrap_err();
    let pid = std::process::id().to_string();
    assert!(matches!(&error, JournalError::Locked { pid: holder, .. } if *holder == pid), "{error}");
    assert!(error.to_string().contains(&pid), "{error}");
    drop(journal);
    Journal::open(dir.path(), BOOT).unwrap();
}

#[test]
fn its_directory_is_closed_to_others_or_not_used() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/b");
    drop(Journal::open(&dir, BOOT).unwrap());
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    let error = Journal::open(&dir, BOOT).unwrap_err();
    assert!(matches!(error, JournalError::Exposed { mode: 0o777, .. }), "{error}");
}

#[test]
fn recovery_tells_what_is_still_its_own() {
    let kernel = Kernel::with(&[
        "/written", "/rounded", "/not-yet", "/foreign", "/dead", "/reborn", "/frozen", "/thawed",
    ]);
    let dir = tempfile::tempdir().unwrap();
    {
        let mut journal = Journal::open(dir.path(), BOOT).unwrap();
        limit(&mut journal, &kernel, &identity("/written", 1), 5);
        // Written and rounded, and the end came before it was read back.
        claim(&mut journal, &identity("/rounded", 2), Some((Knob::PidsMax, 5)));
        set(&kernel, "/rounded", 4);
        claim(&mut journal, &identity("/not-yet", 3), Some((Knob::PidsMax, 5)));
        limit(&mut journal, &kernel, &identity("/foreign", 4), 5);
        set(&kernel, "/foreign", 9);
        limit(&mut journal, &kernel, &identity("/dead", 50), 5).to_string();
        limit(&mut journal, &kernel, &identity("/reborn", 60), 5).to_string();
        claim(&mut journal, &identity("/frozen", 7), None);
        kernel.change("/frozen", |group| group.frozen = true);
        claim(&mut journal, &identity("/thawed", 8), None);
        let undone = limit(&mut journal, &kernel, &identity("/written", 1), 3);
        journal.undone(undone, "cleared");
        set(&kernel, "/written", 3);
    }
    let expected = [
        ("/thawed freeze", Fate::WasBack),
        ("/frozen freeze", Fate::Restored),
        ("/reborn pids.max", Fate::Vanished),
        ("/dead pids.max", Fate::Vanished),
        ("/foreign pids.max", Fate::ChangedHands),
        ("/not-yet pids.max", Fate::WasBack),
        ("/rounded pids.max", Fate::Restored),
        ("/written pids.max", Fate::Restored),
    ];
    let expected = expected.map(|(what, fate)| (what.to_owned(), fate));
    assert_eq!(fates(dir.path(), BOOT, &kernel), expected);
    assert_eq!(fates(dir.path(), BOOT, &kernel), [], "nothing is applied twice");
    for path in ["/written", "/rounded", "/not-yet"] {
        assert_eq!(kernel.value(path, &Knob::PidsMax), unset(), "{path}");
    }
    assert_eq!(kernel.value("/foreign", &Knob::PidsMax), Value::of(9));
    assert_eq!(kernel.value("/reborn", &Knob::PidsMax), Value::of(5), "the new one's own");
    assert!(!kernel.group("/frozen").frozen);
}

#[test]
fn several_claims_on_one_control_end_with_what_was_before_the_first() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    {
        let mut journal = Journal::open(dir.path(), BOOT).unwrap();
        for value in [50, 20, 30] {
            limit(&mut journal, &kernel, &identity("/a", 1), value);
        }
    }
    let fates: Vec<Fate> = fates(dir.path(), BOOT, &kernel).into_iter().map(|(_, fate)| fate).collect();
    assert_eq!(fates, [Fate::Restored, Fate::WasBack, Fate::WasBack]);
    assert_eq!(kernel.value("/a", &Knob::PidsMax), unset());
}

#[test]
fn an_end_between_giving_up_a_claim_and_writing_the_next_is_recovered() {
    for written in [false, true] {
        let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
        {
            let mut journal = Journal::open(dir.path(), BOOT).unwrap();
            let loose = limit(&mut journal, &kernel, &identity("/a", 1), 50);
            limit(&mut journal, &kernel, &identity("/a", 1), 20);
            journal.intended(loose).unwrap();
            if written {
                set(&kernel, "/a", 50);
            }
        }
        fates(dir.path(), BOOT, &kernel);
        assert_eq!(kernel.value("/a", &Knob::PidsMax), unset(), "written: {written}");
    }
}

#[test]
fn after_a_reboot_every_claim_is_closed_and_no_cgroup_touched() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    limit(&mut Journal::open(dir.path(), BOOT).unwrap(), &kernel, &identity("/a", 1), 5);
    let expected = [("/a pids.max".to_owned(), Fate::Rebooted)];
    assert_eq!(fates(dir.path(), "another boot", &kernel), expected);
    assert_eq!(kernel.value("/a", &Knob::PidsMax), Value::of(5));
    assert_eq!(fates(dir.path(), "another boot", &kernel), []);
}

#[test]
fn a_recovery_that_fails_or_is_cut_short_is_ended_by_the_next() {
    let (kernel, dir) = (Kernel::with(&["/a", "/b"]), tempfile::tempdir().unwrap());
    {
        let mut journal = Journal::open(dir.path(), BOOT).unwrap();
        limit(&mut journal, &kernel, &identity("/a", 1), 5);
        limit(&mut journal, &kernel, &identity("/b", 2), 5);
    }
    // As the file is when the end comes after the kernel was written and before that was noted.
    let before = fs::read(dir.path().join("journal")).unwrap();
    kernel.mishap("restore pids.max", Mishap::Fails(Outcome::Failed));
    let first = fates(dir.path(), BOOT, &kernel);
    assert!(matches!(&first[..], [(_, Fate::Failed(_)), (_, Fate::Restored)]), "{first:?}");
    let second = fates(dir.path(), BOOT, &kernel);
    assert_eq!(second, [("/b pids.max".to_owned(), Fate::Restored)]);
    fs::write(dir.path().join("journal"), before).unwrap();
    let again = fates(dir.path(), BOOT, &kernel);
    assert!(again.iter().all(|(_, fate)| *fate == Fate::WasBack), "{again:?}");
    for path in ["/a", "/b"] {
        assert_eq!(kernel.value(path, &Knob::PidsMax), unset());
    }
}

#[test]
fn a_long_life_leaves_a_short_file_with_all_that_is_open() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    {
        let mut journal = Journal::open(dir.path(), BOOT).unwrap();
        limit(&mut journal, &kernel, &identity("/a", 1), 5);
        for number in 0..2500 {
            let target = identity("/other", 100 + number);
            let entry = claim(&mut journal, &target, None);
            journal.undone(entry, "cleared");
        }
        assert_eq!((journal.open_claims(), journal.faults()), (1, 0));
    }
    let size = fs::metadata(dir.path().join("journal")).unwrap().len();
    assert!(size < 1 << 18, "{size} bytes");
    assert_eq!(fates(dir.path(), BOOT, &kernel), [("/a pids.max".to_owned(), Fate::Restored)]);
}

#[test]
fn where_it_cannot_be_written_anew_what_stands_in_it_is_undone_all_the_same() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let a = identity("/a", 1);
    limit(&mut Journal::open(dir.path(), BOOT).unwrap(), &kernel, &a, 5);
    // As on a full disk: there is no room for a new file beside the old one.
    fs::create_dir(dir.path().join("journal.new")).unwrap();
    assert_eq!(fates(dir.path(), BOOT, &kernel), [("/a pids.max".to_owned(), Fate::Restored)]);
    // The lines of another boot stand before those of this one.
    limit(&mut Journal::open(dir.path(), "the next boot").unwrap(), &kernel, &a, 6);
    let found = fates(dir.path(), "the next boot", &kernel);
    assert_eq!(found, [("/a pids.max".to_owned(), Fate::Restored)], "it is of this boot");
}
