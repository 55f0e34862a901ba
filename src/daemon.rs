//! Build, run, drain: the sampler's thread and the server, the signals, the reload, readiness.

pub mod alone;
mod attention;
mod board;
mod by_hand;
mod enforcement;
mod explanation;
mod report;
mod retries;
mod rights;
pub mod socket;
mod steering;
mod supervisor;
mod surroundings;
mod triggers;
mod web_config;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::config::{self, Config, Problems};
use crate::enforce::apply::Enforcer;
use crate::kernel::layout::{Layout, Paths};
use crate::kernel::process::own_use;
use crate::metrics::{self, Attach, Own};
use crate::model::{Collector, CollectorSet, Identity, Snapshot, WatchMethod};
use crate::record::enforcement::{Decision, Overview};
use crate::sample::{self, Carried, Remote, Sampler, SetupError};
use crate::web::{self, BindError, DoorEvent, Exposition, RequestSeen, Source};
use board::Board;
use enforcement::{Enforcement, Next, Pending};
use report::Reporter;
use steering::Steering;
use supervisor::{Heartbeat, Supervisor};
use web_config::WebFiles;

pub use rights::RightsError;
pub use steering::SteeringError;

/// How the daemon was started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file; without one, the defaults.
    pub config: Option<PathBuf>,
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// How the server behaves. Who may connect and ask is what [`Options::web_config`] says.
    pub web: web::Settings,
    /// The web configuration; without one, everybody may connect and ask.
    pub web_config: Option<PathBuf>,
    /// Where the kernel's file systems are.
    pub paths: Paths,
    /// Collectors switched on and off by flags; they have the last word.
    pub collectors: Vec<(Collector, bool)>,
    /// The only way of watching to use; `None` takes the best.
    pub watch: Option<WatchMethod>,
    /// Whether everything is exported under cAdvisor's names too.
    pub cadvisor: bool,
}

