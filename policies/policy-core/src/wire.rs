//! The resolved policy as the plugin gets it: readable JSON, produced and parsed by these types.
//!
//! `check` compiles what it would render, so that what it accepts no proxy can refuse.

mod json;
mod live;
mod shedding;
mod state;
mod subjects;
mod versions;

pub use live::{
    LIVE_LEASES_MAX, LIVE_LEN_MAX, LIVE_VERSION, LiveDocument, LiveLease, MigrationDocument,
    OverrideDocument, OverrideMode,
};
pub use shedding::{Baseline, Deadlines, LoadShedding, Retries, Spill};
pub use state::{LeaseDocument, StateDocument};
pub use subjects::{
    ClaimValue, ClientCountry, JwtClaim, Resource, Session, SubjectSource, Tenant, TenantMap,
    TenantSource,
};
pub use versions::{MatchRef, Merge, Versioning};

use crate::vocabulary::{
    self, BasisKind, Consistency, DataClass, Effect, IdempotencyRule, Method, Mode, OnRejected,
    OnUnknownSubject, Operation, Otherwise, Priority, Reads, RedactionAction, ResidencyMode, Role,
    Situation, SubjectMode,
};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;
use serde::{Deserialize, Serialize};

/// The format this release reads and writes.
pub const FORMAT: u32 = 1;

/// The configuration of one attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PluginConfig {
    /// Always [`FORMAT`].
    pub format: u32,
    /// Which policy set this is.
    pub policy_set: PolicySetId,
    /// Where the plugin runs.
    pub attachment: Attachment,
    /// What serves if this configuration is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_rejected: Option<OnRejected>,
    /// The policy, the same in every region and role.
    pub policy: PolicyBody,
    /// A policy that is evaluated beside it and changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidate>,
}

/// A policy that is evaluated beside the one in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Candidate {
    /// Which policy set this is.
    pub policy_set: PolicySetId,
    /// The policy.
    pub policy: PolicyBody,
}

/// The name and content hash of a policy set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySetId {
    /// `metadata.name` of the `Topology`.
    pub name: String,
    /// SHA-256 of the documents' [`PolicyBody`] as JSON, 64 hexadecimal digits.
    pub hash: String,
}

/// Where one plugin runs, and as what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attachment {
    /// The region of this proxy.
    pub region: String,
    /// The role of this attachment.
    pub role: Role,
    /// Where the proxy keeps verified claims, if not under the name of each issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<SharedClaims>,
    /// The proxy lets this attachment hold the headers of a response until its body has come.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub holds_response_headers: bool,
    /// Whom this attachment asks for region state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
}

/// The agent of a region, as the proxy reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Agent {
    /// The cluster of the proxy.
    pub cluster: String,
    /// The `:authority` of a poll.
    pub authority: String,
}

/// One place for the verified claims of every issuer, as Istio has it. There the `iss` claim alone
/// tells whose they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedClaims {
    /// The name of the place.
    pub key: String,
    /// The `iss` claim of each issuer, by the name that policies use.
    pub issuers: BTreeMap<String, String>,
}

/// Everything the proxies of a policy set agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyBody {
    /// The regions in the order of their rank, 1 to 32 of them.
    pub regions: Vec<Region>,
    /// Host names that requests may carry, lower case, without a port.
    pub hosts: Vec<String>,
    /// Paths that are answered whatever the policy says: exact, GET and HEAD.
    pub health_paths: Vec<String>,
    /// What a request that no context matches gets: 404 or 403.
    pub unmatched_status: u16,
    /// The bounded contexts.
    pub contexts: Vec<Context>,
    /// Where data may be.
    pub residency: Residency,
    /// Who may write.
    pub fencing: Fencing,
    /// How eventual writes are stamped.
    pub versioning: Versioning,
    /// How much is let in.
    pub load_shedding: LoadShedding,
    /// The keys that proxies sign with; without any, nothing is signed and nothing signed is
    /// believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<Hmac>,
    /// What is recorded.
    #[serde(default)]
    pub records: Records,
}

/// What is recorded: refusals, redactions, exceptions, what crosses a border and what another mode
/// or policy would have decided otherwise always; of the rest a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Records {
    /// How many of a thousand plain passes and shed requests are recorded.
    pub sample_per_mille: u32,
}

impl Records {
    /// All of them.
    pub const ALL_PER_MILLE: u32 = 1_000;
}

impl Default for Records {
    fn default() -> Self {
        Self { sample_per_mille: 10 }
    }
}

/// The keys that proxies sign with. The secrets are in the environment of the VM, never here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hmac {
    /// The first one signs, all of them verify: 1 to 4.
    pub keys: Vec<HmacKey>,
    /// For how long a signature is believed, in milliseconds.
    pub replay_window_ms: u32,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HmacKey {
    /// What signatures call it, `[a-z0-9]{1,16}`.
    pub id: String,
    /// The variable of the VM's environment that has the secret, at least 32 bytes.
    pub env: String,
}

