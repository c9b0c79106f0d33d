//! `Mesh`: what ties the policy to one mesh.

mod agent;
pub(crate) mod attachments;
mod hmac;
mod plugin;
pub(crate) mod regions;
pub(crate) mod upstreams;

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned};
use crate::document::Document;
use crate::fields::{Fields, Shape, twice};
use crate::scope::Scope;
use crate::set::{Issuer, PluginImage};
use crate::value::{check_identifier, is_host, malformed};
use crate::yaml::{Entry, Node};
pub use plugin::is_sha256;

use attachments::AttachmentEntry;
use policy_core::CanonicalPath;
use policy_core::wire::{Hmac, PrincipalKind, Records};
use regions::Regions;
use upstreams::UpstreamsEntry;

const MESH: Shape = Shape {
    what: "`spec` of a `Mesh`",
    keys: &[
        "hosts",
        "regions",
        "jwt",
        "hmac",
        "attachments",
        "upstreams",
        "health",
        "records",
        "plugin",
    ],
    later: &["etcd", "tenantMap"],
};
const JWT: Shape = Shape {
    what: "an item of `jwt`",
    keys: &["name", "issuer", "audiences", "jwksUri", "principalKind"],
    later: &[],
};
const PRINCIPAL_KIND: Shape =
    Shape { what: "`principalKind`", keys: &["claim", "default"], later: &[] };
const RECORDS: Shape = Shape { what: "`records`", keys: &["samplePerMille"], later: &[] };
const HEALTH: Shape = Shape { what: "`health`", keys: &["paths"], later: &[] };

/// What ties the policy to one mesh.
#[derive(Debug)]
pub(crate) struct Mesh {
    /// Where the document says what it says.
    pub(crate) at: Span,
    pub(crate) hosts: Vec<String>,
    pub(crate) regions: Regions,
    pub(crate) issuers: Vec<IssuerEntry>,
    pub(crate) hmac: Option<Hmac>,
    pub(crate) attachments: Vec<AttachmentEntry>,
    pub(crate) upstreams: Option<UpstreamsEntry>,
    pub(crate) health_paths: Vec<String>,
    pub(crate) records: Records,
    pub(crate) plugin: Option<PluginImage>,
}

/// One issuer and how its customers are told from its staff.
#[derive(Debug)]
pub(crate) struct IssuerEntry {
    pub(crate) issuer: Issuer,
    pub(crate) principal_kind: PrincipalKind,
    name: Spanned<String>,
}

/// Reads a `Mesh`.
pub(crate) fn decode(document: &Document<'_>, scope: &Scope, sink: &mut Sink) -> Option<Mesh> {
    let fields = document.fields(&MESH, sink)?;
    let regions = fields.get("regions").map(|entry| Regions::decode(entry, scope, sink));
    let attachments = fields.get("attachments").map(|entry| attachments::decode(entry, sink));
    let mut mesh = Mesh {
        at: fields.at(),
        hosts: fields.need("hosts", sink).map(|entry| hosts(entry, sink)).unwrap_or_default(),
        regions: regions.unwrap_or_default(),
        issuers: Vec::new(),
        hmac: fields.get("hmac").and_then(|entry| hmac::decode(entry, sink)),
        attachments: attachments.unwrap_or_default(),
        upstreams: fields.get("upstreams").map(|entry| upstreams::decode(entry, sink)),
        health_paths: Vec::new(),
        records: fields.get("records").map(|entry| records(entry, sink)).unwrap_or_default(),
        plugin: fields.get("plugin").and_then(|entry| plugin::decode(entry, sink)),
    };
    if let Some(items) = fields.get("jwt").and_then(|entry| entry.items(sink)) {
        for item in items {
            let Some(entry) = issuer(item, sink) else { continue };
            match mesh.issuers.iter().find(|known| known.name.value == entry.name.value) {
                Some(first) => {
                    sink.push(twice("issuer", &entry.name.value, entry.name.span, first.name.span));
                }
                None => mesh.issuers.push(entry),
            }
        }
    }
    if let Some(health) = fields.get("health")
        && let Some(fields) = Fields::open_at(&health.value, health.key.span, &HEALTH, sink)
        && let Some(paths) = fields.need("paths", sink)
    {
        mesh.health_paths = health_paths(paths, sink);
    }
    Some(mesh)
}

