//! A message, in the form that Alertmanager sends to a webhook receiver (version 4).

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value as Json, json};

use crate::enforce::order::Order;
use crate::model::rfc3339;
use crate::policy::condition::Truth;
use crate::policy::signal::{Quantity, Signal};

/// Whether it begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Firing,
    Resolved,
}

impl Status {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// One message about one cgroup.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub order: u64,
    pub rule: Arc<str>,
    pub cgroup: String,
    pub status: Status,
    since: SystemTime,
    until: Option<SystemTime>,
    description: String,
}

impl Message {
    pub fn new(order: &Order, status: Status, since: SystemTime, until: Option<SystemTime>) -> Self {
        let held = order.evidence.findings.iter().filter(|finding| finding.truth == Truth::True);
        let reasons: Vec<String> = held
            .map(|finding| {
                let quantity = Signal::from_name(&finding.signal).map_or(Quantity::Count, Signal::quantity);
                let number =
                    |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| quantity.show(value));
                format!(
                    "{} of {} is {}, {} {} for {:.0?}",
                    finding.signal,
                    finding.of,
                    number(finding.value),
                    finding.compare,
                    number(finding.threshold),
                    finding.held
                )
            })
            .collect();
        Self {
            order: order.id,
            rule: Arc::clone(&order.rule),
            cgroup: order.target.display.to_string(),
            status,
            since,
            until,
            description: reasons.join("; "),
        }
    }

    /// The webhook's document.
    pub fn json(&self) -> Json {
        let labels = [("alertname", &*self.rule), ("cgroup", &*self.cgroup), ("job", "stockade")];
        let label_map: Json = labels.into_iter().collect();
        let summary = match self.status {
            Status::Firing => format!("{} acts on {}", self.rule, self.cgroup),
            Status::Resolved => format!("{} is done with {}", self.rule, self.cgroup),
        };
        let annotations = json!({"summary": summary, "description": self.description});
        let status = self.status.name();
        // As Go prints a time that is not set.
        let ends = self.until.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), rfc3339);
        json!({
            "version": "4",
            "groupKey": format!("{{}}:{{alertname={:?}, cgroup={:?}}}", self.rule, self.cgroup),
            "truncatedAlerts": 0,
            "status": status,
            "receiver": "stockade",
            "groupLabels": {"alertname": *self.rule, "cgroup": self.cgroup},
            "commonLabels": label_map,
            "commonAnnotations": annotations,
            "externalURL": "",
            "alerts": [{
                "status": status,
                "labels": label_map,
                "annotations": annotations,
                "startsAt": rfc3339(self.since),
                "endsAt": ends,
                "generatorURL": "",
                "fingerprint": format!("{:016x}", fingerprint(&labels)),
            }],
        })
    }
}

/// Prometheus' fingerprint of a set of labels sorted by name: 64-bit FNV-1a over names and values, each followed by 0xff.
fn fingerprint(labels: &[(&str, &str)]) -> u64 {
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    let bytes = texts.flat_map(|text| text.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
