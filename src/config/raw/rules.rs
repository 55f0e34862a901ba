//! `limits:` and `policies:` as they are written, but for the steps.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::safety::RawMode;
use super::scalars::{RawCount, RawDuration, RawText};
use super::steps::{RawSet, RawStep};
use crate::model::Shared;
use crate::policy::rule::OnDrift;

/// An item of `limits:`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with the keys `name`, `match` and `set`")]
pub(in crate::config) struct RawLimit {
    pub(in crate::config) name: Option<RawText>,
    pub(in crate::config) mode: Option<RawMode>,
    #[serde(rename = "match")]
    pub(in crate::config) selector: Option<RawMatch>,
    pub(in crate::config) set: Option<RawSet>,
    pub(in crate::config) allow_oom: Option<bool>,
    pub(in crate::config) on_drift: Option<RawOnDrift>,
}

/// An item of `policies:`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping with the keys `name`, `match`, `when` and `steps`"
)]
pub(in crate::config) struct RawPolicy {
    pub(in crate::config) name: Option<RawText>,
    pub(in crate::config) mode: Option<RawMode>,
    #[serde(rename = "match")]
    pub(in crate::config) selector: Option<RawMatch>,
    pub(in crate::config) when: Option<RawCondition>,
    pub(in crate::config) clear: Option<RawCondition>,
    pub(in crate::config) victim: Option<RawVictim>,
    pub(in crate::config) steps: Option<Vec<RawStep>>,
    pub(in crate::config) cooldown: Option<RawCooldown>,
    pub(in crate::config) allow_oom: Option<bool>,
    pub(in crate::config) degrade: Option<Vec<RawText>>,
}

super::named! {
    /// `on_drift:`
    RawOnDrift: OnDrift {
        "yield" = OnDrift::Yield,
        "reassert" = OnDrift::Reassert,
    }
}

super::named! {
    /// With whom a namespace is shared.
    RawShared: Shared {
        "host" = Shared::Host,
        "peer" = Shared::Peer,
        "own" = Shared::Own,
    }
}

/// `namespaces:` of a description of cgroups.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{net: host}`")]
pub(in crate::config) struct RawNamespaces {
    mnt: Option<RawShared>,
    net: Option<RawShared>,
    pid: Option<RawShared>,
    uts: Option<RawShared>,
    ipc: Option<RawShared>,
    user: Option<RawShared>,
    cgroup: Option<RawShared>,
    time: Option<RawShared>,
}

impl RawNamespaces {
    fn says(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("namespaces.mnt", self.mnt),
            ("namespaces.net", self.net),
            ("namespaces.pid", self.pid),
            ("namespaces.uts", self.uts),
            ("namespaces.ipc", self.ipc),
            ("namespaces.user", self.user),
            ("namespaces.cgroup", self.cgroup),
            ("namespaces.time", self.time),
        ]
        .into_iter()
        .filter_map(|(key, shared)| shared.map(|shared| (key, shared.0.name())))
    }
}

/// A struct with the keys that describe cgroups, and some more.
macro_rules! matcher {
    ($(#[$doc:meta])* $name:ident, $expecting:literal { $($key:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields, default, expecting = $expecting)]
        pub(in crate::config) struct $name {
            $(pub(in crate::config) $key: Option<$type>,)*
            path: Option<RawText>,
            slice: Option<RawText>,
            unit: Option<RawText>,
            user: Option<RawText>,
            session: Option<RawText>,
            app: Option<RawText>,
            runtime: Option<RawText>,
            container: Option<RawText>,
            container_id: Option<RawText>,
            image: Option<RawText>,
            pod: Option<RawText>,
            namespace: Option<RawText>,
            pod_uid: Option<RawText>,
            qos: Option<RawText>,
            job_id: Option<RawText>,
            step_id: Option<RawText>,
            namespaces: Option<RawNamespaces>,
        }

        impl $name {
            /// What it says of cgroups: `path` or the name of a label, and the glob; `namespaces.net` and with whom.
            pub(in crate::config) fn says(&self) -> impl Iterator<Item = (&'static str, &str)> {
                [
                    ("path", &self.path),
                    ("slice", &self.slice),
                    ("unit", &self.unit),
                    ("user", &self.user),
                    ("session", &self.session),
                    ("app", &self.app),
                    ("runtime", &self.runtime),
                    ("container", &self.container),
                    ("container_id", &self.container_id),
                    ("image", &self.image),
                    ("pod", &self.pod),
                    ("namespace", &self.namespace),
                    ("pod_uid", &self.pod_uid),
                    ("qos", &self.qos),
                    ("job_id", &self.job_id),
                    ("step_id", &self.step_id),
                ]
                .into_iter()
                .filter_map(|(key, glob)| glob.as_ref().map(|glob| (key, glob.0.as_str())))
                .chain(self.namespaces.iter().flat_map(RawNamespaces::says))
            }
        }
    };
}

matcher! {
    /// One description of cgroups.
    RawMatcher, "a mapping such as `{path: \"/batch.slice/**\"}`" {}
}

matcher! {
    /// `match:`, one description, or several and exceptions.
    RawMatch, "a mapping such as `{path: \"/batch.slice/**\"}` or `{any: […], not: […]}`" {
        any: Vec<RawMatcher>,
        not: Vec<RawMatcher>,
        min_age: RawDuration,
    }
}

/// `when:`, `clear:` and what stands in them: one comparison, or several joined.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `{signal: memory.current, above: 2GiB, for: 10s}`"
)]
pub(in crate::config) struct RawCondition {
    pub(in crate::config) all: Option<Vec<RawCondition>>,
    pub(in crate::config) any: Option<Vec<RawCondition>>,
    pub(in crate::config) not: Option<Box<RawCondition>>,
    pub(in crate::config) signal: Option<RawText>,
    pub(in crate::config) of: Option<RawText>,
    pub(in crate::config) above: Option<RawText>,
    pub(in crate::config) below: Option<RawText>,
    pub(in crate::config) of_limit: Option<bool>,
    #[serde(rename = "for")]
    pub(in crate::config) hold: Option<RawDuration>,
}

/// `victim:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{rank: [memory.anon], max: 1}`")]
pub(in crate::config) struct RawVictim {
    pub(in crate::config) rank: Option<Vec<RawText>>,
    pub(in crate::config) at_least: Option<BTreeMap<String, RawText>>,
    pub(in crate::config) max: Option<RawCount>,
}

/// `cooldown:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{target: 5m, host: 15s}`")]
pub(in crate::config) struct RawCooldown {
    pub(in crate::config) target: Option<RawDuration>,
    pub(in crate::config) host: Option<RawDuration>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OwnerLabel;

    #[test]
    fn every_label_can_be_matched() {
        for label in OwnerLabel::NAMES {
            let matcher: RawMatcher = serde_yaml::from_str(&format!("{label}: x")).unwrap();
            assert_eq!(matcher.says().collect::<Vec<_>>(), [(*label, "x")]);
        }
    }
}
