//! What holds whatever comes: of every request, at every attachment.

use crate::script::Exchange;
use policy_core::name::{HEADER_DECISION, HEADER_PREFIX, HEADER_ROUTE, PROPERTY_DECISION};
use policy_core::{Reason, Role, Verdict};
use serde_json::Value as Json;
use wasm_host::{Ended, Headers, Outcome, UPSTREAM};

/// What of a request is held against what came of it.
pub(crate) struct Exchanged<'e> {
    pub(crate) exchange: &'e Exchange,
    pub(crate) role: Role,
    pub(crate) region: &'e str,
    /// Of what passed, or was shed, not everything need be recorded.
    pub(crate) is_sampled: bool,
}

/// Headers of the mesh that a guard writes or lets pass on a request.
const ON_REQUESTS: [&str; 16] = [
    "route",
    "via",
    "subject",
    "fence",
    "epoch",
    "consistency",
    "origin",
    "version",
    "unsynced",
    "deadline-ms",
    "degrade",
    "sig",
    "base",
    "vv",
    "conflict",
    "merge",
];
/// And on a response; of the last six an upstream has its word.
const ON_RESPONSES: [&str; 10] = [
    "decision",
    "reason",
    "processed",
    "redacted",
    "current",
    "vv",
    "conflict",
    "acks",
    "data-class",
    "load",
];

/// Checks every promise.
///
/// # Errors
/// The first that was broken, with what was seen.
pub(crate) fn keep(outcome: &Outcome, sent: &Exchanged<'_>) -> Result<(), String> {
    let kept = no_trap(outcome)
        .and_then(|()| ended(outcome, sent))
        .and_then(|()| answered(outcome, sent))
        .and_then(|()| passed_on(outcome, sent))
        .and_then(|()| told_the_client(outcome))
        .and_then(|()| redacted(outcome, sent))
        .and_then(|()| recorded(outcome, sent));
    kept.map_err(|broken| format!("{broken}\n{}", shown(outcome)))
}

/// What came of a request, for who looks into it.
pub(crate) fn shown(outcome: &Outcome) -> String {
    let Outcome { ended, status, local_reply, flags, cluster, headers, upstream, .. } = outcome;
    let record = outcome.property(PROPERTY_DECISION).and_then(|value| value.serialize().ok());
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let calls: Vec<String> = outcome.trace.hostcalls.iter().map(ToString::to_string).collect();
    format!(
        "{ended:?}, {status}, local reply {local_reply:?}, flags {flags:#x}, cluster {cluster:?}\n\
         response {headers:?}\nbody {:?}\nupstream {:?}\nrecord {}\ncalls\n  {}",
        outcome.text(),
        upstream.as_ref().map(|sent| (&sent.headers, &sent.trailers)),
        record.map(text).unwrap_or_default(),
        calls.join("\n  "),
    )
}

fn no_trap(outcome: &Outcome) -> Result<(), String> {
    let trap = outcome.trace.traps().next().and_then(|callback| callback.trap.as_ref());
    trap.map_or(Ok(()), |trap| Err(format!("a trap: {trap}")))
}

fn ended(outcome: &Outcome, sent: &Exchanged<'_>) -> Result<(), String> {
    let may_break = sent.exchange.failure == Some(crate::script::Missing::Cut);
    let is_ended = match outcome.ended {
        Ended::Complete => true,
        Ended::Reset => may_break || is_cut_unredacted(outcome),
        Ended::Hung => false,
    };
    if is_ended { Ok(()) } else { Err(format!("the request is {:?}", outcome.ended)) }
}

/// The reason of the guard's own answer, if it gave one.
pub(crate) fn refused(outcome: &Outcome) -> Option<Reason> {
    outcome.local_reply.as_deref().and_then(Reason::parse)
}

