//! `subjectSources` and `clientCountry` of a `Residency`: what says whom a request is about.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::fields::{Fields, Shape};
use crate::load::Parts;
use crate::mesh::Mesh;
use crate::scope::Scope;
use crate::tenants;
use crate::value::check_client_header;
use crate::yaml::{Content, Entry, Node};
use policy_core::{Countries, SubjectMode, wire};

const CLAIM_VALUE: Shape =
    Shape { what: "`claim`", keys: &["issuer", "claim", "value"], later: &[] };
const SOURCE: Shape = Shape {
    what: "a subject source",
    keys: &["jwtClaim", "session", "tenantMap", "resource"],
    later: &["peer"],
};
const JWT_CLAIM: Shape = Shape { what: "`jwtClaim`", keys: &["issuer", "claim"], later: &[] };
const SESSION: Shape = Shape { what: "`session`", keys: &["maxAge"], later: &[] };
const TENANT_MAP: Shape = Shape { what: "`tenantMap`", keys: &["map"], later: &[] };
const RESOURCE: Shape = Shape { what: "`resource`", keys: &["variable", "map"], later: &[] };
const CLIENT_COUNTRY: Shape = Shape { what: "`clientCountry`", keys: &["header"], later: &[] };

/// How long a session may last where nothing is said, and at most.
const MAX_AGE_MS: u64 = 24 * 3_600_000;
const MAX_AGE_RANGE_MS: std::ops::RangeInclusive<u64> = 60_000..=720 * 3_600_000;

/// One source and where it is written.
#[derive(Debug)]
pub(crate) struct SourceEntry {
    pub(crate) wire: wire::SubjectSource,
    pub(crate) at: Span,
    /// The map that it names.
    pub(crate) map: Option<Spanned<String>>,
    /// The variable of paths that it names.
    pub(crate) variable: Option<Spanned<String>>,
}

/// Reads `subjectSources`.
pub(crate) fn sources(
    entry: &Entry,
    scope: &Scope,
    mesh: Option<&Mesh>,
    sink: &mut Sink,
) -> Vec<SourceEntry> {
    let items = entry.items(sink).unwrap_or_default();
    if let Some(more) = items.get(Countries::MAX) {
        let message = format!("there are at most {} subject sources", Countries::MAX);
        sink.push(Diagnostic::error(codes::TOO_LARGE, message).at(more.span));
    }
    let mut sources: Vec<SourceEntry> = Vec::new();
    for item in items {
        let Some(found) = source(item, scope, mesh, sink) else { continue };
        if let Some(first) = sources.iter().find(|known| is_same(&known.wire, &found.wire)) {
            let message = match &found.wire {
                wire::SubjectSource::JwtClaim(claim) => {
                    format!("the issuer {} is asked twice", quote(&claim.issuer))
                }
                _ => "one subject source of a kind is enough".to_owned(),
            };
            sink.push(
                Diagnostic::error(codes::NAME_TWICE, message)
                    .at(found.at)
                    .label("again here")
                    .related(first.at, "first here"),
            );
            continue;
        }
        sources.push(found);
    }
    sources
}

