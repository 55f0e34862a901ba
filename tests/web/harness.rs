//! A server over a source that a test controls, and clients on plain sockets.

use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, SystemTime};

use stockade::metrics::Format;
use stockade::model::{
    Cgroup, Collector, CollectorSet, Control, Controls, Field, Host, Identity, LayoutKind, Limit, Owner,
    OwnerLabel, Readings, Report, Snapshot, WatchMethod, display_path,
};
use stockade::record::enforcement::{Decision, Overview};
use stockade::web::{self, AccessEvent, Exposition, RequestSeen, Settings, Source};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// How long a test waits for what must come, before it fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A gate that renderings wait at while it is shut.
#[derive(Default)]
pub(crate) struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn shut(&self) {
        *self.shut.lock().expect("no test panics with it") = true;
    }

    pub(crate) fn open(&self) {
        *self.shut.lock().expect("no test panics with it") = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let shut = self.shut.lock().expect("no test panics with it");
        drop(self.opened.wait_while(shut, |shut| *shut).expect("no test panics with it"));
    }
}

/// What the server serves from in these tests.
pub(crate) struct Fake {
    pub(crate) snapshot: Mutex<Option<Arc<Snapshot>>>,
    pub(crate) gate: Gate,
    /// How many lines a rendering has.
    pub(crate) lines: AtomicUsize,
    pub(crate) renderings: AtomicUsize,
    pub(crate) generation: AtomicU64,
    pub(crate) reload: Mutex<Result<(), String>>,
    pub(crate) seen: Mutex<Vec<RequestSeen>>,
    pub(crate) events: Mutex<Vec<AccessEvent>>,
    pub(crate) overview: Mutex<Overview>,
    pub(crate) decisions: Mutex<Vec<Decision>>,
    rendering: mpsc::SyncSender<()>,
    carried: mpsc::SyncSender<u64>,
}

impl Source for Fake {
    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.lock().expect("no test panics with it").clone()
    }

    fn render(&self, snapshot: &Snapshot, request: Exposition, out: &mut dyn io::Write) -> io::Result<()> {
        self.renderings.fetch_add(1, Ordering::SeqCst);
        let _ = self.rendering.try_send(());
        self.gate.pass();
        for line in 0..self.lines.load(Ordering::SeqCst) {
            writeln!(out, "fake_line{{line=\"{line}\"}} {}", snapshot.sequence)?;
        }
        for &collector in Collector::ALL {
            if request.collectors.has(collector) {
                writeln!(out, "fake_{} {}", collector.name(), snapshot.sequence)?;
            }
        }
        if request.format == Format::OpenMetrics { out.write_all(b"# EOF\n") } else { Ok(()) }
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn carried(&self, sequence: u64) {
        let _ = self.carried.try_send(sequence);
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        let result = self.reload.lock().expect("no test panics with it").clone();
        Box::pin(async move { result })
    }

    fn overview(&self, about: Option<&Identity>) -> Overview {
        let mut overview = self.overview.lock().expect("no test panics with it").clone();
        if let (Some(about), Some(rules)) = (about, &mut overview.rules) {
            rules.in_force.retain(|claim| *claim.cgroup == *about);
            rules.in_force_total = rules.in_force.len();
        }
        overview
    }

    fn decisions(&self) -> Vec<Decision> {
        self.decisions.lock().expect("no test panics with it").clone()
    }

    fn observe(&self, request: RequestSeen) {
        self.seen.lock().expect("no test panics with it").push(request);
    }

    fn observe_access(&self, event: AccessEvent) {
        self.events.lock().expect("no test panics with it").push(event);
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) source: Arc<Fake>,
    pub(crate) address: SocketAddr,
    rendering: mpsc::Receiver<()>,
    carried: mpsc::Receiver<u64>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<tokio::task::JoinHandle<()>>,
    runtime: Runtime,
}

