//! PURE: what the files that runtimes keep say of their containers. Where they stand is [`super::places`].
//!
//! | who | file | gives |
//! |---|---|---|
//! | Docker | `containers/ID/config.v2.json` | name, image; pod, namespace and container from dockershim's labels |
//! | Podman, CRI-O | `storage/overlay-containers/containers.json` | name, image |
//! | containerd, CRI-O | the bundle's `config.json`, its annotations | container, image, pod, namespace |
//! | kubelet | the names in `/var/log/pods` and `/var/log/containers` | pod, namespace, container |
//!
//! These files are other programs' own, and belong to whoever may write them; Podman's without root belong to a user. A
//! file that is not what it should be tells nothing. A text from one becomes a label of at most [`LONGEST`] characters.

use std::collections::HashMap;

use serde::Deserialize;

use super::places::{Format, in_kubernetes};
use crate::model::{Owner, OwnerLabel, display_path};

/// How many characters of a name are shown.
pub const LONGEST: usize = 128;

/// Annotations of an OCI bundle and labels of a Docker container that name a pod.
const TAGS: [(&str, OwnerLabel); 8] = [
    ("io.kubernetes.cri.container-name", OwnerLabel::Container),
    ("io.kubernetes.cri.image-name", OwnerLabel::Image),
    ("io.kubernetes.cri.sandbox-name", OwnerLabel::Pod),
    ("io.kubernetes.cri.sandbox-namespace", OwnerLabel::Namespace),
    ("io.kubernetes.container.name", OwnerLabel::Container),
    ("io.kubernetes.cri-o.ImageName", OwnerLabel::Image),
    ("io.kubernetes.pod.name", OwnerLabel::Pod),
    ("io.kubernetes.pod.namespace", OwnerLabel::Namespace),
];

/// The annotation in which nerdctl keeps a container's name.
const NERDCTL_NAME: &str = "nerdctl/name";

/// What is told of one container or pod.
#[derive(Debug, Default)]
struct Facts {
    /// What counts only where the path says that it is in a pod of Kubernetes: anybody may label a container.
    in_pod: Vec<(OwnerLabel, String)>,
    /// What counts in any case.
    plain: Vec<(OwnerLabel, String)>,
}

/// What a place tells, by the id of a container or the uid of a pod.
#[derive(Debug, Default)]
pub struct Told(HashMap<String, Facts>);

/// A file was not what its format says.
#[derive(Debug, thiserror::Error)]
#[error("the file is not what its runtime writes: {0}")]
pub struct Malformed(#[from] serde_json::Error);

/// What the text of a file tells of the container with this id, or of all.
///
/// # Errors
/// When the text is no JSON, or has something else where a name should be.
pub fn parse(format: Format, id: &str, text: &[u8]) -> Result<Told, Malformed> {
    let mut told = Told::default();
    match format {
        Format::Docker => {
            told.0.insert(id.to_owned(), docker(text)?);
        }
        Format::Bundle => {
            let bundle: Bundle = serde_json::from_slice(text)?;
            let annotations = bundle.annotations.unwrap_or_default();
            let name = annotations.get(NERDCTL_NAME).map(|name| (OwnerLabel::Container, bounded(name)));
            let facts = Facts { in_pod: tags(&annotations), plain: name.into_iter().collect() };
            told.0.insert(id.to_owned(), facts);
        }
        Format::Storage => {
            let all: Vec<Stored> = serde_json::from_slice(text)?;
            told.0.extend(all.into_iter().map(|stored| (stored.id.clone(), facts(stored))));
        }
        Format::PodLogs | Format::ContainerLogs => {}
    }
    Ok(told)
}

/// What the names in a directory tell.
#[must_use]
pub fn parse_names<'a>(format: Format, names: impl IntoIterator<Item = &'a str>) -> Told {
    let one = |name: &str| match format {
        Format::PodLogs => {
            let mut parts = name.split('_');
            let (namespace, pod, uid) = (parts.next()?, parts.next()?, parts.next()?);
            let facts = vec![(OwnerLabel::Pod, bounded(pod)), (OwnerLabel::Namespace, bounded(namespace))];
            parts.next().is_none().then(|| (uid.to_owned(), facts))
        }
        Format::ContainerLogs => {
            let mut parts = name.strip_suffix(".log")?.split('_');
            let (pod, namespace, rest) = (parts.next()?, parts.next()?, parts.next()?);
            let (container, id) = rest.rsplit_once('-')?;
            let facts = vec![
                (OwnerLabel::Pod, bounded(pod)),
                (OwnerLabel::Namespace, bounded(namespace)),
                (OwnerLabel::Container, bounded(container)),
            ];
            parts.next().is_none().then(|| (id.to_owned(), facts))
        }
        _ => None,
    };
    Told(
        names
            .into_iter()
            .filter_map(one)
            .map(|(key, in_pod)| (key, Facts { in_pod, plain: Vec::new() }))
            .collect(),
    )
}

