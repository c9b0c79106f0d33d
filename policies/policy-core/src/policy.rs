//! A policy compiled for one attachment.

use crate::country::Country;
use crate::lease::RegionState;
use crate::path::CanonicalPath;
use crate::region::{RegionId, RegionSet};
use crate::residency::{self, Group, ResidencyCell, Rulebook, Table};
use crate::routes::{self, Routes};
use crate::template::Template;
use crate::vocabulary::{
    Consistency, DataClass, Effect, IdempotencyRule, Method, Mode, OnDrift, Priority, Reads, Role,
    SubjectMode,
};
use crate::wire::{self, ConfigFault, PluginConfig, ShardBy};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// More contexts, or matches in all of them, than this are refused.
const CONTEXTS_MAX: usize = 1000;
const MATCHES_MAX: usize = 10_000;

/// A policy compiled for one attachment.
#[derive(Debug, Clone)]
pub struct Policy {
    set_name: Box<str>,
    set_hash: Box<str>,
    here: RegionId,
    role: Role,
    regions: Box<[Region]>,
    hosts: Box<[Box<[u8]>]>,
    health_paths: Box<[Box<[u8]>]>,
    unmatched_status: u16,
    contexts: Box<[Context]>,
    routes: Routes,
    matches: Box<[Match]>,
    rules: Box<[Box<str>]>,
    leases: Box<[LeaseSpec]>,
    subject_source: Option<SubjectSource>,
    fencing: Mode,
    versioning: Versioning,
    shedding: Mode,
    shed_status: u16,
    pools: Box<[Pool]>,
    state: RegionState,
}

#[derive(Debug, Clone)]
struct Region {
    name: Box<str>,
    code: [u8; 3],
}

/// A bounded context.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its name.
    pub name: Box<str>,
    /// How its data is kept consistent.
    pub consistency: Consistency,
    /// Whom its data is about.
    pub subject: SubjectMode,
    /// Where reads run, if it is leased.
    pub reads: Reads,
    /// Whether leased writes need a key.
    pub idempotency_key: IdempotencyRule,
    /// How important it is.
    pub priority: Priority,
    /// The lease that its writes need.
    pub lease: Option<LeaseRef>,
    /// The pool that its requests are counted in.
    pub pool: usize,
    residency: Table,
}

impl Context {
    /// What the rules say of this subject's data, and the number of the cell.
    pub(crate) fn residency(&self, subject: Option<Country>) -> (&ResidencyCell, Option<usize>) {
        self.residency.cell(subject)
    }
}

/// One kind of request of a context.
#[derive(Debug, Clone, Copy)]
pub struct Match {
    /// The context, by its number.
    pub context: usize,
    /// What such a request does, where the policy says so.
    pub effect: Option<Effect>,
    /// The segment of the path that names the shard.
    pub shard_segment: Option<usize>,
}

/// The lease of a context.
#[derive(Debug, Clone)]
pub struct LeaseRef {
    /// Its number in [`Policy::leases`].
    pub lease: usize,
    /// How to tell the shard.
    pub shard: ShardSource,
}

/// How to tell which shard of a lease a request needs.
#[derive(Debug, Clone)]
pub enum ShardSource {
    /// There is only one.
    Whole,
    /// By the residency cell of the subject: the shard's number, if the cell has one.
    Residency(Box<[Option<usize>]>),
    /// By a segment of the path.
    Path,
}

/// A lease and its shards.
#[derive(Debug, Clone)]
pub struct LeaseSpec {
    /// The name of the context that it is named after.
    pub name: Box<str>,
    /// Its shards; one without a name if it is not split.
    pub shards: Vec<Shard>,
}

/// A shard of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The name of its residency group; none if the lease is not split.
    pub name: Option<Box<str>>,
    /// Where it is held at first.
    pub home: RegionId,
    /// Where it may ever be held.
    pub possible: RegionSet,
}

/// A verified claim that names the subject's country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectSource {
    /// The name under which the proxy keeps the issuer's verified payload.
    pub issuer: Box<str>,
    /// The claim with the country.
    pub claim: Box<str>,
    /// The claim with the kind of principal.
    pub kind_claim: Option<Box<str>>,
    /// The kind of a principal without that claim.
    pub default_kind: Box<str>,
}

