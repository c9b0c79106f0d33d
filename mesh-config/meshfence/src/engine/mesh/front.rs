//! What Envoy's connection manager and `jwt_authn` do with a request before the guard sees it, as
//! the rendered listeners set them up, and its router with a request that the guard let pass.

use super::message::{Headers, Request, Response, first, is_grpc};
use crate::engine::Sent;
use policy_core::Role;
use std::fmt::Write as _;

/// The methods that Envoy's HTTP/1 parser takes. CONNECT is missing: Envoy takes it with a host and
/// a port only, and the path of a test begins with a slash.
const METHODS: [&str; 32] = [
    "ACL",
    "BIND",
    "CHECKOUT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "MSEARCH",
    "NOTIFY",
    "OPTIONS",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SOURCE",
    "SUBSCRIBE",
    "TRACE",
    "UNBIND",
    "UNLINK",
    "UNLOCK",
];

/// Headers of which Envoy keeps one value, joined by commas.
const JOINED: [&str; 15] = [
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-type",
    "expect",
    "grpc-timeout",
    "origin",
    "te",
    "upgrade",
    "user-agent",
    "via",
];

/// Headers about the connection of whoever sent them. A certificate that a client only tells of is
/// taken from it too.
const OF_THE_CONNECTION: [&str; 3] = ["keep-alive", "proxy-connection", "x-forwarded-client-cert"];

/// Headers to Envoy itself, which it takes from everybody who is not internal, and nobody is.
const FROM_INSIDE: [&str; 15] = [
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-force-trace",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-ip-tags",
    "x-envoy-max-retries",
    "x-envoy-original-url",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
];
/// The same, where it knows that the client is at the edge of the mesh.
const FROM_A_HOP_BEFORE: [&str; 4] = [
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-original-path",
];

/// The one upgrade that the rendered listeners take.
const UPGRADE: &[u8] = b"websocket";

/// What a token is written as here. Three parts, as Envoy wants them; nobody verifies it.
pub(super) const TOKEN: &str = "verified.by.construction";

/// A request as the filters of its first listener see it, or what Envoy answers.
pub(super) fn accept(
    sent: &Sent,
    own: &[(String, String)],
    role: Role,
) -> Result<Request, Response> {
    let is_known = METHODS.contains(&sent.method.as_str());
    if !is_known || sent.headers.iter().any(|(name, _)| name.contains('_')) {
        return Err(Response::of_envoy(400, false, "Bad Request"));
    }
    let mut headers: Headers = Vec::new();
    let mut put = |name: &str, value: &[u8]| {
        let known = headers.iter_mut().find(|(known, _)| known == name);
        match known.filter(|_| JOINED.contains(&name)) {
            Some((_, values)) => {
                if !values.is_empty() && !value.is_empty() {
                    values.push(b',');
                }
                values.extend(value);
            }
            None => headers.push((name.to_owned(), value.to_vec())),
        }
    };
    put(":method", sent.method.as_bytes());
    put(":authority", sent.host.as_bytes());
    put(":scheme", if matches!(role, Role::Peer | Role::Inbound) { b"https" } else { b"http" });
    if sent.token.is_some() {
        put("authorization", format!("Bearer {TOKEN}").as_bytes());
    }
    for (name, value) in own.iter().chain(&sent.headers) {
        put(name, value.trim().as_bytes());
    }
    headers.retain(|(name, _)| {
        let is_edge = role == Role::Edge && FROM_A_HOP_BEFORE.contains(&name.as_str());
        let of_connection = OF_THE_CONNECTION.contains(&name.as_str());
        !is_edge && !of_connection && !FROM_INSIDE.contains(&name.as_str())
    });
    // Envoy answers this itself.
    headers
        .retain(|(name, value)| name != "expect" || !value.eq_ignore_ascii_case(b"100-continue"));
    let mut upgrade = first(&headers, "upgrade")
        .filter(|_| first(&headers, "connection").is_some_and(names_upgrade))
        .map(<[u8]>::to_ascii_lowercase);
    // Nobody becomes HTTP/2 this way: the request goes on as any other.
    if upgrade.as_deref() == Some(b"h2c") {
        headers.retain(|(name, _)| name != "http2-settings");
        upgrade = None;
    }
    if upgrade.is_none() {
        headers.retain(|(name, _)| !matches!(name.as_str(), "upgrade" | "connection"));
        headers.retain(|(name, value)| name != "te" || names_trailers(value));
        // Of what a client says of transfer codings only this is passed on.
        for (_, value) in headers.iter_mut().filter(|(name, _)| name == "te") {
            *value = b"trailers".to_vec();
        }
    }
    let Some(path) = canonical(&sent.path) else {
        return Err(Response::of_envoy(400, is_grpc(&headers), ""));
    };
    if upgrade.is_some_and(|upgrade| upgrade != UPGRADE) {
        return Err(Response::of_envoy(403, is_grpc(&headers), ""));
    }
    headers.push((":path".to_owned(), path.into_bytes()));
    Ok(Request { headers, body: sent.body.clone().into_bytes() })
}

