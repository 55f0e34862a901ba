//! What systemd, and systemd-oomd on its behalf, do with a unit when memory runs out.

use std::collections::HashMap;

use serde::Serialize;
use zbus::zvariant::{OwnedObjectPath, OwnedValue};

use super::error::BusError;
use super::manager::{Call, Manager, PROMPT, read};
use super::unit::{PROPERTIES, Unit, interface_of, property_of};

/// The settings by which systemd-oomd kills within a unit (`systemd.resource-control(5)`).
const KILLS: [&str; 2] = ["ManagedOOMSwap", "ManagedOOMMemoryPressure"];
/// The kinds of units that have them.
const PATTERNS: [&str; 3] = ["*.service", "*.scope", "*.slice"];
/// States in which a unit has no cgroup.
const WITHOUT: [&str; 2] = ["inactive", "failed"];

/// One line of `ListUnitsByPatterns`: the name, what it is, how far it is loaded, its state, the same in detail, whom it
/// follows, its object, and its job.
type Listed = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// What a unit says of want of memory and of being ended. What its kind, or this systemd, does not have is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Afterwards {
    /// What is done with the rest of it when the kernel's OOM killer has ended one process.
    #[serde(rename = "OOMPolicy", skip_serializing_if = "Option::is_none")]
    pub oom_policy: Option<String>,
    /// When it is started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
    /// Whether systemd-oomd kills in it when swap runs out.
    #[serde(rename = "ManagedOOMSwap", skip_serializing_if = "Option::is_none")]
    pub managed_oom_swap: Option<String>,
    /// Whether systemd-oomd kills in it when it stalls.
    #[serde(rename = "ManagedOOMMemoryPressure", skip_serializing_if = "Option::is_none")]
    pub managed_oom_memory_pressure: Option<String>,
    /// Whether systemd-oomd spares it.
    #[serde(rename = "ManagedOOMPreference", skip_serializing_if = "Option::is_none")]
    pub managed_oom_preference: Option<String>,
}

impl Afterwards {
    /// The properties that there are, by name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("OOMPolicy", &self.oom_policy),
            ("Restart", &self.restart),
            ("ManagedOOMSwap", &self.managed_oom_swap),
            ("ManagedOOMMemoryPressure", &self.managed_oom_memory_pressure),
            ("ManagedOOMPreference", &self.managed_oom_preference),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// Which units there are, and in which of them systemd-oomd kills.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managed {
    /// The cgroups of all services, scopes and slices that have one, below the root.
    pub cgroups: Vec<String>,
    /// Where it kills: the cgroup, the unit, and the property that says so.
    pub kills: Vec<(String, String, &'static str)>,
}

impl Unit {
    /// What it says of want of memory and of being ended: one call.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn afterwards(&self) -> Result<Afterwards, BusError> {
        let (path, interface) = (self.object(), interface_of(&self.id));
        let call = Call { path, interface: PROPERTIES, method: "GetAll", unit: &self.id, deadline: PROMPT };
        let reply = self.manager().call(&call, &(&*interface,))?;
        let all: HashMap<String, OwnedValue> = read(&reply, &call)?;
        let text = |name: &str| {
            let value = all.get(name)?.downcast_ref::<&str>().ok()?;
            Some(value.to_owned()).filter(|value| !value.is_empty())
        };
        Ok(Afterwards {
            oom_policy: text("OOMPolicy"),
            restart: text("Restart"),
            managed_oom_swap: text("ManagedOOMSwap"),
            managed_oom_memory_pressure: text("ManagedOOMMemoryPressure"),
            managed_oom_preference: text("ManagedOOMPreference"),
        })
    }
}

impl Manager {
    /// Whether a unit runs. One that is not there does not.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn is_active(&self, unit: &str) -> Result<bool, BusError> {
        let state = Unit::named(self, unit).and_then(|unit| unit.active_state());
        match state {
            Ok(state) => Ok(!WITHOUT.contains(&&*state)),
            Err(BusError::NoSuchUnit(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Looks at every unit that has a cgroup: a few calls for each.
    ///
    /// # Errors
    /// See [`BusError`]. A unit that ends meanwhile is none, and a systemd that has no systemd-oomd kills nowhere.
    pub fn managed_oom(&self) -> Result<Managed, BusError> {
        let call = Call::manager("ListUnitsByPatterns", "");
        let reply = self.call(&call, &(&[""; 0][..], &PATTERNS[..]))?;
        let units: Vec<Listed> = read(&reply, &call)?;
        let mut managed = Managed::default();
        for (id, _, _, state, _, _, object, ..) in units {
            if WITHOUT.contains(&&*state) {
                continue;
            }
            let interface = interface_of(&id);
            let get = |property: &str| match property_of::<String>(
                self,
                object.as_str(),
                &interface,
                property,
                &id,
            ) {
                Ok(value) => Ok(Some(value)),
                Err(BusError::NoSuchUnit(_) | BusError::Unsupported { .. }) => Ok(None),
                Err(error) => Err(error),
            };
            let cgroup = match get("ControlGroup")? {
                Some(cgroup) if cgroup.is_empty() && id != "-.slice" => continue,
                Some(_) if id == "-.slice" => "/".to_owned(),
                Some(cgroup) => cgroup,
                None => continue,
            };
            for property in KILLS {
                if get(property)?.as_deref() == Some("kill") {
                    managed.kills.push((cgroup.clone(), id.clone(), property));
                }
            }
            managed.cgroups.push(cgroup);
        }
        Ok(managed)
    }
}
