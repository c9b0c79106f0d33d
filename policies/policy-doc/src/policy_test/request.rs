//! The requests and callers of a test.

use super::caller::{self, ANONYMOUS};
use super::expect::boolean;
use super::extends::{Extends, Named, chain, find, unknown};
use super::{TestCaller, TestCarried, TestRequest, carried};
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::fields::{Fields, Shape};
use crate::scope::Scope;
use crate::value::{is_header_value, is_host, is_token, malformed, malformed_at};
use crate::yaml::{Content, Entry, Node};
use std::collections::BTreeMap;

const REQUEST: Shape = Shape {
    what: "a request",
    keys: &["extends", "method", "path", "host", "headers", "read", "seen", "body", "http2"],
    later: &["trailers"],
};

/// Headers of a connection; with HTTP/2 there are none.
const OF_HTTP_1: [&str; 4] = ["connection", "keep-alive", "proxy-connection", "upgrade"];

/// A request as written, before what it extends is filled in.
#[derive(Debug)]
pub(super) struct RawRequest {
    extends: Option<Spanned<String>>,
    method: Option<String>,
    path: Option<String>,
    host: Option<String>,
    headers: Vec<(String, Vec<String>)>,
    carried: TestCarried,
    body: Option<String>,
    http2: Option<bool>,
    at: Span,
}

impl Extends for RawRequest {
    const WHAT: &'static str = "request";

    fn base(&self) -> Option<&Spanned<String>> {
        self.extends.as_ref()
    }
}

/// Who sends a request.
#[derive(Debug, Clone)]
pub(super) enum Who {
    Anonymous,
    Known(Box<TestCaller>),
}

impl Who {
    /// The caller, if anybody is known.
    pub(super) fn caller(self) -> Option<TestCaller> {
        match self {
            Self::Anonymous => None,
            Self::Known(caller) => Some(*caller),
        }
    }
}

/// What a test calls its requests and callers.
#[derive(Debug, Default)]
pub(super) struct Cast {
    pub(super) callers: BTreeMap<String, Option<TestCaller>>,
    pub(super) requests: Named<RawRequest>,
}

impl Cast {
    /// Reads `callers` and `requests`.
    pub(super) fn decode(fields: &Fields<'_>, scope: &Scope, sink: &mut Sink) -> Self {
        let mut cast = Self::default();
        let callers = fields.get("callers").and_then(|entry| entry.some_entries(sink));
        for item in callers.unwrap_or_default() {
            let name = item.identifier_key("a caller", sink);
            let caller = caller::decode(item, scope, sink);
            let Some(name) = name else { continue };
            caller::check_name(&name, sink);
            cast.callers.insert(name.value, caller);
        }
        let requests = fields.get("requests").and_then(|entry| entry.some_entries(sink));
        for item in requests.unwrap_or_default() {
            let name = item.identifier_key("a request", sink);
            let request = raw(&item.value, item.key.span, scope, sink);
            if let (Some(name), Some(request)) = (name, request) {
                cast.requests.insert(name.value, request);
            }
        }
        // Each is looked at, used or not.
        for (name, request) in &cast.requests {
            finish(request, Some(name), &cast.requests, scope, sink);
        }
        cast
    }

    /// The caller that a key names.
    pub(super) fn caller(&self, entry: &Entry, sink: &mut Sink) -> Option<Who> {
        if matches!(entry.value.content, Content::Mapping(_)) {
            let message = "`caller` has to be the name of one of `callers`, not a mapping";
            sink.push(Diagnostic::error(codes::SHAPE, message).at(entry.value.span));
            return None;
        }
        self.caller_named(&entry.text(sink)?, sink)
    }

    /// The caller with this name.
    pub(super) fn caller_named(&self, name: &Spanned<String>, sink: &mut Sink) -> Option<Who> {
        if name.value == ANONYMOUS {
            return Some(Who::Anonymous);
        }
        let found = self.callers.get(&name.value);
        if found.is_none() {
            unknown("caller", name, self.callers.keys(), sink);
        }
        found?.clone().map(Box::new).map(Who::Known)
    }

    /// The request that a key names or writes out.
    pub(super) fn request(
        &self,
        entry: &Entry,
        scope: &Scope,
        sink: &mut Sink,
    ) -> Option<TestRequest> {
        if matches!(entry.value.content, Content::Mapping(_)) {
            let request = raw(&entry.value, entry.key.span, scope, sink)?;
            return finish(&request, None, &self.requests, scope, sink);
        }
        self.request_named(&entry.text(sink)?, scope, sink)
    }

    /// The request with this name.
    pub(super) fn request_named(
        &self,
        name: &Spanned<String>,
        scope: &Scope,
        sink: &mut Sink,
    ) -> Option<TestRequest> {
        let request = find(name, &self.requests, sink)?;
        if path(request, Some(&name.value), &self.requests).is_none() {
            let message = format!("the request {} lacks the key `path`", quote(&name.value));
            sink.push(
                Diagnostic::error(codes::MISSING_KEY, message)
                    .at(name.span)
                    .help("it may be extended, but not sent as it is"),
            );
        }
        // What is wrong with it has been reported where it is declared.
        finish(request, Some(&name.value), &self.requests, scope, &mut Sink::default())
    }
}

