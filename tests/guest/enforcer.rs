//! The real `stockade serve` with rules, enforcing in the guest, and what it tells: metrics, audit, orders by hand.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Guest;
use crate::exposition::Exposition;
use crate::outcome::{During, Step, Stop, ensure};
use crate::tree::{Group, eventually};

/// A configuration and a journal of a scenario's own.
#[derive(Debug)]
pub(crate) struct Ground {
    place: PathBuf,
}

impl Ground {
    /// An empty place for it; the sampling server of the other scenarios ends, two would share the guest's time.
    pub(crate) fn new(guest: &mut Guest, name: &str) -> Step<Self> {
        drop(guest.daemon.take());
        let place = Path::new("/tmp").join(name);
        fs::create_dir(&place).during(place.display())?;
        Ok(Self { place })
    }

    /// Writes the configuration: these lines of `safety:` on top of the journal and a wide kill budget, and these rules.
    pub(crate) fn write(&self, collect: &str, safety: &str, rules: &str) -> Step<PathBuf> {
        let file = self.place.join("stockade.yaml");
        let text = format!(
            "collect: {{{collect}}}\nsafety:\n  journal: {}\n  \
             kill_budget: {{host: {{max: 1000, per: 1s}}, target: {{max: 1000, per: 1s}}}}\n{safety}\n{rules}",
            self.place.join("journal").display()
        );
        fs::write(&file, text).during(file.display())?;
        Ok(file)
    }

    /// Writes a configuration that enforces on what is below this group, at a quick clock.
    pub(crate) fn enforce_below(&self, group: &Group, rules: &str) -> Step<PathBuf> {
        let path = group.label();
        let safety = format!("  mode: enforce\n  scope: [\"{path}/**\"]");
        self.write("interval: 300ms", &safety, &rules.replace('@', &path))
    }

    fn file(&self) -> PathBuf {
        self.place.join("stockade.yaml")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.join("log")).unwrap_or_default()
    }

    /// Runs a command of the program to its end, on this configuration.
    pub(crate) fn stockade(&self, words: &[&str]) -> Step<Output> {
        Command::new("/stockade")
            .args(words)
            .arg("--config")
            .arg(self.file())
            .stdin(Stdio::null())
            .output()
            .during(format!("stockade {words:?}"))
    }

    /// Runs a command that has to succeed; what it said.
    pub(crate) fn told(&self, words: &[&str]) -> Step<String> {
        let done = self.stockade(words)?;
        let said =
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        ensure(done.status.success(), || format!("stockade {words:?} ended with {}: {said}", done.status))?;
        Ok(said)
    }

    /// The lines of the audit.
    pub(crate) fn audit(&self) -> Step<Vec<serde_json::Value>> {
        let file = ["audit.jsonl", "journal/audit.jsonl"].map(|name| self.place.join(name));
        let file = file.iter().find(|file| file.exists());
        let file = file.ok_or_else(|| Stop::Failed(format!("no audit; {}", self.log())))?;
        let text = fs::read_to_string(file).during(file.display())?;
        text.lines().map(|line| serde_json::from_str(line).during(format!("audit: {line:?}"))).collect()
    }

    /// Starts the daemon and waits for its first sample.
    pub(crate) fn serve(&self, home: Option<&Group>) -> Step<Enforcer<'_>> {
        let mut enforcer = self.spawn(home)?;
        eventually("stockade serves its first sample", || {
            enforcer.alive()?;
            Ok(Exposition::scrape(enforcer.address).ok().filter(|scrape| samples(scrape).is_ok()))
        })?;
        Ok(enforcer)
    }

    /// Starts the daemon, in a group if one is given, and waits for nothing.
    pub(crate) fn spawn(&self, home: Option<&Group>) -> Step<Enforcer<'_>> {
        let log = File::create(self.place.join("log")).during("the daemon's log")?;
        let address = SocketAddr::from(([127, 0, 0, 1], 19307));
        // The names of the guest's groups have no blanks.
        let doors = home.map(Group::doors).unwrap_or_default();
        let doors: Vec<String> = doors.iter().map(|door| door.display().to_string()).collect();
        let child = Command::new("/bin/busybox")
            .args([
                "sh",
                "-c",
                "for door in $DOORS; do echo 0 > $door; done; exec /stockade \"$@\"",
                "sh",
                "serve",
            ])
            .args(["--web.listen-address", &address.to_string(), "--config"])
            .arg(self.file())
            .env("DOORS", doors.join(" "))
            .stdin(Stdio::null())
            .stdout(log.try_clone().during("the daemon's log")?)
            .stderr(log)
            .spawn()
            .during("/stockade serve")?;
        Ok(Enforcer { child, address, ground: self })
    }
}