/// A request as the router passes it on: without what it reads itself.
pub(super) fn routed(mut request: Request) -> Request {
    request.headers.retain(|(name, _)| name != guard::header::ENVOY_MAX_RETRIES);
    request
}

fn names_upgrade(connection: &[u8]) -> bool {
    connection
        .split(|byte| *byte == b',')
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

fn names_trailers(te: &[u8]) -> bool {
    te.split(|byte| *byte == b',').any(|part| part.trim_ascii() == b"trailers")
}

/// What `jwt_authn` makes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// There is none, or none is asked for.
    Absent,
    /// It is the caller's.
    Verified,
    /// Answered: nobody can verify it.
    Refused(Response),
}

/// Looks for a token. Health paths are answered whatever comes with them.
pub(super) fn verify(headers: &Headers, health_paths: &[String]) -> Token {
    let path = first(headers, ":path").unwrap_or_default();
    let bare = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    if health_paths.iter().any(|health| health.as_bytes() == bare) {
        return Token::Absent;
    }
    let Some(value) = first(headers, "authorization") else { return Token::Absent };
    let value = String::from_utf8_lossy(value);
    let Some((_, rest)) = value.split_once("Bearer ") else { return Token::Absent };
    // All of what follows has to be one.
    if rest.trim() == TOKEN {
        return Token::Verified;
    }
    let mut refused = Response::of_envoy(401, is_grpc(headers), "Jwt verification fails");
    let part =
        |name: &str| String::from_utf8_lossy(first(headers, name).unwrap_or_default()).into_owned();
    let realm = format!("{}://{}{}", part(":scheme"), part(":authority"), part(":path"));
    let challenge = format!("Bearer realm=\"{realm}\", error=\"invalid_token\"");
    refused.headers.push(("www-authenticate".to_owned(), challenge.into_bytes()));
    Token::Refused(refused)
}

/// A target in the form that the connection manager gives it: dot segments and doubled slashes
/// gone, needless escapes undone. None of one that it refuses.
fn canonical(target: &str) -> Option<String> {
    if target.contains('#') {
        return None;
    }
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let lower = path.to_ascii_lowercase();
    if lower.contains("%2f") || lower.contains("%5c") || lower.contains("%00") {
        return None;
    }
    let path = unescaped(path).replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    for (number, part) in parts.iter().enumerate() {
        let is_last = number.checked_add(1) == Some(parts.len());
        match *part {
            ".." => {
                segments.pop();
                if is_last {
                    segments.push("");
                }
            }
            "." if is_last => segments.push(""),
            "." => {}
            other => segments.push(other),
        }
    }
    let mut path = format!("/{}", segments.join("/"));
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    Some(match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    })
}

