//! From texts to a policy set, or to everything that is wrong with them.

use crate::codes;
use crate::contexts::{self, ContextEntry, Contexts};
use crate::diagnostic::{Diagnostic, Sink, Span};
use crate::document::{self, Document, Head, Kind, SINGLE};
use crate::fencing::{self, Fencing};
use crate::mesh::{self, Mesh};
use crate::policy_test::{PolicyTest, decode as test};
use crate::residency::{self, Residency};
use crate::scope::Scope;
use crate::set::{MeshFacts, PolicySet};
use crate::tenants::{self, MapEntry};
use crate::timeline::{self, Timeline};
use crate::topology::{self, Topology};
use crate::versioning::{self, Versioning};
use crate::yaml::{self, Node};
use crate::{check, human, merging, shedding};
use policy_core::wire::{self, PolicyBody};
use policy_core::{Policy, Role};

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name, for messages.
    pub file: String,
    /// What is in it.
    pub text: String,
}

/// What a policy set is loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be checked or deployed.
    Deploy,
    /// To be tried on this machine, where a static region state is allowed.
    LocalTry,
}

/// What came of loading a policy set.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The set; none if there is an error.
    pub set: Option<PolicySet>,
    /// Every problem, by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// The sources, in the order that spans count them.
    pub sources: Vec<Source>,
}

impl Loaded {
    /// The problems for people.
    pub fn render(&self, colour: bool) -> String {
        human::render_human(&self.diagnostics, &self.sources, colour)
    }
}

/// Loads a policy set from all files of its directory.
pub fn load(sources: Vec<Source>, purpose: Purpose) -> Loaded {
    let mut sink = Sink::default();
    let roots = read(&sources, &mut sink);
    let shelf = Shelf::sort(&roots, &mut sink);
    let parts = Parts::decode(&shelf, &mut sink);
    parts.check(purpose, &mut sink);
    let set = assemble(parts, &shelf, &sources, &mut sink);
    let set = set.filter(|_| !sink.has_errors());
    Loaded { set, diagnostics: sink.finish(), sources }
}

/// Loads one `PolicyTest` that is not among the files of the set.
pub fn load_test(source: Source, set: &PolicySet) -> (Option<PolicyTest>, Vec<Diagnostic>) {
    let mut sink = Sink::default();
    let sources = [source];
    let [source] = &sources;
    let roots = read(&sources, &mut sink);
    let policy = compile_first(set).ok();
    let scope = Scope::of(set, policy.as_ref());
    let mut found = None;
    let mut first: Option<Span> = None;
    for node in &roots.nodes {
        let Head::Known(document) = document::head(node, &mut sink) else { continue };
        if document.kind != Kind::PolicyTest {
            let message = format!("a test file cannot have a `{}`", document.kind.as_str());
            let help = "only `PolicyTest` documents may stand outside the policy set's directory";
            sink.push(
                Diagnostic::error(codes::UNKNOWN_KIND, message).at(document.kind_span).help(help),
            );
        } else if let Some(first) = first {
            sink.push(second(&document, first));
        } else {
            first = Some(document.kind_span);
            found = test::decode(&document, &source.file, &scope, &mut sink);
        }
    }
    if first.is_none() && roots.complete && !sink.has_errors() {
        let message = format!("there is no `PolicyTest` in `{}`", source.file);
        sink.push(Diagnostic::error(codes::MISSING_KIND, message));
    }
    let found = found.filter(|_| !sink.has_errors());
    (found, sink.finish())
}

