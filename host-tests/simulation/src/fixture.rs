//! The policy of the example, compiled once for every thread, and what a world needs to know of it.

use crate::agent::LeaseName;
use crate::kinds::{self, Kind};
use crate::place::{Each, Side};
use policy_core::{Fence, Policy, RegionId, Role};
use policy_doc::{PolicySet, Purpose, Source, load};
use std::rc::Rc;

const FILES: [(&str, &str); 5] = [
    ("contexts.yaml", include_str!("../../../policies/tpe-tokyo/contexts.yaml")),
    ("fencing.yaml", include_str!("../../../policies/tpe-tokyo/fencing.yaml")),
    ("mesh.yaml", include_str!("../../../policies/tpe-tokyo/mesh.yaml")),
    ("residency.yaml", include_str!("../../../policies/tpe-tokyo/residency.yaml")),
    ("topology.yaml", include_str!("../../../policies/tpe-tokyo/topology.yaml")),
];

/// The policies of one region by role.
#[derive(Debug, Clone)]
pub struct Roles {
    /// Where users come in.
    pub edge: Rc<Policy>,
    /// Where other regions come in.
    pub peer: Rc<Policy>,
    /// In front of the application.
    pub inbound: Rc<Policy>,
}

/// A policy set of two regions.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// What policies call the regions. In here they are [`Side`]s by their rank.
    pub names: Rc<Each<String>>,
    /// A host that its requests are for.
    pub host: String,
    /// What is asked for.
    pub kinds: Vec<Kind>,
    /// By region.
    pub roles: Each<Roles>,
    /// Its leases.
    pub leases: Rc<[LeaseName]>,
    /// How long a lease lasts.
    pub ttl_ms: u32,
    /// How often proxies ask.
    pub poll_ms: u32,
}

impl Fixture {
    /// Loads and compiles the example.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load() -> Result<Self, String> {
        let source = |(file, text): &(&str, &str)| Source {
            file: (*file).to_owned(),
            text: (*text).to_owned(),
        };
        let loaded = load(FILES.iter().map(source).collect(), Purpose::Deploy);
        let problems = loaded.render(false);
        let set = loaded.set.ok_or(problems)?;
        Ok(Self { kinds: kinds::example(), ..Self::of(&set)? })
    }

    /// Compiles a policy set.
    ///
    /// # Errors
    /// It has not two regions, or a policy does not compile.
    pub fn of(set: &PolicySet) -> Result<Self, String> {
        let [taiwan, tokyo] = set.body.regions.as_slice() else {
            let count = set.body.regions.len();
            return Err(format!("a world has two regions, and the policy set has {count}"));
        };
        let names = Each { taiwan: taiwan.name.clone(), tokyo: tokyo.name.clone() };
        let host = set.body.hosts.first().cloned().unwrap_or_default();
        let compile = |side: Side, role| {
            let config = set.plugin_config(names.of(side), role);
            Policy::compile(&config).map(Rc::new).map_err(|fault| fault.to_string())
        };
        let roles = |side| {
            Ok::<_, String>(Roles {
                edge: compile(side, Role::Edge)?,
                peer: compile(side, Role::Peer)?,
                inbound: compile(side, Role::Inbound)?,
            })
        };
        let roles = Each { taiwan: roles(Side::Taiwan)?, tokyo: roles(Side::Tokyo)? };
        let policy = &roles.taiwan.edge;
        let mut leases = Vec::new();
        for lease in policy.leases() {
            for shard in &lease.shards {
                let can = |at: Side| shard.possible.iter().any(|region| side_of(region) == at);
                leases.push(LeaseName {
                    ctx: lease.name.to_string(),
                    shard: shard.name.as_deref().map(str::to_owned),
                    home: side_of(shard.home),
                    possible: Each::from_fn(can),
                });
            }
        }
        let times = policy.lease_times();
        let (ttl_ms, poll_ms) = (times.ttl_ms, times.poll_ms);
        let kinds = kinds::of(&set.body, policy, &host);
        let (names, leases) = (Rc::new(names), leases.into());
        Ok(Self { names, host, kinds, roles, leases, ttl_ms, poll_ms })
    }

    /// The name of a region in policies.
    pub fn name(&self, side: Side) -> &str {
        self.names.of(side)
    }

    /// The number of the lease of a token.
    pub fn lease_of(&self, fence: &Fence<'_>) -> Option<usize> {
        self.lease(fence.lease, fence.shard)
    }

    /// The number of a lease.
    pub fn lease(&self, ctx: &str, shard: Option<&str>) -> Option<usize> {
        self.leases.iter().position(|name| name.ctx == ctx && name.shard.as_deref() == shard)
    }
}

/// The region of a rank.
pub fn side_of(region: RegionId) -> Side {
    if region.rank() == 0 { Side::Taiwan } else { Side::Tokyo }
}
