//! The callers of a test: a certificate, a token, both or neither.

use super::carried::from_now_ms;
use super::{OwnCredentials, TestCaller, TestCertificate, TestSession, TestToken};
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, closest, quote};
use crate::fields::{Fields, Shape};
use crate::scope::Scope;
use crate::value::{check_country, malformed};
use crate::yaml::{Content, Entry, Node, Reading};
use policy_core::{Country, PrincipalKind, Role, SpiffeId};
use std::collections::BTreeMap;

const CALLER: Shape = Shape {
    what: "a caller",
    keys: &[
        "issuer",
        "sub",
        "claims",
        "peer",
        "gateway",
        "workload",
        "subject",
        "session",
        "apiKey",
        "clientCountry",
    ],
    later: &[],
};
const SESSION: Shape =
    Shape { what: "`session`", keys: &["sub", "country", "kind", "expires", "key"], later: &[] };

/// The keys of what a caller is known by to the mesh alone.
const OWN: [&str; 3] = ["session", "apiKey", "clientCountry"];

/// What a session says of a caller whose country is not known.
const UNKNOWN: &str = "unknown";

/// For how long a session lasts where nothing is said.
const EXPIRES_MS: i64 = 3_600_000;

/// The keys that say whose certificate a connection has.
const CERTIFICATES: [&str; 3] = ["peer", "gateway", "workload"];

/// What may be said of a subject whose country is not.
const SUBJECT_WORDS: [&str; 2] = ["unknown", "other"];

/// The claims that every token has.
const FILLED_IN: [&str; 6] = ["iss", "sub", "aud", "exp", "nbf", "iat"];

/// Reads a caller.
pub(super) fn decode(item: &Entry, scope: &Scope, sink: &mut Sink) -> Option<TestCaller> {
    item.some_entries(sink)?;
    let fields = Fields::open_at(&item.value, item.key.span, &CALLER, sink)?;
    let certificate = certificate(&fields, scope, sink);
    let has_token = ["issuer", "sub", "claims"].iter().any(|key| fields.get(key).is_some());
    let own = own(&fields, &item.key.value, scope, sink);
    let has_own = OWN.iter().any(|key| fields.get(key).is_some());
    // Without anything else a token is what makes a caller.
    let token = if has_token || certificate == Some(None) && !has_own {
        Some(token(&fields, scope, sink))
    } else {
        None
    };
    Some(TestCaller {
        name: item.key.value.clone(),
        certificate: certificate?,
        token: match token {
            None => None,
            Some(token) => Some(token?),
        },
        own: own?,
    })
}

/// What a caller is known by to the mesh alone.
fn own(fields: &Fields<'_>, name: &str, scope: &Scope, sink: &mut Sink) -> Option<OwnCredentials> {
    let session = fields.get("session").map(|entry| session(entry, name, scope, sink));
    let api_key = fields.get("apiKey").map(|entry| entry.text(sink));
    let country = fields.get("clientCountry").map(|entry| entry.text(sink));
    Some(OwnCredentials {
        session: match session {
            None => None,
            Some(session) => Some(session?),
        },
        api_key: match api_key {
            None => None,
            Some(key) => Some(key?.value),
        },
        // It may be anything: that no country is one is worth a test.
        client_country: match country {
            None => None,
            Some(country) => Some(country?.value),
        },
    })
}