/// Loads the `Timeline` documents of a file that is not among those of the set.
pub fn load_timelines(source: Source, set: &PolicySet) -> (Vec<Timeline>, Vec<Diagnostic>) {
    let mut sink = Sink::default();
    let sources = [source];
    let roots = read(&sources, &mut sink);
    let policy = compile_first(set).ok();
    let scope = Scope::of(set, policy.as_ref());
    let mut found = Vec::new();
    for node in &roots.nodes {
        let Head::Known(document) = document::head(node, &mut sink) else { continue };
        if document.kind == Kind::Timeline {
            let limits = set.fencing_times.transitions;
            found.extend(timeline::decode(&document, &scope, Some(limits), &mut sink));
        } else {
            let message = format!("a drill cannot have a `{}`", document.kind.as_str());
            let help = "only `Timeline` documents may stand outside the policy set's directory";
            sink.push(
                Diagnostic::error(codes::UNKNOWN_KIND, message).at(document.kind_span).help(help),
            );
        }
    }
    if found.is_empty() && roots.complete && !sink.has_errors() {
        let [source] = &sources;
        let message = format!("there is no `Timeline` in `{}`", source.file);
        sink.push(Diagnostic::error(codes::MISSING_KIND, message));
    }
    if sink.has_errors() {
        found.clear();
    }
    (found, sink.finish())
}

/// The tenant maps of a policy set, and the keys that sign them.
#[derive(Debug, Clone)]
pub struct LoadedMaps {
    /// The maps.
    pub maps: Vec<wire::TenantMap>,
    /// The keys that the `Mesh` names.
    pub hmac: Option<wire::Hmac>,
    /// Every problem of the maps.
    pub diagnostics: Vec<Diagnostic>,
}

/// The tenant maps among some files, signed or not, and everything that is wrong with them: what the
/// others say does not matter, but for the issuers and keys of the `Mesh`.
pub fn load_maps(sources: &[Source]) -> LoadedMaps {
    let mut sink = Sink::default();
    let roots = read(sources, &mut sink);
    let mut heads = Sink::default();
    let documents: Vec<Document<'_>> = roots
        .nodes
        .iter()
        .filter_map(|node| match document::head(node, &mut heads) {
            Head::Known(document) => Some(document),
            Head::Misspelt(_) => None,
        })
        .collect();
    let mut scope = Scope::new();
    let mesh = documents.iter().find(|document| document.kind == Kind::Mesh);
    let mesh = mesh.and_then(|document| mesh::decode(document, &scope, &mut heads));
    if let Some(mesh) = &mesh {
        let names = mesh.issuers.iter().map(|entry| entry.issuer.name.clone());
        scope.issuers.set(names.collect());
    }
    let maps = documents.iter().filter(|document| document.kind == Kind::TenantMap);
    let maps: Vec<wire::TenantMap> = maps
        .filter_map(|document| {
            tenants::decode(document, &scope, mesh.as_ref(), &mut sink).map(|entry| entry.wire)
        })
        .collect();
    LoadedMaps {
        maps,
        hmac: mesh.as_ref().and_then(|mesh| mesh.hmac.clone()),
        diagnostics: sink.finish(),
    }
}

/// The documents of all files.
struct Roots {
    nodes: Vec<Node>,
    /// Whether every file was read to its end.
    complete: bool,
}

fn read(sources: &[Source], sink: &mut Sink) -> Roots {
    let mut roots = Roots { nodes: Vec::new(), complete: true };
    for (number, source) in sources.iter().enumerate() {
        let parsed = yaml::parse(number, &source.text, sink);
        roots.complete &= parsed.complete;
        // A document without anything, as a stray `---` makes one, says nothing.
        roots
            .nodes
            .extend(parsed.documents.into_iter().filter(|node| node.describe() != "nothing"));
    }
    roots
}

// === by kind ===

/// The documents by kind.
struct Shelf<'n> {
    documents: Vec<Document<'n>>,
}

