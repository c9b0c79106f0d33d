//! A policy compiled for one attachment.

mod compile;
mod leases;
mod shedding;
mod subjects;
mod trust;
mod versions;

use crate::caller::Caller;
use crate::country::Country;
use crate::path::CanonicalPath;
use crate::redaction::Profiles;
use crate::region::{RegionId, RegionSet};
use crate::residency::{Names, Rulebook, Table, TableKey};
use crate::routes::Routes;
use crate::state::RegionState;
use crate::vocabulary::{
    Consistency, DataClass, Effect, IdempotencyRule, MergeStrategy, Method, OnUnknownSubject,
    Operation, PrincipalKind, Priority, Reads, Role, SubjectMode,
};
use crate::wire::{self, Acks, Agent, ConfigFault, Deadlines, LeaseTimes, PluginConfig, Rule};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use compile::{
    check_context, check_health_paths, check_sizes, compile_agent, compile_health_paths,
    compile_hosts, compile_lease_times, compile_records, compile_regions, compile_routes, one_of,
    without_port,
};
use leases::Leases;
pub use shedding::Pool;
use shedding::Shedding;
use subjects::Subjects;
pub use subjects::{
    ClaimPlace, GrantedBasis, JwtClaim, SubjectSource, Tenant, TenantMap, is_client_header,
};
use trust::Trust;
pub use trust::{Hmac, HmacKey};
pub use versions::{Merged, Versioning};

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
    rules: Box<[RuleNames]>,
    exceptions: Box<[Box<str>]>,
    steers_home: bool,
    /// The home of each country, by its index; only where requests are steered there.
    homes: Box<[Option<RegionId>]>,
    jurisdictions: Box<[Country]>,
    leases: Box<[LeaseSpec]>,
    subjects: Subjects,
    versioning: Versioning,
    shedding: Shedding,
    sample_per_mille: u32,
    trust: Trust,
    profiles: Profiles,
    holds_response_headers: bool,
    agent: Option<Agent>,
    lease_times: LeaseTimes,
    reroutes: bool,
    state: RegionState,
}

#[derive(Debug, Clone)]
struct Region {
    name: Box<str>,
    code: [u8; 3],
    locality: Option<Box<str>>,
}

/// What of a rule is told.
#[derive(Debug, Clone)]
struct RuleNames {
    name: Box<str>,
    blocked_by: Option<Box<str>>,
    transfer_basis: Option<Box<str>>,
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
    /// Where its subjects reside as long as no source says so.
    pub default_country: Option<Country>,
    /// Where reads run, if it is leased.
    pub reads: Reads,
    /// How far behind a copy may be that reads are served from, in milliseconds.
    pub max_lag_ms: Option<u32>,
    /// How many regions have to acknowledge a write.
    pub acks: Option<Acks>,
    /// Whether leased writes need a key.
    pub idempotency_key: IdempotencyRule,
    /// How important it is.
    pub priority: Priority,
    /// The lease that its writes need.
    pub lease: Option<LeaseRef>,
    /// The pool that its requests are counted in; none where they are counted nowhere and never shed.
    pub pool: Option<usize>,
    /// For how long its requests are worth something.
    pub deadline: Deadlines,
    /// Whether its data is about a person.
    pub is_bound: bool,
    /// What its data is.
    pub data_classes: Box<[DataClass]>,
    /// What its data is processed for.
    pub purpose: Option<Box<str>>,
    /// What happens where it is not known where a subject resides.
    pub on_unknown: OnUnknownSubject,
    /// Whether its responses tell their version, and its writes may bring it back.
    pub has_etag: bool,
    /// How every write says that it is merged; nothing where the last one wins, or where it is
    /// merged on other requests.
    pub merge: Option<MergeStrategy>,
    /// Whether writes that have not seen each other are merged, so that none of them is lost.
    pub keeps_all: bool,
    residency: Rc<Table>,
    /// What the rules say of data of each class by itself, in the order of [`DataClass::ALL`].
    of_class: Box<[Rc<Table>]>,
}

impl Context {
    /// What the rules say of the context's data.
    pub(crate) fn residency(&self) -> &Table {
        &self.residency
    }

