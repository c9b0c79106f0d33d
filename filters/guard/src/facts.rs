//! What a request's headers say, once each.

use crate::header;
use crate::host::Headers;
use crate::trust::Sender;
use policy_core::{Deadline, IdempotencyKey, RequestKind};

/// A longer `Idempotency-Key` is malformed.
const IDEMPOTENCY_KEY_LEN_MAX: usize = 130;

/// The user agent of Envoy's own health checks.
const HEALTH_CHECK_AGENT: &[u8] = b"Envoy/HC";

/// What a request's headers say. What headers of the mesh say is read and not yet believed.
#[derive(Debug)]
pub(crate) struct Facts<'h> {
    pub(crate) method: &'h [u8],
    pub(crate) target: &'h [u8],
    pub(crate) host: &'h [u8],
    pub(crate) kind: RequestKind,
    pub(crate) idempotency_key: IdempotencyKey,
    /// The token of a lock that the client holds.
    pub(crate) lock: Option<&'h [u8]>,
    /// What a client says that it has seen.
    pub(crate) causal: Option<&'h [u8]>,
    pub(crate) deadline: Option<Deadline>,
    /// Whether Envoy looks whether the region is there. Anybody may say so: it is only that nothing
    /// is made of such requests where they pass.
    pub(crate) is_envoy: bool,
    /// Whether there are credentials at all, so that claims are worth asking for.
    pub(crate) has_credentials: bool,
    /// What headers of the mesh say.
    pub(crate) claimed: Claimed<'h>,
    /// The names of headers that no caller of an edge may set, each once.
    pub(crate) reserved: Vec<&'h [u8]>,
}

/// What headers of the mesh say. Whether that counts depends on who sent them.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Claimed<'h> {
    pub(crate) via: Option<&'h [u8]>,
    pub(crate) subject: Option<&'h [u8]>,
    pub(crate) fence: Option<&'h [u8]>,
    pub(crate) epoch: Option<&'h [u8]>,
    pub(crate) consistency: Option<&'h [u8]>,
    pub(crate) origin: Option<&'h [u8]>,
    pub(crate) version: Option<&'h [u8]>,
    pub(crate) unsynced: Option<&'h [u8]>,
    pub(crate) base: Option<&'h [u8]>,
    pub(crate) vector: Option<&'h [u8]>,
    pub(crate) conflict: Option<&'h [u8]>,
    pub(crate) merge: Option<&'h [u8]>,
    pub(crate) deadline_ms: Option<&'h [u8]>,
    pub(crate) stale: Option<&'h [u8]>,
    pub(crate) lock: Option<&'h [u8]>,
    pub(crate) degrade: Option<&'h [u8]>,
    pub(crate) sig: Option<&'h [u8]>,
    /// One of them came twice.
    pub(crate) repeated: Option<&'static str>,
}

impl<'h> Claimed<'h> {
    fn slot(&mut self, name: &[u8]) -> Option<(&mut Option<&'h [u8]>, &'static str)> {
        Some(match core::str::from_utf8(name).ok()? {
            header::VIA => (&mut self.via, header::VIA),
            header::SUBJECT => (&mut self.subject, header::SUBJECT),
            header::FENCE => (&mut self.fence, header::FENCE),
            header::EPOCH => (&mut self.epoch, header::EPOCH),
            header::CONSISTENCY => (&mut self.consistency, header::CONSISTENCY),
            header::ORIGIN => (&mut self.origin, header::ORIGIN),
            header::VERSION => (&mut self.version, header::VERSION),
            header::UNSYNCED => (&mut self.unsynced, header::UNSYNCED),
            header::BASE => (&mut self.base, header::BASE),
            header::VV => (&mut self.vector, header::VV),
            header::CONFLICT => (&mut self.conflict, header::CONFLICT),
            header::MERGE => (&mut self.merge, header::MERGE),
            header::DEADLINE_MS => (&mut self.deadline_ms, header::DEADLINE_MS),
            header::LOCK => (&mut self.lock, header::LOCK),
            header::STALE => (&mut self.stale, header::STALE),
            header::DEGRADE => (&mut self.degrade, header::DEGRADE),
            header::SIG => (&mut self.sig, header::SIG),
            _ => return None,
        })
    }

    fn read(&mut self, name: &[u8], value: &'h [u8]) {
        let Some((slot, part)) = self.slot(name) else { return };
        if slot.replace(value).is_some() {
            self.repeated = Some(part);
        }
    }
}

/// The name of the part that is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MalformedPart(pub(crate) &'static str);