impl Told {
    /// Adds what is told of the owner. What is known already stays.
    pub fn tell(&self, runtime: Option<&'static str>, owner: &mut Owner) {
        let of_kubernetes = in_kubernetes(owner);
        for key in [OwnerLabel::ContainerId, OwnerLabel::PodUid] {
            let Some(facts) = owner.get(key).and_then(|id| self.0.get(id)) else { continue };
            let in_pod = facts.in_pod.iter().filter(|_| of_kubernetes);
            for (label, value) in in_pod.chain(&facts.plain) {
                if owner.get(*label).is_none() && !value.is_empty() {
                    owner.set(*label, Some(value));
                }
            }
            if runtime.is_some() && owner.get(OwnerLabel::Runtime).is_none() {
                owner.set(OwnerLabel::Runtime, runtime);
            }
        }
    }
}

/// Docker's own record of a container; everything else in it is of no interest.
#[derive(Deserialize)]
struct Docker {
    #[serde(rename = "Name")]
    name: Option<String>,
    #[serde(rename = "Config")]
    config: Option<DockerConfig>,
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(rename = "Image")]
    image: Option<String>,
    #[serde(rename = "Labels")]
    labels: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
struct Bundle {
    annotations: Option<HashMap<String, String>>,
}

/// An entry of `containers.json`.
#[derive(Deserialize)]
struct Stored {
    id: String,
    names: Option<Vec<String>>,
    /// JSON in a string: what the runtime itself notes.
    metadata: Option<String>,
}

/// The notes of Podman (`name`, `image-name`) and of CRI-O (those, and `metadata-name`, the name in the pod).
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    name: Option<String>,
    metadata_name: Option<String>,
    image_name: Option<String>,
    namespace: Option<String>,
    pod: Option<bool>,
}

fn docker(text: &[u8]) -> Result<Facts, Malformed> {
    let docker: Docker = serde_json::from_slice(text)?;
    let mut facts = Facts::default();
    if let Some(name) = &docker.name {
        facts.plain.push((OwnerLabel::Container, bounded(name.strip_prefix('/').unwrap_or(name))));
    }
    if let Some(config) = docker.config {
        facts.plain.extend(config.image.map(|image| (OwnerLabel::Image, bounded(&image))));
        facts.in_pod = tags(&config.labels.unwrap_or_default());
    }
    Ok(facts)
}

fn tags(labels: &HashMap<String, String>) -> Vec<(OwnerLabel, String)> {
    TAGS.iter()
        .filter_map(|(tag, label)| Some((*label, labels.get(*tag)?)))
        // So the pause container calls itself, which is the pod's and none of its containers.
        .filter(|(label, value)| !(*label == OwnerLabel::Container && *value == "POD"))
        .map(|(label, value)| (label, bounded(value)))
        .collect()
}

fn facts(stored: Stored) -> Facts {
    // Other programs that store containers there note what they like.
    let noted: Metadata =
        stored.metadata.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let mut facts = Facts::default();
    facts.plain.extend(noted.image_name.map(|image| (OwnerLabel::Image, bounded(&image))));
    if noted.pod == Some(true) {
        facts.in_pod.extend(noted.metadata_name.map(|pod| (OwnerLabel::Pod, bounded(&pod))));
        facts.in_pod.extend(noted.namespace.map(|namespace| (OwnerLabel::Namespace, bounded(&namespace))));
    } else {
        let first = stored.names.and_then(|names| names.into_iter().next());
        let name = noted.metadata_name.or(noted.name).or(first);
        facts.plain.extend(name.map(|name| (OwnerLabel::Container, bounded(&name))));
    }
    facts
}