fn hosts(entry: &Entry, sink: &mut Sink) -> Vec<String> {
    let mut hosts: Vec<Spanned<String>> = Vec::new();
    for host in entry.texts(sink) {
        if !is_host(&host.value) {
            sink.push(malformed(
                "a host",
                &host,
                "a host is a name such as `api.example.com`: no scheme, port or wildcard",
            ));
            continue;
        }
        let lower = Spanned { value: host.value.to_ascii_lowercase(), span: host.span };
        match hosts.iter().find(|known| known.value == lower.value) {
            Some(first) => sink.push(twice("host", &lower.value, lower.span, first.span)),
            None => hosts.push(lower),
        }
    }
    hosts.into_iter().map(|host| host.value).collect()
}

fn issuer(item: &Node, sink: &mut Sink) -> Option<IssuerEntry> {
    let fields = Fields::open(item, &JWT, sink)?;
    let issuer = fields.need("issuer", sink).and_then(|entry| entry.text(sink));
    if let Some(issuer) = &issuer
        && issuer.value.chars().any(|letter| letter.is_whitespace() || letter.is_control())
    {
        sink.push(malformed("`issuer`", issuer, "use the `iss` claim of the tokens, as it is"));
    }
    let audiences = fields.need("audiences", sink).map(|entry| entry.texts(sink));
    let jwks_uri = fields.need("jwksUri", sink).and_then(|entry| entry.text(sink));
    if let Some(uri) = &jwks_uri {
        let host = uri.value.strip_prefix("https://").and_then(|rest| {
            let authority = rest.split('/').next()?;
            Some(authority.split_once(':').map_or(authority, |(host, _)| host))
        });
        let printable = uri.value.bytes().all(|byte| byte.is_ascii_graphic());
        if !printable || !host.is_some_and(is_host) {
            sink.push(malformed("`jwksUri`", uri, "use an `https://` URL"));
        }
    }
    let mut principal_kind = PrincipalKind { claim: None, default: "customer".to_owned() };
    if let Some(entry) = fields.get("principalKind")
        && let Some(kind) = Fields::open_at(&entry.value, entry.key.span, &PRINCIPAL_KIND, sink)
    {
        if let Some(claim) = kind.need("claim", sink).and_then(|entry| entry.text(sink)) {
            principal_kind.claim = Some(claim.value);
        }
        if let Some(default) = kind.get("default").and_then(|entry| entry.text(sink)) {
            principal_kind.default = default.value;
        }
    }
    let name = fields.need("name", sink).and_then(|entry| entry.text(sink))?;
    check_identifier("`name`", &name, 32, sink);
    Some(IssuerEntry {
        issuer: Issuer {
            name: name.value.clone(),
            issuer: issuer.map(|issuer| issuer.value).unwrap_or_default(),
            audiences: audiences.unwrap_or_default().into_iter().map(|text| text.value).collect(),
            jwks_uri: jwks_uri.map(|uri| uri.value).unwrap_or_default(),
        },
        principal_kind,
        name,
    })
}

/// What is recorded. Refusals and what crosses a border always are; this is about the rest.
fn records(entry: &Entry, sink: &mut Sink) -> Records {
    let mut records = Records::default();
    if let Some(fields) = Fields::open_at(&entry.value, entry.key.span, &RECORDS, sink)
        && let Some(sample) = fields.need("samplePerMille", sink)
    {
        let range = 0..=u64::from(Records::ALL_PER_MILLE);
        let sample = sample.value.number(&sample.what(), range, sink);
        let sample = sample.and_then(|sample| u32::try_from(sample.value).ok());
        records.sample_per_mille = sample.unwrap_or(records.sample_per_mille);
    }
    records
}

fn health_paths(entry: &Entry, sink: &mut Sink) -> Vec<String> {
    let mut paths = Vec::new();
    for path in entry.texts(sink) {
        let exact = !path.value.contains(['?', '*', '{']);
        match CanonicalPath::parse(path.value.as_bytes()) {
            Ok(canonical) if exact && canonical.rewritten().is_none() => paths.push(path.value),
            Ok(_) => sink.push(malformed(
                "a health path",
                &path,
                "health paths are exact: no wildcards, variables, query or needless escapes",
            )),
            Err(why) => {
                sink.push(Diagnostic::error(codes::MALFORMED, format!("the {why}")).at(path.span));
            }
        }
    }
    paths
}
