//! What a run has shown, as numbers that a fuzzer can tell runs apart by.
//!
//! The guest is compiled while it runs, so no coverage of it can be had; what it did is known all
//! the same: its calls, in pairs, what they were about, and how long it took between them.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use wasm_host::{HostCall, Outcome};

/// Marks of what happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen(BTreeSet<u64>);

impl Seen {
    /// The marks.
    pub fn marks(&self) -> impl Iterator<Item = u64> {
        self.0.iter().copied()
    }

    pub(crate) fn mark(&mut self, what: impl Hash) {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        self.0.insert(hasher.finish());
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn add(&mut self, outcome: &Outcome) {
        let mut before = "";
        for call in &outcome.trace.hostcalls {
            self.mark((call.during.callback, before, call.name, call.returned, about(call)));
            before = call.name;
        }
        for callback in &outcome.trace.callbacks {
            // Quarters of a power of two.
            let magnitude = u64::from(callback.fuel.max(1).ilog2());
            let quarter = callback.fuel.checked_shr(callback.fuel.max(4).ilog2() - 2);
            let fuel = (magnitude, quarter.map(|quarter| quarter & 3));
            self.mark((callback.site.callback, callback.returned, fuel));
        }
        let record =
            outcome.property("meshfence_decision").and_then(|value| value.serialize().ok());
        let record =
            record.and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok());
        let word = |key: &str| record.as_ref().and_then(|record| record.get(key)?.as_str());
        let decided =
            ["context", "effect", "verdict", "reason", "rule", "holder", "from"].map(word);
        let body = String::from_utf8_lossy(&outcome.body);
        let detail = body.split("\"detail\":").nth(1).and_then(|rest| rest.split(',').next());
        self.mark((outcome.status, decided, detail));
    }
}

/// What a call is about, where that is of a closed set.
fn about(call: &HostCall) -> &str {
    let is_closed = matches!(
        call.name,
        "proxy_get_property" | "proxy_define_metric" | "proxy_replace_header_map_value"
    );
    if is_closed { &call.about } else { "" }
}
