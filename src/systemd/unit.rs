//! One unit of systemd, and everything that is done to one.

use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zbus::export::futures_core::Stream as _;
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value as Variant};
use zbus::{MatchRule, MessageStream, message};

use super::error::BusError;
use super::manager::{Call, MANAGER, Manager, PROMPT, ROOT, SERVICE, read};
use super::property::{self, Setting};
use crate::model::{Knob, Value};

const UNIT: &str = "org.freedesktop.systemd1.Unit";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// What a job takes back with its number: its own path.
type JobRemoved = (u32, OwnedObjectPath, String, String);

/// One unit, as it was found.
#[derive(Clone, Debug)]
pub struct Unit {
    manager: Manager,
    /// Its object on the bus.
    path: String,
    /// The interface that has its resource properties: `org.freedesktop.systemd1.Service`.
    interface: String,
    /// Its name: `nginx.service`.
    pub id: String,
    /// Its cgroup below the root; empty where it has none now.
    pub control_group: String,
}

/// What a property was, for the journal: whoever finds it puts it back by the unit's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The unit's name.
    pub unit: String,
    /// Its cgroup at that time.
    pub control_group: String,
    /// The property.
    pub property: String,
    /// What it was.
    pub setting: Setting,
    /// Whether a drop-in had set it at run time already: then it is an administrator's, and stays.
    pub drop_in: bool,
}

impl Kept {
    /// Puts the property back, and removes the drop-in that [`Unit::set`] left behind: it would hide what the unit's file
    /// says from the next reload on.
    ///
    /// A unit that has ended and was forgotten by systemd has its drop-ins alone, which count when it is started again. It
    /// is not loaded for this: systemd would make a cgroup for it, and forget that one too.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn put_back(&self, manager: &Manager) -> Result<(), BusError> {
        match Unit::named(manager, &self.unit) {
            Ok(unit) => unit.put(&self.property, &self.setting)?,
            Err(BusError::NoSuchUnit(_)) => {}
            Err(error) => return Err(error),
        }
        if self.drop_in {
            return Ok(());
        }
        for file in drop_ins(manager, &self.unit, &self.property) {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(
                        "{}: cannot be removed: {error}; {} of {} is back to what it was until systemd reads this file \
                         again: the unit of this program needs `ReadWritePaths=-/run/systemd`",
                        file.display(),
                        self.property,
                        self.unit
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The drop-ins that set a property of a unit at run time. What systemd lists would be out of date after one was removed.
fn drop_ins(manager: &Manager, unit: &str, property: &str) -> Vec<PathBuf> {
    // A transient unit has its drop-ins beside its own file.
    let places = ["systemd/system.control", "systemd/transient"].map(|place| manager.run().join(place));
    let files = places.map(|place| place.join(format!("{unit}.d")).join(property::drop_in(property)));
    files.into_iter().filter(|file| file.exists()).collect()
}

impl Unit {
    /// The unit with this object path.
    pub(super) fn at(manager: Manager, path: &str, asked: &str) -> Result<Self, BusError> {
        let id: String = property_of(&manager, path, UNIT, "Id", asked)?;
        let interface = interface_of(&id);
        let control_group = match interface.as_str() {
            UNIT => String::new(),
            interface => property_of(&manager, path, interface, "ControlGroup", &id)?,
        };
        // systemd's own root is empty on old versions.
        let control_group = if id == "-.slice" { "/".to_owned() } else { control_group };
        Ok(Self { manager, path: path.to_owned(), interface, id, control_group })
    }

    /// The unit of this name, as long as systemd has it loaded.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn named(manager: &Manager, name: &str) -> Result<Self, BusError> {
        let call = Call::manager("GetUnit", name);
        let reply = manager.call(&call, &(name,))?;
        let path: OwnedObjectPath = read(&reply, &call)?;
        Self::at(manager.clone(), path.as_str(), name)
    }

    /// The line that it was found over.
    pub(super) const fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Its object on the bus.
    pub(super) fn object(&self) -> &str {
        &self.path
    }

    /// Whether it runs, starts or ends: `active`, `inactive`, `failed`.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn active_state(&self) -> Result<String, BusError> {
        property_of(&self.manager, &self.path, UNIT, "ActiveState", &self.id)
    }

    /// A property that only units of its kind have.
    fn resource<T>(&self, property: &str) -> Result<T, BusError>
    where
        T: TryFrom<OwnedValue>,
        T::Error: std::fmt::Display,
    {
        property_of(&self.manager, &self.path, &self.interface, property, &self.id)
    }

    /// What a control's property is.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn setting(&self, knob: &Knob) -> Result<Setting, BusError> {
        let name = property::name(knob);
        match knob {
            Knob::CpusetCpus | Knob::CpusetMems => self.resource::<Vec<u8>>(name).map(Setting::Mask),
            Knob::IoMax { device, .. } => {
                let node = property::node(device);
                let all: Vec<(String, u64)> = self.resource(name)?;
                let number =
                    all.iter().find(|(path, _)| *path == node).map_or(property::INFINITY, |pair| pair.1);
                Ok(Setting::Device(node, number))
            }
            _ => self.resource::<u64>(name).map(Setting::Number),
        }
    }

