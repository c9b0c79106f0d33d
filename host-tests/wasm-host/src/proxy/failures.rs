//! What Envoy makes of an upstream that fails.

use crate::service::Failure;
use crate::vm::LocalReply;

/// The response flags of failures, as Envoy numbers them.
pub(super) fn flag(failure: Failure) -> u64 {
    match failure {
        Failure::NoHealthyHost => 1 << 1,
        Failure::Timeout => 1 << 2,
        Failure::Refused => 1 << 5,
        Failure::Reset => 1 << 6,
    }
}

/// The response flags of a client that went away, and of a response that broke off.
pub(super) const DOWNSTREAM_GONE: u64 = 1 << 14;

pub(super) const UPSTREAM_PROTOCOL_ERROR: u64 = 1 << 23;

/// What Envoy's router answers for an upstream that fails.
pub(super) fn router_reply(failure: Failure) -> LocalReply {
    const BROKEN: &str =
        "upstream connect error or disconnect/reset before headers. reset reason: ";
    let (status, details, body) = match failure {
        Failure::NoHealthyHost => (503, "no_healthy_upstream", "no healthy upstream".to_owned()),
        Failure::Timeout => (504, "response_timeout", "upstream request timeout".to_owned()),
        Failure::Refused => (
            503,
            "upstream_reset_before_response_started{remote_connection_failure}",
            format!("{BROKEN}remote connection failure"),
        ),
        Failure::Reset => (
            503,
            "upstream_reset_before_response_started{connection_termination}",
            format!("{BROKEN}connection termination"),
        ),
    };
    LocalReply {
        status,
        details: details.into(),
        body: body.into_bytes(),
        headers: Vec::new(),
        grpc_status: -1,
    }
}