/// How eventual writes are stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versioning {
    /// Whether they are.
    pub mode: Mode,
    /// How far a stamp may be from the clock.
    pub max_drift_ms: u32,
    /// What happens when it is further.
    pub on_drift: OnDrift,
}

/// Requests that are counted together, per worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// `default`, or the context that has a pool of its own.
    pub name: Box<str>,
    /// How many may be in flight.
    pub limit: u32,
}

impl Policy {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// The JSON path of the first thing that cannot be.
    pub fn compile(config: &PluginConfig) -> Result<Self, ConfigFault> {
        let body = &config.policy;
        let regions = compile_regions(&body.regions)?;
        let all = RegionSet::first(regions.len());
        let region = |name: &str, path: &str| -> Result<RegionId, ConfigFault> {
            regions
                .iter()
                .position(|region| *region.name == *name)
                .and_then(RegionId::new)
                .ok_or_else(|| fault(path, format!("`{name}` is no region of this policy set")))
        };
        let here = region(&config.attachment.region, "attachment.region")?;
        let rules = Rulebook::compile(&body.residency, &region, all)?;
        let subject_source = compile_subject_source(&body.residency)?;
        let pools = compile_pools(body)?;
        let tables: Vec<Table> =
            body.contexts.iter().map(|context| rules.table(&context.data_classes)).collect();
        let name_of = |id: RegionId| -> Box<str> {
            regions.get(id.rank()).map_or_else(|| "?".into(), |region| region.name.clone())
        };
        let mut leases = Leases { specs: Vec::new(), body, name_of: &name_of };
        leases.compile(&tables, &region)?;
        let mut contexts = Vec::new();
        for (number, (context, table)) in body.contexts.iter().zip(tables).enumerate() {
            check_context(context, body, subject_source.is_some(), number)?;
            let lease = leases.reference(context, &table, number)?;
            contexts.push(Context {
                name: context.name.as_str().into(),
                consistency: context.consistency,
                subject: context.subject,
                reads: context.reads,
                idempotency_key: context.idempotency_key,
                priority: context.priority,
                lease,
                pool: pools.iter().position(|pool| *pool.name == *context.name).unwrap_or(0),
                residency: table,
            });
        }
        let leases = leases.specs;
        let (routes, matches) = compile_routes(&body.contexts)?;
        let mut policy = Self {
            set_name: config.policy_set.name.as_str().into(),
            set_hash: config.policy_set.hash.as_str().into(),
            here,
            role: config.attachment.role,
            regions: regions.into(),
            hosts: compile_hosts(&body.hosts)?,
            health_paths: compile_health_paths(&body.health_paths)?,
            unmatched_status: one_of(body.unmatched_status, [404, 403], "policy.unmatchedStatus")?,
            contexts: contexts.into(),
            routes,
            matches,
            rules: body.residency.rules.iter().map(|rule| rule.name.as_str().into()).collect(),
            leases: leases.into(),
            subject_source,
            fencing: body.fencing.mode,
            versioning: Versioning {
                mode: body.versioning.mode,
                max_drift_ms: body.versioning.max_drift_ms,
                on_drift: body.versioning.on_drift,
            },
            shedding: body.load_shedding.mode,
            shed_status: one_of(
                body.load_shedding.status,
                [503, 429],
                "policy.loadShedding.status",
            )?,
            pools: pools.into(),
            state: RegionState::nothing(),
        };
        policy.state = match &body.fencing.static_state {
            None => RegionState::unknown(&policy),
            Some(document) => RegionState::from_document(&policy, document).map_err(|fault| {
                ConfigFault { path: format!("policy.fencing.static.{}", fault.path), ..fault }
            })?,
        };
        Ok(policy)
    }

    /// The policy set's name and content hash.
    pub fn set(&self) -> (&str, &str) {
        (&self.set_name, &self.set_hash)
    }

    /// The region of this proxy.
    pub fn here(&self) -> RegionId {
        self.here
    }

    /// The role of this attachment.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Every region.
    pub fn all_regions(&self) -> RegionSet {
        RegionSet::first(self.regions.len())
    }

    /// The region with this name.
    pub fn region(&self, name: &str) -> Option<RegionId> {
        RegionId::new(self.regions.iter().position(|region| *region.name == *name)?)
    }

    /// The name of a region.
    pub fn region_name(&self, region: RegionId) -> &str {
        self.regions.get(region.rank()).map_or("", |region| &region.name)
    }

