//! `Mesh.spec.regions`: where each region is reached, and whose certificates speak for it.

use super::agent;
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::fields::{Fields, Shape, twice};
use crate::load::Parts;
use crate::scope::Scope;
use crate::set::{AgentUrl, PeerGateway};
use crate::value::{is_host, malformed};
use crate::yaml::Entry;
use policy_core::{Role, SpiffeId};

const REGION: Shape = Shape {
    what: "a region of the mesh",
    keys: &["peerGateway", "peerIds", "gatewayIds", "workloadIds", "agent"],
    later: &[],
};

/// What is said of the regions, and where.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    at: Option<Span>,
    entries: Vec<RegionEntry>,
    /// Whether some name is not what it was meant to be.
    unclear: bool,
}

/// What is said of one region.
#[derive(Debug)]
pub(crate) struct RegionEntry {
    name: Spanned<String>,
    pub(crate) peer_gateway: Option<PeerGateway>,
    pub(crate) peer_ids: Vec<String>,
    pub(crate) gateway_ids: Vec<String>,
    pub(crate) workload_ids: Vec<String>,
    pub(crate) agent: Option<AgentUrl>,
    /// What is not said of it.
    lacking: Vec<&'static str>,
}

/// A list of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ids {
    Peer,
    Gateway,
    Workload,
}

/// The ids of all regions so far.
#[derive(Debug, Default)]
struct Known {
    ids: Vec<(Ids, Spanned<String>)>,
    domains: Vec<(String, String, Span)>,
}

impl Regions {
    /// Reads `regions`.
    pub(super) fn decode(entry: &Entry, scope: &Scope, sink: &mut Sink) -> Self {
        let mut regions = Self { at: Some(entry.key.span), ..Self::default() };
        let mut known = Known::default();
        for item in entry.some_entries(sink).unwrap_or_default() {
            let name = item.name("a region", sink);
            match name.filter(|name| scope.regions.check(name, sink)) {
                Some(name) => regions.entries.push(region(name, item, &mut known, sink)),
                None => regions.unclear = true,
            }
        }
        regions
    }

    /// What is said of the region with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&RegionEntry> {
        self.entries.iter().find(|entry| entry.name.value == name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &RegionEntry)> {
        self.entries.iter().map(|entry| (entry.name.value.as_str(), entry))
    }
}

fn region(name: Spanned<String>, item: &Entry, known: &mut Known, sink: &mut Sink) -> RegionEntry {
    let mut entry = RegionEntry {
        name,
        peer_gateway: None,
        peer_ids: Vec::new(),
        gateway_ids: Vec::new(),
        workload_ids: Vec::new(),
        agent: None,
        lacking: Vec::new(),
    };
    let Some(fields) = Fields::open_at(&item.value, item.key.span, &REGION, sink) else {
        return entry;
    };
    entry.peer_gateway = fields.get("peerGateway").and_then(|entry| peer_gateway(entry, sink));
    let region = entry.name.value.as_str();
    let mut ids = |key: &str, kind: Ids| {
        let list = fields.get(key);
        list.map(|list| known.read(list, kind, region, sink)).unwrap_or_default()
    };
    entry.peer_ids = ids("peerIds", Ids::Peer);
    entry.gateway_ids = ids("gatewayIds", Ids::Gateway);
    entry.workload_ids = ids("workloadIds", Ids::Workload);
    entry.agent = fields.get("agent").and_then(|entry| agent::decode(entry, sink));
    entry.lacking = REGION.keys.iter().copied().filter(|key| fields.lacks(key)).collect();
    entry
}

fn peer_gateway(entry: &Entry, sink: &mut Sink) -> Option<PeerGateway> {
    let text = entry.text(sink)?;
    let parsed = text.value.rsplit_once(':').and_then(|(host, port)| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port: &u16| digits && *port != 0)?;
        is_host(host).then(|| PeerGateway { host: host.to_ascii_lowercase(), port })
    });
    if parsed.is_none() {
        sink.push(malformed(
            "`peerGateway`",
            &text,
            "use a host name and a port, such as `peer.tokyo.example.com:15443`",
        ));
    }
    parsed
}

impl Known {
    /// Reads the ids of one region. Ids are compared by their bytes, so only their one form passes.
    fn read(&mut self, list: &Entry, kind: Ids, region: &str, sink: &mut Sink) -> Vec<String> {
        let mut ids = Vec::new();
        for id in list.texts(sink) {
            let Some(parsed) = SpiffeId::parse(&id.value) else {
                sink.push(malformed("a SPIFFE id", &id, help(&id.value)));
                continue;
            };
            let domain = parsed.trust_domain();
            let mut ids_of_kind = self.ids.iter().filter(|(known, _)| *known == kind);
            if let Some((_, first)) = ids_of_kind.find(|(_, known)| known.value == id.value) {
                sink.push(twice("id", &id.value, id.span, first.span));
                continue;
            }
            match self.domains.iter().find(|(known, _, _)| known == domain) {
                Some((_, other, first)) if other != region => {
                    sink.push(shared_domain(domain, other, id.span, *first));
                    continue;
                }
                Some(_) => {}
                None => self.domains.push((domain.to_owned(), region.to_owned(), id.span)),
            }
            self.ids.push((kind, id.clone()));
            ids.push(id.value);
        }
        ids
    }
}