fn session(entry: &Entry, name: &str, scope: &Scope, sink: &mut Sink) -> Option<TestSession> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &SESSION, sink)?;
    let country = fields.need("country", sink).and_then(|entry| entry.text(sink));
    let country = country.filter(|text| text.value == UNKNOWN || check_country(text, sink));
    let kind = fields.word_or("kind", PrincipalKind::Customer, sink);
    let expires_ms = match fields.get("expires") {
        None => Some(EXPIRES_MS),
        Some(entry) => from_now_ms(entry, sink),
    };
    let key = fields.get("key").and_then(|entry| entry.text(sink));
    let sub = fields.get("sub").and_then(|entry| entry.text(sink));
    if !scope.has_keys {
        let message = "a session needs keys, and the mesh has none";
        sink.push(
            Diagnostic::error(codes::SUBJECT_SOURCE, message)
                .at(entry.key.span)
                .help("add `hmac` to the `Mesh`"),
        );
    }
    Some(TestSession {
        sub: sub.map_or_else(|| name.to_owned(), |sub| sub.value),
        country: Country::parse(country?.value.as_bytes()),
        kind,
        expires_ms: expires_ms?,
        key: key.map(|key| key.value),
    })
}

/// Whose certificate it is, if anybody's; nothing if that cannot be read.
#[expect(clippy::option_option, reason = "unreadable, absent, and there")]
fn certificate(
    fields: &Fields<'_>,
    scope: &Scope,
    sink: &mut Sink,
) -> Option<Option<TestCertificate>> {
    let mut given = CERTIFICATES.iter().filter_map(|key| fields.get(key));
    let subject = fields.get("subject").map(|entry| (entry, subject(entry, sink)));
    let Some(first) = given.next() else {
        if let Some((entry, _)) = subject {
            let message =
                "`subject` is what a `peer` or a `gateway` says, and the caller is neither";
            sink.push(Diagnostic::error(codes::EXCLUSIVE, message).at(entry.key.span));
            return None;
        }
        return Some(None);
    };
    if let Some(second) = given.next() {
        let message = "a caller has one certificate";
        sink.push(
            Diagnostic::error(codes::EXCLUSIVE, message)
                .at(second.key.span)
                .related(first.key.span, "beside this one"),
        );
        return None;
    }
    let name = first.text(sink)?;
    if first.key.value == "workload" {
        if let Some((entry, _)) = subject {
            let message = "a `workload` says nothing of a subject that anybody believes";
            let help = "to send it nevertheless, give the request the header `x-meshfence-subject`";
            sink.push(Diagnostic::error(codes::EXCLUSIVE, message).at(entry.key.span).help(help));
            return None;
        }
        if SpiffeId::parse(&name.value).is_none() {
            let help = "an id is written as `spiffe://taiwan.shop/ns/default/sa/orders`";
            sink.push(malformed("`workload`", &name, help));
            return None;
        }
        return Some(Some(TestCertificate::Workload(name.value)));
    }
    let region = scope.regions.check(&name, sink).then_some(name.value);
    let subject = match subject {
        None => None,
        Some((_, subject)) => Some(subject?),
    };
    let region = region?;
    Some(Some(if first.key.value == "peer" {
        TestCertificate::Peer { region, subject }
    } else {
        TestCertificate::Gateway { region, subject }
    }))
}

fn subject(entry: &Entry, sink: &mut Sink) -> Option<String> {
    let text = entry.text(sink)?;
    let is_word = SUBJECT_WORDS.contains(&text.value.as_str());
    if is_word || Country::parse(text.value.as_bytes()).is_some() {
        return Some(text.value);
    }
    let diagnostic = malformed(
        "`subject`",
        &text,
        "use a country such as `JP`, `unknown` for a customer whose country is not known, or `other` \
         for staff and services",
    );
    sink.push(match closest(&text.value, &SUBJECT_WORDS) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic,
    });
    None
}

fn token(fields: &Fields<'_>, scope: &Scope, sink: &mut Sink) -> Option<TestToken> {
    let issuer = fields
        .need("issuer", sink)
        .and_then(|entry| entry.text(sink))
        .filter(|issuer| scope.issuers.check(issuer, sink));
    let sub = fields.need("sub", sink).and_then(|entry| entry.text(sink));
    let mut claims = BTreeMap::new();
    let entries = fields.get("claims").and_then(|entry| entry.some_entries(sink));
    for claim in entries.unwrap_or_default() {
        let name = claim.name("a claim", sink);
        let value = json(&claim.value, &claim.what(), sink);
        if let (Some(name), Some(value)) = (name, value) {
            if FILLED_IN.contains(&name.value.as_str()) {
                let help = "what every token has is filled in from the issuer and `sub`";
                sink.push(malformed("the name of a claim", &name, help));
                continue;
            }
            claims.insert(name.value, value);
        }
    }
    Some(TestToken { issuer: issuer?.value, sub: sub?.value, claims })
}