impl<'n> Shelf<'n> {
    fn sort(roots: &'n Roots, sink: &mut Sink) -> Self {
        let mut documents: Vec<Document<'n>> = Vec::new();
        let mut meant: Vec<Kind> = Vec::new();
        let mut complete = roots.complete;
        for node in &roots.nodes {
            match document::head(node, sink) {
                Head::Known(document) => documents.push(document),
                Head::Misspelt(Some(kind)) => meant.push(kind),
                Head::Misspelt(None) => complete = false,
            }
        }
        let shelf = Self { documents };
        if roots.nodes.is_empty() && complete {
            let message = "there are no policy documents";
            sink.push(
                Diagnostic::error(codes::MISSING_KIND, message)
                    .help("a policy set is a directory of `.yaml` files"),
            );
            return shelf;
        }
        for (kind, can_be_disabled) in SINGLE {
            let mut all = shelf.all(kind);
            match all.next() {
                // What could not be read may be what is missing.
                None if !complete || meant.contains(&kind) => {}
                None => sink.push(missing(kind, can_be_disabled)),
                Some(first) => {
                    for again in all {
                        sink.push(second(again, first.kind_span));
                    }
                }
            }
        }
        if complete && shelf.one(Kind::Contexts).is_none() && !meant.contains(&Kind::Contexts) {
            sink.push(missing(Kind::Contexts, false));
        }
        shelf
    }

    fn all(&self, kind: Kind) -> impl Iterator<Item = &Document<'n>> {
        self.documents.iter().filter(move |document| document.kind == kind)
    }

    fn one(&self, kind: Kind) -> Option<&Document<'n>> {
        self.all(kind).next()
    }
}

fn missing(kind: Kind, can_be_disabled: bool) -> Diagnostic {
    let message = format!("the policy set has no `{}` document", kind.as_str());
    let diagnostic = Diagnostic::error(codes::MISSING_KIND, message);
    if can_be_disabled {
        diagnostic.help("add one; to do without, say so: `spec: {mode: disabled}`")
    } else {
        diagnostic.help("add one")
    }
}

fn second(document: &Document<'_>, first: Span) -> Diagnostic {
    let message = format!("there is a second `{}` document", document.kind.as_str());
    Diagnostic::error(codes::SECOND_KIND, message)
        .at(document.kind_span)
        .label("again here")
        .related(first, "first here")
}

// === decoding ===

/// What the documents say, each for itself.
pub(crate) struct Parts<'n> {
    pub(crate) scope: Scope,
    pub(crate) topology: Option<Topology>,
    pub(crate) mesh: Option<Mesh>,
    pub(crate) unmatched_status: u16,
    pub(crate) contexts: Vec<ContextEntry>,
    pub(crate) residency: Option<Residency>,
    pub(crate) maps: Vec<MapEntry>,
    pub(crate) fencing: Option<Fencing<'n>>,
    pub(crate) versioning: Option<Versioning>,
    pub(crate) shedding: Option<wire::LoadShedding>,
}