    /// The three letters of a region inside versions.
    pub fn region_code(&self, region: RegionId) -> [u8; 3] {
        self.regions.get(region.rank()).map_or(*b"xxx", |region| region.code)
    }

    /// The contexts.
    pub fn contexts(&self) -> &[Context] {
        &self.contexts
    }

    /// The leases that writes may need.
    pub fn leases(&self) -> &[LeaseSpec] {
        &self.leases
    }

    /// The lease and shard named `lease` or `lease/shard`.
    pub fn find_lease(&self, name: &str) -> Option<(usize, usize)> {
        let (lease, shard) = match name.split_once('/') {
            Some((lease, shard)) => (lease, Some(shard)),
            None => (name, None),
        };
        let number = self.leases.iter().position(|spec| *spec.name == *lease)?;
        Some((number, self.find_shard(number, shard)?))
    }

    /// The number of a shard by its name.
    pub fn find_shard(&self, lease: usize, name: Option<&str>) -> Option<usize> {
        self.leases.get(lease)?.shards.iter().position(|shard| shard.name.as_deref() == name)
    }

    /// Where a subject's country comes from.
    pub fn subject_source(&self) -> Option<&SubjectSource> {
        self.subject_source.as_ref()
    }

    /// Whether leases are enforced.
    pub fn fencing(&self) -> Mode {
        self.fencing
    }

    /// How eventual writes are stamped.
    pub fn versioning(&self) -> Versioning {
        self.versioning
    }

    /// Whether requests are shed.
    pub fn shedding(&self) -> Mode {
        self.shedding
    }

    /// The status of a shed request.
    pub fn shed_status(&self) -> u16 {
        self.shed_status
    }

    /// The pools; the first is the default one.
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// The region state that the configuration itself brings.
    pub fn configured_state(&self) -> &RegionState {
        &self.state
    }

    pub(crate) fn rule_name(&self, rule: usize) -> Option<&str> {
        self.rules.get(rule).map(|name| &**name)
    }

    pub(crate) fn unmatched_status(&self) -> u16 {
        self.unmatched_status
    }

