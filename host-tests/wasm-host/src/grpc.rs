//! gRPC over HTTP/2: messages in frames, and how a call ended.

use crate::service::{Failure, Response};

/// A frame: whether it is compressed, how long it is, and the message.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let size = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0][..], &size, message].concat()
}

/// The messages of a body; nothing if it is not made of frames.
pub(crate) fn messages(mut body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        let (head, rest) = body.split_first_chunk::<5>()?;
        let [_, size @ ..] = *head;
        let (message, rest) = rest.split_at_checked(u32::from_be_bytes(size) as usize)?;
        messages.push(message.to_vec());
        body = rest;
    }
    Some(messages)
}

/// Codes of gRPC that the client itself gives.
pub(crate) const INTERNAL: u32 = 13;
const UNKNOWN: u32 = 2;
const DEADLINE_EXCEEDED: u32 = 4;
const UNAVAILABLE: u32 = 14;

/// How a call ended, by its response: code and message.
pub(crate) fn status(response: &Response) -> (u32, String) {
    let find = |name: &str| {
        let trailers = response.trailers.as_ref().and_then(|trailers| trailers.text(name));
        trailers.or_else(|| response.headers.text(name))
    };
    let message = find("grpc-message").unwrap_or_default();
    if response.status != 200 {
        return (of_http(response.status), message);
    }
    match find("grpc-status").and_then(|status| status.parse().ok()) {
        Some(status) => (status, message),
        None => (UNKNOWN, message),
    }
}

/// How a call ended that got no response.
pub(crate) fn failed(failure: Failure) -> (u32, String) {
    match failure {
        Failure::Timeout => (DEADLINE_EXCEEDED, String::new()),
        Failure::Refused | Failure::NoHealthyHost | Failure::Reset => (UNAVAILABLE, String::new()),
    }
}

/// The gRPC status that stands for an HTTP status (gRPC's own table).
pub(crate) fn of_http(status: u16) -> u32 {
    match status {
        400 => INTERNAL,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::{framed, messages, status};
    use crate::Response;

    #[test]
    fn frames_come_back() {
        let body = [framed(b"one"), framed(b""), framed(b"three")].concat();
        let found = messages(&body).unwrap();
        assert_eq!(found, [b"one".to_vec(), b"".to_vec(), b"three".to_vec()]);
        assert_eq!(messages(&body[..body.len() - 1]), None, "cut");
    }

    #[test]
    fn a_call_ends_as_its_response_says() {
        for (response, code) in [
            (Response::new(200).trailer("grpc-status", "0"), 0),
            (Response::new(200).header("grpc-status", "7"), 7),
            (Response::new(200), 2),
            (Response::new(503), 14),
        ] {
            assert_eq!(status(&response).0, code, "{response:?}");
        }
    }
}