/// One region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Region {
    /// Its name, `[a-z][a-z0-9-]{0,31}`.
    pub name: String,
    /// Three lower-case letters, only inside versions.
    pub code: String,
    /// ISO 3166 country whose law applies.
    pub jurisdiction: String,
    /// What proxies call it in the locality of an upstream, where that is not its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// SPIFFE ids that may speak for this region at another region's east-west gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peer_ids: Vec<String>,
    /// SPIFFE ids that the workloads of this region believe: its gateways, and workloads whose own
    /// requests a guard has judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateway_ids: Vec<String>,
    /// SPIFFE ids of this region's workloads that a guard stands before: what they refuse in the
    /// name of the mesh is believed. Gateways need not be among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workload_ids: Vec<String>,
}

/// One bounded context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Context {
    /// Its name.
    pub name: String,
    /// The requests that belong to it.
    #[serde(rename = "match")]
    pub matches: Vec<Match>,
    /// How its data is kept consistent.
    pub consistency: Consistency,
    /// The context whose lease it uses, its own if absent. Leased contexts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// How its lease is split. Leased contexts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// What its data is, at least one class.
    pub data_classes: Vec<DataClass>,
    /// Whom its data is about.
    pub subject: SubjectMode,
    /// Where its subjects reside as long as no source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_country: Option<String>,
    /// Where reads of a leased context run.
    pub reads: Reads,
    /// How far behind a copy may be that its reads are served from, in milliseconds; any is good
    /// enough when absent. Replicated contexts, and leased ones whose reads are local.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lag_ms: Option<u32>,
    /// How many regions have to acknowledge a write; nobody asks when absent. Quorum contexts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acks: Option<Acks>,
    /// Whether leased writes need an `Idempotency-Key`.
    pub idempotency_key: IdempotencyRule,
    /// How important it is.
    pub priority: Priority,
    /// For how long its requests are worth something; as long as their callers say when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadlines>,
    /// What its data is processed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// How the versions of several regions become one; the last write wins when absent. Eventual
    /// contexts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<Merge>,
}

/// How many regions have to acknowledge a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acks {
    /// So many.
    pub required: u8,
    /// So many while region state says that a region is down; as many as ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_peer_down: Option<u8>,
}

/// One kind of request of a context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Match {
    /// A path template: literal segments, `{variables}`, `**` at the end.
    pub path: String,
    /// The methods it is for; all when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
    /// What it does; by the method when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// What it does with data, for rules about transfers; by the effect when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
}

/// How a lease is split into shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shard {
    /// What tells one shard from another.
    pub by: ShardBy,
    /// The path variable that names the shard, with `by: path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
}

/// What tells one shard from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShardBy {
    /// The residency group of the subject.
    Residency,
    /// A variable of the path.
    Path,
}

/// Where data may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Residency {
    /// Whether it is enforced.
    pub mode: ResidencyMode,
    /// Until when a mode other than `enforce` lasts: a [moment](crate::Moment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode_until: Option<String>,
    /// The home region by country; `*` is every country not named.
    pub home: BTreeMap<String, String>,
    /// Where a subject's country comes from, in this order; verified sources only.
    pub subject_sources: Vec<SubjectSource>,
    /// The maps that sources name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenant_maps: Vec<TenantMap>,
    /// Where it is told where a client sits: a signal that never says what is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_country: Option<ClientCountry>,
    /// What happens where it is not known, by class; a class not named denies.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub on_unknown_subject: BTreeMap<DataClass, OnUnknownSubject>,
    /// Whether an eventual request that may run in several regions runs in its subject's home rather
    /// than where it entered.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub steer_home: bool,
    /// What transfers may rest on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfer_bases: Vec<TransferBasis>,
    /// The rules.
    pub rules: Vec<Rule>,
    /// What may be for a while, whatever rules allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
    /// What of a response is redacted, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redaction_profiles: Vec<RedactionProfile>,
    /// How much of a response may have to be redacted; the default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redaction: Option<RedactionLimits>,
}

/// What a transfer of data to another country rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferBasis {
    /// Its name.
    pub name: String,
    /// Of what kind it is.
    pub kind: BasisKind,
    /// Where it can be looked up: the id of a decision, a contract, a form.
    pub evidence: String,
    /// When it ends: a [moment](crate::Moment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The claim that grants it, where each subject grants it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimValue>,
}

/// What of a response is redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedactionProfile {
    /// Its name.
    pub name: String,
    /// Values of a JSON body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<RedactedField>,
    /// Headers and trailers that are removed: names, a `*` at the end for any that begin so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
}

/// What becomes of some values of a JSON body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedactedField {
    /// Which ones: a JSON pointer, with `*` for any one member or item and `**` for any depth.
    pub path: String,
    /// What becomes of them.
    pub action: RedactionAction,
    /// How many characters of a string stay, with `truncate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
}