/// A name that somebody else chose, as a label: printable, and not longer than [`LONGEST`].
fn bounded(name: &str) -> String {
    // No more is looked at than may be shown.
    let shown = display_path(name.chars().take(LONGEST + 1).collect::<String>().as_bytes());
    if shown.chars().count() <= LONGEST {
        return shown;
    }
    shown.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Format; 5] =
        [Format::Docker, Format::Storage, Format::Bundle, Format::PodLogs, Format::ContainerLogs];

    fn owner(parts: &[(OwnerLabel, &str)]) -> Owner {
        let mut owner = Owner::default();
        for (label, value) in parts {
            owner.set(*label, Some(value));
        }
        owner
    }

    fn short(owner: &Owner) -> bool {
        let values = OwnerLabel::ALL.iter().filter_map(|&label| owner.get(label));
        values
            .into_iter()
            .all(|value| value.chars().count() <= LONGEST && !value.chars().any(char::is_control))
    }

    proptest! {
        #[test]
        fn no_text_is_trouble(bytes: Vec<u8>, name: String) {
            for format in ALL {
                let _ = parse(format, "id", &bytes);
                let _ = parse_names(format, [&*name]);
            }
            let quoted = serde_json::to_string(&name).expect("a string");
            for (format, text) in [
                (Format::Docker, format!("{{\"Name\": {quoted}, \"Config\": {{\"Image\": {quoted}}}}}")),
                (Format::Storage, format!("[{{\"id\": \"id\", \"names\": [{quoted}], \"metadata\": {quoted}}}]")),
                (Format::Bundle, format!("{{\"annotations\": {{\"io.kubernetes.pod.name\": {quoted}}}}}")),
            ] {
                let mut owner = owner(&[(OwnerLabel::ContainerId, "id"), (OwnerLabel::Qos, "burstable")]);
                parse(format, "id", text.as_bytes()).expect("it is whole").tell(None, &mut owner);
                prop_assert!(short(&owner), "{owner:?}");
            }
        }
    }

    #[test]
    fn what_is_missing_is_no_trouble_and_what_is_known_stays() {
        let mut known = owner(&[(OwnerLabel::ContainerId, "id"), (OwnerLabel::Container, "mine")]);
        for (format, text) in [
            (Format::Docker, "{}"),
            (Format::Docker, "{\"Name\": \"/other\", \"Config\": {\"Image\": null, \"Labels\": null}}"),
            (Format::Storage, "[]"),
            (Format::Storage, "[{\"id\": \"id\", \"names\": [\"other\"], \"metadata\": \"{torn\"}]"),
            (Format::Bundle, "{\"annotations\": null}"),
        ] {
            parse(format, "id", text.as_bytes()).expect(text).tell(None, &mut known);
        }
        assert_eq!(known, owner(&[(OwnerLabel::ContainerId, "id"), (OwnerLabel::Container, "mine")]));
    }

    #[test]
    fn a_sandbox_of_cri_o_is_a_pod_and_no_container() {
        let noted = r#"{"name":"k8s_POD_web-0_shop_u_0","metadata-name":"web-0","namespace":"shop","pod":true,"image-name":"pause:3.9"}"#;
        let text = serde_json::json!([{"id": "id", "names": ["k8s_POD_web-0_shop_u_0"], "metadata": noted}])
            .to_string();
        let mut sandbox = owner(&[(OwnerLabel::ContainerId, "id"), (OwnerLabel::Qos, "burstable")]);
        parse(Format::Storage, "id", text.as_bytes()).expect("it is whole").tell(Some("cri-o"), &mut sandbox);
        let part = |label| sandbox.get(label);
        assert_eq!(
            (part(OwnerLabel::Pod), part(OwnerLabel::Namespace), part(OwnerLabel::Container)),
            (Some("web-0"), Some("shop"), None)
        );
        assert_eq!((part(OwnerLabel::Image), part(OwnerLabel::Runtime)), (Some("pause:3.9"), Some("cri-o")));
    }

    #[test]
    fn nerdctl_notes_names_in_the_bundle() {
        let mut known = owner(&[(OwnerLabel::ContainerId, "id"), (OwnerLabel::Runtime, "containerd")]);
        let text = br#"{"annotations": {"nerdctl/name": "web", "io.kubernetes.pod.name": "no-pod"}}"#;
        parse(Format::Bundle, "id", text).expect("it is whole").tell(Some("containerd"), &mut known);
        assert_eq!((known.get(OwnerLabel::Container), known.get(OwnerLabel::Pod)), (Some("web"), None));
    }

    #[test]
    fn logs_are_named_after_pods() {
        let mut owner = owner(&[(OwnerLabel::PodUid, "u-1"), (OwnerLabel::Qos, "guaranteed")]);
        let names = ["x", "a_b", "shop_web-0_u-1", "shop_web-0_u-1_more", "shop_web-1_u-2"];
        parse_names(Format::PodLogs, names).tell(None, &mut owner);
        assert_eq!(
            (owner.get(OwnerLabel::Namespace), owner.get(OwnerLabel::Pod)),
            (Some("shop"), Some("web-0"))
        );
    }
}