/// Why the daemon could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration is wrong.
    #[error("the configuration cannot be used:\n{}", .0.to_string().trim_end())]
    Config(Problems),
    /// The web configuration is wrong.
    #[error("the web configuration cannot be used:\n{}", .0.to_string().trim_end())]
    WebConfig(Problems),
    /// A listen address cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// No cgroups.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// What is to be enforced may not be done.
    #[error(transparent)]
    Rights(#[from] RightsError),
    /// Enforcement cannot begin.
    #[error(transparent)]
    Steering(#[from] SteeringError),
    /// The system refused something that every program gets.
    #[error("cannot {what}: {error}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> DaemonError {
    move |error| DaemonError::System { what, error }
}

/// Runs until SIGTERM or SIGINT, then lets running requests finish.
///
/// # Errors
/// What keeps it from starting: the configuration, the cgroups, the address.
pub async fn run(mut options: Options) -> Result<(), DaemonError> {
    let config = Arc::new(config::load(options.config.as_deref()).map_err(DaemonError::Config)?);
    let own = Arc::new(Own::new());
    let start = |file| WebFiles::start(file, Arc::clone(&own)).map(Arc::new);
    let web_files = options.web_config.clone().map(start).transpose()?;
    options.web.guard = web_files.as_ref().map(|files| files.guard());
    // SIGTERM counts from here on, so that nobody is ended half started.
    let mut terminate = signal(SignalKind::terminate()).map_err(system("handle SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("handle SIGINT"))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(system("handle SIGHUP"))?;

    let supervisor =
        Supervisor::from_environment().map_err(system("reach the service manager at NOTIFY_SOCKET"))?;
    let pulse = supervisor.pulse();

    // Before anything is watched: most often it is the port that keeps a second one from starting.
    let listeners = web::bind(&options.listen).await?;
    let carried = sample::carried();
    let sampler = Sampler::new(settings(&config, &options), carried.clone())?;
    let layout = sampler.layout().clone();
    rights::check(&config, &layout)?;
    Steering::judge_host(&config, &layout, &options.paths).map_err(SteeringError::Host)?;
    let board = Arc::new(Board::default());
    let steering = Steering::start_if_needed(&config, &layout, options.paths.clone(), (&own, &board))?;
    let remote = Remote::new()
        .map_err(|errno| DaemonError::System { what: "make an eventfd", error: errno.into() })?;
    for listener in &listeners {
        if let Ok(address) = listener.local_addr() {
            announce(address, &options.web);
        }
    }
    tracing::info!(
        layout = sampler.layout().kind.name(),
        hierarchies = sampler.layout().hierarchies.len(),
        interval = ?config.collect.interval,
        mode = mode_name(&config).unwrap_or("nothing is enforced"),
        "sampling"
    );

    let shared = Arc::new(Shared {
        newest: ArcSwapOption::empty(),
        own,
        board,
        place: Place::of(&options.paths),
        layout,
        config: Mutex::new(Arc::clone(&config)),
        enforcing: Mutex::new(steering.as_ref().map(Steering::ends)),
        pending: Pending::default(),
        rendering: ArcSwap::from_pointee(Rendering::new(&config)),
        carried,
        in_flight: Mutex::default(),
        remote: remote.clone(),
        web_files: web_files.clone(),
        supervisor,
        options,
    });
    let heart = Arc::clone(&pulse);
    let publisher = Arc::clone(&shared);
    let ended = Arc::new(Notify::new());
    let thread_ended = Arc::clone(&ended);
    let thread = std::thread::Builder::new()
        .name("sampler".to_owned())
        .spawn(move || {
            // Also when the thread panics: a daemon that no longer samples must not go on serving.
            let _notify = NotifyOnDrop(thread_ended);
            let pending = Arc::clone(&publisher.pending);
            let publish = move |snapshot| publisher.publish(snapshot);
            let enforcement = Enforcement::new(publish, config, steering, pending);
            sample::run(sampler, &remote, &mut Heartbeat::new(enforcement, heart));
        })
        .map_err(system("start the sampler's thread"))?;

    let reloader = Arc::clone(&shared);
    let reload_on_hangup = async move {
        while hangup.recv().await.is_some() {
            // The outcome is logged and counted where it is found.
            let _ = reloader.reload().await;
        }
    };
    let told = Arc::clone(&shared);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            () = ended.notified() => tracing::error!("the sampler's thread has ended: stopping"),
        }
        told.supervisor.stopping().await;
    };
    let source: Arc<dyn Source> = Arc::clone(&shared) as Arc<dyn Source>;
    let web_settings = Arc::new(shared.options.web.clone());
    let watch_web_files = async {
        match web_files {
            Some(files) => files.watch().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = web::run(listeners, web_settings, source, stop) => {}
        () = reload_on_hangup => {}
        () = watch_web_files => {}
        () = shared.supervisor.attend(&pulse, || shared.status()) => {}
    }
    shared.remote.stop();
    let joined = tokio::task::spawn_blocking(move || {
        let joined = thread.join();
        // Also after a panic: nothing stays broken.
        let enforcing = shared.enforcing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((enforcer, reporter)) = enforcing {
            steering::end(enforcer, &reporter);
        }
        joined
    })
    .await;
    match joined {
        Ok(Ok(())) => Ok(()),
        _ => Err(DaemonError::System {
            what: "go on sampling",
            error: io::Error::other("the sampler's thread panicked; please report the message above"),
        }),
    }
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Tells where to look, on the standard output: the first thing a new user wants to know.
fn announce(address: SocketAddr, web: &web::Settings) {
    let scheme = if web.guard.as_ref().is_some_and(|guard| guard.speaks_tls()) { "https" } else { "http" };
    let (base, path) = (format!("{scheme}://{address}"), &web.telemetry_path);
    let line = format!("stockade listens on {base}/ (metrics: {base}{path})");
    let mut out = io::stdout().lock();
    // A full or closed standard output is no reason to stop: the log has the line then.
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        tracing::warn!(%error, "the standard output takes nothing: {line}");
    }
}

fn settings(config: &Config, options: &Options) -> sample::Settings {
    let mut collectors = config.collect.collectors;
    for &(collector, on) in &options.collectors {
        collectors.set(collector, on);
    }
    sample::Settings {
        paths: options.paths.clone(),
        interval: config.collect.interval,
        intervals: config.collect.intervals,
        collectors,
        filter: config.collect.filter.clone(),
        linger: config.collect.linger,
        watch: options.watch,
        news: true,
        ..sample::Settings::default()
    }
}

/// The mode in force; none where there are no rules.
fn mode_name(config: &Config) -> Option<&'static str> {
    (!config.rules.is_empty()).then(|| config.safety.mode.name())
}

/// What the configuration says of the rendering.
#[derive(Clone, Copy, Debug)]
struct Rendering {
    max_series: usize,
    attach: Attach,
    averages: bool,
}

impl Rendering {
    fn new(config: &Config) -> Self {
        Self {
            max_series: config.collect.max_series,
            attach: Attach::of(&config.labels),
            averages: config.collect.averages,
        }
    }
}

/// The host, for people.
#[derive(Clone, Debug)]
struct Place {
    host: Option<String>,
    kernel: Option<String>,
}

impl Place {
    fn of(paths: &Paths) -> Self {
        let read = |file: &str| {
            let text = std::fs::read_to_string(paths.procfs.join("sys/kernel").join(file)).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        Self { host: read("hostname"), kernel: read("osrelease") }
    }
}

/// How many snapshots' dead are remembered until their scrape has reached the client.
const REMEMBERED: usize = 16;

/// What the threads share.
struct Shared {
    newest: ArcSwapOption<Snapshot>,
    own: Arc<Own>,
    board: Arc<Board>,
    place: Place,
    layout: Layout,
    /// The configuration that was loaded last.
    config: Mutex<Arc<Config>>,
    /// What undoes everything at the end, where anything is enforced.
    enforcing: Mutex<Option<(Arc<Enforcer>, Reporter)>>,
    /// What the loop takes over before its next judgement.
    pending: Pending,
    rendering: ArcSwap<Rendering>,
    carried: Carried,
    /// The dead that the newest expositions hold, by the snapshot's sequence number.
    in_flight: Mutex<InFlight>,
    remote: Remote,
    web_files: Option<Arc<WebFiles>>,
    supervisor: Supervisor,
    options: Options,
}

#[derive(Debug, Default)]
struct InFlight {
    order: VecDeque<u64>,
    ranks: HashMap<u64, Vec<u64>>,
}

impl Shared {
    fn publish(&self, snapshot: Arc<Snapshot>) {
        self.own.sampled(snapshot.report.took);
        self.own.set_process(own_use());
        self.newest.store(Some(snapshot));
    }

    /// What is going on, in a line.
    fn status(&self) -> String {
        let cgroups = self.newest.load().as_ref().map_or(0, |snapshot| snapshot.cgroups.len());
        let enforcement = self.own.enforcement();
        let in_force: u64 = enforcement.active.iter().map(|(.., count)| count).sum();
        let mut line = match enforcement.mode {
            None => format!("watching {cgroups} cgroups; nothing is enforced"),
            Some(mode) => format!("{mode}: {cgroups} cgroups, {in_force} changes in force"),
        };
        if self.own.told().0.successful == Some(false) {
            line.push_str("; the new configuration is wrong (see the log), the old one is in force");
        }
        line
    }

    fn load(&self) -> Result<(), String> {
        let config =
            Arc::new(config::load(self.options.config.as_deref()).map_err(|problems| problems.to_string())?);
        rights::check(&config, &self.layout).map_err(|error| error.to_string())?;
        Steering::judge_host(&config, &self.layout, &self.options.paths)?;
        let mut enforcing = self.enforcing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner));
        if enforcing.is_some() && config.safety.journal != current.safety.journal {
            return Err("`safety.journal` cannot change while the program runs: restart it".to_owned());
        }
        let mut steering = None;
        if enforcing.is_none() {
            let paths = self.options.paths.clone();
            let started = Steering::start_if_needed(&config, &self.layout, paths, (&self.own, &self.board));
            steering = started.map_err(|error| error.to_string())?;
            *enforcing = steering.as_ref().map(Steering::ends);
        }
        drop(enforcing);
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&config);
        self.rendering.store(Arc::new(Rendering::new(&config)));
        let applied = settings(&config, &self.options);
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        // Two reloads may come between two passes: what the first one started is not lost.
        let steering = steering.or_else(|| pending.take().and_then(|next| next.steering));
        *pending = Some(Next { config, steering });
        drop(pending);
        self.remote.apply(applied);
        Ok(())
    }
}