/// Whether a request wants its answer as a gRPC status, however malformed it is otherwise.
pub(crate) fn wants_grpc(headers: &Headers) -> bool {
    headers.iter().any(|(name, value)| name == b"content-type" && is_grpc(value))
}

/// As Envoy sees it: what it does not take for gRPC gets no gRPC status from it either.
fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}

/// Headers that decide something: each may come once.
#[derive(Default)]
struct Deciding<'h> {
    method: Option<&'h [u8]>,
    target: Option<&'h [u8]>,
    host: Option<&'h [u8]>,
    protocol: Option<&'h [u8]>,
    upgrade: Option<&'h [u8]>,
    content_type: Option<&'h [u8]>,
    authorization: Option<&'h [u8]>,
    idempotency_key: Option<&'h [u8]>,
    lock: Option<&'h [u8]>,
    causal: Option<&'h [u8]>,
    grpc_timeout: Option<&'h [u8]>,
    origin: Option<&'h [u8]>,
    requested_method: Option<&'h [u8]>,
}

impl<'h> Deciding<'h> {
    fn slot(&mut self, name: &[u8]) -> Option<(&mut Option<&'h [u8]>, &'static str)> {
        Some(match name {
            b":method" => (&mut self.method, ":method"),
            b":path" => (&mut self.target, ":path"),
            b":authority" => (&mut self.host, ":authority"),
            b":protocol" => (&mut self.protocol, ":protocol"),
            b"upgrade" => (&mut self.upgrade, "upgrade"),
            b"content-type" => (&mut self.content_type, "content-type"),
            b"authorization" => (&mut self.authorization, "authorization"),
            b"idempotency-key" => (&mut self.idempotency_key, "idempotency-key"),
            b"meshfence-lock" => (&mut self.lock, header::CLIENT_LOCK),
            b"meshfence-causal" => (&mut self.causal, header::CAUSAL),
            b"grpc-timeout" => (&mut self.grpc_timeout, "grpc-timeout"),
            b"origin" => (&mut self.origin, "origin"),
            b"access-control-request-method" => {
                (&mut self.requested_method, "access-control-request-method")
            }
            _ => return None,
        })
    }
}

impl<'h> Facts<'h> {
    /// Reads the headers of a request; `has_body` is whether anything follows them.
    pub(crate) fn read(headers: &'h Headers, has_body: bool) -> Result<Self, MalformedPart> {
        let mut deciding = Deciding::default();
        let mut claimed = Claimed::default();
        let mut reserved: Vec<&[u8]> = Vec::new();
        let mut is_envoy = false;
        for (name, value) in headers.iter() {
            if header::is_reserved(name) {
                claimed.read(name, value);
                if !reserved.contains(&name) {
                    reserved.push(name);
                }
            } else if name == b"user-agent" {
                is_envoy = value == HEALTH_CHECK_AGENT;
            } else if let Some((slot, part)) = deciding.slot(name)
                && slot.replace(value).is_some()
            {
                return Err(MalformedPart(part));
            }
        }
        let method = deciding.method.ok_or(MalformedPart(":method"))?;
        let target = deciding.target.ok_or(MalformedPart(":path"))?;
        let host = single(deciding.host.ok_or(MalformedPart(":authority"))?, ":authority")?;
        if let Some(value) = deciding.content_type {
            single(value, "content-type")?;
        }
        if let Some(value) = deciding.authorization {
            bearer(value)?;
        }
        for (value, part) in [
            (deciding.origin, "origin"),
            (deciding.causal, header::CAUSAL),
            (deciding.requested_method, "access-control-request-method"),
        ] {
            if let Some(value) = value {
                single(value, part)?;
            }
        }
        if deciding.lock.is_some_and(|lock| !fencing::is_lock(lock)) {
            return Err(MalformedPart(header::CLIENT_LOCK));
        }
        let kind = deciding.kind(method, has_body);
        Ok(Self {
            method,
            target,
            host,
            kind,
            idempotency_key: idempotency_key(deciding.idempotency_key)?,
            lock: deciding.lock,
            causal: deciding.causal,
            deadline: deadline(kind, deciding.grpc_timeout)?,
            is_envoy,
            has_credentials: deciding.authorization.is_some(),
            claimed,
            reserved,
        })
    }
}

impl Deciding<'_> {
    fn kind(&self, method: &[u8], has_body: bool) -> RequestKind {
        let is_grpc = self.content_type.is_some_and(is_grpc);
        if method == b"CONNECT" || self.upgrade.is_some() || self.protocol.is_some() {
            RequestKind::Stream
        } else if is_grpc {
            RequestKind::Grpc
        } else if method == b"OPTIONS"
            && self.origin.is_some()
            && self.requested_method.is_some()
            && !has_body
        {
            RequestKind::Preflight
        } else {
            RequestKind::Plain
        }
    }
}