/// An answer of the guard is one of the contract's, and no upstream has seen the request, unless it
/// stands in the place of what the upstream said.
fn answered(outcome: &Outcome, sent: &Exchanged<'_>) -> Result<(), String> {
    let Some(reason) = refused(outcome) else {
        // What the proxy itself answers it does after the guard let it pass.
        let is_passed = outcome.upstream.is_some() || outcome.local_reply.is_some();
        return if is_passed { Ok(()) } else { Err("neither passed nor refused".into()) };
    };
    if reason.verdict().is_pass() {
        return Err(format!("refused for `{reason}`"));
    }
    let grpc = outcome
        .header("grpc-status")
        .or_else(|| outcome.trailers.as_ref().and_then(|trailers| trailers.text("grpc-status")));
    let own = [reason.status()].into_iter();
    let statuses: Vec<u16> = match reason {
        Reason::Unmatched => own.chain([404, 403]).collect(),
        Reason::ShedGuard | Reason::ShedThreshold | Reason::ShedRetry => {
            own.chain([503, 429]).collect()
        }
        // A refusal between regions, in the words of the one that chose the region.
        reason if reason.is_between_regions() => own.chain([503]).collect(),
        _ => own.collect(),
    };
    let is_right = match grpc {
        Some(_) => outcome.status == 200,
        None => statuses.contains(&outcome.status),
    };
    if !is_right {
        return Err(format!("`{reason}` with the status {}", outcome.status));
    }
    if outcome.header("x-meshfence-reason").as_deref() != Some(reason.as_str()) {
        return Err(format!("`{reason}` without its reason"));
    }
    if outcome.header(HEADER_DECISION).is_none() {
        return Err(format!("`{reason}` without the id of its record"));
    }
    // Envoy joins two types of a body into one, which is not gRPC; here they are two.
    let mut types = sent.exchange.headers.all("content-type");
    let may_be_text =
        outcome.body.is_empty() || types.any(|kind| kind.starts_with(b"application/grpc"));
    if !may_be_text && serde_json::from_slice::<Json>(&outcome.body).is_err() {
        return Err("a body that is no JSON".into());
    }
    let has_failed = sent.exchange.failure.is_some();
    let has_refused = sent.exchange.response.get("x-meshfence-reason").is_some();
    // Flags are what Envoy says of the response; a script may say them too.
    let has_flags = sent.exchange.attributes.iter().any(|(path, _)| {
        path.first().is_some_and(|first| first == "response" || first == "upstream")
    });
    // Trailers come when the rest has gone on; then nobody says that it was not seen.
    let by_trailers = sent.exchange.trailers.is_some() && reason == Reason::HostFailure;
    if by_trailers && outcome.upstream.is_some() {
        let says_so = outcome.header("x-meshfence-processed").is_some();
        return if says_so { Err("an upstream saw it".into()) } else { Ok(()) };
    }
    let is_late = reason == Reason::RedactionImpossible;
    if outcome.upstream.is_some() && !(is_late || has_failed || has_refused || has_flags) {
        return Err(format!("`{reason}` after the upstream saw it and answered"));
    }
    Ok(())
}

/// What goes on carries of the mesh what a guard writes, each thing once, and goes where that says.
fn passed_on(outcome: &Outcome, sent: &Exchanged<'_>) -> Result<(), String> {
    let Some(upstream) = &outcome.upstream else { return Ok(()) };
    let trailers = upstream.trailers.iter().flat_map(Headers::iter);
    let reserved = |name: &str| name.replace('_', "-").starts_with(HEADER_PREFIX);
    if let Some((name, _)) = trailers.into_iter().find(|(name, _)| reserved(name)) {
        return Err(format!("a trailer `{name}` goes on"));
    }
    for (name, value) in upstream.headers.iter().filter(|(name, _)| reserved(name)) {
        let is_known =
            name.strip_prefix(HEADER_PREFIX).is_some_and(|rest| ON_REQUESTS.contains(&rest));
        if !is_known {
            return Err(format!("`{name}` goes on"));
        }
        if upstream.headers.all(name).count() > 1 {
            return Err(format!("`{name}` goes on twice"));
        }
        let is_printable = value.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        if !is_printable || value.is_empty() {
            return Err(format!("`{name}` goes on with {value:?}"));
        }
    }
    for (name, value) in upstream.headers.iter() {
        let is_override = matches!(
            name.replace('_', "-").as_str(),
            "x-http-method-override"
                | "x-http-method"
                | "x-method-override"
                | "x-original-method"
                | "x-original-url"
                | "x-rewrite-url"
        );
        if is_override {
            return Err(format!("`{name}: {value:?}` goes on"));
        }
    }
    let route = upstream.headers.text(HEADER_ROUTE);
    let there = if upstream.cluster == UPSTREAM { None } else { Some(upstream.cluster.clone()) };
    if route != there || route.as_deref() == Some(sent.region) {
        return Err(format!("the route is {route:?}"));
    }
    if route.is_some() && !sent.role.routes() {
        return Err("who receives chose a region".into());
    }
    Ok(())
}

