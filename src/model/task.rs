//! What a process or a thread is doing.

use super::Field;

macro_rules! states {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $letters:pat, $processes:ident, $threads:expr;)+) => {
        /// The state of a process (that of its first thread, as ps shows it) or of a thread.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum TaskState { $($(#[$doc])* $variant,)+ }

        impl TaskState {
            /// Every state, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The label's value.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The state of a letter in `/proc/PID/stat`, as proc(5) lists them.
            #[must_use]
            pub const fn from_letter(letter: u8) -> Option<Self> {
                match letter {
                    $($letters => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// How many processes of a cgroup are in it.
            #[must_use]
            pub const fn processes(self) -> Field {
                match self { $(Self::$variant => Field::$processes,)+ }
            }

            /// How many threads of a cgroup are in it. A thread that has ended is none any more.
            #[must_use]
            pub const fn threads(self) -> Option<Field> {
                match self { $(Self::$variant => $threads,)+ }
            }
        }
    };
}

states! {
    /// It runs, or waits for a CPU.
    Running = "running", b'R', ProcessesRunning, Some(Field::ThreadsRunning);
    /// It waits for something, and a signal wakes it. A cgroup that v2 froze shows its tasks so.
    Sleeping = "sleeping", b'S', ProcessesSleeping, Some(Field::ThreadsSleeping);
    /// It waits, for a disk most often, and no signal wakes it. v1's freezer holds tasks so.
    DiskSleep = "disk_sleep", b'D', ProcessesDiskSleep, Some(Field::ThreadsDiskSleep);
    /// A signal stopped it.
    Stopped = "stopped", b'T', ProcessesStopped, Some(Field::ThreadsStopped);
    /// A debugger stopped it.
    Traced = "traced", b't', ProcessesTraced, Some(Field::ThreadsTraced);
    /// A thread of the kernel that has nothing to do, or is parked.
    Idle = "idle", b'I' | b'P', ProcessesIdle, Some(Field::ThreadsIdle);
    /// It has ended, and its parent has not asked how; or its first thread has, while others live. X is seen for a moment.
    Zombie = "zombie", b'Z' | b'X', ProcessesZombie, None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_stand_at_their_places_and_fill_fields_of_their_own() {
        for (at, state) in TaskState::ALL.iter().enumerate() {
            assert_eq!(*state as usize, at);
            assert_eq!(
                TaskState::ALL.iter().filter(|other| other.processes() == state.processes()).count(),
                1
            );
            assert_eq!(TaskState::ALL.iter().filter(|other| other.threads() == state.threads()).count(), 1);
        }
        assert_eq!(TaskState::from_letter(b't'), Some(TaskState::Traced));
        assert_eq!(TaskState::from_letter(b'T'), Some(TaskState::Stopped));
        assert_eq!(TaskState::from_letter(b'?'), None);
    }
}
