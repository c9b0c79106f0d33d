//! `/_meshfence/ready`: whether this attachment can judge everything that may come.

use crate::guard::InForce;
use crate::host::{Headers, Host, Reply};
use crate::stream::Flow;
use std::borrow::Cow;

/// Where it is asked: exactly this path, with GET or HEAD and any host.
pub const PATH: &str = "/_meshfence/ready";

/// Whether a request asks for it.
pub(crate) fn asks(headers: &Headers) -> bool {
    let is = |name: &[u8], wanted: &[&[u8]]| {
        headers.first(name).is_some_and(|value| wanted.contains(&value))
    };
    is(b":path", &[PATH.as_bytes()]) && is(b":method", &[b"GET", b"HEAD"])
}

/// Answers it: 200 if a policy is in force and everything is known of every lease, else 503.
pub(crate) fn answer(force: &InForce, host: &mut impl Host) -> Flow {
    let is_ready = force.state().knows_every_lease(host.monotonic_ms());
    let (_, hash) = force.policy.set();
    let leases = if is_ready { "known" } else { "unknown" };
    let body = format!(r#"{{"ready":{is_ready},"policy":"{hash}","leases":"{leases}"}}"#);
    let headers = vec![
        ("content-type", Cow::from(&b"application/json"[..])),
        ("cache-control", Cow::from(&b"no-store"[..])),
    ];
    let status = if is_ready { 200 } else { 503 };
    let reply = Reply {
        status,
        grpc_status: None,
        headers,
        body: body.as_bytes(),
        details: "meshfence_ready",
    };
    // If even that fails the probe waits until its timeout, and fails.
    let _ = host.reply(&reply);
    Flow::Pause
}
