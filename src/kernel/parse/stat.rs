//! `/proc/PID/stat` and `/proc/PID/task/TID/stat`.

use super::{Malformed, number};
use crate::model::TaskState;

/// What is taken of a process's or a thread's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskStat {
    /// What it is doing.
    pub state: TaskState,
    /// How many threads its process has.
    pub threads: u64,
    /// When it was started, in clock ticks since the host was.
    pub start: u64,
}

/// `PID (NAME) STATE …`. A name can hold anything but a line's end, so that what comes after its last `)` counts.
///
/// # Errors
/// A state that proc(5) does not know, or a number that is none.
pub fn task_stat(text: &[u8]) -> Result<TaskStat, Malformed> {
    let malformed = |expected| Malformed::new(expected, text);
    let name_ends =
        text.iter().rposition(|&byte| byte == b')').ok_or_else(|| malformed("a name in brackets"))?;
    let rest = text.get(name_ends + 1..).unwrap_or_default();
    let mut fields = rest.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    // Fields are counted from 1 in proc(5); the first here is the third there.
    let state = match fields.next() {
        Some(&[letter]) => TaskState::from_letter(letter),
        _ => None,
    };
    let state = state.ok_or_else(|| malformed("a state that proc(5) knows"))?;
    let threads =
        fields.nth(16).and_then(number).ok_or_else(|| malformed("a number of threads in field 20"))?;
    let start = fields.nth(1).and_then(number).ok_or_else(|| malformed("a time in field 22"))?;
    Ok(TaskStat { state, threads, start })
}

/// The path in cgroup2 in `/proc/PID/cgroup`. That of a removed cgroup, where a process that has ended can still be, is none.
#[must_use]
pub fn unified_path(text: &[u8]) -> Option<&[u8]> {
    let path = text.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    (!path.ends_with(b" (deleted)")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_hold_what_it_likes() {
        let rest = "1 2 3 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 3 0 100 1000000 5";
        for name in ["sleep", "a b", ") R 1 2", "((", "\\n)", ""] {
            let text = format!("7 ({name}) t {rest}\n");
            let stat = task_stat(text.as_bytes());
            assert_eq!(stat, Ok(TaskStat { state: TaskState::Traced, threads: 3, start: 100 }), "{text}");
        }
        for torn in ["", "7 (sleep", "7 (sleep)", "7 (sleep) S", "7 (sleep) ? 1", "7 (sleep) SS 1"] {
            assert!(task_stat(torn.as_bytes()).is_err(), "{torn}");
        }
        let torn = format!("7 (a) S {}", rest.replace(" 3 0 100", " 3 0"));
        assert_ne!(task_stat(torn.as_bytes()).map(|stat| stat.start), Ok(100));
        assert!(task_stat(format!("7 (a) S {}", rest.replace(" 100 ", " x ")).as_bytes()).is_err());
    }

    #[test]
    fn this_process_is_told_as_by_others() {
        let text = std::fs::read("/proc/self/stat").expect("a proc file system");
        let stat = task_stat(&text).expect("a line");
        let theirs = procfs::process::Process::myself().and_then(|me| me.stat()).expect("the same");
        assert_eq!(stat.start, theirs.starttime);
        assert!(stat.threads >= 1);
    }

    #[test]
    fn the_line_of_cgroup2_counts() {
        assert_eq!(unified_path(b"4:memory:/x\n0::/a:b\n"), Some(&b"/a:b"[..]));
        assert_eq!(unified_path(b"0::/a (deleted)\n"), None);
        assert_eq!(unified_path(b"4:memory:/x\n"), None);
    }
}
