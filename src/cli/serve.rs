//! `stockade serve`: sample, and serve what was sampled.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueHint};

use super::whole_number;
use crate::daemon::{self, DaemonError, Options};
use crate::kernel::layout::Paths;
use crate::model::{Collector, WatchMethod};
use crate::web;

/// Watch every cgroup of this host and serve what is seen to Prometheus.
///
/// Without a configuration file everything is watched and nothing is enforced. SIGHUP reads the configuration again;
/// SIGTERM stops.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// The configuration file (YAML).
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "STOCKADE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where to listen; may be given several times.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:19306",
        value_parser = listen_address
    )]
    pub listen: Vec<SocketAddr>,
    /// TLS, client certificates, users and passwords, and a bound on requests: a file (YAML) in the format of
    /// Prometheus' exporter-toolkit. It is read again when it or a certificate changes.
    #[arg(long = "web.config.file", value_name = "FILE", env = "STOCKADE_WEB_CONFIG_FILE")]
    pub web_config: Option<PathBuf>,
    /// Where the metrics are.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path)]
    pub telemetry_path: String,
    /// How many scrapes may render at a time; 0 is no bound.
    #[arg(long = "web.max-requests", value_name = "N", default_value_t = 40, value_parser = whole_number::<usize>)]
    pub max_requests: usize,
    /// How many connections are served at a time.
    #[arg(long = "web.max-connections", value_name = "N", default_value_t = 512, value_parser = number_but_zero)]
    pub max_connections: usize,
    /// Serve POST /-/reload.
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// Start with every collector off, to switch single ones on.
    #[arg(long = "collector.disable-defaults")]
    pub disable_defaults: bool,
    /// Export container_… and machine_… under cAdvisor's and kubelet's names too.
    #[arg(long = "compat.cadvisor")]
    pub cadvisor: bool,
    /// How to notice births, deaths and control writes; auto is the best that the kernel allows.
    #[arg(
        long = "watch.method",
        value_name = "auto|fanotify|inotify|walk",
        default_value = "auto",
        value_parser = watch_method
    )]
    pub watch: WatchChoice,
    /// Where the kernel's file systems are.
    #[command(flatten)]
    pub paths: PathArgs,
    /// Collectors switched on and off.
    #[command(flatten)]
    pub collectors: CollectorArgs,
}

const EXAMPLES: &str = "\
Examples:
  stockade serve                                                    everything, on 127.0.0.1:19306; nothing is enforced
  stockade serve --config /etc/stockade/stockade.yaml               with limits and policies
  stockade serve --web.listen-address :19306 --no-collector.rdma    on every address, without a collector";

/// Where the kernel's file systems are.
#[derive(Clone, Debug, Args)]
pub struct PathArgs {
    /// The proc file system.
    #[arg(long = "path.procfs", value_name = "DIR", value_hint = ValueHint::DirPath, default_value = "/proc")]
    pub procfs: PathBuf,
    /// The sys file system.
    #[arg(long = "path.sysfs", value_name = "DIR", value_hint = ValueHint::DirPath, default_value = "/sys")]
    pub sysfs: PathBuf,
    /// Use only the cgroup mounts at or below this directory.
    #[arg(long = "path.cgroupfs", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cgroupfs: Option<PathBuf>,
    /// The host's root, where Docker, Podman, containerd and the kubelet keep their containers' names.
    #[arg(long = "path.rootfs", value_name = "DIR", value_hint = ValueHint::DirPath, default_value = "/")]
    pub rootfs: PathBuf,
}

impl From<PathArgs> for Paths {
    fn from(args: PathArgs) -> Self {
        Self { procfs: args.procfs, sysfs: args.sysfs, cgroupfs: args.cgroupfs, root: args.rootfs }
    }
}

/// `--collector.NAME` and `--no-collector.NAME`, one pair for each collector.
#[derive(Clone, Debug, Default)]
pub struct CollectorArgs(pub Vec<(Collector, bool)>);

