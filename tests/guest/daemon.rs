//! The real `stockade serve` in the guest, sampling every 100 ms.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::exposition::Exposition;
use crate::outcome::{During, Step, Stop};
use crate::tree::eventually;

const CONFIG: &str = "/tmp/stockade.yaml";
/// What processes do is looked at again each second.
const SETTINGS: &str = "collect:
  interval: 100ms
  collectors:
    processes: {interval: 1s}
    thread_states: {enabled: true}
    zombies: {enabled: true}
    open_files: {enabled: true}
";
const LOG: &str = "/tmp/stockade.log";

/// A running server, stopped when dropped.
pub(crate) struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    /// Starts it and waits for its first sample.
    pub(crate) fn start() -> Step<Self> {
        fs::write(CONFIG, SETTINGS).during(CONFIG)?;
        let log = File::create(LOG).during(LOG)?;
        let address = SocketAddr::from(([127, 0, 0, 1], 19306));
        let child = Command::new("/stockade")
            .args(["serve", "--config", CONFIG, "--web.listen-address", &address.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().during(LOG)?)
            .stderr(log)
            .spawn()
            .during("/stockade serve")?;
        let mut daemon = Self { child, address };
        eventually("stockade serves its first sample", || {
            daemon.alive()?;
            Ok(Exposition::scrape(daemon.address).ok().filter(|scrape| samples(scrape).is_ok()))
        })?;
        Ok(daemon)
    }

    fn alive(&mut self) -> Step {
        match self.child.try_wait().during("stockade's state")? {
            None => Ok(()),
            Some(status) => {
                let log = fs::read_to_string(LOG).unwrap_or_default();
                Err(Stop::Failed(format!("stockade serve ended ({status}); it said: {}", log.trim())))
            }
        }
    }

    /// What is exported now.
    pub(crate) fn scrape(&mut self) -> Step<Exposition> {
        self.alive()?;
        Exposition::scrape(self.address)
    }

    /// What is exported by a pass that began after this call: the pass under way may have read before, the next not.
    pub(crate) fn scrape_after_now(&mut self) -> Step<Exposition> {
        let now = samples(&self.scrape()?)?;
        eventually("two more sampling passes", || {
            let scrape = self.scrape()?;
            Ok((samples(&scrape)? >= now + 2.0).then_some(scrape))
        })
    }
}

/// How many passes there were.
fn samples(scrape: &Exposition) -> Step<f64> {
    scrape.want("stockade_samples_total", &[])
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself, which the scenarios have said then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
