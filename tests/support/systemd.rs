//! A systemd of the test's own on a bus of the test's own: what it is asked for is done to the test's cgroups, and it can be
//! slow, refuse, or go away.

use std::collections::BTreeMap;
use std::fs;
use std::future::poll_fn;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::oneshot;
use zbus::export::futures_core::Stream as _;
use zbus::message::{Message, Type};
use zbus::zvariant::{ObjectPath, OwnedValue, Value};
use zbus::{Connection, MessageStream, connection};

const ROOT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// A unit.
#[derive(Debug)]
pub struct Unit {
    /// Its cgroup below the root; empty where it has none.
    pub cgroup: String,
    /// Its directories in the kernel.
    pub directories: Vec<PathBuf>,
    /// Its properties.
    pub properties: BTreeMap<String, OwnedValue>,
}

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It does what it is asked.
    #[default]
    Willing,
    /// It never answers.
    Silent,
    /// polkit is against it.
    Denying,
    /// It is of a version that knows no order.
    Ignorant,
    /// It answers questions and orders after a second.
    Slow,
}

#[derive(Debug, Default)]
struct State {
    units: BTreeMap<String, Unit>,
    mood: Mood,
    /// Each call that is no question: the method and its unit.
    orders: Vec<String>,
    jobs: u32,
}

/// A bus, and systemd on it. Both end with it.
pub struct Systemd {
    place: tempfile::TempDir,
    bus: Option<Child>,
    state: Arc<Mutex<State>>,
    present: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Systemd {
    /// A bus with systemd on it, and a root directory whose `/run` says so.
    pub fn start() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        for directory in ["run/dbus", "run/systemd/system", "etc"] {
            fs::create_dir_all(place.path().join(directory)).expect("a directory");
        }
        let mut systemd = Self { place, bus: None, state: Arc::default(), present: Mutex::default() };
        systemd.begin_bus();
        systemd.enter();
        systemd
    }

    /// The host's root, for `--path.rootfs`.
    pub fn root(&self) -> &Path {
        self.place.path()
    }

    /// Its `/run`.
    pub fn run(&self) -> PathBuf {
        self.root().join("run")
    }

    /// Starts the bus.
    pub fn begin_bus(&mut self) {
        let socket = self.run().join("dbus/system_bus_socket");
        let (file, log) = (self.root().join("bus.conf"), self.root().join("bus.log"));
        let config = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n\
             <busconfig><type>custom</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\"/>\
             <allow receive_sender=\"*\"/></policy></busconfig>\n",
            socket.display()
        );
        fs::write(&file, config).expect("a configuration");
        let mut bus = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", file.display()))
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address"])
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).expect("a file"))
            .spawn()
            .expect("dbus-daemon is installed: tests/run does that");
        let mut address = String::new();
        BufReader::new(bus.stdout.take().expect("a pipe")).read_line(&mut address).expect("its address");
        let why = || fs::read_to_string(&log).unwrap_or_default();
        assert!(!address.is_empty(), "the bus did not begin: {}", why());
        self.bus = Some(bus);
    }

    /// Ends the bus, and systemd's place on it.
    pub fn end_bus(&mut self) {
        self.leave();
        if let Some(mut bus) = self.bus.take() {
            let _ = bus.kill();
            let _ = bus.wait();
            let _ = fs::remove_file(self.run().join("dbus/system_bus_socket"));
        }
    }

    /// systemd takes its name on the bus.
    pub fn enter(&self) {
        let address = format!("unix:path={}", self.run().join("dbus/system_bus_socket").display());
        let state = Arc::clone(&self.state);
        let run = self.run();
        let (end, ended) = oneshot::channel();
        let (ready, begun) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let connection = connection::Builder::address(&*address).expect("an address");
                let connection = connection.build().await.expect("the bus takes connections");
                let mut calls = MessageStream::from(&connection);
                connection.request_name("org.freedesktop.systemd1").await.expect("nobody else has the name");
                ready.send(()).expect("it is waited for");
                let serve = async {
                    while let Some(call) = poll_fn(|context| Pin::new(&mut calls).poll_next(context)).await {
                        let Ok(call) = call else { return };
                        if call.message_type() == Type::MethodCall {
                            answer(&connection, &call, &state, &run).await;
                        }
                    }
                };
                tokio::select! { () = serve => {}, _ = ended => {} }
            });
        });
        begun.recv().expect("systemd is on the bus");
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = Some((end, thread));
    }

    /// systemd leaves the bus, as while it executes itself anew.
    pub fn leave(&self) {
        if let Some((end, thread)) = self.present.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(end);
            let _ = thread.join();
        }
    }

    /// How many are connected to the bus, whoever asks here among them.
    pub fn connections(&self) -> usize {
        let address = format!("unix:path={}", self.run().join("dbus/system_bus_socket").display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let names: Vec<String> = runtime.block_on(async {
            let connection = connection::Builder::address(&*address).expect("an address");
            let connection = connection.build().await.expect("the bus takes connections");
            let bus = "org.freedesktop.DBus";
            let reply =
                connection.call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "ListNames", &());
            reply.await.expect("the bus answers").body().deserialize().expect("names")
        });
        names.iter().filter(|name| name.starts_with(':')).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a unit, or makes it anew.
    pub fn unit(&self, name: &str, cgroup: &str, directories: Vec<PathBuf>) {
        let unit = Unit { cgroup: cgroup.to_owned(), directories, properties: BTreeMap::new() };
        self.state().units.insert(name.to_owned(), unit);
        self.property(name, "ActiveState", "active");
        self.property(name, "TasksMax", u64::MAX);
        self.property(name, "MemoryMax", u64::MAX);
        self.property(name, "DropInPaths", Vec::<String>::new());
    }

    /// Sets a property behind everybody's back.
    pub fn property<'a>(&self, unit: &str, name: &str, value: impl Into<Value<'a>>) {
        let value = value.into().try_to_owned().expect("no descriptors");
        self.state().units.get_mut(unit).expect("a unit").properties.insert(name.to_owned(), value);
    }

    /// Unloads a unit.
    pub fn forget(&self, name: &str) {
        self.state().units.remove(name);
    }

    /// Answers otherwise from now on.
    pub fn feel(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// What it was told to do so far.
    pub fn orders(&self) -> Vec<String> {
        self.state().orders.clone()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        self.end_bus();
    }
}