impl Source for Shared {
    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.newest.load_full()
    }

    fn render(&self, snapshot: &Snapshot, request: Exposition, out: &mut dyn Write) -> io::Result<()> {
        let began = std::time::Instant::now();
        let rendering = self.rendering.load();
        let options = metrics::Options {
            format: request.format,
            collectors: request.collectors,
            max_series: rendering.max_series,
            attach: rendering.attach,
            pressure_averages: rendering.averages,
            cadvisor: self.options.cadvisor,
            age: SystemTime::now().duration_since(snapshot.wall).unwrap_or_default(),
        };
        let mut text = Vec::new();
        let counts = metrics::render(snapshot, &options, &self.own, &mut text);
        self.own.rendered(began.elapsed());
        // A filtered one carries nothing, and may hold dead that an unfiltered one has no room for.
        if !counts.carried.is_empty() && request.collectors == CollectorSet::ALL {
            let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
            if in_flight.ranks.insert(snapshot.sequence, counts.carried).is_none() {
                in_flight.order.push_back(snapshot.sequence);
            }
            while in_flight.order.len() > REMEMBERED {
                let oldest = in_flight.order.pop_front();
                oldest.and_then(|oldest| in_flight.ranks.remove(&oldest));
            }
        }
        out.write_all(&text)
    }

    fn generation(&self) -> u64 {
        self.own.generation()
    }

    fn carried(&self, sequence: u64) {
        let in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ranks) = in_flight.ranks.get(&sequence) {
            self.carried.add(ranks);
        }
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async {
            self.supervisor.reloading().await;
            let (loaded, web) = tokio::task::block_in_place(|| {
                (self.load(), self.web_files.as_ref().map_or(Ok(()), |files| files.reload()))
            });
            self.own.reloaded(loaded.is_ok(), SystemTime::now());
            if let Some((_, reporter)) = &*self.enforcing.lock().unwrap_or_else(PoisonError::into_inner) {
                reporter.reloaded(loaded.as_ref().err().map(String::as_str));
            }
            self.supervisor.reloaded().await;
            match loaded {
                Ok(()) => {
                    tracing::info!("the configuration was read again and is in force");
                    web
                }
                Err(problems) => {
                    tracing::error!(
                        "the old configuration stays in force, the new one is wrong:\n{problems}"
                    );
                    Err(web.err().into_iter().fold(problems, |problems, web| format!("{problems}\n{web}")))
                }
            }
        })
    }

    fn overview(&self, about: Option<&Identity>) -> Overview {
        let config = Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner));
        // Kept locked: at the end nobody else may have the enforcer.
        let enforcing = self.enforcing.lock().unwrap_or_else(PoisonError::into_inner);
        let enforcer = enforcing.as_ref().map(|(enforcer, _)| &**enforcer);
        Overview {
            host: self.place.host.clone(),
            kernel: self.place.kernel.clone(),
            config: self.options.config.as_ref().map(|path| path.display().to_string()),
            rules: (!config.rules.is_empty()).then(|| self.board.rules(enforcer, about)),
        }
    }

    fn decisions(&self) -> Vec<Decision> {
        self.board.decisions()
    }

    fn observe(&self, request: RequestSeen) {
        self.own.answered(request.route.name(), request.code);
    }

    fn at_the_door(&self, event: DoorEvent) {
        match event {
            DoorEvent::HandshakeFailed(reason) => self.own.handshake_failed(reason.name()),
            DoorEvent::AuthFailed(reason) => self.own.auth_failed(reason.name()),
            DoorEvent::PasswordHashed { .. } => self.own.password_hashed(),
        }
    }
}