impl clap::Args for CollectorArgs {
    fn augment_args(mut command: clap::Command) -> clap::Command {
        for &collector in Collector::ALL {
            let (on, off) = flags(collector);
            let state = if collector.default_on() { "on" } else { "off" };
            command = command
                .arg(
                    clap::Arg::new(on)
                        .long(on)
                        .action(ArgAction::SetTrue)
                        .overrides_with(off)
                        .help_heading("Collectors, each switched off by --no-collector.NAME")
                        .help(format!("Collect {} [default: {state}]", collector.about())),
                )
                .arg(clap::Arg::new(off).long(off).action(ArgAction::SetTrue).overrides_with(on).hide(true));
        }
        command
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for CollectorArgs {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        for &collector in Collector::ALL {
            let (on, off) = flags(collector);
            if matches.get_flag(on) {
                self.0.push((collector, true));
            }
            if matches.get_flag(off) {
                self.0.push((collector, false));
            }
        }
        Ok(())
    }
}

/// The flags of a collector, in clap's lifetime.
fn flags(collector: Collector) -> (&'static str, &'static str) {
    macro_rules! pair {
        ($name:literal) => {
            (concat!("collector.", $name), concat!("no-collector.", $name))
        };
    }
    match collector {
        Collector::Core => pair!("core"),
        Collector::Memory => pair!("memory"),
        Collector::MemoryStat => pair!("memory_stat"),
        Collector::MemoryNuma => pair!("memory_numa"),
        Collector::Cpu => pair!("cpu"),
        Collector::Io => pair!("io"),
        Collector::Pressure => pair!("pressure"),
        Collector::Pids => pair!("pids"),
        Collector::Hugetlb => pair!("hugetlb"),
        Collector::Rdma => pair!("rdma"),
        Collector::Misc => pair!("misc"),
        Collector::Cpuset => pair!("cpuset"),
        Collector::NetCls => pair!("net_cls"),
        Collector::Host => pair!("host"),
        Collector::Namespaces => pair!("namespaces"),
        Collector::NamespaceInodes => pair!("namespace_inodes"),
        Collector::Network => pair!("network"),
        Collector::Processes => pair!("processes"),
        Collector::ThreadStates => pair!("thread_states"),
        Collector::Zombies => pair!("zombies"),
        Collector::OpenFiles => pair!("open_files"),
    }
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    // `:9100` is how Prometheus' own programs say "every address".
    let full = if text.starts_with(':') { format!("[::]{text}") } else { text.to_owned() };
    full.parse()
        .map_err(|_| "expected ADDRESS:PORT, such as 127.0.0.1:19306, [::1]:19306 or :19306".to_owned())
}

fn number_but_zero(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|&number| number > 0)
        .ok_or_else(|| "expected a whole number, 1 or more".to_owned())
}

fn telemetry_path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        Err("expected a path that begins with /".to_owned())
    } else if text.starts_with("/-/") || text.starts_with("/api/") || text == "/style.css" {
        Err("the server has a page of its own there; expected another path, such as /metrics".to_owned())
    } else if text.bytes().any(|byte| !byte.is_ascii_graphic() || b"?#".contains(&byte)) {
        Err("expected a path without spaces, ?, # and letters that are not ASCII: it is compared as it is sent".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// A way of watching, or the best one.
#[derive(Clone, Copy, Debug)]
pub struct WatchChoice(Option<WatchMethod>);

fn watch_method(text: &str) -> Result<WatchChoice, String> {
    if text == "auto" {
        return Ok(WatchChoice(None));
    }
    WatchMethod::ALL
        .iter()
        .copied()
        .find(|method| method.name() == text)
        .map(|method| WatchChoice(Some(method)))
        .ok_or_else(|| "expected auto, fanotify, inotify or walk".to_owned())
}

impl ServeArgs {
    /// Serves until told to stop.
    ///
    /// # Errors
    /// What keeps it from starting or from going on.
    pub fn run(self) -> Result<(), DaemonError> {
        let mut collectors = Vec::new();
        if self.disable_defaults {
            collectors.extend(Collector::ALL.iter().map(|&collector| (collector, false)));
        }
        collectors.extend(self.collectors.0);
        let options = Options {
            config: self.config,
            listen: self.listen,
            web: web::Settings {
                telemetry_path: self.telemetry_path,
                max_requests: self.max_requests,
                max_connections: self.max_connections,
                enable_lifecycle: self.enable_lifecycle,
                ..web::Settings::default()
            },
            web_config: self.web_config,
            paths: self.paths.into(),
            collectors,
            watch: self.watch.0,
            cadvisor: self.cadvisor,
        };
        // Two threads serve HTTP however many CPUs there are: rendering has threads of its own.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(daemon::run(options)),
            Err(error) => Err(DaemonError::System { what: "start the async runtime", error }),
        }
    }
}
