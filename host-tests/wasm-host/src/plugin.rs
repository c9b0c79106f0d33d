//! A plugin's place in the configuration of a proxy.

use crate::Code;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::time::Duration;

/// What becomes of requests when a plugin's VM has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailurePolicy {
    /// 503, until the plugin is configured anew. (A plugin that fails only where a worker configures
    /// it is no filter there, whatever the policy: requests pass, as they do in Envoy.)
    #[default]
    Closed,
    /// Requests that come later pass without it.
    Open,
    /// 503; a request that comes later gets a new VM, at most one in each back-off.
    Reload {
        /// The least time between two new VMs. Envoy adds up to half of it at random; here it is
        /// exact.
        backoff: Duration,
    },
}

impl FailurePolicy {
    /// A new VM with Envoy's own back-off of a second.
    pub const RELOAD: Self = Self::Reload { backoff: Duration::from_secs(1) };
}

/// One plugin: a module, a configuration, and how it is attached.
#[derive(Debug, Clone)]
pub struct Plugin {
    pub(crate) code: Code,
    pub(crate) name: String,
    pub(crate) root_id: String,
    pub(crate) configuration: Vec<u8>,
    pub(crate) vm_id: String,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) allow_on_headers_stop_iteration: bool,
}

impl Plugin {
    /// A plugin by its name, which is that of its filter too.
    pub fn new(name: impl Into<String>, code: &Code) -> Self {
        Self {
            code: code.clone(),
            name: name.into(),
            root_id: String::new(),
            configuration: Vec::new(),
            vm_id: String::new(),
            vm_configuration: Vec::new(),
            env: Vec::new(),
            failure_policy: FailurePolicy::default(),
            allow_on_headers_stop_iteration: false,
        }
    }

    /// Which of a module's roots it is: `root_id` of Envoy, `pluginName` of Istio.
    #[must_use]
    pub fn root_id(mut self, root_id: impl Into<String>) -> Self {
        self.root_id = root_id.into();
        self
    }

    /// Its configuration, byte for byte.
    #[must_use]
    pub fn configuration(mut self, configuration: impl Into<Vec<u8>>) -> Self {
        self.configuration = configuration.into();
        self
    }

    /// The id of its VM, which says with whom it shares data.
    #[must_use]
    pub fn vm_id(mut self, vm_id: impl Into<String>) -> Self {
        self.vm_id = vm_id.into();
        self
    }

    /// The configuration of its VM.
    #[must_use]
    pub fn vm_configuration(mut self, configuration: impl Into<Vec<u8>>) -> Self {
        self.vm_configuration = configuration.into();
        self
    }

    /// Adds a variable to the environment of its VM.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// What becomes of requests when its VM has failed.
    #[must_use]
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.failure_policy = policy;
        self
    }

    /// Lets `StopIteration` on headers mean that alone: body and trailers still come.
    #[must_use]
    pub fn allow_on_headers_stop_iteration(mut self, allow: bool) -> Self {
        self.allow_on_headers_stop_iteration = allow;
        self
    }

    /// Plugins of one key share a VM on each thread: the same id, configuration, environment and
    /// code. (Envoy before 1.39 leaves the environment out.)
    pub(crate) fn vm_key(&self) -> String {
        let mut env = self.env.clone();
        env.sort();
        let env: Vec<String> = env.into_iter().map(|(name, value)| name + "=" + &value).collect();
        hash(&[
            self.vm_id.as_bytes(),
            &self.vm_configuration,
            env.join("\0").as_bytes(),
            self.code.sha256(),
        ])
    }

    /// Plugins of one key share a root context in their VM.
    pub(crate) fn key(&self) -> String {
        hash(&[
            self.root_id.as_bytes(),
            &self.configuration,
            self.name.as_bytes(),
            &[u8::from(self.failure_policy == FailurePolicy::Open)],
        ])
    }

    /// How log lines name it: a root goes without the plugin's name.
    pub(crate) fn log_prefix(&self, is_stream: bool) -> String {
        let name = if is_stream { self.name.as_str() } else { "" };
        let parts = [name, &self.root_id, &self.vm_id];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(" ")
    }
}

fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update(b"||");
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
