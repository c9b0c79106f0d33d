//! `TenantMap`: tenants and persons, and where they reside.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::document::Document;
use crate::fields::{Fields, Shape, twice};
use crate::mesh::{Mesh, is_sha256};
use crate::scope::Scope;
use crate::subjects::SourceEntry;
use crate::subjects::claim_value;
use crate::value::{check_client_header, check_country, malformed};
use crate::yaml::{Entry, Node};
use policy_core::{PrincipalKind, unhex, wire};

const MAP: Shape = Shape {
    what: "`spec` of a `TenantMap`",
    keys: &["apiKeyHeader", "signature", "tenants"],
    later: &[],
};
const TENANT: Shape = Shape {
    what: "a tenant",
    keys: &["name", "nameMac", "country", "principalKind", "apiKeySha256", "claim"],
    later: &[],
};
/// The header with an API key where nothing is said.
const API_KEY_HEADER: &str = "x-api-key";

/// What a tenant who proves to be one can be.
const KINDS: [PrincipalKind; 4] =
    [PrincipalKind::Customer, PrincipalKind::Staff, PrincipalKind::Service, PrincipalKind::Other];

/// One map and where it says what it says.
#[derive(Debug)]
pub(crate) struct MapEntry {
    pub(crate) wire: wire::TenantMap,
    /// Where it begins.
    at: Span,
    /// The first thing in it by which callers prove to be a tenant.
    proof: Option<Span>,
}

impl MapEntry {
    /// Where it begins.
    pub(crate) fn at(&self) -> Span {
        self.at
    }
}

/// Reads a `TenantMap`.
pub(crate) fn decode(
    document: &Document<'_>,
    scope: &Scope,
    mesh: Option<&Mesh>,
    sink: &mut Sink,
) -> Option<MapEntry> {
    let fields = document.fields(&MAP, sink)?;
    let header = fields
        .get("apiKeyHeader")
        .and_then(|entry| check_client_header("`apiKeyHeader`", &entry.text(sink)?, sink));
    let signature = fields.get("signature").and_then(|entry| {
        mac::<32>(entry, "a signature is written by `meshfence token map`", mesh, sink)
    });
    let mut map = MapEntry {
        wire: wire::TenantMap {
            name: document.name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
            api_key_header: header.unwrap_or_else(|| API_KEY_HEADER.to_owned()),
            tenants: Vec::new(),
            signature,
        },
        at: document.name.as_ref().map_or(document.kind_span, |name| name.span),
        proof: None,
    };
    let mut names: Vec<Spanned<String>> = Vec::new();
    let mut hashes: Vec<Spanned<String>> = Vec::new();
    let items = fields.need("tenants", sink).and_then(|entry| entry.items(sink));
    for item in items.unwrap_or_default() {
        let Some((tenant, name)) = tenant(item, scope, mesh, &mut hashes, &mut map.proof, sink)
        else {
            continue;
        };
        if let Some(first) = names.iter().find(|known| known.value == name.value) {
            sink.push(twice("tenant", &name.value, name.span, first.span));
        }
        names.push(name);
        map.wire.tenants.push(tenant);
    }
    document.name.as_ref().map(|_| map)
}

/// A tenant, and how it is called.
fn tenant(
    item: &Node,
    scope: &Scope,
    mesh: Option<&Mesh>,
    hashes: &mut Vec<Spanned<String>>,
    proof: &mut Option<Span>,
    sink: &mut Sink,
) -> Option<(wire::Tenant, Spanned<String>)> {
    let fields = Fields::open(item, &TENANT, sink)?;
    let country = fields
        .need("country", sink)
        .and_then(|entry| entry.text(sink))
        .filter(|country| check_country(country, sink));
    let kind = fields.get("principalKind").and_then(|entry| kind(entry, sink));
    let proofs = [fields.get("apiKeySha256"), fields.get("claim")];
    let first_proof = proofs.into_iter().flatten().next().map(|entry| entry.key.span);
    let own: Vec<Spanned<String>> =
        fields.get("apiKeySha256").map(|entry| api_keys(entry, sink)).unwrap_or_default();
    for hash in &own {
        if let Some(first) = hashes.iter().find(|known| known.value == hash.value) {
            sink.push(twice("key", &hash.value, hash.span, first.span));
        }
    }
    let claim = fields.get("claim").map(|entry| claim_value(entry, scope, sink));
    let (name, name_mac) = (fields.get("name"), fields.get("nameMac"));
    let called = match (name, name_mac) {
        (Some(name), None) => {
            let text = name.text(sink)?;
            *proof = proof.or(first_proof);
            check_name(&text, sink);
            text
        }
        (None, Some(name_mac)) => {
            if let Some(place) = first_proof {
                let message = "a person proves who they are by a token or a session";
                sink.push(
                    Diagnostic::error(codes::EXCLUSIVE, message)
                        .at(place)
                        .related(name_mac.key.span, "this is a person"),
                );
            }
            let help = "a person's hash is written by `meshfence token name`";
            let value = mac::<16>(name_mac, help, mesh, sink)?;
            Spanned { value, span: name_mac.value.span }
        }
        (Some(name), Some(name_mac)) => {
            let message = "a tenant has a name, a person has `nameMac`";
            sink.push(
                Diagnostic::error(codes::EXCLUSIVE, message)
                    .at(name_mac.key.span)
                    .related(name.key.span, "beside this one"),
            );
            return None;
        }
        (None, None) => {
            fields.need("name", sink);
            return None;
        }
    };
    hashes.extend(own.iter().cloned());
    let is_person = name_mac.is_some();
    let tenant = wire::Tenant {
        name: (!is_person).then(|| called.value.clone()),
        name_mac: is_person.then(|| called.value.clone()),
        country: country?.value,
        principal_kind: kind.unwrap_or(PrincipalKind::Customer),
        api_key_sha256: own.into_iter().map(|hash| hash.value).collect(),
        claim: match claim {
            None => None,
            Some(claim) => Some(claim?),
        },
    };
    Some((tenant, called))
}

