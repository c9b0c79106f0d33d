//! The policy set that a directory of documents resolves to.

use crate::policy_test::PolicyTest;
use crate::timeline::Timeline;
use core::net::IpAddr;
use policy_core::{
    OnRejected, Role,
    wire::{
        Agent, Attachment, Candidate, FORMAT, JwtClaim, PluginConfig, PolicyBody, PolicySetId,
        Records, StateDocument, SubjectSource, TenantMap,
    },
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One directory of documents, resolved: every name looked up, every default filled in.
#[derive(Debug, Clone)]
pub struct PolicySet {
    /// `metadata.name` of the `Topology`.
    pub name: String,
    /// What every proxy enforces.
    pub body: PolicyBody,
    /// What ties the policy to this mesh; for rendering, not for deciding.
    pub mesh: MeshFacts,
    /// How leases are granted and moved; for agents and simulations, not for proxies.
    pub fencing_times: FencingTimes,
    /// The `PolicyTest` documents, in the order of their files.
    pub tests: Vec<PolicyTest>,
    /// The `Timeline` documents, in the order of their files.
    pub timelines: Vec<Timeline>,
    hash: String,
    candidate: Option<Candidate>,
}

/// What rendering needs to know and deciding does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshFacts {
    /// Whose tokens are accepted.
    pub issuers: Vec<Issuer>,
    /// The cloud region by region name, where given.
    pub cloud_regions: BTreeMap<String, String>,
    /// The east-west gateway by region name, where given.
    pub peer_gateways: BTreeMap<String, PeerGateway>,
    /// Where the proxies of a region ask for its state, by region name, where given.
    pub agents: BTreeMap<String, AgentUrl>,
    /// Where the plugin is attached in Istio.
    pub attachments: Vec<MeshAttachment>,
    /// The services behind the contexts.
    pub upstreams: Upstreams,
    /// Where proxies get the module from.
    pub plugin: Option<PluginImage>,
}

/// Where the other regions reach a region's east-west gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerGateway {
    /// A host name.
    pub host: String,
    /// A port.
    pub port: u16,
}

/// Where the proxies of a region ask for its state: a URL without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentUrl {
    /// `https` and not `http`.
    pub is_tls: bool,
    /// A host name in lower case, or an address without brackets.
    pub host: String,
    /// A port.
    pub port: u16,
}

/// What a `Fencing` says of granting and moving leases. How long they last and how often proxies
/// ask is in [`PolicyBody`], for that is the proxies' affair; the rest is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FencingTimes {
    /// How often a holder renews its lease, in milliseconds.
    pub renew_ms: u32,
    /// When a region is taken for sick.
    pub health: HealthTimes,
    /// How often leases may move.
    pub transitions: TransitionLimits,
}

/// When a region is taken for sick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthTimes {
    /// How often it is asked, in milliseconds.
    pub interval_ms: u32,
    /// After so many failures in a row.
    pub failures: u32,
}

/// How often leases may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransitionLimits {
    /// How long a lease stays at least once it has moved, in milliseconds.
    pub min_hold_ms: u32,
    /// How often a lease may move within an hour.
    pub max_per_hour: u32,
    /// For how long an operator's override may last, in milliseconds.
    pub max_override_ms: u32,
}

/// One place where Istio attaches the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshAttachment {
    /// What the plugin is there.
    pub role: Role,
    /// The namespace of what it is attached to.
    pub namespace: String,
    /// What it is attached to.
    pub target: AttachmentTarget,
}

/// What the plugin is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachmentTarget {
    /// Resources by reference, at least one.
    Refs(Vec<TargetRef>),
    /// Workloads by all of these labels, at least one.
    Selector(BTreeMap<String, String>),
}

/// A resource in the namespace of its attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRef {
    /// Its API group; empty for the core one.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// The services behind the contexts: one named like its context, unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstreams {
    /// What holds where a context says nothing else.
    pub default: Upstream,
    /// By context.
    pub by_context: BTreeMap<String, Upstream>,
}

/// What is said of a service; what is not said is the default's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Its name.
    pub name: Option<String>,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its port.
    pub port: Option<u16>,
}

impl Upstreams {
    /// What is known of the service of a context.
    pub fn of(&self, context: &str) -> Upstream {
        let own = self.by_context.get(context);
        let default = &self.default;
        let text = |of: fn(&Upstream) -> &Option<String>| {
            own.and_then(|own| of(own).clone()).or_else(|| of(default).clone())
        };
        Upstream {
            name: text(|upstream| &upstream.name).or_else(|| Some(context.to_owned())),
            namespace: text(|upstream| &upstream.namespace),
            port: own.and_then(|own| own.port).or(default.port),
        }
    }
}

/// Where proxies get the module from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginImage {
    /// An `oci://`, `https://` or `file://` URL.
    pub url: String,
    /// The checksum it is pinned to, 64 lower-case hexadecimal digits: of an image's manifest, or of
    /// the module itself.
    pub sha256: Option<String>,
    /// What serves after a configuration was refused, where said.
    pub on_rejected: Option<OnRejected>,
}

/// One issuer of JSON Web Tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The name that policies use, and the key of the verified payload in the proxy.
    pub name: String,
    /// The `iss` claim.
    pub issuer: String,
    /// Accepted `aud` claims, at least one.
    pub audiences: Vec<String>,
    /// Where its keys are published.
    pub jwks_uri: String,
}

