//! The names that a document may refer to.

use crate::codes::{self, Code};
use crate::diagnostic::{Diagnostic, Sink, Spanned, quote};
use crate::set::PolicySet;
use policy_core::Policy;

/// The names of one kind of thing. Unknown while the document that declares them is unreadable:
/// then every name passes, so that one problem does not look like many.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    what: &'static str,
    code: Code,
    known: Option<Vec<String>>,
}

/// The names that a document may refer to.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) regions: Names,
    pub(crate) contexts: Names,
    pub(crate) issuers: Names,
    pub(crate) purposes: Names,
    pub(crate) rules: Names,
    pub(crate) leases: Names,
    pub(crate) maps: Names,
    /// The host of a request that names none.
    pub(crate) host: String,
    /// Whether the mesh has keys to sign with.
    pub(crate) has_keys: bool,
}

impl Names {
    pub(crate) const fn unknown(what: &'static str, code: Code) -> Self {
        Self { what, code, known: None }
    }

    pub(crate) fn set(&mut self, names: Vec<String>) {
        self.known = Some(names);
    }

    /// The names, as far as they are known.
    pub(crate) fn list(&self) -> &[String] {
        self.known.as_deref().unwrap_or_default()
    }

    /// Whether the name may be used; reports it otherwise.
    pub(crate) fn check(&self, name: &Spanned<String>, sink: &mut Sink) -> bool {
        let Some(known) = &self.known else { return true };
        if known.contains(&name.value) {
            return true;
        }
        let message = format!("there is no {} {}", self.what, quote(&name.value));
        sink.push(Diagnostic::error(self.code, message).at(name.span).suggest(&name.value, known));
        false
    }
}

impl Scope {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        Self {
            regions: Names::unknown("region", codes::UNKNOWN_REGION),
            contexts: Names::unknown("context", codes::UNKNOWN_CONTEXT),
            issuers: Names::unknown("issuer", codes::UNKNOWN_ISSUER),
            purposes: Names::unknown("purpose", codes::UNKNOWN_PURPOSE),
            rules: Names::unknown("residency rule", codes::UNKNOWN_RULE),
            leases: Names::unknown("lease", codes::UNKNOWN_LEASE),
            maps: Names::unknown("tenant map", codes::UNKNOWN_MAP),
            host: String::new(),
            has_keys: true,
        }
    }

    /// Everything that a policy set declares.
    pub(crate) fn of(set: &PolicySet, policy: Option<&Policy>) -> Self {
        let body = &set.body;
        let mut scope = Self::new();
        scope.regions.set(body.regions.iter().map(|region| region.name.clone()).collect());
        scope.contexts.set(body.contexts.iter().map(|context| context.name.clone()).collect());
        let purposes = body.contexts.iter().filter_map(|context| context.purpose.clone());
        scope.purposes.set(purposes.collect());
        scope.issuers.set(set.mesh.issuers.iter().map(|issuer| issuer.name.clone()).collect());
        scope.rules.set(body.residency.rules.iter().map(|rule| rule.name.clone()).collect());
        scope.maps.set(body.residency.tenant_maps.iter().map(|map| map.name.clone()).collect());
        scope.has_keys = body.hmac.is_some();
        scope.host = body.hosts.first().cloned().unwrap_or_default();
        if let Some(policy) = policy {
            scope.leases.set(lease_names(policy));
        }
        scope
    }
}

/// Every lease and shard as region state names them: `inventory`, `orders/tokyo`.
fn lease_names(policy: &Policy) -> Vec<String> {
    policy
        .leases()
        .iter()
        .flat_map(|lease| {
            lease.shards.iter().map(|shard| match &shard.name {
                None => lease.name.to_string(),
                Some(shard) => format!("{}/{shard}", lease.name),
            })
        })
        .collect()
}
