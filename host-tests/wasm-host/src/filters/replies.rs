//! Answers that the proxy itself gives, and what they look like.

use crate::context::Message;
use crate::proxy::Proxy;
use crate::stream::Stream;
use crate::vm::LocalReply;
use crate::{Direction, Headers, grpc};

impl Proxy {
    /// Somebody answers instead of the upstream.
    pub(crate) fn reply(&mut self, id: u64, reply: LocalReply) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.has_ended {
            return;
        }
        let [in_request, in_response] = stream.calling;
        if in_request > 0 {
            stream.is_aborted = [true, Stream::is(stream.is_aborted, Direction::Response)];
        } else if in_response > 0 {
            stream.is_aborted = [Stream::is(stream.is_aborted, Direction::Request), true];
        }
        {
            let info = &mut stream.state.borrow_mut().info;
            info.details = Some(reply.details.clone());
            info.code = Some(reply.status);
        }
        if !stream.response_has_begun {
            // Of two answers in one callback the first one counts.
            stream.prepared.get_or_insert(reply);
            self.send_unless_calling(id);
        } else if stream.client.headers.is_none() {
            // The filters are at the response already: they do not see this one.
            stream.is_local = true;
            let (headers, body) = local_response(&reply, stream.is_grpc, stream.is_head);
            let state = stream.state.clone();
            state.borrow_mut().response = Message { headers: Some(headers), ..Message::default() };
            stream.is_aborted = [true, true];
            self.deliver_headers(id, body.is_empty());
            if !body.is_empty() {
                self.deliver_data(id, body, true);
            }
        } else {
            self.reset(id, &reply.details);
        }
    }

    pub(super) fn send_unless_calling(&mut self, id: u64) {
        if self.stream(id).is_some_and(|stream| stream.calling == [0, 0]) {
            self.send_prepared(id);
        }
    }

    /// Sends an answer that was given from within a callback.
    pub(super) fn send_prepared(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.calling != [0, 0] {
            return;
        }
        let Some(reply) = stream.prepared.take() else { return };
        stream.is_local = true;
        stream.response_has_begun = true;
        let (headers, body) = local_response(&reply, stream.is_grpc, stream.is_head);
        stream.is_complete = [Stream::is(stream.is_complete, Direction::Request), true];
        let has_body = !body.is_empty();
        {
            let mut state = stream.state.borrow_mut();
            state.response = Message { headers: Some(headers), ..Message::default() };
        }
        self.pass_headers(id, Direction::Response, 0, !has_body);
        if has_body && self.is_moving(id, Direction::Response) {
            self.with_message(id, Direction::Response, |message| message.chunk = body);
            self.pass_data(id, Direction::Response, 0, true);
        }
    }
}

/// What a local reply looks like. A gRPC request gets its status in headers alone.
fn local_response(reply: &LocalReply, is_grpc: bool, is_head: bool) -> (Headers, Vec<u8>) {
    let mut headers = Headers::from_iter([(":status", reply.status.to_string())]);
    for (name, value) in &reply.headers {
        headers.add(String::from_utf8_lossy(name), value.clone());
    }
    if is_grpc {
        headers.set(":status", "200");
        headers.set("content-type", "application/grpc");
        let status = match u32::try_from(reply.grpc_status) {
            Ok(status) => status,
            Err(_) => grpc::of_http(reply.status),
        };
        if headers.get("grpc-status").is_none() {
            headers.set("grpc-status", status.to_string());
        }
        if !reply.body.is_empty() && !is_head {
            headers.set("grpc-message", percent_encoded(&reply.body));
        }
        headers.remove("content-length");
        return (headers, Vec::new());
    }
    if reply.body.is_empty() {
        headers.remove("content-length");
        headers.remove("content-type");
    } else {
        headers.set("content-length", reply.body.len().to_string());
        if headers.get("content-type").is_none() {
            headers.set("content-type", "text/plain");
        }
    }
    let body = if is_head { Vec::new() } else { reply.body.clone() };
    (headers, body)
}

/// A gRPC message as a header value (gRPC over HTTP/2, `Percent-Encoded`).
fn percent_encoded(message: &[u8]) -> String {
    let encode = |byte: &u8| match byte {
        b' '..=b'~' if *byte != b'%' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    message.iter().map(encode).collect()
}
