//! The ends of a stream: the router behind the last filter, the client before the first.

use crate::Headers;
use crate::proxy::Proxy;
use crate::service::Incoming;
use crate::vm::LocalReply;

impl Proxy {
    /// The router: the request has passed all filters.
    pub(super) fn route(&mut self, id: u64, end: bool) {
        let taken = self.find_route(id);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let answer = |status, details: &str, body: Vec<u8>| LocalReply {
            status,
            details: details.into(),
            body,
            headers: Vec::new(),
            grpc_status: -1,
        };
        let mut state = stream.state.borrow_mut();
        let invalid = state.request.headers.as_ref().and_then(invalid_header);
        let reply = match taken {
            _ if invalid.is_some() => {
                let body = invalid.unwrap_or_default().into_bytes();
                answer(503, "missing_required_header", body)
            }
            None => {
                state.info.flags |= NO_ROUTE_FOUND;
                answer(404, "route_not_found", Vec::new())
            }
            Some(crate::context::Route { direct: Some((status, body)), .. }) => {
                answer(status, "direct_response", body)
            }
            Some(crate::context::Route { cluster: Some(cluster), .. })
                if self.common.borrow().clusters.contains_key(&cluster) =>
            {
                let headers = state.request.headers.clone().unwrap_or_default();
                state.info.attempts = 1;
                drop(state);
                stream.upstream.incoming = Some(Incoming {
                    cluster,
                    headers,
                    is_complete: end,
                    is_bare: end,
                    ..Incoming::default()
                });
                return;
            }
            Some(_) => {
                state.info.flags |= NO_CLUSTER_FOUND;
                answer(503, "cluster_not_found", Vec::new())
            }
        };
        drop(state);
        self.reply(id, reply);
        self.send_unless_calling(id);
    }

    /// The route of a request: the one that is known, or else the one that its headers match now.
    pub(crate) fn find_route(&mut self, id: u64) -> Option<crate::context::Route> {
        let state = self.stream(id)?.state.clone();
        let mut state = state.borrow_mut();
        if state.cached_route.is_none() {
            let headers = state.request.headers.clone().unwrap_or_default();
            // Envoy looks for none once somebody took this header.
            if state.came_forwarded && headers.get("x-forwarded-proto").is_none() {
                return None;
            }
            let found = crate::route::find(&self.routes, &state.info.listener, &headers);
            state.info.route.clone_from(&found);
            state.cached_route = found;
        }
        state.cached_route.clone()
    }

    pub(super) fn send_data(&mut self, id: u64, chunk: &[u8], end: bool) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if let Some(incoming) = &mut stream.upstream.incoming {
            incoming.body.extend(chunk);
            incoming.is_complete |= end;
        }
    }

    pub(super) fn send_trailers(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let trailers = stream.state.borrow().request.trailers.clone();
        if let Some(incoming) = &mut stream.upstream.incoming {
            incoming.trailers = trailers;
            incoming.is_complete = true;
        }
    }

    pub(super) fn deliver_headers(&mut self, id: u64, end: bool) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let mut state = stream.state.borrow_mut();
        let headers = state.response.headers.clone().unwrap_or_default();
        state.info.code = headers.text(":status").and_then(|status| status.parse().ok());
        drop(state);
        stream.client.headers = Some(headers);
        stream.client.is_bare = end;
        if end {
            self.end(id);
        }
    }

    pub(super) fn deliver_data(&mut self, id: u64, chunk: Vec<u8>, end: bool) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        {
            let info = &mut stream.state.borrow_mut().info;
            info.response_bytes = info.response_bytes.saturating_add(bytes);
        }
        stream.client.body.extend(chunk);
        if end {
            self.end(id);
        }
    }

    pub(super) fn deliver_trailers(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.client.trailers.clone_from(&stream.state.borrow().response.trailers);
        self.end(id);
    }

    pub(crate) fn reset(&mut self, id: u64, details: &str) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.has_ended {
            return;
        }
        stream.was_reset = true;
        {
            let info = &mut stream.state.borrow_mut().info;
            info.details.get_or_insert_with(|| details.to_owned());
            info.flags |= LOCAL_RESET;
        }
        self.end(id);
    }
}

/// The flags of Envoy's that this host raises by itself.
const NO_ROUTE_FOUND: u64 = 1 << 8;

const NO_CLUSTER_FOUND: u64 = 1 << 24;

const LOCAL_RESET: u64 = 1 << 3;

/// What Envoy's router says of a header that would break a message apart.
fn invalid_header(headers: &Headers) -> Option<String> {
    let breaks = |byte: &u8| matches!(byte, 0 | b'\r' | b'\n');
    headers.iter().find_map(|(name, value)| {
        if name.as_bytes().iter().any(breaks) {
            Some(format!("invalid header name: {name}"))
        } else if value.iter().any(breaks) {
            Some(format!("invalid header value for: {name}"))
        } else {
            None
        }
    })
}