    /// What they say of data that a response has been declared to be, beside the context's own.
    pub(crate) fn declared(&self, declared: DeclaredClass) -> impl Iterator<Item = &Table> {
        let is_declared = move |class: DataClass| match declared {
            DeclaredClass::Unreadable => true,
            DeclaredClass::Is(declared) => declared == class,
        };
        let tables = DataClass::ALL.iter().zip(&self.of_class);
        tables
            .filter(move |(class, _)| is_declared(**class) && !self.data_classes.contains(class))
            .map(|(_, table)| &**table)
    }

    /// Where a caller resides of whom no source says so: a customer, or anybody where nobody has to
    /// be known. A source that said something which names no country is no reason to guess.
    pub(crate) fn default_for(&self, caller: &Caller) -> Option<Country> {
        let is_open = match caller {
            Caller::Known(identity) => {
                identity.kind == PrincipalKind::Customer && identity.source.is_none()
            }
            Caller::Anonymous => self.subject == SubjectMode::Optional,
            Caller::Unreadable | Caller::Refused => false,
        };
        self.default_country.filter(|_| is_open)
    }
}

/// What an upstream says of the data in its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclaredClass {
    /// It is of this class.
    Is(DataClass),
    /// It is of one that no policy knows: it is taken for data of every class.
    Unreadable,
}

impl DeclaredClass {
    /// Whether it is data about a person, or may be.
    pub fn is_bound(self) -> bool {
        match self {
            Self::Is(class) => class.is_bound(),
            Self::Unreadable => true,
        }
    }

    /// The word for it in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Is(class) => class.as_str(),
            Self::Unreadable => "unreadable",
        }
    }

    /// Reads the value of `x-meshfence-data-class`.
    pub fn parse(value: &[u8]) -> Self {
        let class = core::str::from_utf8(value).ok().and_then(DataClass::parse);
        class.map_or(Self::Unreadable, Self::Is)
    }
}

/// One kind of request of a context.
#[derive(Debug, Clone)]
pub struct Match {
    /// Its path template.
    pub route: Box<str>,
    /// The context, by its number.
    pub context: usize,
    /// What such a request does, where the policy says so.
    pub effect: Option<Effect>,
    /// What it does with data, where the policy says so.
    pub operation: Option<Operation>,
    /// The segment of the path that names the shard.
    pub shard_segment: Option<usize>,
    /// The segment of the path that names whom it is about, for a caller who acts for others.
    pub resource_segment: Option<usize>,
    /// The context whose versions are merged on such requests.
    pub merges: Option<Merged>,
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

impl Policy {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// The JSON path of the first thing that cannot be.
    pub fn compile(config: &PluginConfig) -> Result<Self, ConfigFault> {
        let body = &config.policy;
        let regions = compile_regions(&body.regions)?;
        let names = Names::of(body);
        let region = |name: &str, path: &str| names.region(name, path);
        let here = region(&config.attachment.region, "attachment.region")?;
        let rules = Rulebook::compile(body, here)?;
        let subjects = Subjects::compile(body, &config.attachment)?;
        let shedding = Shedding::compile(body, config.attachment.role)?;
        check_sizes(body)?;
        let mut tables = Tables { rules: &rules, known: BTreeMap::new(), entries: 0 };
        let keys: Vec<TableKey> = body.contexts.iter().map(|context| rules.key(context)).collect();
        let own = keys.iter().map(|key| tables.of(key)).collect::<Result<Vec<_>, _>>()?;
        let name_of = |id: RegionId| -> Box<str> {
            regions.get(id.rank()).map_or_else(|| "?".into(), |region| region.name.clone())
        };
        let mut leases = Leases { specs: Vec::new(), body, name_of: &name_of };
        leases.compile(&own, &region)?;
        let mut contexts = Vec::new();
        for (number, (context, (table, key))) in
            body.contexts.iter().zip(own.into_iter().zip(&keys)).enumerate()
        {
            check_context(context, body, subjects.knows_callers(), number)?;
            let lease = leases.reference(context, &table, number)?;
            if let Some(lease) = &lease {
                leases.check_homes(context, lease, &table, number)?;
            }
            contexts.push(Context {
                name: context.name.as_str().into(),
                consistency: context.consistency,
                subject: context.subject,
                default_country: context
                    .default_country
                    .as_deref()
                    .and_then(|country| Country::parse(country.as_bytes())),
                reads: context.reads,
                max_lag_ms: context.max_lag_ms,
                acks: context.acks,
                idempotency_key: context.idempotency_key,
                priority: context.priority,
                lease,
                pool: shedding::pool_of(body, shedding.pools(), &context.name),
                deadline: context.deadline.unwrap_or_default(),
                is_bound: context.data_classes.iter().copied().any(DataClass::is_bound),
                data_classes: context.data_classes.as_slice().into(),
                purpose: context.purpose.as_deref().map(Into::into),
                on_unknown: rules.on_unknown(&key.classes),
                has_etag: versions::has_etag(body, context),
                merge: versions::merge_of(body, context),
                keeps_all: versions::keeps_all(context),
                residency: table,
                of_class: tables.of_each_class(context)?,
            });
        }
        let leases = leases.specs;
        let (routes, matches) = compile_routes(body, subjects.variable.as_deref())?;
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
            rules: body.residency.rules.iter().map(RuleNames::of).collect(),
            exceptions: exception_names(body),
            steers_home: body.residency.steer_home,
            homes: if body.residency.steer_home { rules.homes() } else { Box::default() },
            jurisdictions: rules.jurisdictions().into(),
            leases: leases.into(),
            subjects,
            versioning: Versioning::compile(body)?,
            shedding,
            sample_per_mille: compile_records(body)?,
            trust: Trust::compile(body)?,
            profiles: Profiles::compile(&body.residency)?,
            holds_response_headers: config.attachment.holds_response_headers,
            agent: compile_agent(config)?,
            lease_times: compile_lease_times(body.fencing.lease)?,
            reroutes: body.fencing.reroute && config.attachment.role.routes(),
            state: RegionState::nothing(),
        };
        check_health_paths(&policy)?;
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