    /// Whether requests may be for this host; a port does not matter.
    pub(crate) fn knows_host(&self, host: &[u8]) -> bool {
        let host = without_port(host);
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    pub(crate) fn is_health_path(&self, path: &CanonicalPath<'_>) -> bool {
        self.health_paths.iter().any(|known| **known == *path.path())
    }

    pub(crate) fn find_match(
        &self,
        path: &CanonicalPath<'_>,
        method: Method,
    ) -> Option<(&Match, &Context)> {
        let found = self.matches.get(self.routes.find(path, method)?)?;
        Some((found, self.contexts.get(found.context)?))
    }
}

impl RegionState {
    /// Stands in while a policy is being put together.
    fn nothing() -> Self {
        Self {
            origin: crate::lease::StateOrigin::None,
            situation: crate::vocabulary::Situation::Normal,
            up: RegionSet::EMPTY,
            leases: Box::default(),
        }
    }
}

fn compile_regions(regions: &[wire::Region]) -> Result<Vec<Region>, ConfigFault> {
    if regions.is_empty() || regions.len() > RegionId::MAX {
        return Err(fault("policy.regions", format!("needs 1 to {} regions", RegionId::MAX)));
    }
    let mut compiled: Vec<Region> = Vec::new();
    for (number, region) in regions.iter().enumerate() {
        let path = |key: &str| format!("policy.regions[{number}].{key}");
        let name = region.name.as_bytes();
        let valid = name.len() <= 32
            && name.first().is_some_and(u8::is_ascii_lowercase)
            && name.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
        if !valid {
            return Err(fault(
                path("name"),
                format!("`{}` is not of the form [a-z][a-z0-9-]*, 32 at most", region.name),
            ));
        }
        let code: [u8; 3] = region
            .code
            .as_bytes()
            .try_into()
            .ok()
            .filter(|code: &[u8; 3]| code.iter().all(u8::is_ascii_lowercase))
            .ok_or_else(|| {
                fault(path("code"), format!("`{}` is not three letters a-z", region.code))
            })?;
        if Country::parse(region.jurisdiction.as_bytes()).is_none() {
            return Err(fault(
                path("jurisdiction"),
                format!("`{}` is no ISO 3166 country code", region.jurisdiction),
            ));
        }
        if compiled.iter().any(|known| *known.name == *region.name) {
            return Err(fault(path("name"), format!("`{}` stands twice", region.name)));
        }
        if compiled.iter().any(|known| known.code == code) {
            return Err(fault(path("code"), format!("`{}` stands twice", region.code)));
        }
        compiled.push(Region { name: region.name.as_str().into(), code });
    }
    Ok(compiled)
}

fn compile_hosts(hosts: &[String]) -> Result<Box<[Box<[u8]>]>, ConfigFault> {
    if hosts.is_empty() {
        return Err(fault("policy.hosts", "names no host"));
    }
    hosts
        .iter()
        .enumerate()
        .map(|(number, host)| {
            let bytes = host.as_bytes();
            let valid = !bytes.is_empty()
                && bytes.iter().all(|b| b.is_ascii_graphic() && !b",/".contains(b))
                && without_port(bytes) == bytes;
            if valid {
                Ok(bytes.into())
            } else {
                Err(fault(
                    format!("policy.hosts[{number}]"),
                    format!("`{host}` is no host name without a port"),
                ))
            }
        })
        .collect()
}

fn compile_health_paths(paths: &[String]) -> Result<Box<[Box<[u8]>]>, ConfigFault> {
    paths
        .iter()
        .enumerate()
        .map(|(number, path)| match CanonicalPath::parse(path.as_bytes()) {
            Ok(canonical) if canonical.rewritten().is_none() && !path.contains('?') => {
                Ok(canonical.path().into())
            }
            _ => Err(fault(
                format!("policy.healthPaths[{number}]"),
                format!("`{path}` is no canonical path without a query"),
            )),
        })
        .collect()
}

fn compile_subject_source(
    residency: &wire::Residency,
) -> Result<Option<SubjectSource>, ConfigFault> {
    match residency.subject_sources.as_slice() {
        [] => Ok(None),
        [source] => Ok(Some(SubjectSource {
            issuer: source.issuer.as_str().into(),
            claim: source.claim.as_str().into(),
            kind_claim: source.principal_kind.claim.as_deref().map(Into::into),
            default_kind: source.principal_kind.default.as_str().into(),
        })),
        _ => Err(fault(
            "policy.residency.subjectSources[1]",
            "more than one subject source is not supported yet",
        )),
    }
}

fn compile_pools(body: &wire::PolicyBody) -> Result<Vec<Pool>, ConfigFault> {
    let path = "policy.loadShedding.concurrency";
    let limits = &body.load_shedding.concurrency;
    let default = match limits.get("default") {
        Some(limit) => *limit,
        None if body.load_shedding.mode == Mode::Disabled => 0,
        None => return Err(fault(path, "`default` is missing")),
    };
    let mut pools = Vec::from([Pool { name: "default".into(), limit: default }]);
    for (name, limit) in limits {
        let at = format!("{path}.{name}");
        if *limit == 0 || *limit > 10_000 {
            return Err(fault(at, "is not between 1 and 10000"));
        }
        if name == "default" {
            continue;
        }
        if !body.contexts.iter().any(|context| context.name == *name) {
            return Err(fault(at, format!("`{name}` is no context")));
        }
        pools.push(Pool { name: name.as_str().into(), limit: *limit });
    }
    Ok(pools)
}

fn compile_routes(contexts: &[wire::Context]) -> Result<(Routes, Box<[Match]>), ConfigFault> {
    let mut routes: Vec<(Template, u8)> = Vec::new();
    let mut matches = Vec::new();
    let mut paths = Vec::new();
    for (number, context) in contexts.iter().enumerate() {
        for (position, found) in context.matches.iter().enumerate() {
            let path = format!("policy.contexts[{number}].match[{position}]");
            let template = Template::parse(&found.path)
                .map_err(|error| fault(format!("{path}.path"), format!("{error}")))?;
            if found.effect == Some(Effect::None) && context.consistency.is_leased() {
                return Err(fault(format!("{path}.effect"), "`none` is not for leased contexts"));
            }
            let shard_segment = match context.shard.as_ref().and_then(|s| s.variable.as_deref()) {
                None => None,
                Some(name) => Some(template.variable(name).ok_or_else(|| {
                    fault(format!("{path}.path"), format!("has no variable `{{{name}}}`"))
                })?),
            };
            let methods = found.methods.iter().fold(0, |bits, method| bits | method.bit());
            routes.push((template, methods));
            matches.push(Match { context: number, effect: found.effect, shard_segment });
            paths.push(path);
        }
    }
    if matches.len() > MATCHES_MAX {
        return Err(fault("policy.contexts", format!("have more than {MATCHES_MAX} matches")));
    }
    if let Some(ambiguity) = routes::ambiguities(&routes).first() {
        let at = |number: usize| paths.get(number).map_or("", String::as_str);
        return Err(fault(
            at(ambiguity.second),
            format!("neither this nor {} is more specific", at(ambiguity.first)),
        ));
    }
    let routes = Routes::compile(&routes)
        .ok_or_else(|| fault("policy.contexts", "have paths that overlap in too many ways"))?;
    Ok((routes, matches.into()))
}

fn check_context(
    context: &wire::Context,
    body: &wire::PolicyBody,
    has_source: bool,
    number: usize,
) -> Result<(), ConfigFault> {
    let at = |key: &str| format!("policy.contexts[{number}].{key}");
    if number >= CONTEXTS_MAX {
        return Err(fault("policy.contexts", format!("are more than {CONTEXTS_MAX}")));
    }
    let name = context.name.as_bytes();
    // It becomes part of a structured header (RFC 9651 token) and of metric names.
    let valid = name.len() <= 64
        && name.first().is_some_and(u8::is_ascii_lowercase)
        && name.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
    if !valid || context.name == "default" {
        return Err(fault(
            at("name"),
            format!(
                "`{}` is not of the form [a-z][a-z0-9-]*, 64 at most, nor `default`",
                context.name
            ),
        ));
    }
    if body.contexts.iter().take(number).any(|earlier| earlier.name == context.name) {
        return Err(fault(at("name"), format!("`{}` stands twice", context.name)));
    }
    if context.matches.is_empty() {
        return Err(fault(at("match"), "has nothing to match"));
    }
    if context.data_classes.is_empty() {
        return Err(fault(at("dataClasses"), "names no class"));
    }
    if context.subject == SubjectMode::SelfCaller && !has_source {
        return Err(fault(at("subject"), "`self` needs a subject source"));
    }
    let bound = context.data_classes.iter().copied().any(DataClass::is_bound);
    if bound && body.residency.mode == Mode::Disabled {
        return Err(fault(
            "policy.residency.mode",
            "is `disabled` with personal data in a context",
        ));
    }
    if context.consistency.is_leased() && body.fencing.mode == Mode::Disabled {
        return Err(fault("policy.fencing.mode", "is `disabled` with a leased context"));
    }
    Ok(())
}

/// Puts the leases of a policy together.
struct Leases<'w, N> {
    specs: Vec<LeaseSpec>,
    body: &'w wire::PolicyBody,
    name_of: &'w N,
}

