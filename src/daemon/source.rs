//! What the threads share, and what the web server serves of it.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::board::Board;
use super::enforcement::{Next, Pending};
use super::report::Reporter;
use super::steering::Steering;
use super::supervisor::Supervisor;
use super::web_config::WebFiles;
use super::{Options, rights, settings};
use crate::config::{self, Config};
use crate::enforce::apply::Enforcer;
use crate::kernel::layout::{Layout, Paths};
use crate::kernel::process::own_use;
use crate::metrics::{self, Attach, Own};
use crate::model::{CollectorSet, Identity, Snapshot};
use crate::record::enforcement::{Decision, Overview};
use crate::sample::{Carried, Remote};
use crate::web::{AccessEvent, Exposition, RequestSeen, Source};

/// What the configuration says of the rendering.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rendering {
    max_series: usize,
    attach: Attach,
    averages: bool,
}

impl Rendering {
    pub fn new(config: &Config) -> Self {
        Self {
            max_series: config.collect.max_series,
            attach: Attach::of(&config.labels),
            averages: config.collect.averages,
        }
    }
}

/// The host, for people.
#[derive(Clone, Debug)]
pub(super) struct Place {
    host: Option<String>,
    kernel: Option<String>,
}

impl Place {
    pub fn of(paths: &Paths) -> Self {
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
pub(super) struct Shared {
    pub newest: ArcSwapOption<Snapshot>,
    pub own: Arc<Own>,
    pub board: Arc<Board>,
    pub place: Place,
    pub layout: Layout,
    /// The configuration that was loaded last.
    pub config: Mutex<Arc<Config>>,
    /// What undoes everything at the end, where anything is enforced.
    pub enforcing: Mutex<Option<(Arc<Enforcer>, Reporter)>>,
    /// What the loop takes over before its next judgement.
    pub pending: Pending,
    pub rendering: ArcSwap<Rendering>,
    pub carried: Carried,
    /// The dead that the newest expositions hold, by the snapshot's sequence number.
    pub in_flight: Mutex<InFlight>,
    pub remote: Remote,
    pub web_files: Option<Arc<WebFiles>>,
    pub supervisor: Supervisor,
    pub options: Options,
}

#[derive(Debug, Default)]
pub(super) struct InFlight {
    order: VecDeque<u64>,
    ranks: HashMap<u64, Vec<u64>>,
}

impl Shared {
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.own.sampled(snapshot.report.took);
        self.own.set_process(own_use());
        self.newest.store(Some(snapshot));
    }

    /// What is going on, in a line.
    pub fn status(&self) -> String {
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

    fn observe_access(&self, event: AccessEvent) {
        match event {
            AccessEvent::HandshakeFailed(reason) => self.own.handshake_failed(reason.name()),
            AccessEvent::AuthFailed(reason) => self.own.auth_failed(reason.name()),
            AccessEvent::PasswordHashed { .. } => self.own.password_hashed(),
        }
    }
}
