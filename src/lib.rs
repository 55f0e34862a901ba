//! Stockade watches every Linux control group, exports what it sees to Prometheus, and enforces limits and policies.
//!
//! # The map of the house
//!
//! | module | what it does | may use |
//! |---|---|---|
//! | [`model`] | PURE data: snapshots, cgroups, limits, identities, rates | nothing |
//! | [`kernel`] | the only code that knows file names and units | `model` |
//! | [`identify`] | PURE: a path, and the texts of runtimes' files, to whom it belongs: slice, unit, user, container, pod, job | `model` |
//! | [`sample`] | the walk: kernel to snapshot, faults kept beside the results; `enrich` reads the runtimes' files on its own thread | `kernel`, `identify`, `model` |
//! | [`policy`] | PURE: rules over snapshots: selectors, signals, conditions, ranking, the engine | `model` |
//! | [`systemd`] | the line to systemd: units, their properties, jobs, over D-Bus | `model` |
//! | [`enforce`] | decisions to the kernel, or to systemd where it owns the cgroup: guard rails and the ledger (PURE), the journal, the writes, the audit | `policy`, `kernel`, `systemd`, `model` |
//! | [`metrics`] | PURE but for the program's own registry: snapshot to Prometheus text | `enforce`, `policy`, `model` |
//! | [`config`] | YAML to a checked configuration, with every error located | `enforce`, `policy`, `model`, `web` |
//! | [`record`] | PURE: what is shown of a cgroup as JSON, a format of its own | `model` |
//! | [`web`] | the HTTP server, fed by a [`web::Source`] | `metrics`, `model`, `record` |
//! | [`daemon`] | build, run, drain: the sampler's thread, signals, reload, readiness | all |
//! | [`cli`] | one file a subcommand | all |
//!
//! # Invariants
//!
//! - **Time** in what is derived from snapshots is [`model::Snapshot::at`], monotonic. Nothing pure reads a clock.
//! - **Identity** of a cgroup is its path and its kernel id. A new id under an old path is a new cgroup.
//! - **Absent is absent.** What the kernel does not give is [`model::Reading::ABSENT`]: no series, never a zero.
//! - **One bad cgroup, file or line never fails the walk.** It is a fault, counted by file and kind.
//! - **Blocking work is on its own threads.** One thread samples and publishes an `Arc<Snapshot>`; async code serves
//!   HTTP and signals only. A scrape renders the newest snapshot and does no kernel I/O.
//! - **Owners are found out beside the walk.** No daemon is asked; a runtime's file is small or not read, belongs to
//!   others, and tells nothing if it is not what it should be. What becomes known later makes a cgroup no other.
//! - **Control writes are on threads of their own**, each with a deadline; the journal is synced before the kernel is
//!   written, and everything is undone in the end.
//! - **Unknown never fires and never clears.**
//!
//! PURE means: no file system, environment, clock, tokio, nix or logging. `tests/architecture.rs` holds this table
//! against the source: it fails on a use that is not in the last column, and on an impure name in a pure module.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod enforce;
pub mod identify;
pub mod kernel;
pub mod metrics;
pub mod model;
pub mod policy;
pub mod record;
pub mod sample;
pub mod systemd;
pub mod web;