impl Server {
    /// A server with a snapshot.
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    /// A server with other settings.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings { drain_timeout: PATIENCE, ..Settings::default() };
        change(&mut settings);
        let (rendering_sender, rendering) = mpsc::sync_channel(1024);
        let (carried_sender, carried) = mpsc::sync_channel(1024);
        let source = Arc::new(Fake {
            snapshot: Mutex::new(Some(Arc::new(snapshot(1, usual_cgroups())))),
            gate: Gate::default(),
            lines: AtomicUsize::new(100),
            renderings: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            reload: Mutex::new(Ok(())),
            seen: Mutex::new(Vec::new()),
            events: Mutex::new(Vec::new()),
            overview: Mutex::default(),
            decisions: Mutex::default(),
            rendering: rendering_sender,
            carried: carried_sender,
        });
        let runtime = Runtime::new().expect("a runtime can be made");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = runtime.block_on(web::bind(&[any])).expect("loopback has a free port");
        let address = listeners[0].local_addr().expect("a listener has an address");
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let serving = web::run(listeners, Arc::new(settings), Arc::<Fake>::clone(&source), shutdown);
        let running = Some(runtime.spawn(serving));
        Self { source, address, rendering, carried, stop: Some(stop), running, runtime }
    }

    /// Replaces the snapshot.
    pub(crate) fn publish(&self, snapshot: Option<Snapshot>) {
        *self.source.snapshot.lock().expect("no test panics with it") = snapshot.map(Arc::new);
    }

    /// Waits until a rendering begins.
    pub(crate) fn await_rendering(&self) {
        self.rendering.recv_timeout(PATIENCE).expect("a rendering begins");
    }

    /// Waits until a snapshot is carried.
    pub(crate) fn await_carried(&self) -> u64 {
        self.carried.recv_timeout(PATIENCE).expect("a snapshot is carried")
    }

    /// Begins the shutdown.
    pub(crate) fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Waits for the server's end; gives what was carried and not yet asked for.
    pub(crate) fn stop(&mut self) -> Vec<u64> {
        self.begin_stop();
        let running = self.running.take().expect("stopped once");
        self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, running)
                .await
                .expect("the server ends")
                .expect("it does not panic");
        });
        self.carried.try_iter().collect()
    }

    /// A connection.
    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Client { stream, read: Vec::new() }
    }

    /// One GET on a connection of its own.
    pub(crate) fn get(&self, target: &str) -> Reply {
        self.request("GET", target, "")
    }

    /// One request on a connection of its own; `headers` are lines with their ends.
    pub(crate) fn request(&self, method: &str, target: &str, headers: &str) -> Reply {
        let mut client = self.connect();
        client.send(&format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{headers}\r\n"));
        client.reply(method)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A shut gate would keep a blocking thread, and with it the runtime, for ever.
        self.source.gate.open();
    }
}

/// A client on a plain socket.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the server takes it");
    }

    /// Reads one answer; the body as its length says.
    pub(crate) fn reply(&mut self, method: &str) -> Reply {
        let head_end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.fill() > 0, "an answer, not {:?}", String::from_utf8_lossy(&self.read));
        };
        let head = String::from_utf8(self.read.drain(..head_end).collect()).expect("heads are ASCII");
        let status = head[9..12].parse().expect("a status code");
        let mut reply = Reply { status, head, body: Vec::new() };
        if method != "HEAD" {
            let length = reply.header("content-length").map_or(0, |length| length.parse().expect("a number"));
            while self.read.len() < length {
                assert!(self.fill() > 0, "the body is cut off at {} of {length} bytes", self.read.len());
            }
            reply.body = self.read.drain(..length).collect();
        }
        reply
    }

    /// Whether the server closes now, with nothing more said.
    pub(crate) fn ends(&mut self) -> bool {
        self.read.is_empty() && self.fill() == 0
    }

    fn fill(&mut self) -> usize {
        let mut space = [0; 64 * 1024];
        match self.stream.read(&mut space) {
            Ok(count) => {
                self.read.extend_from_slice(&space[..count]);
                count
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("reading failed: {error}"),
        }
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text body is UTF-8")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).expect("the API speaks JSON")
    }

    pub(crate) fn gunzip(&self) -> Vec<u8> {
        assert_eq!(self.header("content-encoding"), Some("gzip"));
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*self.body).read_to_end(&mut plain).expect("the body is gzip");
        plain
    }
}

/// A cgroup that holds some memory.
pub(crate) fn cgroup(path: &[u8], memory: u64) -> Cgroup {
    let mut readings = Readings::default();
    readings.set(Field::MemoryCurrent, Some(memory));
    readings.set(Field::Populated, Some(1));
    readings.set(Field::CpuUsage, Some(1_500_000_000));
    readings.set(Field::MemorySomeAvg10, Some(1234));
    let mut controls = Controls::default();
    controls.set(Control::MemoryMax, Some(Limit::Max));
    controls.set(Control::CpuQuota, Some(Limit::Value(150_000)));
    controls.set(Control::CpuPeriod, Some(Limit::Value(100_000)));
    let mut owner = Owner::default();
    owner.set(OwnerLabel::Unit, Some("unit.service"));
    let display = display_path(path).into();
    Cgroup {
        identity: Arc::new(Identity { path: path.into(), display, id: 7, owner }),
        parent: None,
        hidden: false,
        rank: 0,
        born: Duration::from_secs(10),
        sampled: Duration::from_secs(40),
        ended: None,
        readings,
        controls: Arc::new(controls),
        namespaces: Arc::default(),
    }
}

pub(crate) fn usual_cgroups() -> Vec<Cgroup> {
    vec![cgroup(b"/", 1 << 30), cgroup(b"/a", 1 << 20), cgroup(b"/a/b", 1 << 10)]
}

/// A snapshot of these cgroups, which are sorted here.
pub(crate) fn snapshot(sequence: u64, mut cgroups: Vec<Cgroup>) -> Snapshot {
    cgroups.sort_by(|one, other| one.identity.path.cmp(&other.identity.path));
    Snapshot {
        sequence,
        at: Duration::from_secs(40),
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1000),
        cgroups,
        dead: Vec::new(),
        host: Host::default(),
        report: Report::new(LayoutKind::Hybrid, WatchMethod::Fanotify, CollectorSet::default()),
    }
}
