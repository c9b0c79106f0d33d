//! What a plugin did: every hostcall, and what each kind cost.

use crate::LogLevel;
use std::collections::BTreeMap;
use std::fmt;

/// A place where the host calls the plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallSite {
    /// The thread: 0 is the main one, workers count from 1.
    pub worker: usize,
    /// The export that was called.
    pub callback: &'static str,
    /// The context that it was called for.
    pub context: u32,
}

/// One hostcall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCall {
    /// During which callback it was made.
    pub during: CallSite,
    /// The name of the import.
    pub name: &'static str,
    /// What it was about: a header, a property, a key.
    pub about: String,
    /// What was returned.
    pub returned: u32,
    /// Bytes that the host read from the guest.
    pub bytes_in: u64,
    /// Bytes that the host wrote to the guest.
    pub bytes_out: u64,
    /// How often the host had the guest allocate.
    pub allocations: u32,
    /// The fault plan answered instead.
    pub is_struck: bool,
}

impl fmt::Display for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { during, name, about, returned, .. } = self;
        write!(f, "{}({}) {name} {about:?} -> {returned}", during.callback, during.context)
    }
}

/// One call of the plugin by the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Where.
    pub site: CallSite,
    /// What it returned; nothing if it returns nothing, or trapped.
    pub returned: Option<u32>,
    /// The fuel that the guest used: about one a WebAssembly instruction.
    pub fuel: u64,
    /// Why it did not return.
    pub trap: Option<String>,
}

/// A line that a plugin logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The thread: 0 is the main one, workers count from 1.
    pub worker: usize,
    /// How loud.
    pub level: LogLevel,
    /// Who: in a stream the plugin's name, then root id and VM id if there are any. Nobody for a line
    /// of the host itself.
    pub plugin: Option<String>,
    /// The line.
    pub message: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.level, self.message)
    }
}

/// What happened, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// Calls by the host.
    pub callbacks: Vec<Callback>,
    /// Calls by the plugin.
    pub hostcalls: Vec<HostCall>,
}

/// What a trace comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    /// Hostcalls by name.
    pub hostcalls: BTreeMap<&'static str, u64>,
    /// Calls by the host, by export.
    pub callbacks: BTreeMap<&'static str, u64>,
    /// Bytes that the host read from the guest.
    pub bytes_in: u64,
    /// Bytes that the host wrote to the guest.
    pub bytes_out: u64,
    /// How often the host had the guest allocate.
    pub allocations: u64,
    /// The fuel that the guest used.
    pub fuel: u64,
}

impl Trace {
    /// What the trace comes to.
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for call in &self.hostcalls {
            let count = cost.hostcalls.entry(call.name).or_default();
            *count = count.saturating_add(1);
            cost.bytes_in = cost.bytes_in.saturating_add(call.bytes_in);
            cost.bytes_out = cost.bytes_out.saturating_add(call.bytes_out);
            cost.allocations = cost.allocations.saturating_add(u64::from(call.allocations));
        }
        for callback in &self.callbacks {
            let count = cost.callbacks.entry(callback.site.callback).or_default();
            *count = count.saturating_add(1);
            cost.fuel = cost.fuel.saturating_add(callback.fuel);
        }
        cost
    }

    /// The traps, as the log of the host has them.
    pub fn traps(&self) -> impl Iterator<Item = &Callback> {
        self.callbacks.iter().filter(|callback| callback.trap.is_some())
    }
}