/// An error's name and its message.
type Refusal = (&'static str, String);

const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

async fn answer(connection: &Connection, call: &Message, state: &Mutex<State>, run: &Path) {
    let mood = state.lock().unwrap_or_else(PoisonError::into_inner).mood;
    if mood == Mood::Slow {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let header = call.header();
    let member = header.member().map(|name| name.to_string()).unwrap_or_default();
    let path = header.path().map(|path| path.to_string()).unwrap_or_default();
    let done = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let order =
            !["Get", "GetAll", "GetUnit", "GetUnitByControlGroup", "ListUnitsByPatterns"].contains(&&*member);
        match mood {
            Mood::Silent => return,
            Mood::Denying if order => {
                Err(("org.freedesktop.DBus.Error.AccessDenied", "polkit says no".to_owned()))
            }
            Mood::Ignorant if order => {
                Err(("org.freedesktop.DBus.Error.UnknownMethod", "no such thing".to_owned()))
            }
            _ => state.take(&member, &path, call, run),
        }
    };
    let job = matches!(&*member, "RestartUnit" | "StopUnit");
    let sent = match done {
        Ok(Answer::Nothing) => connection.reply(&header, &()).await,
        Ok(Answer::Object(path)) => {
            let object = ObjectPath::try_from(&*path).expect("a path");
            let sent = connection.reply(&header, &object).await;
            if job {
                let number: u32 =
                    path.rsplit('/').next().and_then(|number| number.parse().ok()).expect("a job");
                let removed = (number, &object, "unit", "done");
                let told = connection.emit_signal(None::<&str>, ROOT, MANAGER, "JobRemoved", &removed).await;
                told.expect("the bus takes signals");
            }
            sent
        }
        Ok(Answer::Value(value)) => connection.reply(&header, &value).await,
        Ok(Answer::Values(values)) => connection.reply(&header, &values).await,
        Ok(Answer::Units(units)) => connection.reply(&header, &units).await,
        Err((name, message)) => connection.reply_error(&header, name, &message).await,
    };
    // Who asked may be gone.
    let _ = sent;
}

type Listed =
    (String, String, String, String, String, String, ObjectPath<'static>, u32, String, ObjectPath<'static>);

enum Answer {
    Nothing,
    Object(String),
    Value(OwnedValue),
    Values(BTreeMap<String, OwnedValue>),
    Units(Vec<Listed>),
}

impl State {
    fn take(&mut self, member: &str, path: &str, call: &Message, run: &Path) -> Result<Answer, Refusal> {
        let body = call.body();
        match member {
            "GetUnitByControlGroup" => {
                let cgroup: &str = body.deserialize().expect("a cgroup");
                let is_within = |unit: &Unit| {
                    !unit.cgroup.is_empty()
                        && cgroup
                            .strip_prefix(&*unit.cgroup)
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                let found = self.units.iter().filter(|(_, unit)| is_within(unit));
                let found = found.max_by_key(|(_, unit)| unit.cgroup.len());
                found
                    .map(|(name, _)| Answer::Object(object(name)))
                    .ok_or_else(|| (NO_SUCH_UNIT, format!("no unit has {cgroup}")))
            }
            "GetUnit" => {
                let name: &str = body.deserialize().expect("a name");
                self.find(name)?;
                Ok(Answer::Object(object(name)))
            }
            "Get" => {
                let (_, property): (&str, &str) = body.deserialize().expect("a property");
                let (name, unit) = self.at(path)?;
                let value = match property {
                    "Id" => Value::from(name).try_to_owned(),
                    "ControlGroup" => Value::from(&*unit.cgroup).try_to_owned(),
                    _ => match unit.properties.get(property) {
                        Some(value) => value.try_clone(),
                        None => {
                            return Err(("org.freedesktop.DBus.Error.UnknownProperty", property.to_owned()));
                        }
                    },
                };
                Ok(Answer::Value(value.expect("no descriptors")))
            }
            "GetAll" => {
                let (_, unit) = self.at(path)?;
                let all = unit.properties.iter();
                Ok(Answer::Values(
                    all.map(|(name, value)| (name.clone(), value.try_clone().expect("no descriptors")))
                        .collect(),
                ))
            }
            "ListUnitsByPatterns" => Ok(Answer::Units(self.units.iter().map(listed).collect())),
            "SetUnitProperties" => {
                let (name, runtime, settings): (String, bool, Vec<(String, OwnedValue)>) =
                    body.deserialize().expect("properties");
                self.orders.push(format!("{member} {name}"));
                assert!(runtime, "nothing is to outlive the boot");
                for (property, value) in settings {
                    self.set(&name, &property, value, run)?;
                }
                Ok(Answer::Nothing)
            }
            "KillUnit" => {
                let (name, whom, signal): (&str, &str, i32) = body.deserialize().expect("a signal");
                self.orders.push(format!("{member} {name} {whom} {signal}"));
                let signal = Signal::try_from(signal).expect("a signal");
                end(self.find(name)?, signal);
                Ok(Answer::Nothing)
            }
            "RestartUnit" | "StopUnit" => {
                let (name, mode): (&str, &str) = body.deserialize().expect("a unit");
                self.orders.push(format!("{member} {name} {mode}"));
                end(self.find(name)?, Signal::SIGKILL);
                self.jobs += 1;
                Ok(Answer::Object(format!("{ROOT}/job/{}", self.jobs)))
            }
            _ => Ok(Answer::Nothing),
        }
    }

    fn find(&self, name: &str) -> Result<&Unit, Refusal> {
        self.units.get(name).ok_or_else(|| (NO_SUCH_UNIT, format!("Unit {name} not loaded.")))
    }

    fn at(&self, path: &str) -> Result<(&str, &Unit), Refusal> {
        let found = self.units.iter().find(|(name, _)| object(name) == path);
        found
            .map(|(name, unit)| (&**name, unit))
            .ok_or_else(|| ("org.freedesktop.DBus.Error.UnknownObject", path.to_owned()))
    }

    /// Takes a property in: into the kernel, and into a drop-in as systemd writes them.
    fn set(&mut self, name: &str, property: &str, value: OwnedValue, run: &Path) -> Result<(), Refusal> {
        self.find(name)?;
        let unit = self.units.get_mut(name).expect("it was found");
        let number = u64::try_from(&value).ok().filter(|number| *number != u64::MAX);
        let files: &[(&str, &str)] = match property {
            "TasksMax" => &[("pids.max", "max")],
            "MemoryMax" => &[("memory.max", "max"), ("memory.limit_in_bytes", "-1")],
            _ => &[],
        };
        for directory in &unit.directories {
            for (file, none) in files.iter().filter(|(file, _)| directory.join(file).exists()) {
                let text = number.map_or_else(|| (*none).to_owned(), |number| number.to_string());
                fs::write(directory.join(file), text).expect("the kernel takes it");
            }
        }
        unit.properties.insert(property.to_owned(), value);
        let below = format!("systemd/system.control/{name}.d/50-{property}.conf");
        fs::create_dir_all(run.join(&below).parent().expect("a directory")).expect("a directory");
        fs::write(run.join(&below), "").expect("a drop-in");
        let paths = Value::from(vec![format!("/run/{below}")]).try_to_owned().expect("no descriptors");
        unit.properties.insert("DropInPaths".to_owned(), paths);
        Ok(())
    }
}

/// A unit's object, as systemd escapes names.
fn object(name: &str) -> String {
    let escaped: String =
        name.bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("_{byte:02x}")
                }
            })
            .collect();
    format!("{ROOT}/unit/{escaped}")
}

fn listed((name, unit): (&String, &Unit)) -> Listed {
    let state = unit.properties.get("ActiveState").and_then(|state| state.downcast_ref::<String>().ok());
    let object = ObjectPath::try_from(object(name)).expect("a path");
    let none = || String::new();
    let job = ObjectPath::from_static_str("/").expect("a path");
    (name.clone(), none(), none(), state.unwrap_or_default(), none(), none(), object, 0, none(), job)
}

/// Sends every process of a unit a signal.
fn end(unit: &Unit, signal: Signal) {
    for directory in &unit.directories {
        let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        for pid in text.lines().filter_map(|pid| pid.parse().ok()) {
            // One hierarchy after the other: it may be gone by now.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}
