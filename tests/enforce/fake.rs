//! A kernel of the test's own: cgroups with controls, and every fault on demand.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use stockade::enforce::actuator::{Actuator, Fault, Held, Saved};
use stockade::enforce::order::Outcome;
use stockade::model::{Identity, Knob, Owner, Value, display_path};
use stockade::policy::rule::Kill;

/// The identity of a cgroup.
pub fn identity(path: &str, id: u64) -> Arc<Identity> {
    Arc::new(Identity {
        path: path.as_bytes().into(),
        display: display_path(path.as_bytes()).into(),
        id,
        owner: Owner::default(),
    })
}

/// What goes wrong with the next call of a name.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// It answers with this fault.
    Fails(Outcome),
    /// It does not come back before [`Kernel::release`].
    Hangs,
    /// The cgroup vanishes first.
    Vanishes,
    /// A bug of the kernel layer's.
    Panics,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub id: u64,
    pub knobs: HashMap<Knob, Value>,
    pub usage: HashMap<Knob, u64>,
    pub frozen: bool,
    pub processes: usize,
}

#[derive(Default)]
struct World {
    groups: HashMap<Box<[u8]>, Group>,
    mishaps: VecDeque<(String, Mishap)>,
    held: bool,
    hanging: usize,
    log: Vec<String>,
}

/// The kernel.
#[derive(Clone, Default)]
pub struct Kernel {
    world: Arc<(Mutex<World>, Condvar)>,
}

impl Kernel {
    /// With these cgroups; their ids are 1, 2, 3 and so on.
    pub fn with(paths: &[&str]) -> Self {
        let kernel = Self::default();
        for (at, path) in paths.iter().enumerate() {
            kernel.make(path, at as u64 + 1);
        }
        kernel
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.0.lock().unwrap()
    }

    pub fn make(&self, path: &str, id: u64) {
        let group = Group { id, knobs: HashMap::new(), usage: HashMap::new(), frozen: false, processes: 3 };
        self.world().groups.insert(path.as_bytes().into(), group);
    }

    pub fn change(&self, path: &str, change: impl FnOnce(&mut Group)) {
        change(self.world().groups.get_mut(path.as_bytes()).unwrap());
    }

    pub fn group(&self, path: &str) -> Group {
        self.world().groups[path.as_bytes()].clone()
    }

    /// A control as it is.
    pub fn value(&self, path: &str, knob: &Knob) -> Value {
        self.group(path).knobs.get(knob).cloned().unwrap_or_else(unset)
    }

    /// The next call of that name (`write memory.max`, `freeze`) goes wrong.
    pub fn mishap(&self, call: &str, mishap: Mishap) {
        let mut world = self.world();
        world.held |= matches!(mishap, Mishap::Hangs);
        world.mishaps.push_back((call.to_owned(), mishap));
    }

    /// Lets go of every call that hangs.
    pub fn release(&self) {
        self.world().held = false;
        self.world.1.notify_all();
    }

    /// Waits until a call hangs.
    pub fn wait_until_hanging(&self) {
        let world = self.world();
        drop(self.world.1.wait_while(world, |world| world.hanging == 0).unwrap());
    }

    /// What changed anything, in order: `write /a memory.max 5`.
    pub fn log(&self) -> Vec<String> {
        self.world().log.clone()
    }
}

/// What a control is before anybody wrote it.
pub fn unset() -> Value {
    Value::Limit(stockade::model::Limit::Max)
}

impl Actuator for Kernel {
    fn open(&self, target: &Identity) -> Result<Box<dyn Held>, Fault> {
        let handle = Handle { kernel: self.clone(), path: target.path.clone(), id: target.id };
        handle.call("open", |_| Ok(()))?;
        Ok(Box::new(handle))
    }

    fn put_back_outlived(&self, saved: &Saved, still: &dyn Fn() -> bool) -> Result<(), Fault> {
        let fails = {
            let mut world = self.world();
            let at = world.mishaps.iter().position(|(call, _)| call == "put_back_outlived");
            at.and_then(|at| world.mishaps.remove(at)).is_some()
        };
        if fails {
            return Err(Fault::new(Outcome::Failed, "put_back_outlived: injected"));
        }
        if still() {
            self.world().log.push(format!("outlived {} {}", saved.knob, saved.raw));
        }
        Ok(())
    }
}

struct Handle {
    kernel: Kernel,
    path: Box<[u8]>,
    id: u64,
}