impl<'n> Parts<'n> {
    fn decode(shelf: &Shelf<'n>, sink: &mut Sink) -> Self {
        let mut scope = Scope::new();
        let topology =
            shelf.one(Kind::Topology).and_then(|document| topology::decode(document, sink));
        if let Some(topology) = topology.as_ref().filter(|topology| !topology.unclear) {
            let names = topology.regions.iter().map(|region| region.name.clone());
            scope.regions.set(names.collect());
        }
        let mesh = shelf.one(Kind::Mesh).and_then(|document| mesh::decode(document, &scope, sink));
        if let Some(mesh) = &mesh {
            let names = mesh.issuers.iter().map(|entry| entry.issuer.name.clone());
            scope.issuers.set(names.collect());
            scope.host = mesh.hosts.first().cloned().unwrap_or_default();
        }
        let mut unmatched = None;
        let mut entries: Vec<ContextEntry> = Vec::new();
        let mut readable = shelf.one(Kind::Contexts).is_some();
        for document in shelf.all(Kind::Contexts) {
            let Some(Contexts { unmatched: own, contexts }) = contexts::decode(document, sink)
            else {
                readable = false;
                continue;
            };
            entries.extend(contexts);
            match (unmatched, own) {
                (Some(first), Some(own)) => sink.push(unmatched_twice(own, first)),
                (None, own) => unmatched = own,
                (Some(_), None) => {}
            }
        }
        if readable {
            scope.contexts.set(entries.iter().map(|entry| entry.wire.name.clone()).collect());
            let purposes = entries.iter().filter_map(|entry| entry.wire.purpose.clone());
            scope.purposes.set(purposes.collect());
        }
        let maps: Vec<MapEntry> = shelf
            .all(Kind::TenantMap)
            .filter_map(|document| tenants::decode(document, &scope, mesh.as_ref(), sink))
            .collect();
        if maps.len() == shelf.all(Kind::TenantMap).count() {
            scope.maps.set(maps.iter().map(|map| map.wire.name.clone()).collect());
        }
        let residency = shelf
            .one(Kind::Residency)
            .and_then(|document| residency::decode(document, &scope, mesh.as_ref(), sink));
        if let Some(residency) = &residency {
            let names = residency.wire.rules.iter().map(|rule| rule.name.clone());
            scope.rules.set(names.collect());
        }
        let fencing =
            shelf.one(Kind::Fencing).and_then(|document| fencing::decode(document, &scope, sink));
        let versioning = shelf
            .one(Kind::Versioning)
            .and_then(|document| versioning::decode(document, &scope, sink));
        let shedding = shelf
            .one(Kind::LoadShedding)
            .and_then(|document| shedding::decode(document, &scope, mesh.as_ref(), sink));
        Self {
            scope,
            topology,
            mesh,
            unmatched_status: unmatched.map_or(404, |status| status.value),
            contexts: entries,
            residency,
            maps,
            fencing,
            versioning,
            shedding,
        }
    }

    fn check(&self, purpose: Purpose, sink: &mut Sink) {
        contexts::check(&self.contexts, sink);
        check::across(self, purpose, sink);
    }

    /// The policy, if every part is there.
    fn body(&self) -> Option<PolicyBody> {
        let mesh = self.mesh.as_ref()?;
        let mut regions = self.topology.as_ref()?.regions.clone();
        for region in &mut regions {
            if let Some(entry) = mesh.regions.get(&region.name) {
                region.peer_ids.clone_from(&entry.peer_ids);
                region.gateway_ids.clone_from(&entry.gateway_ids);
                region.workload_ids.clone_from(&entry.workload_ids);
            }
        }
        Some(PolicyBody {
            regions,
            hosts: mesh.hosts.clone(),
            health_paths: mesh.health_paths.clone(),
            unmatched_status: self.unmatched_status,
            contexts: self.wire_contexts(),
            residency: wire::Residency {
                tenant_maps: self.maps.iter().map(|map| map.wire.clone()).collect(),
                ..self.residency.as_ref()?.wire.clone()
            },
            fencing: self.fencing.as_ref()?.wire(),
            versioning: self.versioning.as_ref()?.wire.clone(),
            load_shedding: self.shedding.clone()?,
            hmac: mesh.hmac.clone(),
            records: mesh.records.clone(),
        })
    }

    fn wire_contexts(&self) -> Vec<wire::Context> {
        let all = &self.contexts;
        let of = |context: &ContextEntry| wire::Context {
            merge: merging::wire(context, all),
            ..context.wire.clone()
        };
        all.iter().map(of).collect()
    }

    fn facts(&self) -> Option<MeshFacts> {
        let mesh = self.mesh.as_ref()?;
        let gateways = mesh
            .regions
            .iter()
            .filter_map(|(name, entry)| Some((name.to_owned(), entry.peer_gateway.clone()?)));
        let agents = mesh
            .regions
            .iter()
            .filter_map(|(name, entry)| Some((name.to_owned(), entry.agent.clone()?)));
        Some(MeshFacts {
            issuers: mesh.issuers.iter().map(|entry| entry.issuer.clone()).collect(),
            cloud_regions: self.topology.as_ref()?.cloud_regions.clone(),
            peer_gateways: gateways.collect(),
            agents: agents.collect(),
            attachments: mesh.attachments.iter().map(|entry| entry.attachment.clone()).collect(),
            upstreams: mesh
                .upstreams
                .as_ref()
                .map(|entry| entry.upstreams.clone())
                .unwrap_or_default(),
            plugin: mesh.plugin.clone(),
        })
    }
}