    /// The region that an upstream is in by its locality: by the region's name or by what proxies
    /// call it.
    pub fn region_at(&self, locality: &[u8]) -> Option<RegionId> {
        let is_there = |region: &Region| {
            let called = region.locality.as_deref();
            called.is_some_and(|called| called.as_bytes() == locality)
                || region.name.as_bytes() == locality
        };
        RegionId::new(self.regions.iter().position(is_there)?)
    }

    /// How many of a thousand requests are recorded of which nothing else says that they have to be.
    pub fn sample_per_mille(&self) -> u32 {
        self.sample_per_mille
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

    /// Where a subject's country comes from, in this order.
    pub fn subject_sources(&self) -> &[SubjectSource] {
        &self.subjects.sources
    }

    /// The maps that sources name by their numbers.
    pub fn tenant_maps(&self) -> &[TenantMap] {
        &self.subjects.maps
    }

    /// The transfer bases that claims grant, in the order of their numbers.
    pub fn granted_bases(&self) -> &[GrantedBasis] {
        &self.subjects.bases
    }

    /// The header in which a proxy or network before the edge says where a client sits.
    pub fn client_country(&self) -> Option<&str> {
        self.subjects.client_country.as_deref()
    }

    /// How eventual writes are stamped, and what clients are told of versions.
    pub fn versioning(&self) -> Versioning {
        self.versioning
    }

    /// The region that this id may speak for at another region's east-west gateway.
    pub fn peer_region(&self, id: &[u8]) -> Option<RegionId> {
        self.trust.peer_region(id)
    }

    /// This id, if the policy names it anywhere.
    pub fn known_id(&self, id: &[u8]) -> Option<&str> {
        self.trust.known(id)
    }

    /// Whether the workloads of this region believe this id.
    pub fn believes(&self, id: &[u8]) -> bool {
        self.trust.is_gateway(self.here, id)
    }

    /// Whether a guard of this region stands before whatever has this id, so that what is said there
    /// in the name of the mesh is the guard's word and not the application's.
    pub fn has_guard(&self, id: &[u8]) -> bool {
        self.trust.has_guard(self.here, id)
    }

    /// The keys that proxies sign with.
    pub fn hmac(&self) -> Option<&Hmac> {
        self.trust.hmac()
    }

    /// What of a response is redacted, for the decisions that say so.
    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// Whether the headers of a response can be held until its body has come.
    pub fn holds_response_headers(&self) -> bool {
        self.holds_response_headers
    }

    /// Whom this attachment asks for region state; nobody where the configuration brings one itself.
    pub fn agent(&self) -> Option<&Agent> {
        self.agent.as_ref()
    }

    /// How long leases last, and how often an agent is asked for them.
    pub fn lease_times(&self) -> LeaseTimes {
        self.lease_times
    }

    /// Whether this attachment decides a write once more that a peer has refused as not its own.
    pub fn reroutes(&self) -> bool {
        self.reroutes
    }

    /// The region state that the configuration itself brings.
    pub fn configured_state(&self) -> &RegionState {
        &self.state
    }

    /// Whose law applies in a region.
    pub(crate) fn jurisdiction(&self, region: RegionId) -> Option<Country> {
        self.jurisdictions.get(region.rank()).copied()
    }

    /// The home of a country, where requests are steered there.
    pub(crate) fn home(&self, country: Country) -> Option<RegionId> {
        self.homes.get(country.index()).copied().flatten()
    }

    /// Whether eventual requests run in their subject's home where they may.
    pub(crate) fn steers_home(&self) -> bool {
        self.steers_home
    }

    pub(crate) fn rule_name(&self, rule: usize) -> Option<&str> {
        self.rules.get(rule).map(|rule| &*rule.name)
    }

    /// Who blocks by the statute behind a rule, if the rule says so.
    pub(crate) fn blocked_by(&self, rule: usize) -> Option<&str> {
        self.rules.get(rule)?.blocked_by.as_deref()
    }

    pub(crate) fn exception_name(&self, exception: usize) -> Option<&str> {
        self.exceptions.get(exception).map(|name| &**name)
    }

    /// The transfer basis that a rule rests on.
    pub(crate) fn basis_of_rule(&self, rule: usize) -> Option<&str> {
        self.rules.get(rule)?.transfer_basis.as_deref()
    }

    pub(crate) fn unmatched_status(&self) -> u16 {
        self.unmatched_status
    }

    /// Whether requests may be for this host; a port does not matter.
    pub(crate) fn knows_host(&self, host: &[u8]) -> bool {
        let host = without_port(host);
        let known =
            |known: &[u8]| known.iter().copied().cmp(host.iter().map(u8::to_ascii_lowercase));
        self.hosts.binary_search_by(|host| known(host)).is_ok()
    }

    pub(crate) fn is_health_path(&self, path: &CanonicalPath<'_>) -> bool {
        self.health_paths.binary_search_by(|known| (**known).cmp(path.path())).is_ok()
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

fn exception_names(body: &wire::PolicyBody) -> Box<[Box<str>]> {
    body.residency.exceptions.iter().map(|exception| exception.id.as_str().into()).collect()
}

impl RuleNames {
    fn of(rule: &Rule) -> Self {
        Self {
            name: rule.name.as_str().into(),
            blocked_by: rule.blocked_by.as_deref().map(Into::into),
            transfer_basis: rule.transfer_basis.as_deref().map(Into::into),
        }
    }
}

/// One table for contexts that no rule tells apart, whatever the number of contexts.
struct Tables<'b, 'w> {
    rules: &'b Rulebook<'w>,
    known: BTreeMap<TableKey, Rc<Table>>,
    /// How many entries they have together.
    entries: usize,
}

impl Tables<'_, '_> {
    fn of(&mut self, key: &TableKey) -> Result<Rc<Table>, ConfigFault> {
        if let Some(table) = self.known.get(key) {
            return Ok(Rc::clone(table));
        }
        let table = Rc::new(self.rules.table(key, self.entries)?);
        self.entries = self.entries.saturating_add(table.len());
        self.known.insert(key.clone(), Rc::clone(&table));
        Ok(table)
    }

    fn of_each_class(&mut self, context: &wire::Context) -> Result<Box<[Rc<Table>]>, ConfigFault> {
        DataClass::ALL.iter().map(|class| self.of(&self.rules.key_of(context, [*class]))).collect()
    }
}