impl Handle {
    fn call<T>(&self, name: &str, act: impl FnOnce(&mut Group) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut world = self.kernel.world();
        let at = world.mishaps.iter().position(|(call, _)| call == name);
        let mishap = at.and_then(|at| world.mishaps.remove(at)).map(|(_, mishap)| mishap);
        match mishap {
            Some(Mishap::Fails(outcome)) => return Err(Fault::new(outcome, format!("{name}: injected"))),
            Some(Mishap::Panics) => {
                drop(world);
                panic!("{name}: a bug, injected");
            }
            Some(Mishap::Vanishes) => {
                world.groups.remove(&self.path);
            }
            Some(Mishap::Hangs) => {
                world.hanging += 1;
                self.kernel.world.1.notify_all();
                world = self.kernel.world.1.wait_while(world, |world| world.held).unwrap();
                world.hanging -= 1;
            }
            None => {}
        }
        let vanished = || Fault::new(Outcome::Vanished, format!("{name}: no such cgroup"));
        let shown = display_path(&self.path);
        let group =
            world.groups.get_mut(&self.path).filter(|group| group.id == self.id).ok_or_else(vanished)?;
        let before = (group.knobs.clone(), group.frozen, group.processes);
        let result = act(group)?;
        if before != (group.knobs.clone(), group.frozen, group.processes) {
            let (verb, what) = name.split_once(' ').unwrap_or((name, ""));
            let knob = group.knobs.iter().find(|(knob, _)| knob.to_string() == what);
            let value = knob.map_or(String::new(), |(_, value)| format!(" {what} {value}"));
            world.log.push(format!("{verb} {shown}{value}"));
        }
        Ok(result)
    }
}

impl Held for Handle {
    fn save(&self, knob: &Knob) -> Result<Saved, Fault> {
        let value = self.call(&format!("save {knob}"), |group| Ok(group.knobs.get(knob).cloned()))?;
        let value = value.unwrap_or_else(unset);
        Ok(Saved { knob: knob.clone(), raw: value.to_string().into(), value })
    }

    fn read(&self, knob: &Knob) -> Result<Value, Fault> {
        let read = |group: &mut Group| Ok(group.knobs.get(knob).cloned().unwrap_or_else(unset));
        self.call(&format!("read {knob}"), read)
    }

    fn write(&self, knob: &Knob, value: &Value) -> Result<(), Fault> {
        self.call(&format!("write {knob}"), |group| {
            // memory.high is rounded as a kernel rounds to pages.
            let rounded = match (knob, value.number()) {
                (Knob::MemoryHigh, Some(number)) => Value::of(number / 4096 * 4096),
                _ => value.clone(),
            };
            group.knobs.insert(knob.clone(), rounded);
            Ok(())
        })
    }

    fn restore(&self, saved: &Saved) -> Result<(), Fault> {
        assert_eq!(*saved.raw, saved.value.to_string(), "it comes back word for word");
        self.call(&format!("restore {}", saved.knob), |group| {
            group.knobs.insert(saved.knob.clone(), saved.value.clone());
            Ok(())
        })
    }

    fn usage(&self, knob: &Knob) -> Option<u64> {
        self.call("usage", |group| Ok(group.usage.get(knob).copied())).ok().flatten()
    }

    fn is_frozen(&self) -> Result<bool, Fault> {
        self.call("is_frozen", |group| Ok(group.frozen))
    }

    fn freeze(&self, _: Duration) -> Result<(), Fault> {
        self.call("freeze", |group| {
            group.frozen = true;
            Ok(())
        })
    }

    fn thaw(&self) -> Result<(), Fault> {
        self.call("thaw", |group| {
            group.frozen = false;
            Ok(())
        })
    }

    fn kill(&self, _: Kill, _: Duration) -> Result<(), Fault> {
        self.call("kill", |group| {
            group.processes = 0;
            Ok(())
        })
    }

    fn kill_may_freeze(&self) -> bool {
        false
    }

    fn reclaim_writes(&self) -> Result<Option<Knob>, Fault> {
        Ok(Some(Knob::MemoryHigh))
    }

    fn restart(&self, _: Duration) -> Result<(), Fault> {
        self.call("restart", |group| {
            // A service manager lets run what it ends.
            group.frozen = false;
            group.processes = 1;
            Ok(())
        })
    }

    fn stop(&self, _: Duration) -> Result<(), Fault> {
        self.call("stop", |group| {
            // A service manager lets run what it ends.
            group.frozen = false;
            group.processes = 0;
            Ok(())
        })
    }

    fn reclaim(&self, bytes: u64) -> Result<u64, Fault> {
        self.call("reclaim", |_| Ok(bytes / 2))
    }
}