fn unmatched_twice(
    again: crate::diagnostic::Spanned<u16>,
    first: crate::diagnostic::Spanned<u16>,
) -> Diagnostic {
    let message = "`unmatched` is said twice in the policy set";
    Diagnostic::error(codes::UNMATCHED_TWICE, message)
        .at(again.span)
        .label("again here")
        .related(first.span, "first here")
}

// === putting together ===

/// Compiles the policy, which also tells the names of the leases, and reads what needs them.
fn assemble(
    mut parts: Parts<'_>,
    shelf: &Shelf<'_>,
    sources: &[Source],
    sink: &mut Sink,
) -> Option<PolicySet> {
    let name = shelf.one(Kind::Topology).and_then(|document| document.name.clone());
    let mut set = None;
    if !sink.has_errors()
        && let (Some(body), Some(mesh), Some(name)) = (parts.body(), parts.facts(), name)
    {
        let mut whole = PolicySet::new(name.value, body, mesh, Vec::new());
        whole.fencing_times = parts.fencing.as_ref().map(|own| own.times.own).unwrap_or_default();
        if let Some(policy) = compile(&whole, &parts, sink) {
            parts.scope = Scope::of(&whole, Some(&policy));
            whole.body.fencing.static_state = static_state(&parts, &policy, sink);
            if whole.body.fencing.static_state.is_some() {
                compile(&whole, &parts, sink);
            }
            set = Some(whole);
        }
    }
    if set.is_none()
        && let Some(entry) = parts.fencing.as_ref().and_then(|fencing| fencing.static_state)
    {
        fencing::static_state(entry, &parts.scope, sink);
    }
    let mut tests = Vec::new();
    for document in shelf.all(Kind::PolicyTest) {
        let file = sources.get(document.kind_span.file).map_or("", |source| source.file.as_str());
        tests.extend(test::decode(document, file, &parts.scope, sink));
    }
    // Of a set that is not whole it is not known what operators may do.
    let limits = set.as_ref().map(|set| set.fencing_times.transitions);
    let timelines = shelf.all(Kind::Timeline);
    let timelines =
        timelines.filter_map(|own| timeline::decode(own, &parts.scope, limits, sink)).collect();
    let mut set = set?;
    set.tests = tests;
    set.timelines = timelines;
    Some(set)
}

fn static_state(
    parts: &Parts<'_>,
    policy: &Policy,
    sink: &mut Sink,
) -> Option<wire::StateDocument> {
    let entry = parts.fencing.as_ref()?.static_state?;
    let (document, holders) = fencing::static_state(entry, &parts.scope, sink)?;
    for holder in holders {
        holder.check(policy, sink);
    }
    Some(document).filter(|_| !sink.has_errors())
}

/// Compiles the set for every region, as the proxies will.
fn compile(set: &PolicySet, parts: &Parts<'_>, sink: &mut Sink) -> Option<Policy> {
    let mut first = None;
    for region in &set.body.regions {
        match Policy::compile(&set.plugin_config(&region.name, Role::Edge)) {
            Ok(policy) => first = first.or(Some(policy)),
            Err(fault) => {
                // What one region refuses, the others refuse as well.
                sink.push(check::fault(&fault, parts));
                return None;
            }
        }
    }
    first
}

fn compile_first(set: &PolicySet) -> Result<Policy, wire::ConfigFault> {
    let region = set.body.regions.first().map_or("", |region| region.name.as_str());
    Policy::compile(&set.plugin_config(region, Role::Edge))
}