/// A value whose grammar has no comma: Envoy joins a second value with one.
fn single<'h>(value: &'h [u8], part: &'static str) -> Result<&'h [u8], MalformedPart> {
    if value.contains(&b',') { Err(MalformedPart(part)) } else { Ok(value) }
}

/// Envoy takes a bearer token wherever in the value it stands, and joins two values with a comma.
/// So a token has to be all there is: else residency could follow one identity and the application
/// another. Other schemes may have lists of parameters.
fn bearer(value: &[u8]) -> Result<(), MalformedPart> {
    const SCHEME: &[u8] = b"bearer ";
    let is_scheme = |window: &[u8]| window.eq_ignore_ascii_case(SCHEME);
    if !value.windows(SCHEME.len()).any(is_scheme) {
        return Ok(());
    }
    let token = value.split_at_checked(SCHEME.len()).filter(|(scheme, _)| is_scheme(scheme));
    let is_token68 = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    match token {
        Some((_, token)) if token.trim_ascii().iter().all(is_token68) => Ok(()),
        _ => Err(MalformedPart("authorization")),
    }
}

/// Quoted and unquoted keys are both keys; what they name is the store's affair.
fn idempotency_key(value: Option<&[u8]>) -> Result<IdempotencyKey, MalformedPart> {
    let Some(value) = value else { return Ok(IdempotencyKey::Absent) };
    let fits = value.len() <= IDEMPOTENCY_KEY_LEN_MAX;
    let printable = value.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let bare = quoted.unwrap_or(value);
    let is_one = !bare.contains(&b'"') && (quoted.is_some() || !bare.contains(&b','));
    let names_something = bare.iter().any(u8::is_ascii_alphanumeric);
    if fits && printable && is_one && names_something {
        Ok(IdempotencyKey::Present)
    } else {
        Err(MalformedPart("idempotency-key"))
    }
}

fn deadline(kind: RequestKind, value: Option<&[u8]>) -> Result<Option<Deadline>, MalformedPart> {
    match value {
        Some(value) if kind == RequestKind::Grpc => {
            Deadline::from_grpc_timeout(value).map(Some).ok_or(MalformedPart("grpc-timeout"))
        }
        _ => Ok(None),
    }
}