    /// What brings a control's property back to what it is now.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn keep(&self, knob: &Knob) -> Result<Kept, BusError> {
        let property = property::name(knob);
        let setting = self.setting(knob)?;
        let drop_in = !drop_ins(&self.manager, &self.id, property).is_empty();
        Ok(Kept {
            unit: self.id.clone(),
            control_group: self.control_group.clone(),
            property: property.to_owned(),
            setting,
            drop_in,
        })
    }

    /// Sets a control's property until the next boot. systemd has written the kernel's file when this returns.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn set(&self, knob: &Knob, value: &Value) -> Result<(), BusError> {
        let property = property::name(knob);
        let setting = property::setting(knob, value).ok_or_else(|| BusError::Unsupported {
            call: format!("SetUnitProperties {}", self.id),
            reason: format!("{property} cannot be `{value}`"),
        })?;
        self.put(property, &setting)
    }

    /// Stops every task, and waits until they stand.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn freeze(&self, deadline: Duration) -> Result<(), BusError> {
        self.manager
            .call(&Call { deadline, ..Call::manager("FreezeUnit", &self.id) }, &(&*self.id,))
            .map(drop)
    }

    /// Lets them run again.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn thaw(&self) -> Result<(), BusError> {
        self.manager.call(&Call::manager("ThawUnit", &self.id), &(&*self.id,)).map(drop)
    }

    /// Sends every process of it a signal.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn signal(&self, signal: i32) -> Result<(), BusError> {
        self.manager.call(&Call::manager("KillUnit", &self.id), &(&*self.id, "all", signal)).map(drop)
    }

    /// Stops it and starts it again, and waits until that is done.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn restart(&self, deadline: Duration) -> Result<(), BusError> {
        self.job("RestartUnit", deadline)
    }

    /// Stops it, and waits until that is done. It stays stopped until somebody starts it.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn stop(&self, deadline: Duration) -> Result<(), BusError> {
        self.job("StopUnit", deadline)
    }

    /// Starts a job and waits until systemd says what came of it.
    fn job(&self, method: &str, deadline: Duration) -> Result<(), BusError> {
        let call = Call { deadline, ..Call::manager(method, &self.id) };
        let manager = &self.manager;
        let result = manager.within(&call.named(), deadline, async {
            let broken = |error: zbus::Error| match error {
                zbus::Error::MethodError(name, reason, _) => {
                    BusError::named(&name, &call, &reason.unwrap_or_default())
                }
                other => manager.unreachable(&other),
            };
            let connection = manager.connect().await?;
            let rule = MatchRule::builder()
                .msg_type(message::Type::Signal)
                .interface(MANAGER)
                .and_then(|rule| rule.member("JobRemoved"))
                .map_err(broken)?
                .build();
            let mut ends =
                MessageStream::for_match_rule(rule, &connection, Some(256)).await.map_err(broken)?;
            // systemd tells of its jobs only while somebody listens. Who listens already is told so, and that is well.
            let _ = connection.call_method(Some(SERVICE), ROOT, Some(MANAGER), "Subscribe", &()).await;
            let reply = connection
                .call_method(Some(SERVICE), ROOT, Some(MANAGER), method, &(&*self.id, "replace"))
                .await
                .map_err(broken)?;
            let job: OwnedObjectPath = read(&reply, &call)?;
            let result = loop {
                let Some(message) = poll_fn(|context| Pin::new(&mut ends).poll_next(context)).await else {
                    break Err(BusError::Unreachable {
                        bus: "of systemd".to_owned(),
                        reason: "it broke".to_owned(),
                    });
                };
                let (_, ended, _, result): JobRemoved = match message.map(|message| read(&message, &call)) {
                    Ok(Ok(removed)) => removed,
                    Ok(Err(error)) => break Err(error),
                    Err(error) => break Err(manager.unreachable(&error)),
                };
                if ended == job {
                    break Ok(result);
                }
            };
            let _ = connection.call_method(Some(SERVICE), ROOT, Some(MANAGER), "Unsubscribe", &()).await;
            result
        })?;
        match result.as_str() {
            "done" => Ok(()),
            other => {
                let reason = format!("the job ended as `{other}`: see `systemctl status {}`", self.id);
                Err(BusError::Refused { call: call.named(), reason })
            }
        }
    }

    fn put(&self, property: &str, setting: &Setting) -> Result<(), BusError> {
        let value: Variant<'_> = match setting {
            Setting::Number(number) => (*number).into(),
            Setting::Mask(mask) => mask.clone().into(),
            Setting::Device(node, number) => vec![(node.clone(), *number)].into(),
        };
        let call = Call::manager("SetUnitProperties", &self.id);
        self.manager.call(&call, &(&*self.id, true, vec![(property, value)])).map(drop)
    }
}

/// The interface of a unit's kind: `org.freedesktop.systemd1.Service`. Kinds without processes have no resources.
pub(super) fn interface_of(id: &str) -> String {
    let kind = match id.rsplit_once('.').map(|(_, kind)| kind) {
        Some("service") => "Service",
        Some("scope") => "Scope",
        Some("slice") => "Slice",
        Some("socket") => "Socket",
        Some("mount") => "Mount",
        Some("swap") => "Swap",
        _ => return UNIT.to_owned(),
    };
    format!("org.freedesktop.systemd1.{kind}")
}

pub(super) fn property_of<T>(
    manager: &Manager,
    path: &str,
    interface: &str,
    name: &str,
    unit: &str,
) -> Result<T, BusError>
where
    T: TryFrom<OwnedValue>,
    T::Error: std::fmt::Display,
{
    let call = Call { path, interface: PROPERTIES, method: "Get", unit, deadline: PROMPT };
    let reply = manager.call(&call, &(interface, name))?;
    let value: OwnedValue = read(&reply, &call)?;
    T::try_from(value).map_err(|error| BusError::Refused {
        call: format!("Get {name} of {unit}"),
        reason: format!("the answer cannot be read: {error}"),
    })
}
