//! Build, run, drain: the sampler's thread and the server, the signals, the reload, readiness.

pub mod alone;
mod attention;
mod board;
mod by_hand;
mod enforcement;
mod explanation;
mod guardians;
mod report;
mod retries;
mod rights;
pub mod socket;
mod source;
mod steering;
mod supervisor;
mod surroundings;
mod triggers;
mod web_config;
mod writes;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::config::{self, Config, Problems};
use crate::kernel::layout::Paths;
use crate::metrics::Own;
use crate::model::{Collector, WatchMethod};
use crate::sample::{self, Remote, Sampler, SetupError};
use crate::web::{self, BindError, Source};
use board::Board;
use enforcement::{Enforcement, Pending};
use source::{Place, Rendering, Shared};
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