/// How long a request may take as the proxy before this one has it.
pub(crate) fn expected_timeout(sender: Sender, headers: &Headers) -> Option<Deadline> {
    let value = headers.only(header::ENVOY_EXPECTED_TIMEOUT.as_bytes());
    let value = value.filter(|_| sender.is_trusted())?;
    let ms: u64 = core::str::from_utf8(value).ok()?.parse().ok()?;
    // Envoy writes 0 where nothing bounds it.
    (ms > 0).then_some(Deadline::from_ms(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &[u8])]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in [(":method", &b"POST"[..]), (":path", b"/a"), (":authority", b"api")]
            .iter()
            .chain(pairs)
        {
            headers.push(name.as_bytes(), value);
        }
        headers
    }

    #[test]
    fn a_second_value_of_a_deciding_header_is_malformed() {
        for (pairs, part) in [
            (&[(":path", &b"/b"[..])][..], Some(":path")),
            (&[(":authority", b"b")], Some(":authority")),
            (&[("content-type", b"a/b"), ("content-type", b"a/b")], Some("content-type")),
            (&[("content-type", b"text/plain,application/grpc")], Some("content-type")),
            (&[("authorization", b"Bearer a,Bearer b")], Some("authorization")),
            (&[("authorization", b"Digest a=1, b=2")], None),
            (&[("idempotency-key", b"k1"), ("idempotency-key", b"k1")], Some("idempotency-key")),
            (&[("idempotency-key", b"")], Some("idempotency-key")),
            (&[("idempotency-key", b"\"\"")], Some("idempotency-key")),
            (&[("idempotency-key", b"k1,k2")], Some("idempotency-key")),
            (&[("idempotency-key", b"\"k1\", \"k2\"")], Some("idempotency-key")),
            (&[("idempotency-key", b"\"k1,k2\"")], None),
            (&[("meshfence-lock", b"a"), ("meshfence-lock", b"a")], Some("meshfence-lock")),
            (&[("meshfence-lock", b"a,a")], Some("meshfence-lock")),
            (&[("meshfence-lock", b"")], Some("meshfence-lock")),
            (&[("meshfence-lock", b"sku-1:7f3a==")], None),
            (&[("meshfence-causal", b"a"), ("meshfence-causal", b"a")], Some("meshfence-causal")),
            (&[("meshfence-causal", b"a, a")], Some("meshfence-causal")),
            // What it is worth is found out where it is wanted.
            (&[("meshfence-causal", b"a")], None),
            (&[("authorization", b"Basic YTpi,Bearer a.b.c")], Some("authorization")),
            (&[("authorization", b"Basic YTpi, bearer a.b.c")], Some("authorization")),
            (&[("authorization", b"Bearer a.b.c Bearer d")], Some("authorization")),
            (&[("authorization", b"Bearer a.b-c_d")], None),
            (&[("authorization", b"Basic YTpi")], None),
            (&[("idempotency-key", b"\xff")], Some("idempotency-key")),
            (&[("idempotency-key", &[b'k'; 131])], Some("idempotency-key")),
            (&[("idempotency-key", b"\"k1\"")], None),
            (
                &[("content-type", b"application/grpc"), ("grpc-timeout", b"soon")],
                Some("grpc-timeout"),
            ),
            (&[("grpc-timeout", b"soon")], None),
            (&[("cookie", b"a=1"), ("cookie", b"b=2")], None),
            (&[("accept", b"a/b,c/d")], None),
        ] {
            let headers = headers(pairs);
            let read = Facts::read(&headers, true);
            assert_eq!(read.err().map(|error| error.0), part, "{pairs:?}");
        }
        let mut joined = Headers::default();
        for (name, value) in [(":method", "GET"), (":path", "/"), (":authority", "a,b")] {
            joined.push(name.as_bytes(), value.as_bytes());
        }
        assert_eq!(Facts::read(&joined, false).unwrap_err(), MalformedPart(":authority"));
        assert_eq!(Facts::read(&Headers::default(), false).unwrap_err(), MalformedPart(":method"));
    }

    #[test]
    fn the_kind_of_exchange_is_told_by_headers() {
        for (method, pairs, has_body, kind) in [
            ("GET", &[][..], false, RequestKind::Plain),
            ("POST", &[("content-type", "application/grpc")], true, RequestKind::Grpc),
            ("POST", &[("content-type", "application/grpc+proto")], true, RequestKind::Grpc),
            ("POST", &[("content-type", "application/grpc-web+proto")], true, RequestKind::Plain),
            ("POST", &[("content-type", "Application/gRPC")], true, RequestKind::Plain),
            ("POST", &[("content-type", "application/grpc;charset=x")], true, RequestKind::Plain),
            ("GET", &[("upgrade", "websocket")], false, RequestKind::Stream),
            ("CONNECT", &[], false, RequestKind::Stream),
            ("GET", &[(":protocol", "websocket")], false, RequestKind::Stream),
            (
                "OPTIONS",
                &[("origin", "https://a"), ("access-control-request-method", "PUT")],
                false,
                RequestKind::Preflight,
            ),
            (
                "OPTIONS",
                &[("origin", "https://a"), ("access-control-request-method", "PUT")],
                true,
                RequestKind::Plain,
            ),
            ("OPTIONS", &[("origin", "https://a")], false, RequestKind::Plain),
            (
                "GET",
                &[("origin", "https://a"), ("access-control-request-method", "PUT")],
                false,
                RequestKind::Plain,
            ),
        ] {
            let mut headers = Headers::default();
            for (name, value) in
                [(":method", method), (":path", "/a"), (":authority", "api")].iter().chain(pairs)
            {
                headers.push(name.as_bytes(), value.as_bytes());
            }
            assert_eq!(Facts::read(&headers, has_body).unwrap().kind, kind, "{method} {pairs:?}");
        }
    }

    #[test]
    fn reserved_headers_are_listed_once() {
        let headers = headers(&[
            ("x-meshfence-route", b"tokyo"),
            ("x-meshfence-route", b"taiwan"),
            ("x-envoy-retry-on", b"5xx"),
        ]);
        let facts = Facts::read(&headers, false).unwrap();
        assert_eq!(facts.reserved, [&b"x-meshfence-route"[..], b"x-envoy-retry-on"]);
    }

    #[test]
    fn what_a_proxy_before_this_one_allows_is_believed_of_those_of_the_mesh() {
        for (sender, value, ms) in [
            (Sender::Gateway, "800", Some(800)),
            (Sender::Anybody, "800", None),
            (Sender::Gateway, "0", None),
            (Sender::Gateway, "soon", None),
        ] {
            let headers = headers(&[("x-envoy-expected-rq-timeout-ms", value.as_bytes())]);
            let expected = ms.map(Deadline::from_ms);
            assert_eq!(expected_timeout(sender, &headers), expected, "{sender:?} {value}");
        }
    }
}