fn kind(entry: &Entry, sink: &mut Sink) -> Option<PrincipalKind> {
    let text = entry.text(sink)?;
    let found = KINDS.into_iter().find(|kind| kind.as_str() == text.value);
    if found.is_none() {
        let message = format!("{} cannot be {}", entry.what(), quote(&text.value));
        let names = KINDS.map(PrincipalKind::as_str);
        sink.push(
            Diagnostic::error(codes::UNKNOWN_WORD, message)
                .at(text.span)
                .suggest(&text.value, &names),
        );
    }
    found
}

fn api_keys(entry: &Entry, sink: &mut Sink) -> Vec<Spanned<String>> {
    let mut hashes = entry.texts(sink);
    hashes.retain(|hash| {
        let is_hash = is_sha256(&hash.value);
        if !is_hash {
            // It may be the key itself, which no message should repeat.
            let message = "an item of `apiKeySha256` is no SHA-256";
            sink.push(Diagnostic::error(codes::MALFORMED, message).at(hash.span).help(
                "write the SHA-256 of the key as 64 lower-case hexadecimal digits, never the key",
            ));
        }
        is_hash
    });
    hashes
}

fn check_name(name: &Spanned<String>, sink: &mut Sink) {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let valid = name.value.len() <= 128
        && name.value.bytes().all(is_part)
        && !matches!(name.value.as_str(), "." | "..");
    if !valid {
        let help = "a path has to be able to name it: letters, digits and `-._~`, 128 at most";
        sink.push(malformed("the name of a tenant", name, help));
    }
}

/// `<key id>:<hexadecimal digits>`, of a key that the mesh has.
fn mac<const N: usize>(
    entry: &Entry,
    help: &str,
    mesh: Option<&Mesh>,
    sink: &mut Sink,
) -> Option<String> {
    let text = entry.text(sink)?;
    let parts = text.value.split_once(':');
    let Some((key, _)) = parts.filter(|(_, digits)| unhex::<N>(digits.as_bytes()).is_some()) else {
        sink.push(malformed(&entry.what(), &text, help));
        return None;
    };
    if let Some(mesh) = mesh {
        let keys = mesh.hmac.as_ref().map(|hmac| hmac.keys.as_slice()).unwrap_or_default();
        let names: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        if !names.contains(&key) {
            let message = format!("there is no key {}", quote(key));
            sink.push(
                Diagnostic::error(codes::UNKNOWN_HMAC_KEY, message)
                    .at(text.span)
                    .suggest(key, &names),
            );
            return None;
        }
    }
    Some(text.value)
}

/// Whether maps are what the sources need, and each is needed.
pub(crate) fn check(maps: &[MapEntry], sources: &[SourceEntry], sink: &mut Sink) {
    for (number, map) in maps.iter().enumerate() {
        let mut earlier = maps.iter().take(number);
        if let Some(first) = earlier.find(|earlier| earlier.wire.name == map.wire.name) {
            sink.push(twice("tenant map", &map.wire.name, map.at, first.at));
        }
    }
    for source in sources {
        let Some(name) = &source.map else { continue };
        let Some(map) = maps.iter().find(|map| map.wire.name == name.value) else { continue };
        if matches!(source.wire, wire::SubjectSource::Resource(_)) && map.wire.signature.is_none() {
            let message = format!("the tenant map {} has no signature", quote(&name.value));
            sink.push(
                Diagnostic::error(codes::TENANT_MAP, message)
                    .at(map.at)
                    .related(name.span, "what is said of others has to be signed")
                    .help("make one with `meshfence token map`, and write it to `signature`"),
            );
        }
    }
    let uses = |map: &MapEntry, of: fn(&wire::SubjectSource) -> bool| {
        let names = |source: &&SourceEntry| {
            source.map.as_ref().is_some_and(|name| name.value == map.wire.name)
        };
        sources.iter().filter(names).any(|source| of(&source.wire))
    };
    for map in maps {
        if !uses(map, |_| true) {
            let message =
                format!("no subject source asks the tenant map {}", quote(&map.wire.name));
            sink.push(
                Diagnostic::error(codes::TENANT_MAP, message)
                    .at(map.at)
                    .help("add it to `subjectSources` of `Residency`, or remove it"),
            );
        } else if let Some(proof) = map.proof
            && !uses(map, |source| matches!(source, wire::SubjectSource::TenantMap(_)))
        {
            let message = "nobody is asked to prove to be a tenant of this map";
            sink.push(Diagnostic::error(codes::TENANT_MAP, message).at(proof).help(format!(
                "add `tenantMap: {{map: {}}}` to `subjectSources`, or remove this",
                map.wire.name
            )));
        }
    }
}