impl AgentUrl {
    /// The cluster of a plain Envoy that reaches the agent of its region.
    pub const CLUSTER: &str = "region-agent";

    /// The port of a URL that names none.
    pub const fn default_port(is_tls: bool) -> u16 {
        if is_tls { 443 } else { 80 }
    }

    /// The address, where the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// What a request calls it: the host, and the port where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let host = match self.address() {
            Some(IpAddr::V6(address)) => format!("[{address}]"),
            _ => self.host.clone(),
        };
        match self.port {
            port if port == Self::default_port(self.is_tls) => host,
            port => format!("{host}:{port}"),
        }
    }
}

impl Default for FencingTimes {
    fn default() -> Self {
        Self {
            renew_ms: 5_000,
            health: HealthTimes { interval_ms: 30_000, failures: 3 },
            transitions: TransitionLimits {
                min_hold_ms: 60_000,
                max_per_hour: 4,
                max_override_ms: 4 * 3_600_000,
            },
        }
    }
}

impl PolicySet {
    /// A policy set with the hash of its body.
    pub fn new(name: String, body: PolicyBody, mesh: MeshFacts, tests: Vec<PolicyTest>) -> Self {
        // Struct fields and BTreeMaps serialise in one order, so equal policies hash alike.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let hash = Sha256::digest(json).iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let fencing_times = FencingTimes::default();
        Self {
            name,
            body,
            mesh,
            fencing_times,
            tests,
            timelines: Vec::new(),
            hash,
            candidate: None,
        }
    }

    /// SHA-256 of what the documents say the proxies enforce, as 64 hexadecimal digits. A static
    /// state, the hosts that `up` adds for a run, or that it records everything, do not make it
    /// another policy set.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The first claim that names a subject's country.
    pub fn country_claim(&self) -> Option<&JwtClaim> {
        self.body.residency.subject_sources.iter().find_map(|source| match source {
            SubjectSource::JwtClaim(claim) => Some(claim),
            _ => None,
        })
    }

    /// Whether responses may have to be redacted, so that their headers are better held until their
    /// bodies have come.
    pub fn redacts(&self) -> bool {
        !self.body.residency.redaction_profiles.is_empty()
    }

    /// Where the proxies of a region ask for its state. Under a static state they ask nobody.
    pub fn agent(&self, region: &str) -> Option<&AgentUrl> {
        let agent = self.mesh.agents.get(region);
        agent.filter(|_| self.body.fencing.static_state.is_none())
    }

    /// The configuration of the plugin in one place of a plain Envoy.
    pub fn plugin_config(&self, region: &str, role: Role) -> PluginConfig {
        PluginConfig {
            format: FORMAT,
            policy_set: PolicySetId { name: self.name.clone(), hash: self.hash.clone() },
            attachment: Attachment {
                region: region.to_owned(),
                role,
                claims: None,
                holds_response_headers: self.redacts(),
                agent: self.agent(region).map(|agent| Agent {
                    cluster: AgentUrl::CLUSTER.to_owned(),
                    authority: agent.authority(),
                }),
            },
            on_rejected: self.mesh.plugin.as_ref().and_then(|plugin| plugin.on_rejected),
            policy: self.body.clone(),
            candidate: self.candidate.clone(),
        }
    }

    /// The same set with another one evaluated beside it, which changes nothing.
    #[must_use]
    pub fn with_candidate(&self, candidate: &Self) -> Self {
        let mut set = self.clone();
        set.candidate = Some(Candidate {
            policy_set: PolicySetId { name: candidate.name.clone(), hash: candidate.hash.clone() },
            policy: candidate.body.clone(),
        });
        set
    }

    /// The same set under a static region state, for `up` and tests.
    #[must_use]
    pub fn with_static_state(&self, state: StateDocument) -> Self {
        let mut set = self.clone();
        set.body.fencing.static_state = Some(state);
        set
    }

    /// The same set with everything recorded, for `up`, tests and explanations.
    #[must_use]
    pub fn with_all_recorded(&self) -> Self {
        let mut set = self.clone();
        set.body.records.sample_per_mille = Records::ALL_PER_MILLE;
        set
    }

    /// The same set with its tenant maps signed anew, for a mesh that has keys of its own: `sign` is
    /// asked with a map and the id of its key.
    #[must_use]
    pub fn with_signed_maps(&self, sign: impl Fn(&TenantMap, &str) -> Option<String>) -> Self {
        let mut set = self.clone();
        for map in &mut set.body.residency.tenant_maps {
            let key = map.signature.as_deref().and_then(|signature| signature.split_once(':'));
            let signature = key.and_then(|(key, _)| sign(map, key));
            map.signature = signature.or_else(|| map.signature.clone());
        }
        set
    }

    /// The same set for requests to these hosts too.
    #[must_use]
    pub fn with_hosts(&self, hosts: &[&str]) -> Self {
        let mut set = self.clone();
        let candidate = set.candidate.as_mut().map(|candidate| &mut candidate.policy);
        for body in candidate.into_iter().chain([&mut set.body]) {
            for host in hosts {
                if !body.hosts.iter().any(|known| known == host) {
                    body.hosts.push((*host).to_owned());
                }
            }
        }
        set
    }
}
