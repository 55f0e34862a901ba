//! A real Alertmanager, and who receives what it sends.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::prometheus::listening;
use super::support::eventually;

/// Debian's program reads its templates from where the package would be installed. It is only unpacked, as installing it
/// starts a server: so it is shown its own `share` beside the host's, in a mount namespace of its own.
const WITH_ITS_TEMPLATES: &str = r#"
    program=$(command -v prometheus-alertmanager) || { echo 'no prometheus-alertmanager: tests/run fetches it' >&2; exit 1; }
    [ -e /usr/share/prometheus/alertmanager/default.tmpl ] ||
        mount -t overlay -o "lowerdir=$(realpath "$(dirname "$program")/../share"):/usr/share" overlay /usr/share || exit 1
    exec "$program" "$@"
"#;

/// An Alertmanager with a directory of its own, killed by its pid at the end. It sends to a [`Receiver`] at once.
pub struct Alertmanager {
    child: Child,
    pub address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Alertmanager {
    /// Starts one that sends each alert by itself, and its end, to a webhook.
    pub fn start(webhook: SocketAddr) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("alertmanager.yml");
        let text = format!(
            "route: {{receiver: test, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\n\
             receivers: [{{name: test, webhook_configs: [{{url: 'http://{webhook}/', send_resolved: true}}]}}]\n"
        );
        fs::write(&config, text).expect("a file");
        let child = Command::new("unshare")
            .args(["--mount", "/bin/sh", "-c", WITH_ITS_TEMPLATES, "alertmanager"])
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", directory.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address=", "--log.level=error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs unshare (apt-get install util-linux): {error}"));
        let mut started = Self { child, address: ([127, 0, 0, 1], 0).into(), _directory: directory };
        started.address = eventually("Alertmanager listens", || {
            let ended = started.child.try_wait().expect("our own child");
            assert!(ended.is_none(), "Alertmanager ended: {ended:?}");
            listening(started.child.id())
        });
        started
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A web server that keeps every message.
pub struct Receiver {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    /// Listens on a free port, for as long as the test's process lives.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Who sends half a message sends it again.
                if let Ok(message) = take(client) {
                    kept.lock().expect("nobody panics with the messages").push(message);
                }
            }
        });
        Self { address, received }
    }

    /// The alerts that were told of so far, in order, each with its `status`.
    pub fn alerts(&self) -> Vec<Value> {
        let received = self.received.lock().expect("nobody panics with the messages");
        received
            .iter()
            .flat_map(|message| message["alerts"].as_array().cloned().unwrap_or_default())
            .collect()
    }
}

fn take(client: TcpStream) -> std::io::Result<Value> {
    let mut reader = BufReader::new(client);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(serde_json::from_slice(&body)?)
}