/// A running daemon, killed when dropped.
#[derive(Debug)]
pub(crate) struct Enforcer<'a> {
    child: Child,
    address: SocketAddr,
    ground: &'a Ground,
}

impl Enforcer<'_> {
    fn alive(&mut self) -> Step {
        match self.child.try_wait().during("stockade's state")? {
            None => Ok(()),
            Some(status) => {
                Err(Stop::Failed(format!("stockade serve ended ({status}); it said: {}", self.ground.log())))
            }
        }
    }

    /// What is exported now.
    pub(crate) fn scrape(&mut self) -> Step<Exposition> {
        self.alive()?;
        Exposition::scrape(self.address)
    }

    /// How many full passes there were.
    pub(crate) fn passes(&mut self) -> Step<f64> {
        samples(&self.scrape()?)
    }

    /// The value of a metric of the program's own; zero when nothing was counted yet.
    pub(crate) fn count(&mut self, name: &str, labels: &[(&str, &str)]) -> Step<f64> {
        Ok(self.scrape()?.get(name, labels)?.unwrap_or(0.0))
    }

    /// How many decisions of a policy had an outcome.
    pub(crate) fn decisions(&mut self, policy: &str, action: &str, outcome: &str) -> Step<f64> {
        let labels = [("policy", policy), ("action", action), ("outcome", outcome)];
        self.count("stockade_decisions_total", &labels)
    }

    /// Waits until a decision had an outcome, at least once; when it never has, every decision is told.
    pub(crate) fn decided(&mut self, policy: &str, action: &str, outcome: &str) -> Step {
        let waited = eventually(&format!("{policy}: {action} is {outcome}"), || {
            Ok((self.decisions(policy, action, outcome)? >= 1.0).then_some(()))
        });
        waited.map_err(|stop| self.explained(stop))
    }

    /// Waits until something in the kernel holds; when it never does, every decision is told.
    pub(crate) fn sees(&mut self, what: &str, mut probe: impl FnMut() -> Step<bool>) -> Step {
        eventually(what, || Ok(probe()?.then_some(()))).map_err(|stop| self.explained(stop))
    }

    /// A failure with what the daemon decided and said.
    fn explained(&mut self, stop: Stop) -> Stop {
        let Stop::Failed(text) = stop else { return stop };
        let decisions: Vec<String> = self.scrape().map_or_else(
            |stop| vec![format!("{stop:?}")],
            |scrape| {
                let told = scrape.0.iter().filter(|series| {
                    ["stockade_decisions_total", "stockade_policy_state", "stockade_wakes_total"]
                        .contains(&series.name.as_str())
                        && series.value > 0.0
                });
                told.map(|series| format!("{:?} {}", series.labels, series.value)).collect()
            },
        );
        Stop::Failed(format!("{text}; decisions: {}; log: {}", decisions.join(", "), self.ground.log()))
    }

    /// Ends it in order: it undoes what it did.
    pub(crate) fn stop(mut self) -> Step {
        self.signal(Signal::SIGTERM)?;
        let status = self.child.wait().during("stockade's end")?;
        ensure(status.success(), || format!("SIGTERM ended it with {status}: {}", self.ground.log()))
    }

    /// Ends it as a crash does.
    pub(crate) fn crash(mut self) -> Step {
        self.signal(Signal::SIGKILL)?;
        self.child.wait().during("stockade's end").map(|_| ())
    }

    fn signal(&self, signal: Signal) -> Step {
        let pid = i32::try_from(self.child.id()).during("a pid")?;
        kill(Pid::from_raw(pid), signal).during("a signal to stockade")
    }
}

impl Drop for Enforcer<'_> {
    fn drop(&mut self) {
        // It has ended by itself or was ended, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many passes there were.
fn samples(scrape: &Exposition) -> Step<f64> {
    scrape.want("stockade_samples_total", &[])
}