/// A path with escapes only where they are needed, as the URL library writes it.
fn unescaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(letter) = rest.chars().next() {
        let (_, after) = rest.split_at(letter.len_utf8());
        rest = after;
        let escaped = after.get(..2).filter(|_| letter == '%');
        let decoded =
            escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(char::from);
        match decoded {
            Some(plain) if plain.is_ascii_alphanumeric() || "-._~".contains(plain) => {
                out.push(plain);
                rest = after.get(2..).unwrap_or_default();
            }
            _ if "\"<>^`{|}".contains(letter) => {
                // Writing into a String cannot fail.
                let _ = write!(out, "%{:02X}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_doc::OwnCredentials;

    #[test]
    fn paths_are_as_envoy_hands_them_over() {
        for (target, expected) in [
            ("/", Some("/")),
            ("/a/b", Some("/a/b")),
            ("//a///b", Some("/a/b")),
            ("/a/../b", Some("/b")),
            ("/a/./b/.", Some("/a/b/")),
            ("/a/b/..", Some("/a/")),
            ("/../..", Some("/")),
            ("/%2e%2E/a", Some("/a")),
            ("/a\\b", Some("/a/b")),
            ("/%6frders/%7B", Some("/orders/%7B")),
            ("/{a}", Some("/%7Ba%7D")),
            ("/a^b|c", Some("/a%5Eb%7Cc")),
            ("/\"<>`", Some("/%22%3C%3E%60")),
            ("/%5e%7C", Some("/%5e%7C")),
            ("/!$&'()*+,=:@[]", Some("/!$&'()*+,=:@[]")),
            ("/a?^|{}", Some("/a?^|{}")),
            ("/a%2fb", None),
            ("/a%5Cb", None),
            ("/a#b", None),
            ("/a%00", None),
            ("/a%zz;b", Some("/a%zz;b")),
            ("/a?x=/../%2f", Some("/a?x=/../%2f")),
        ] {
            assert_eq!(canonical(target).as_deref(), expected, "{target}");
        }
    }

    fn sent(method: &str, headers: &[(&str, &str)]) -> Sent {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Sent {
            method: method.into(),
            path: "/a".into(),
            host: "h".into(),
            headers: headers.collect(),
            body: String::new(),
            http2: false,
            certificate: None,
            token: None,
            own: OwnCredentials::default(),
            carried: policy_doc::TestCarried::default(),
            caller: None,
        }
    }

    #[test]
    fn headers_are_as_envoy_hands_them_over() {
        let grpc = ("content-type", "application/grpc");
        let asks = ("connection", "Upgrade");
        for (headers, expected) in [
            (&[("keep-alive", "timeout=5"), ("proxy-connection", "keep-alive")][..], &[][..]),
            (&[("x-forwarded-client-cert", "URI=spiffe://a")], &[]),
            (&[("expect", "100-Continue")], &[]),
            (&[("expect", "more")], &["expect: more"]),
            (&[("accept", "a"), ("accept", "b")], &["accept: a,b"]),
            (&[("accept", ""), ("accept", "a"), ("accept", "")], &["accept: a"]),
            (&[("x-a", ""), ("x-a", "a")], &["x-a: ", "x-a: a"]),
            (&[("authorization", "Basic a"), ("authorization", "")], &["authorization: Basic a"]),
            (&[("te", "trailers")], &["te: trailers"]),
            (&[("te", "gzip, trailers")], &["te: trailers"]),
            (&[("te", "gzip"), ("te", "Trailers")], &[]),
            (&[("upgrade", "websocket")], &[]),
            (&[("upgrade", "x")], &[]),
            (&[asks], &[]),
            (&[asks, ("upgrade", "websocket")], &["connection: Upgrade", "upgrade: websocket"]),
            (&[asks, ("upgrade", "h2c"), ("http2-settings", "AAM")], &[]),
            (&[asks, ("upgrade", "H2C"), ("te", "gzip"), ("x-a", "a")], &["x-a: a"]),
            (&[("http2-settings", "AAM")], &["http2-settings: AAM"]),
            (&[asks, ("upgrade", "x")], &["403"]),
            (&[asks, ("upgrade", "websocket"), ("upgrade", "x")], &["403"]),
            (&[asks, ("upgrade", "h2c, websocket")], &["403"]),
            (&[asks, ("upgrade", "x"), grpc], &["200"]),
            (&[("a_b", "c")], &["400"]),
        ] {
            let seen = match accept(&sent("GET", headers), &[], Role::Edge) {
                Ok(request) => {
                    let own = request.headers.iter().filter(|(name, _)| !name.starts_with(':'));
                    own.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
                        .collect()
                }
                Err(response) => vec![response.status.to_string()],
            };
            assert_eq!(seen, expected, "{headers:?}");
        }
    }

    #[test]
    fn methods_are_those_that_envoy_takes() {
        for (method, expected) in
            [("GET", None), ("PURGE", None), ("CONNECT", Some(400)), ("FROB", Some(400))]
        {
            let refused = accept(&sent(method, &[]), &[], Role::Inbound).err();
            assert_eq!(refused.map(|response| response.status), expected, "{method}");
        }
    }

    #[test]
    fn a_token_is_the_callers_or_nobodys() {
        let with = |value: &str| -> Headers {
            vec![
                (":path".into(), b"/a?b".to_vec()),
                (":authority".into(), b"h".to_vec()),
                ("authorization".into(), value.as_bytes().to_vec()),
            ]
        };
        for (value, expected) in [
            (format!("Bearer {TOKEN}"), Some(Token::Verified)),
            (format!("Bearer {TOKEN} "), Some(Token::Verified)),
            (format!("Bearer {TOKEN},Basic YTpi"), None),
            (String::from("Basic YTpi"), Some(Token::Absent)),
            (format!("Bearer x,Bearer {TOKEN}"), None),
            (format!("Bearer {TOKEN},Bearer x"), None),
            (String::from("Bearer "), None),
        ] {
            let found = verify(&with(&value), &[]);
            match expected {
                Some(expected) => assert_eq!(found, expected, "{value}"),
                None => assert!(matches!(found, Token::Refused(_)), "{value}"),
            }
            assert_eq!(verify(&with(&value), &["/a".into()]), Token::Absent);
        }
    }
}