/// Of the mesh's words a client gets those that are for it.
fn told_the_client(outcome: &Outcome) -> Result<(), String> {
    // Of a response with more headers than the guard reads (1024) it takes only what it would say
    // itself; rendered listeners stop at 100.
    const MOST_HEADERS: usize = 1000;
    if outcome.headers.len() > MOST_HEADERS {
        return Ok(());
    }
    let ours = outcome.headers.iter().filter_map(|(name, _)| name.strip_prefix(HEADER_PREFIX));
    for name in ours {
        if !ON_RESPONSES.contains(&name) {
            return Err(format!("the client is told `{HEADER_PREFIX}{name}`"));
        }
    }
    Ok(())
}

fn record(outcome: &Outcome) -> Json {
    let record = outcome.property(PROPERTY_DECISION).and_then(|value| value.serialize().ok());
    record.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

/// Whether a response was cut off behind its headers because it could not be redacted.
fn is_cut_unredacted(outcome: &Outcome) -> bool {
    let record = record(outcome);
    let reason = record.pointer("/outcome/reason").and_then(Json::as_str);
    outcome.ended == Ended::Reset && reason == Some(Reason::RedactionImpossible.as_str())
}

/// What leaves of a response that has to be redacted is JSON without what the profile of
/// [`crate::setting::Setting::redacting`] takes.
fn redacted(outcome: &Outcome, sent: &Exchanged<'_>) -> Result<(), String> {
    if is_cut_unredacted(outcome) {
        let is_empty = outcome.body.is_empty() && outcome.trailers.is_none();
        return if is_empty { Ok(()) } else { Err("something of it has left".into()) };
    }
    let record = record(outcome);
    let is_due = record.get("verdict").and_then(Json::as_str) == Some(Verdict::Redact.as_str());
    // A script may put another guard behind the response, which has redacted it.
    let is_by_another = sent.exchange.attributes.iter().any(|(path, _)| {
        path.first().is_some_and(|first| first == "upstream" || first == "response")
    });
    if !is_due || is_by_another || outcome.body.is_empty() || outcome.local_reply.is_some() {
        return Ok(());
    }
    let body: Json = match serde_json::from_slice(&outcome.body) {
        Ok(body) => body,
        // Numbers leave as they came; a larger one than this process can hold is JSON all the same.
        Err(error) if error.to_string().starts_with("number out of range") => return Ok(()),
        Err(error) => return Err(format!("what was redacted is no JSON: {error}")),
    };
    let is_masked = body.get("email").is_none_or(|email| email == "***");
    let trailers = outcome.trailers.iter().flat_map(Headers::iter);
    let mut fields = outcome.headers.iter().chain(trailers);
    if !is_masked || has_phone(&body) {
        return Err("a redacted value is left".into());
    }
    let is_left = fields.any(|(name, _)| name.starts_with("x-user-") || name == "content-length");
    if is_left { Err("a redacted header is left".into()) } else { Ok(()) }
}

fn has_phone(value: &Json) -> bool {
    match value {
        Json::Object(members) => members.contains_key("phone") || members.values().any(has_phone),
        Json::Array(items) => items.iter().any(has_phone),
        _ => false,
    }
}

/// Every request has a record, which says what was done and holds no bytes of the client.
fn recorded(outcome: &Outcome, sent: &Exchanged<'_>) -> Result<(), String> {
    let bytes = outcome.property(PROPERTY_DECISION).and_then(|value| value.serialize().ok());
    let is_plain = refused(outcome).is_none_or(|reason| reason.verdict() == Verdict::Shed);
    let Some(bytes) = bytes else {
        let may_lack = sent.is_sampled && is_plain;
        return if may_lack { Ok(()) } else { Err("there is no record".into()) };
    };
    if !bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return Err("the record is not printable".into());
    }
    let record: Json =
        serde_json::from_slice(&bytes).map_err(|error| format!("the record: {error}"))?;
    let word = |value: &Json, key: &str| value.get(key).and_then(Json::as_str).map(str::to_owned);
    let reason = word(&record, "reason").and_then(|reason| Reason::parse(&reason));
    let verdict = word(&record, "verdict").and_then(|verdict| Verdict::parse(&verdict));
    let (Some(reason), Some(verdict)) = (reason, verdict) else {
        return Err("the record does not say what was decided".into());
    };
    if reason.verdict() != verdict {
        return Err(format!("the record says {verdict} for `{reason}`"));
    }
    // The proxy may have its reasons not to send what has passed.
    let is_of_the_proxy = outcome.local_reply.is_some() && refused(outcome).is_none();
    let is_passed = outcome.upstream.is_some() || outcome.flags != 0 || is_of_the_proxy;
    if is_passed != verdict.is_pass() {
        return Err(format!("the record says {verdict}"));
    }
    Ok(())
}