/// How much of a response may have to be redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedactionLimits {
    /// The largest body in bytes.
    pub max_body_bytes: u32,
}

/// How customers are told from staff and services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrincipalKind {
    /// The claim that says what a caller is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// What a caller without that claim is.
    pub default: String,
}

/// One residency rule. It says either where data may be (`regions`) or where it may never be
/// (`denied_regions`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub when: Conditions,
    /// Where such data may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Where such data may not be, whatever else is said; `*` is everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied_regions: Vec<String>,
    /// What a request elsewhere gets.
    pub otherwise: Otherwise,
    /// The redaction profile of `otherwise: redact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redact: Option<String>,
    /// Where it may be as well, in named situations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// What a transfer to another country rests on. While that does not hold the data may be only
    /// where the subject's own law applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_basis: Option<String>,
    /// The statute behind it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_ref: Option<String>,
    /// Who blocks by that statute: a URL. With it a refusal is 451 and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
    /// Whether it is enforced.
    #[serde(default = "enforce", skip_serializing_if = "is_enforce")]
    pub mode: ResidencyMode,
    /// Until when a mode other than `enforce` lasts: a [moment](crate::Moment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode_until: Option<String>,
    /// For how many of a hundred users it is enforced; for the others it is in shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforce_percent: Option<u8>,
    /// Since when it is in force: a [moment](crate::Moment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<String>,
    /// Until when it is in force: a [moment](crate::Moment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_until: Option<String>,
}

fn enforce() -> ResidencyMode {
    ResidencyMode::Enforce
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_enforce(mode: &ResidencyMode) -> bool {
    *mode == ResidencyMode::Enforce
}

/// What a rule or an exception is about. What is not said is any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Conditions {
    /// The classes, at least one.
    pub data_classes: Vec<DataClass>,
    /// The subject's countries; `*` means countries that no other rule for the class names;
    /// absent means any subject or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,
    /// Only for requests about nobody.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub no_subject: bool,
    /// The contexts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<String>,
    /// What contexts process the data for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purposes: Vec<String>,
    /// What requests do with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operation>,
    /// What callers are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub principal_kinds: Vec<vocabulary::PrincipalKind>,
    /// The regions where requests entered the mesh.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entry_regions: Vec<String>,
    /// What the regions are going through, never `normal`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub situations: Vec<Situation>,
}

/// What may be for a while although no rule allows it. It lifts no rule that denies regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exception {
    /// Its name, in records too.
    pub id: String,
    /// Who allowed it.
    pub approver: String,
    /// Why.
    pub reason: String,
    /// What it is about.
    pub when: Conditions,
    /// Where such data may be as well.
    pub regions: Vec<String>,
    /// Since when: a [moment](crate::Moment).
    pub not_before: String,
    /// Until when, 30 days later at most: a [moment](crate::Moment).
    pub expires: String,
}

/// Regions that are allowed while a situation lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fallback {
    /// The regions.
    pub regions: Vec<String>,
    /// The situations, never `normal`.
    pub situations: Vec<Situation>,
}

/// Who may write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fencing {
    /// Whether it is enforced.
    pub mode: Mode,
    /// Where leases without shards start.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub initial_holders: BTreeMap<String, String>,
    /// A state for a first try without an agent; without one every lease is unknown.
    #[serde(default, rename = "static", skip_serializing_if = "Option::is_none")]
    pub static_state: Option<StateDocument>,
    /// How long leases last, and how often an agent is asked for them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lease: LeaseTimes,
    /// Whether a write that a peer has refused as not its own is decided once more, by fresh state.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reroute: bool,
}

/// How long leases last, and how often an agent is asked for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeaseTimes {
    /// For how long a grant or renewal holds, in milliseconds. No document may promise more, and
    /// none is believed for longer.
    pub ttl_ms: u32,
    /// How often a proxy asks its agent, in milliseconds.
    pub poll_ms: u32,
}

/// Whether a value need not be written. Generic, so that small values may be passed as serde does.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self { ttl_ms: 15_000, poll_ms: 1_000 }
    }
}

impl LeaseTimes {
    /// How long a lease may last, in milliseconds.
    pub const TTL_MS: RangeInclusive<u32> = 2_000..=600_000;
    /// How often an agent may be asked at most, in milliseconds; three times within `ttl_ms` at
    /// least.
    pub const POLL_MS_MIN: u32 = 100;
}

/// Why a configuration cannot be used, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The JSON path, such as `policy.contexts[2].lease`.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl core::error::Error for ConfigFault {}

impl PluginConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// The JSON path of the first thing that is not as the format says.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ConfigFault> {
        let config: Self = json::read(bytes)?;
        if config.format != FORMAT {
            return Err(ConfigFault {
                path: String::from("format"),
                message: alloc::format!(
                    "this release reads format {FORMAT}, not {}",
                    config.format
                ),
            });
        }
        Ok(config)
    }
}