/// There is one source of each kind, but for claims: there one of each issuer.
fn is_same(one: &wire::SubjectSource, other: &wire::SubjectSource) -> bool {
    use wire::SubjectSource::JwtClaim;
    match (one, other) {
        (JwtClaim(one), JwtClaim(other)) => one.issuer == other.issuer,
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

fn source(item: &Node, scope: &Scope, mesh: Option<&Mesh>, sink: &mut Sink) -> Option<SourceEntry> {
    let fields = Fields::open(item, &SOURCE, sink)?;
    let mut given = SOURCE.keys.iter().filter_map(|key| fields.get(key));
    let Some(entry) = given.next() else {
        // A source of a later release, or one that is misspelt, has been reported.
        if matches!(&item.content, Content::Mapping(entries) if entries.is_empty()) {
            let message = "a subject source says what it is";
            sink.push(
                Diagnostic::error(codes::MISSING_KEY, message)
                    .at(item.span)
                    .help("use `jwtClaim`, `session`, `tenantMap` or `resource`"),
            );
        }
        return None;
    };
    if let Some(second) = given.next() {
        let message = "a subject source is one of several, and this is two";
        sink.push(
            Diagnostic::error(codes::EXCLUSIVE, message)
                .at(second.key.span)
                .related(entry.key.span, "beside this one")
                .help("make it an item of its own"),
        );
    }
    let at = entry.key.span;
    let mut found = SourceEntry {
        wire: wire::SubjectSource::Session(wire::Session { max_age_s: 0 }),
        at,
        map: None,
        variable: None,
    };
    let open = |shape: &Shape, sink: &mut Sink| Fields::open_at(&entry.value, at, shape, sink);
    found.wire = match entry.key.value.as_str() {
        "jwtClaim" => jwt_claim(&open(&JWT_CLAIM, sink)?, scope, mesh, sink)?,
        "session" => {
            need_keys("`session`", at, mesh, sink);
            let fields = open(&SESSION, sink)?;
            let max_age = fields.get("maxAge");
            let ms =
                max_age.map_or(Some(MAX_AGE_MS), |entry| entry.duration_ms(MAX_AGE_RANGE_MS, sink));
            let max_age_s = u32::try_from(ms? / 1_000).unwrap_or(u32::MAX);
            wire::SubjectSource::Session(wire::Session { max_age_s })
        }
        "tenantMap" => {
            let fields = open(&TENANT_MAP, sink)?;
            found.map = Some(map(&fields, scope, sink)?);
            let map = found.map.as_ref().map(|map| map.value.clone()).unwrap_or_default();
            wire::SubjectSource::TenantMap(wire::TenantSource { map })
        }
        _ => {
            need_keys("`resource`", at, mesh, sink);
            let fields = open(&RESOURCE, sink)?;
            let variable = fields.need("variable", sink).and_then(|entry| entry.text(sink));
            found.map = Some(map(&fields, scope, sink)?);
            found.variable = Some(variable?);
            let text = |of: &Option<Spanned<String>>| {
                of.as_ref().map(|text| text.value.clone()).unwrap_or_default()
            };
            wire::SubjectSource::Resource(wire::Resource {
                variable: text(&found.variable),
                map: text(&found.map),
            })
        }
    };
    Some(found)
}

fn jwt_claim(
    fields: &Fields<'_>,
    scope: &Scope,
    mesh: Option<&Mesh>,
    sink: &mut Sink,
) -> Option<wire::SubjectSource> {
    let issuer = fields
        .need("issuer", sink)
        .and_then(|entry| entry.text(sink))
        .filter(|issuer| scope.issuers.check(issuer, sink));
    let claim = fields.need("claim", sink)?.text(sink)?;
    let issuer = issuer?;
    let principal_kind = mesh?
        .issuers
        .iter()
        .find(|known| known.issuer.name == issuer.value)?
        .principal_kind
        .clone();
    let claim = wire::JwtClaim { issuer: issuer.value, claim: claim.value, principal_kind };
    Some(wire::SubjectSource::JwtClaim(claim))
}

fn map(fields: &Fields<'_>, scope: &Scope, sink: &mut Sink) -> Option<Spanned<String>> {
    let name = fields.need("map", sink)?.text(sink)?;
    scope.maps.check(&name, sink).then_some(name)
}

/// What is signed needs a key.
fn need_keys(what: &str, at: Span, mesh: Option<&Mesh>, sink: &mut Sink) {
    let Some(mesh) = mesh.filter(|mesh| mesh.hmac.is_none()) else { return };
    let message = format!("{what} needs keys, and the mesh has none");
    sink.push(
        Diagnostic::error(codes::SUBJECT_SOURCE, message)
            .at(at)
            .related(mesh.at, "the `Mesh`")
            .help("add `hmac: {keys: [{id: k1, env: MESHFENCE_HMAC_K1}]}` to it"),
    );
}

/// Reads `clientCountry`.
pub(crate) fn client_country(entry: &Entry, sink: &mut Sink) -> Option<wire::ClientCountry> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &CLIENT_COUNTRY, sink)?;
    let header = fields.need("header", sink)?.text(sink)?;
    let header = check_client_header("`header`", &header, sink)?;
    Some(wire::ClientCountry { header })
}

/// What sources, maps and contexts say of each other.
pub(crate) fn check(parts: &Parts<'_>, sink: &mut Sink) {
    let Some(residency) = &parts.residency else { return };
    tenants::check(&parts.maps, &residency.sources, sink);
    for source in &residency.sources {
        let Some(variable) = &source.variable else { continue };
        let asks =
            |context: &&crate::contexts::ContextEntry| context.wire.subject != SubjectMode::None;
        let mut matches = parts.contexts.iter().filter(asks).flat_map(|context| &context.matches);
        let is_there = matches.any(|found| found.template.variable(&variable.value).is_some());
        if !is_there && !parts.contexts.is_empty() {
            let message = format!(
                "no path of a context with a subject has the variable {}",
                quote(&variable.value)
            );
            sink.push(
                Diagnostic::error(codes::SUBJECT_SOURCE, message)
                    .at(variable.span)
                    .help("name the variable of `match` that says whom a request is about"),
            );
        }
    }
    let knows_callers =
        |source: &SourceEntry| !matches!(source.wire, wire::SubjectSource::Resource(_));
    // Unreadable sources have been reported.
    if residency.sources_at.is_some()
        && (residency.sources.is_empty() || residency.sources.iter().any(knows_callers))
    {
        return;
    }
    let needs = |mode: SubjectMode| mode == SubjectMode::SelfCaller;
    if let Some(context) = parts.contexts.iter().find(|context| needs(context.wire.subject)) {
        let message = match residency.sources_at {
            None => "nothing says where a subject's country comes from",
            Some(_) => "nothing says who a caller is",
        };
        let name = quote(&context.wire.name);
        sink.push(
            Diagnostic::error(codes::SUBJECT_SOURCE, message)
                .at(residency.sources_at.unwrap_or(residency.at))
                .related(context.subject, format!("the context {name} is about its caller"))
                .help(
                    "add `subjectSources: [{jwtClaim: {issuer: <name in Mesh>, claim: <name>}}]`",
                ),
        );
    }
}

/// A claim of an issuer, and what it has to say.
pub(crate) fn claim_value(
    entry: &Entry,
    scope: &Scope,
    sink: &mut Sink,
) -> Option<wire::ClaimValue> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &CLAIM_VALUE, sink)?;
    let issuer = fields
        .need("issuer", sink)
        .and_then(|entry| entry.text(sink))
        .filter(|issuer| scope.issuers.check(issuer, sink));
    let claim = fields.need("claim", sink).and_then(|entry| entry.text(sink));
    let value = fields.need("value", sink)?.text(sink)?.value;
    Some(wire::ClaimValue { issuer: issuer?.value, claim: claim?.value, value })
}