/// Any value, as JSON. `NO` and the like have to be quoted here too.
pub(super) fn json(node: &Node, what: &str, sink: &mut Sink) -> Option<serde_json::Value> {
    match &node.content {
        Content::Refused => None,
        Content::Sequence(items) => items
            .iter()
            .map(|item| json(item, what, sink))
            .collect::<Option<Vec<_>>>()
            .map(Into::into),
        Content::Mapping(entries) => entries
            .iter()
            .map(|entry| Some((entry.key.value.clone(), json(&entry.value, &entry.what(), sink)?)))
            .collect::<Option<serde_json::Map<_, _>>>()
            .map(Into::into),
        Content::Scalar(scalar) => match (scalar.reading(), scalar.text.as_str()) {
            (Reading::Boolean, "true") => Some(true.into()),
            (Reading::Boolean, "false") => Some(false.into()),
            (Reading::Nothing, "null") => Some(serde_json::Value::Null),
            (Reading::Number, text) if serde_json::from_str::<serde_json::Number>(text).is_ok() => {
                serde_json::from_str(text).ok()
            }
            _ => node.any_text(what, sink).map(|text| text.value.into()),
        },
    }
}

/// Why a caller cannot send a request to a proxy of this role and region.
pub(super) fn misfit(caller: Option<&TestCaller>, role: Role, region: &str) -> Option<Misfit> {
    let certificate = caller.and_then(|caller| caller.certificate.as_ref());
    let said = match (role, certificate) {
        (Role::Edge | Role::Outbound, None)
        | (Role::Peer | Role::Inbound, Some(TestCertificate::Workload(_))) => return None,
        (Role::Edge | Role::Outbound, Some(_)) => "asks nobody for a certificate",
        (Role::Peer, Some(TestCertificate::Peer { region: peer, .. })) if peer != region => {
            return None;
        }
        (Role::Peer, _) => "is for the `peer` of another region, or a `workload`",
        (Role::Inbound, Some(TestCertificate::Gateway { region: gateway, .. }))
            if gateway == region =>
        {
            return None;
        }
        (Role::Inbound, _) => "is for the `gateway` of its own region, or a `workload`",
    };
    Some(Misfit { role, region: region.to_owned(), said })
}

/// A caller at the wrong door.
#[derive(Debug)]
pub(super) struct Misfit {
    role: Role,
    region: String,
    said: &'static str,
}

impl Misfit {
    /// The problem, for the caller with this name.
    pub(super) fn at(&self, caller: Option<&TestCaller>, place: Span) -> Diagnostic {
        let Self { role, region, said } = self;
        let name = caller.map_or(ANONYMOUS, |caller| caller.name.as_str());
        let message = format!(
            "{} cannot come by the role {} of {}",
            quote(name),
            quote(role.as_str()),
            quote(region)
        );
        Diagnostic::error(codes::CALLER_ROLE, message)
            .at(place)
            .help(format!("the role {} {said}", quote(role.as_str())))
    }
}

/// The caller without credentials.
pub(super) const ANONYMOUS: &str = "anonymous";

/// Refuses a caller that is called like the one without credentials.
pub(super) fn check_name(name: &Spanned<String>, sink: &mut Sink) {
    if name.value == ANONYMOUS {
        let help = "`anonymous` is the caller without credentials";
        sink.push(malformed("the name of a caller", name, help));
    }
}