/// What is most likely wrong with an id.
fn help(id: &str) -> &'static str {
    let Some(rest) = id.strip_prefix("spiffe://") else {
        return "an id is written `spiffe://trust-domain/path`, such as \
                `spiffe://tokyo.shop/ns/gateways/sa/peer`";
    };
    if id.len() > SpiffeId::BYTES_MAX {
        return "a SPIFFE id has 2048 bytes at most";
    }
    match rest.split_once('/') {
        None | Some((_, "")) => "name the workload as well: `spiffe://trust-domain/path`",
        Some((domain, _)) if domain.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            "a trust domain is written in lower case"
        }
        Some((_, path)) if path.ends_with('/') => "a SPIFFE id has no slash at its end",
        Some(_) => {
            "a SPIFFE id has no port, query or escapes: a trust domain of a-z, 0-9, `.`, `-`, `_` and \
             a path of letters, digits, `.`, `-`, `_`"
        }
    }
}

fn shared_domain(domain: &str, other: &str, span: Span, first: Span) -> Diagnostic {
    let message = format!("the trust domain {} is that of region {}", quote(domain), quote(other));
    Diagnostic::error(codes::TRUST_DOMAIN, message)
        .at(span)
        .related(first, format!("{} has it", quote(other)))
        .help("give every region a trust domain of its own: its authority could vouch for the other's gateways")
}

// === what a mesh of several regions needs ===

/// Checks that every region can be told from the others, and reached where it is deployed.
pub(crate) fn check(parts: &Parts<'_>, sink: &mut Sink) {
    let (Some(mesh), Some(topology)) = (&parts.mesh, &parts.topology) else { return };
    if topology.unclear || mesh.regions.unclear {
        return;
    }
    let several = topology.regions.len() > 1;
    let workloads = mesh.attachments.iter().any(|entry| entry.attachment.role == Role::Inbound);
    let needs = [
        (
            "peerIds",
            several,
            "nothing says whose certificate speaks for region",
            "list the SPIFFE ids that its gateway shows to the other regions; they believe no other",
        ),
        (
            "gatewayIds",
            several || workloads,
            "nothing says whom workloads believe in region",
            "list the SPIFFE ids of its gateways, and of workloads whose requests a guard judges",
        ),
        (
            "peerGateway",
            several && !mesh.attachments.is_empty(),
            "nothing says where the other regions reach region",
            "say the host and port of its east-west gateway, such as `peer.tokyo.example.com:15443`",
        ),
    ];
    for region in &topology.regions {
        let entry = mesh.regions.get(&region.name);
        let at = entry.map_or(mesh.regions.at.unwrap_or(mesh.at), |entry| entry.name.span);
        let name = quote(&region.name);
        for (key, is_needed, message, help) in needs {
            if is_needed && entry.is_none_or(|entry| entry.lacking.contains(&key)) {
                sink.push(
                    Diagnostic::error(codes::REGION_IDS, format!("{message} {name}"))
                        .at(at)
                        .label(format!("lacks `{key}` of {name}"))
                        .help(help),
                );
            }
        }
    }
}

/// Warns of regions in which no leased write is ever let through.
pub(crate) fn check_agents(parts: &Parts<'_>, sink: &mut Sink) {
    let (Some(mesh), Some(topology)) = (&parts.mesh, &parts.topology) else { return };
    let leased = parts.contexts.iter().find(|context| context.leased == Some(true));
    let Some(leased) = leased.filter(|_| !topology.unclear && !mesh.regions.unclear) else {
        return;
    };
    for region in &topology.regions {
        let entry = mesh.regions.get(&region.name);
        if entry.is_some_and(|entry| !entry.lacking.contains(&"agent")) {
            continue;
        }
        let message = format!(
            "nothing says where {} learns who holds the leases: it refuses leased writes",
            quote(&region.name)
        );
        sink.push(
            Diagnostic::warning(codes::NO_AGENT, message)
                .at(entry.map_or(mesh.regions.at.unwrap_or(mesh.at), |entry| entry.name.span))
                .related(leased.name, "leased")
                .help("say where its agent is: `agent: \"http://region-agent.meshfence:7070\"`"),
        );
    }
}
