//! Messages: to a webhook, to a hook command. The log and the audit are told by whoever reports decisions.
//!
//! Each way has a thread and a queue of its own. A slow receiver delays other messages at most, never an action, and a
//! full queue drops what comes, counted.

mod hook;
mod message;
mod webhook;

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::SystemTime;

use super::ledger::{Key, key_of};
use super::order::Order;
use super::stats::{Stats, lock};
use crate::policy::rule::{Hook, Notify, Webhook};
use message::{Message, Status};

/// How many messages may wait for one way.
const QUEUE: usize = 64;
/// For how many targets it is remembered that they were told of, to tell when it is over.
const REMEMBERED: usize = 10_000;

/// What came of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notified {
    /// The order's number.
    pub order: u64,
    /// The rule.
    pub rule: Arc<str>,
    /// The cgroup, as people see it.
    pub cgroup: String,
    /// To whom: the webhook's address, or the hook's program.
    pub to: String,
    /// `firing` or `resolved`.
    pub status: &'static str,
    /// The beginning of what the receiver said, or why it was not told.
    pub result: Result<String, String>,
}

/// Sends messages.
#[derive(Clone, Debug)]
pub struct Notifier {
    webhooks: SyncSender<(Webhook, Message)>,
    hooks: SyncSender<(Hook, Message)>,
    /// By rule and cgroup.
    firing: Arc<Mutex<Told>>,
    stats: Arc<Stats>,
}

/// Who was told that something began.
type Told = HashMap<(Arc<str>, Key), Firing>;

/// A message that said that something began.
#[derive(Clone, Debug)]
struct Firing {
    order: Order,
    notify: Notify,
    since: SystemTime,
}

impl Notifier {
    /// Starts the threads. `report` is told what came of each message.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn start(stats: Arc<Stats>, report: impl Fn(Notified) + Clone + Send + 'static) -> io::Result<Self> {
        let client = webhook::Client::new()?;
        let told = report.clone();
        let send = move |to: &Webhook, message: &Message| client.post(to, &message.json().to_string());
        let address = |to: &Webhook| to.address.clone();
        let webhooks = way("webhook", Arc::clone(&stats), address, send, told)?;
        let name = |hook: &Hook| hook.program.display().to_string();
        let hooks = way("hook", Arc::clone(&stats), name, hook::run, report)?;
        Ok(Self { webhooks, hooks, firing: Arc::default(), stats })
    }

    /// Hands a message over that something began. Without a webhook or a hook there is nothing to send.
    ///
    /// # Errors
    /// When too many messages wait: this one is dropped.
    pub fn send(&self, order: &Order, notify: &Notify) -> Result<(), String> {
        let since = SystemTime::now();
        let mut firing = lock(&self.firing);
        let key = (Arc::clone(&order.rule), key_of(&order.target));
        if firing.len() < REMEMBERED || firing.contains_key(&key) {
            firing.insert(key, Firing { order: order.clone(), notify: notify.clone(), since });
        }
        drop(firing);
        self.queue(notify, &Message::new(order, Status::Firing, since, None))
    }

    /// Says that a rule is done with a target. Only those are told who were told that it began.
    pub fn resolved(&self, order: &Order) {
        let firing = lock(&self.firing).remove(&(Arc::clone(&order.rule), key_of(&order.target)));
        if let Some(firing) = firing {
            self.over(order, &firing);
        }
    }

    /// The same of every rule and target but those that `lasts` knows. What leaves nothing to undo ends without an order.
    pub fn resolved_but(&self, lasts: impl Fn(&Arc<str>, &Key) -> bool) {
        let over: Vec<Firing> = lock(&self.firing)
            .extract_if(|(rule, key), _| !lasts(rule, key))
            .map(|(_, firing)| firing)
            .collect();
        for firing in over {
            self.over(&firing.order, &firing);
        }
    }

    /// Whether somebody waits to be told that something is over.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !lock(&self.firing).is_empty()
    }

    fn over(&self, order: &Order, firing: &Firing) {
        let message = Message::new(order, Status::Resolved, firing.since, Some(SystemTime::now()));
        // What is dropped is counted.
        let _ = self.queue(&firing.notify, &message);
    }

    fn queue(&self, notify: &Notify, message: &Message) -> Result<(), String> {
        let webhook =
            notify.webhook.as_ref().map(|to| self.webhooks.try_send((to.clone(), message.clone())).is_ok());
        let hook =
            notify.hook.as_ref().map(|hook| self.hooks.try_send((hook.clone(), message.clone())).is_ok());
        let dropped = [webhook, hook].iter().filter(|sent| **sent == Some(false)).count() as u64;
        if dropped == 0 {
            return Ok(());
        }
        self.stats.change(|numbers| numbers.notify_dropped += dropped);
        Err(format!("{QUEUE} messages wait already: this one is dropped"))
    }
}

/// One way to send messages, on a thread of its own.
fn way<T: Send + 'static>(
    name: &str,
    stats: Arc<Stats>,
    to: impl Fn(&T) -> String + Send + 'static,
    send: impl Fn(&T, &Message) -> Result<String, String> + Send + 'static,
    report: impl Fn(Notified) + Send + 'static,
) -> io::Result<SyncSender<(T, Message)>> {
    let (sender, queue): (_, Receiver<(T, Message)>) = mpsc::sync_channel(QUEUE);
    let work = move || {
        for (receiver, message) in queue {
            let result = send(&receiver, &message);
            stats.change(|numbers| match result {
                Ok(_) => numbers.notified += 1,
                Err(_) => numbers.notify_failed += 1,
            });
            report(Notified {
                order: message.order,
                rule: Arc::clone(&message.rule),
                cgroup: message.cgroup.clone(),
                to: to(&receiver),
                status: message.status.name(),
                result,
            });
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(sender)
}