fn raw(node: &Node, at: Span, scope: &Scope, sink: &mut Sink) -> Option<RawRequest> {
    let fields = Fields::open_at(node, at, &REQUEST, sink)?;
    let method = fields.get("method").and_then(|entry| entry.text(sink));
    if let Some(method) = &method
        && !(method.value.len() <= 16 && method.value.bytes().all(|byte| byte.is_ascii_uppercase()))
    {
        sink.push(malformed("`method`", method, "methods are upper-case letters, such as `POST`"));
    }
    let path = fields.get("path").and_then(|entry| entry.text(sink));
    if let Some(path) = &path
        && !(path.value.starts_with('/') && path.value.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        let help = "a path begins with `/` and is sent as written: printable ASCII without spaces";
        sink.push(malformed("`path`", path, help));
    }
    let host = fields.get("host").and_then(|entry| entry.text(sink));
    if let Some(host) = &host {
        let name = host.value.split_once(':').map_or(host.value.as_str(), |(name, _)| name);
        if !is_host(name) {
            sink.push(malformed("`host`", host, "a host is a name such as `api.example.com`"));
        }
    }
    let headers = fields.get("headers").map(|entry| headers(entry, sink)).unwrap_or_default();
    let body = fields.get("body").and_then(|entry| entry.value.any_text(&entry.what(), sink));
    Some(RawRequest {
        extends: fields.get("extends").and_then(|entry| entry.text(sink)),
        method: method.map(|text| text.value),
        path: path.map(|text| text.value),
        host: host.map(|text| text.value),
        headers,
        carried: carried::decode(&fields, scope, sink),
        body: body.map(|text| text.value),
        http2: fields.get("http2").and_then(|entry| boolean(entry, sink)),
        at,
    })
}

fn headers(entry: &Entry, sink: &mut Sink) -> Vec<(String, Vec<String>)> {
    let mut headers: Vec<(String, Vec<String>)> = Vec::new();
    for item in entry.some_entries(sink).unwrap_or_default() {
        let Some(name) = header_name(item, sink) else { continue };
        let what = item.what();
        let values: Vec<Spanned<String>> = match &item.value.content {
            Content::Sequence(_) => item
                .items(sink)
                .unwrap_or_default()
                .iter()
                .filter_map(|value| value.any_text(&what, sink))
                .collect(),
            _ => item.value.any_text(&what, sink).into_iter().collect(),
        };
        for value in &values {
            if !is_header_value(&value.value) {
                sink.push(malformed(&what, value, "header values are printable ASCII"));
            } else if name == "connection" && !value.value.eq_ignore_ascii_case("upgrade") {
                let help =
                    "the connection is the engine's; a request may only ask for its `Upgrade`";
                sink.push(malformed(&what, value, help));
            }
        }
        headers.push((name, values.into_iter().map(|value| value.value).collect()));
    }
    headers
}

/// The name of a header, in lower case.
pub(super) fn header_name(item: &Entry, sink: &mut Sink) -> Option<String> {
    let name = item.name("a header", sink)?;
    let lower = name.value.to_ascii_lowercase();
    if !is_token(&lower) {
        sink.push(malformed("the name of a header", &name, "use letters, digits and `-`"));
        return None;
    }
    if matches!(lower.as_str(), "host" | "content-length" | "transfer-encoding") {
        let help = "the host is said by `host`, and the length is that of `body`";
        sink.push(malformed_at("the name of a header", &name.value, name.span, help));
        return None;
    }
    Some(lower)
}

/// A request with everything that it extends filled in.
fn finish(
    request: &RawRequest,
    name: Option<&str>,
    all: &Named<RawRequest>,
    scope: &Scope,
    sink: &mut Sink,
) -> Option<TestRequest> {
    let mut method = None;
    let mut path = None;
    let mut host = None;
    let mut body = None;
    let mut http2 = None;
    let mut carried = TestCarried::default();
    let mut headers: Vec<(String, String)> = Vec::new();
    for layer in chain(request, name, all, sink)? {
        method = layer.method.as_ref().or(method);
        path = layer.path.as_ref().or(path);
        host = layer.host.as_ref().or(host);
        body = layer.body.as_ref().or(body);
        http2 = layer.http2.or(http2);
        carried.read = layer.carried.read.clone().or(carried.read);
        carried.seen = layer.carried.seen.clone().or(carried.seen);
        for (name, values) in &layer.headers {
            headers.retain(|(known, _)| known != name);
            headers.extend(values.iter().map(|value| (name.clone(), value.clone())));
        }
    }
    // A named one may be a part of others; whoever sends it as it is hears of it there.
    if path.is_none() && name.is_none() {
        let message = "a request lacks the key `path`";
        sink.push(Diagnostic::error(codes::MISSING_KEY, message).at(request.at));
    }
    let http2 = http2.unwrap_or_default();
    let of_http_1 = |(name, _): &&(String, String)| OF_HTTP_1.contains(&name.as_str());
    if let Some((name, _)) = headers.iter().find(of_http_1).filter(|_| http2) {
        let message = format!("a request with HTTP/2 has no header `{name}`");
        sink.push(Diagnostic::error(codes::EXCLUSIVE, message).at(request.at));
    }
    Some(TestRequest {
        method: method.map_or_else(|| "GET".to_owned(), Clone::clone),
        path: path?.clone(),
        host: host.map_or_else(|| scope.host.clone(), Clone::clone),
        headers,
        carried,
        body: body.cloned().unwrap_or_default(),
        http2,
    })
}

/// The path of a request, its own or one that it extends.
fn path<'a>(
    request: &'a RawRequest,
    name: Option<&str>,
    all: &'a Named<RawRequest>,
) -> Option<&'a String> {
    // What is wrong with the chain is reported where it is declared.
    let layers = chain(request, name, all, &mut Sink::default()).unwrap_or_default();
    layers.into_iter().rev().find_map(|layer| layer.path.as_ref())
}