impl<N: Fn(RegionId) -> Box<str>> Leases<'_, N> {
    fn compile(
        &mut self,
        tables: &[Table],
        region: &impl Fn(&str, &str) -> Result<RegionId, ConfigFault>,
    ) -> Result<(), ConfigFault> {
        let all = RegionSet::first(self.body.regions.len());
        let mut initial: BTreeMap<&str, RegionId> = BTreeMap::new();
        for (context, holder) in &self.body.fencing.initial_holders {
            let path = format!("policy.fencing.initialHolders.{context}");
            initial.insert(context, region(holder, &path)?);
        }
        for (number, (context, table)) in self.body.contexts.iter().zip(tables).enumerate() {
            let at = |key: &str| format!("policy.contexts[{number}].{key}");
            if !context.consistency.is_leased() {
                if context.lease.is_some() || context.shard.is_some() {
                    return Err(fault(at("lease"), "is not for eventual contexts"));
                }
                continue;
            }
            let shards = match &context.shard {
                None if context.lease.is_some() => continue,
                None => {
                    let home = initial.remove(context.name.as_str()).ok_or_else(|| {
                        fault(
                            "policy.fencing.initialHolders",
                            format!("names no region for `{}`", context.name),
                        )
                    })?;
                    Vec::from([Shard { name: None, home, possible: all }])
                }
                Some(wire::Shard { by: ShardBy::Path, .. }) => continue,
                Some(wire::Shard { by: ShardBy::Residency, .. }) => {
                    if context.subject != SubjectMode::SelfCaller {
                        return Err(fault(at("shard"), "by residency needs `subject: self`"));
                    }
                    let (groups, _) = residency::groups(table, self.name_of)
                        .map_err(|message| fault(at("shard"), message))?;
                    groups.into_iter().map(Shard::from).collect()
                }
            };
            self.add(context.lease.as_ref().unwrap_or(&context.name), shards);
        }
        if let Some((name, _)) = initial.first_key_value() {
            return Err(fault(
                format!("policy.fencing.initialHolders.{name}"),
                "is no leased context with one lease of its own",
            ));
        }
        Ok(())
    }

    fn add(&mut self, name: &str, shards: Vec<Shard>) {
        match self.specs.iter_mut().find(|spec| *spec.name == *name) {
            None => self.specs.push(LeaseSpec { name: name.into(), shards }),
            Some(spec) => {
                for shard in shards {
                    if !spec.shards.iter().any(|known| known.name == shard.name) {
                        spec.shards.push(shard);
                    }
                }
            }
        }
    }

    fn reference(
        &self,
        context: &wire::Context,
        table: &Table,
        number: usize,
    ) -> Result<Option<LeaseRef>, ConfigFault> {
        if !context.consistency.is_leased() {
            return Ok(None);
        }
        let at = |key: &str| format!("policy.contexts[{number}].{key}");
        if let Some(owner) = &context.lease {
            let shares_onward = self.body.contexts.iter().any(|other| {
                other.name == *owner && (other.lease.is_some() || !other.consistency.is_leased())
            });
            if shares_onward {
                return Err(fault(
                    at("lease"),
                    format!("`{owner}` is no leased context with a lease of its own"),
                ));
            }
        }
        let name = context.lease.as_ref().unwrap_or(&context.name);
        let missing = || {
            let message = match &context.shard {
                Some(wire::Shard { by: ShardBy::Path, .. }) => format!(
                    "`{name}` is split by a path variable alone: \
                     share the lease of a context that is split by residency"
                ),
                _ => format!("`{name}` is no leased context"),
            };
            fault(at("lease"), message)
        };
        let lease = self.specs.iter().position(|spec| *spec.name == **name).ok_or_else(missing)?;
        let shards = self.specs.get(lease).map(|spec| spec.shards.as_slice()).unwrap_or_default();
        let whole = shards.iter().any(|shard| shard.name.is_none());
        if whole != context.shard.is_none() || (whole && shards.len() > 1) {
            return Err(fault(
                at("shard"),
                format!("contexts that share the lease `{name}` are split and not split"),
            ));
        }
        let shard = match &context.shard {
            None => ShardSource::Whole,
            Some(wire::Shard { by: ShardBy::Path, variable }) => {
                if variable.is_none() {
                    return Err(fault(at("shard.variable"), "is missing"));
                }
                ShardSource::Path
            }
            Some(wire::Shard { by: ShardBy::Residency, variable }) => {
                if variable.is_some() {
                    return Err(fault(at("shard.variable"), "is only for `by: path`"));
                }
                let (groups, of_cell) = residency::groups(table, self.name_of)
                    .map_err(|message| fault(at("shard"), message))?;
                let number_of = |group: &Group| {
                    shards.iter().position(|shard| shard.name.as_ref() == Some(&group.name))
                };
                ShardSource::Residency(
                    of_cell
                        .iter()
                        .map(|group| group.and_then(|group| groups.get(group)).and_then(number_of))
                        .collect(),
                )
            }
        };
        Ok(Some(LeaseRef { lease, shard }))
    }
}

impl From<Group> for Shard {
    fn from(group: Group) -> Self {
        Self { name: Some(group.name), home: group.home, possible: group.possible }
    }
}

/// A host without its port. An IPv6 literal keeps its brackets.
fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| *byte == b':') {
        Some(colon) => match host.split_at_checked(colon) {
            Some((name, port))
                if port.len() > 1
                    && port.iter().skip(1).all(u8::is_ascii_digit)
                    && (!name.contains(&b':') || name.ends_with(b"]")) =>
            {
                name
            }
            _ => host,
        },
        None => host,
    }
}

fn one_of(value: u16, allowed: [u16; 2], path: &str) -> Result<u16, ConfigFault> {
    if allowed.contains(&value) {
        return Ok(value);
    }
    let [first, second] = allowed;
    Err(fault(path, format!("{value} is neither {first} nor {second}")))
}

fn fault(path: impl Into<String>, message: impl Into<String>) -> ConfigFault {
    ConfigFault { path: path.into(), message: message.into() }
}
