//! How headers, bodies and trailers pass the filters of a stream: Envoy's filter manager.
//!
//! ```text
//! client ─► filter 0 ─► filter 1 ─► router ─► upstream
//!        ◄──────────────────────────────────
//! ```
//!
//! A filter may stop what passes; then it waits in the proxy until the filter continues. A position
//! counts filters in the direction of the message.

use crate::abi::{DataStatus, HeadersStatus};
use crate::context::{BodyView, Message, StreamState, View};
use crate::proxy::Proxy;
use crate::service::Incoming;
use crate::stream::{Iteration, Stream, place};
use crate::vm::{Action, LocalReply};
use crate::{Direction, Headers};

/// What a filter said of trailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrailersStatus {
    Continue,
    Stop,
}

/// The flags of Envoy's that this host raises by itself.
const NO_ROUTE_FOUND: u64 = 1 << 8;
const NO_CLUSTER_FOUND: u64 = 1 << 24;
const LOCAL_RESET: u64 = 1 << 3;

fn message(state: &mut StreamState, direction: Direction) -> &mut Message {
    match direction {
        Direction::Request => &mut state.request,
        Direction::Response => &mut state.response,
    }
}

/// An empty or missing map has no headers, and so has Envoy's count.
fn count(headers: Option<&Headers>) -> u32 {
    u32::try_from(headers.map_or(0, Headers::len)).unwrap_or(u32::MAX)
}

impl Proxy {
    fn stream(&self, id: u64) -> Option<&Stream> {
        self.streams.get(&id)
    }

    fn with_message<T>(
        &self,
        id: u64,
        direction: Direction,
        use_it: impl FnOnce(&mut Message) -> T,
    ) -> Option<T> {
        let state = &self.stream(id)?.state;
        Some(use_it(message(&mut state.borrow_mut(), direction)))
    }

    fn has_trailers(&self, id: u64, direction: Direction) -> bool {
        self.with_message(id, direction, |message| message.trailers.is_some()).unwrap_or(false)
    }

    fn has_buffered(&self, id: u64, direction: Direction) -> bool {
        self.with_message(id, direction, |message| message.buffered.is_some()).unwrap_or(false)
    }

    /// Whether frames of a direction may move at all.
    fn is_moving(&self, id: u64, direction: Direction) -> bool {
        self.stream(id)
            .is_some_and(|stream| !stream.has_ended && !Stream::is(stream.is_aborted, direction))
    }

    /// Headers pass the filters from a position on.
    pub(crate) fn pass_headers(&mut self, id: u64, direction: Direction, from: usize, end: bool) {
        let filters = self.stream(id).map_or(0, |stream| stream.filters.len());
        for position in from..filters {
            let status = self.headers_at(id, direction, position, end);
            if !self.is_moving(id, direction) {
                self.send_prepared(id);
                return;
            }
            let Some(stream) = self.streams.get_mut(&id) else { return };
            let Some(flow) = stream.flow_mut(direction, position) else { return };
            flow.has_ended |= end;
            match status {
                HeadersStatus::Continue => flow.headers_continued = true,
                HeadersStatus::Stop => {
                    flow.iteration = Iteration::StopSingle;
                    return;
                }
                HeadersStatus::StopAll => {
                    flow.iteration = Iteration::StopAll;
                    return;
                }
            }
        }
        match direction {
            Direction::Request => self.route(id, end),
            Direction::Response => self.deliver_headers(id, end),
        }
    }

    /// The chunk at hand passes the filters from a position on.
    pub(crate) fn pass_data(&mut self, id: u64, direction: Direction, from: usize, end: bool) {
        let filters = self.stream(id).map_or(0, |stream| stream.filters.len());
        for position in from..filters {
            let Some(stream) = self.stream(id) else { return };
            let flow = stream.flow(direction, position);
            if flow.iteration == Iteration::StopAll {
                self.buffer(id, direction, false);
                return;
            }
            if flow.has_ended {
                return;
            }
            let last = end && !self.has_trailers(id, direction);
            let status = self.data_at(id, direction, position, last);
            if !self.is_moving(id, direction) {
                self.send_prepared(id);
                return;
            }
            let Some(stream) = self.streams.get_mut(&id) else { return };
            let Some(flow) = stream.flow_mut(direction, position) else { return };
            flow.has_ended |= last;
            let was = flow.iteration;
            match status {
                DataStatus::Continue if was == Iteration::StopSingle => {
                    self.buffer(id, direction, false);
                    self.continue_from(id, direction, position);
                    return;
                }
                DataStatus::Continue => {}
                DataStatus::StopAndBuffer | DataStatus::StopAndWatermark => {
                    flow.iteration = Iteration::StopSingle;
                    self.buffer(id, direction, status == DataStatus::StopAndBuffer);
                    return;
                }
                DataStatus::StopNoBuffer => {
                    flow.iteration = Iteration::StopSingle;
                    let is_last = Stream::is(stream.is_complete, direction);
                    self.with_message(id, direction, |message| {
                        message.chunk.clear();
                        // Something has to be there to end the stream with, later on.
                        if is_last && message.trailers.is_none() {
                            message.buffered.get_or_insert_default();
                        }
                    });
                    return;
                }
            }
        }
        let chunk = self
            .with_message(id, direction, |message| std::mem::take(&mut message.chunk))
            .unwrap_or_default();
        let end = end && !self.has_trailers(id, direction);
        match direction {
            Direction::Request => self.send_data(id, &chunk, end),
            Direction::Response => self.deliver_data(id, chunk, end),
        }
    }

    /// The trailers pass the filters from a position on.
    pub(crate) fn pass_trailers(&mut self, id: u64, direction: Direction, from: usize) {
        let filters = self.stream(id).map_or(0, |stream| stream.filters.len());
        for position in from..filters {
            let Some(stream) = self.stream(id) else { return };
            if stream.flow(direction, position).iteration == Iteration::StopAll {
                return;
            }
            let status = self.trailers_at(id, direction, position);
            if !self.is_moving(id, direction) {
                self.send_prepared(id);
                return;
            }
            let Some(stream) = self.streams.get_mut(&id) else { return };
            let Some(flow) = stream.flow_mut(direction, position) else { return };
            flow.has_ended = true;
            match status {
                TrailersStatus::Continue if flow.iteration == Iteration::StopSingle => {
                    self.continue_from(id, direction, position);
                    return;
                }
                TrailersStatus::Continue => {}
                TrailersStatus::Stop => {
                    flow.iteration = Iteration::StopSingle;
                    return;
                }
            }
        }
        match direction {
            Direction::Request => self.send_trailers(id),
            Direction::Response => self.deliver_trailers(id),
        }
    }

    /// A filter lets go what waits at it.
    fn continue_from(&mut self, id: u64, direction: Direction, position: usize) {
        if !self.is_moving(id, direction) {
            return;
        }
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(flow) = stream.flow_mut(direction, position) else { return };
        // Of what it stopped as a whole the filter has seen the headers only.
        let stopped_all = flow.iteration == Iteration::StopAll;
        let next = position.saturating_add(1);
        let from = if stopped_all { position } else { next };
        flow.iteration = Iteration::Continue;
        let headers_wait = !std::mem::replace(&mut flow.headers_continued, true);
        let is_complete = Stream::is(stream.is_complete, direction);
        if headers_wait {
            let is_bare = !self.has_buffered(id, direction) && !self.has_trailers(id, direction);
            self.pass_headers(id, direction, next, is_complete && is_bare);
        }
        let had_trailers = self.has_trailers(id, direction);
        if self.is_moving(id, direction) && self.has_buffered(id, direction) {
            self.with_message(id, direction, |message| {
                message.chunk = message.buffered.take().unwrap_or_default();
            });
            self.pass_data(id, direction, from, is_complete && !had_trailers);
        }
        if had_trailers && is_complete && self.is_moving(id, direction) {
            self.pass_trailers(id, direction, from);
        }
    }

    /// The chunk at hand waits. A body that is buffered has a limit.
    fn buffer(&mut self, id: u64, direction: Direction, is_limited: bool) {
        let limit = self.common.borrow().buffer_limit;
        let size = self.with_message(id, direction, |message| {
            let chunk = std::mem::take(&mut message.chunk);
            let buffered = message.buffered.get_or_insert_default();
            buffered.extend(chunk);
            buffered.len()
        });
        if !is_limited || size.unwrap_or_default() <= limit {
            return;
        }
        let (status, body, details) = match direction {
            Direction::Request => (413, "Payload Too Large", "request_payload_too_large"),
            Direction::Response => (500, "Internal Server Error", "response_payload_too_large"),
        };
        let reply = LocalReply {
            status,
            details: details.into(),
            body: body.into(),
            headers: Vec::new(),
            grpc_status: -1,
        };
        self.reply(id, reply);
        self.send_prepared(id);
    }

    // ---- at a filter ----

    fn headers_at(
        &mut self,
        id: u64,
        direction: Direction,
        position: usize,
        end: bool,
    ) -> HeadersStatus {
        let Some(filter) = self.stream(id).and_then(|stream| stream.filter(direction, position))
        else {
            return HeadersStatus::Continue;
        };
        let (context, allow) = (filter.context, filter.allow_stop_iteration);
        let callback = match direction {
            Direction::Request => {
                self.create(id, self.index(id, direction, position));
                "proxy_on_request_headers"
            }
            Direction::Response if !filter.hears_responses() => return HeadersStatus::Continue,
            Direction::Response => "proxy_on_response_headers",
        };
        self.view(id, direction, position, |view| match direction {
            Direction::Request => view.request_headers = true,
            Direction::Response => view.response_headers = true,
        });
        let headers = self.with_message(id, direction, |message| count(message.headers.as_ref()));
        let arguments = [context, headers.unwrap_or_default(), u32::from(end)];
        let status = match self.ask(id, direction, position, callback, &arguments) {
            Asked::Missing => HeadersStatus::Continue,
            Asked::Stopped => HeadersStatus::StopAll,
            Asked::Returned(returned) => HeadersStatus::of(returned, allow),
        };
        if status == HeadersStatus::Continue {
            self.view(id, direction, position, |view| match direction {
                Direction::Request => view.request_headers = false,
                Direction::Response => view.response_headers = false,
            });
        }
        status
    }

    fn data_at(&mut self, id: u64, direction: Direction, position: usize, end: bool) -> DataStatus {
        let Some(filter) = self.stream(id).and_then(|stream| stream.filter(direction, position))
        else {
            return DataStatus::Continue;
        };
        if direction == Direction::Response && !filter.hears_responses() {
            return DataStatus::Continue;
        }
        let (context, is_buffering) = (filter.context, Stream::is(filter.is_buffering, direction));
        if is_buffering {
            // The plugin sees all of it, so what is new goes to the rest first.
            self.buffer(id, direction, true);
            if !self.is_moving(id, direction) {
                return DataStatus::StopNoBuffer;
            }
        }
        let body = if is_buffering { BodyView::Buffered } else { BodyView::Chunk };
        self.view(id, direction, position, |view| match direction {
            Direction::Request => view.request_body = body,
            Direction::Response => view.response_body = body,
        });
        let size = self.with_message(id, direction, |message| {
            if is_buffering {
                message.buffered.as_ref().map_or(0, Vec::len)
            } else {
                message.chunk.len()
            }
        });
        let size = u32::try_from(size.unwrap_or_default()).unwrap_or(u32::MAX);
        let callback = match direction {
            Direction::Request => "proxy_on_request_body",
            Direction::Response => "proxy_on_response_body",
        };
        let arguments = [context, size, u32::from(end)];
        let status = match self.ask(id, direction, position, callback, &arguments) {
            Asked::Missing => DataStatus::Continue,
            Asked::Stopped => DataStatus::StopNoBuffer,
            Asked::Returned(returned) => DataStatus::of(returned),
        };
        let waits = status == DataStatus::StopAndBuffer;
        if let Some(filter) =
            self.streams.get_mut(&id).and_then(|stream| stream.filter_mut(direction, position))
            && let Some(flag) = filter.is_buffering.get_mut(place(direction))
        {
            *flag = waits;
        }
        let body = match status {
            DataStatus::Continue => BodyView::Gone,
            DataStatus::StopAndBuffer => BodyView::Buffered,
            _ => body,
        };
        self.view(id, direction, position, |view| match direction {
            Direction::Request => view.request_body = body,
            Direction::Response => view.response_body = body,
        });
        status
    }

    fn trailers_at(&mut self, id: u64, direction: Direction, position: usize) -> TrailersStatus {
        let Some(filter) = self.stream(id).and_then(|stream| stream.filter(direction, position))
        else {
            return TrailersStatus::Continue;
        };
        if direction == Direction::Response && !filter.hears_responses() {
            return TrailersStatus::Continue;
        }
        let context = filter.context;
        self.view(id, direction, position, |view| match direction {
            Direction::Request => view.request_trailers = true,
            Direction::Response => view.response_trailers = true,
        });
        let callback = match direction {
            Direction::Request => "proxy_on_request_trailers",
            Direction::Response => "proxy_on_response_trailers",
        };
        let trailers = self.with_message(id, direction, |message| count(message.trailers.as_ref()));
        let arguments = [context, trailers.unwrap_or_default()];
        let status = match self.ask(id, direction, position, callback, &arguments) {
            Asked::Missing | Asked::Returned(0) => TrailersStatus::Continue,
            Asked::Stopped | Asked::Returned(_) => TrailersStatus::Stop,
        };
        if status == TrailersStatus::Continue {
            self.view(id, direction, position, |view| match direction {
                Direction::Request => view.request_trailers = false,
                Direction::Response => view.response_trailers = false,
            });
        }
        status
    }

    fn index(&self, id: u64, direction: Direction, position: usize) -> usize {
        self.stream(id).map_or(0, |stream| stream.index(direction, position))
    }

    fn view(
        &mut self,
        id: u64,
        direction: Direction,
        position: usize,
        change: impl FnOnce(&mut View),
    ) {
        let filter = self.stream(id).and_then(|stream| stream.filter(direction, position));
        let Some((vm, context)) = filter.and_then(|filter| Some((filter.vm?, filter.context)))
        else {
            return;
        };
        if let Some(vm) = self.vms.get_mut(&vm)
            && let Some(stream) = vm.stream_mut(context)
        {
            change(&mut stream.view);
        }
    }

    /// Tells a plugin that a stream is there.
    pub(crate) fn create(&mut self, id: u64, index: usize) {
        let filter = self.streams.get_mut(&id).and_then(|stream| stream.filters.get_mut(index));
        let Some(filter) = filter else { return };
        if std::mem::replace(&mut filter.is_created, true) {
            return;
        }
        let (Some(number), context) = (filter.vm, filter.context) else { return };
        if let Some(vm) = self.vms.get_mut(&number) {
            let root = vm.stream_mut(context).map_or(0, |stream| stream.root);
            let called = vm.call("proxy_on_context_create", context, &[context, root]);
            self.act(number, called.actions);
        }
    }

    /// Calls a plugin about a message, and does what it asked for meanwhile.
    fn ask(
        &mut self,
        id: u64,
        direction: Direction,
        position: usize,
        callback: &'static str,
        arguments: &[u32],
    ) -> Asked {
        if direction == Direction::Request
            && callback == "proxy_on_request_headers"
            && let Some(stream) = self.streams.get_mut(&id)
            && let Some(filter) = stream.filter_mut(direction, position)
        {
            filter.has_started = true;
        }
        if self.check_failed(id, direction, position) {
            return Asked::Stopped;
        }
        let Some(stream) = self.streams.get_mut(&id) else { return Asked::Stopped };
        let Some(filter) = stream.filter(direction, position) else { return Asked::Stopped };
        let (Some(number), context) = (filter.vm, filter.context) else { return Asked::Stopped };
        if let Some(depth) = stream.calling.get_mut(place(direction)) {
            *depth = depth.saturating_add(1);
        }
        let Some(vm) = self.vms.get_mut(&number) else { return Asked::Stopped };
        let exists = vm.has(callback);
        let called = vm.call(callback, context, arguments);
        let has_failed = self.check_failed(id, direction, position);
        self.act(number, called.actions);
        if let Some(stream) = self.streams.get_mut(&id)
            && let Some(depth) = stream.calling.get_mut(place(direction))
        {
            *depth = depth.saturating_sub(1);
        }
        if has_failed || called.is_stopped {
            return Asked::Stopped;
        }
        match called.returned {
            Some(returned) if exists => Asked::Returned(returned),
            _ => Asked::Missing,
        }
    }

    /// A stream whose plugin has no VM any more ends with 503.
    fn check_failed(&mut self, id: u64, direction: Direction, position: usize) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else { return true };
        let Some(filter) = stream.filter_mut(direction, position) else { return true };
        let is_failed = filter
            .vm
            .is_none_or(|number| self.vms.get(&number).is_none_or(|vm| vm.failure().is_some()));
        if !is_failed {
            return false;
        }
        if !std::mem::replace(&mut filter.has_failed, true) {
            let (vm, context) = (filter.vm, filter.context);
            let calling = stream.calling.get_mut(place(direction));
            // Envoy answers as from within the callback, whether there was one or not.
            if let Some(depth) = calling {
                *depth = depth.saturating_add(1);
            }
            if self.may_reply(vm, context) {
                self.reply(
                    id,
                    LocalReply {
                        status: 503,
                        details: "wasm_fail_stream".into(),
                        body: Vec::new(),
                        headers: Vec::new(),
                        grpc_status: 14,
                    },
                );
            }
            if let Some(stream) = self.streams.get_mut(&id)
                && let Some(depth) = stream.calling.get_mut(place(direction))
            {
                *depth = depth.saturating_sub(1);
            }
        }
        true
    }

    /// A filter answers once.
    fn may_reply(&mut self, vm: Option<crate::schedule::VmNumber>, context: u32) -> bool {
        let Some(number) = vm else { return true };
        let stream = self.vms.get_mut(&number).and_then(|vm| vm.stream_mut(context));
        stream.is_none_or(|stream| !std::mem::replace(&mut stream.has_replied, true))
    }

    /// Does what a plugin asked for about a stream.
    pub(crate) fn act_on_stream(&mut self, number: crate::schedule::VmNumber, action: Action) {
        let context = match &action {
            Action::Continue { context, .. }
            | Action::Reply { context, .. }
            | Action::Reset { context }
            | Action::ClearRouteCache { context } => *context,
            _ => return,
        };
        let Some(vm) = self.vms.get_mut(&number) else { return };
        let Some(id) = vm.stream_mut(context).map(|stream| stream.stream) else { return };
        let Some(stream) = self.stream(id) else { return };
        let index = stream
            .filters
            .iter()
            .position(|filter| filter.vm == Some(number) && filter.context == context);
        let Some(index) = index else { return };
        let state = stream.state.clone();
        match action {
            Action::Continue { direction, .. } => {
                let position = stream.index(direction, index);
                self.continue_from(id, direction, position);
            }
            Action::Reply { reply, .. } if self.may_reply(Some(number), context) => {
                self.reply(id, reply);
                self.send_unless_calling(id);
            }
            Action::Reset { .. } => self.reset(id, "wasm_fail_stream"),
            Action::ClearRouteCache { .. } => {
                let mut state = state.borrow_mut();
                if !state.route_is_blocked {
                    state.cached_route = None;
                }
            }
            _ => {}
        }
    }

    // ---- local replies ----

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
        stream.state.borrow_mut().info.details = Some(reply.details.clone());
        if !stream.response_has_begun {
            stream.prepared = Some(reply);
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

    fn send_unless_calling(&mut self, id: u64) {
        if self.stream(id).is_some_and(|stream| stream.calling == [0, 0]) {
            self.send_prepared(id);
        }
    }

    /// Sends an answer that was given from within a callback.
    fn send_prepared(&mut self, id: u64) {
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
            // Envoy looks for a route that somebody cleared, for its own records.
            state.response = Message { headers: Some(headers), ..Message::default() };
        }
        self.pass_headers(id, Direction::Response, 0, !has_body);
        if has_body && self.is_moving(id, Direction::Response) {
            self.with_message(id, Direction::Response, |message| message.chunk = body);
            self.pass_data(id, Direction::Response, 0, true);
        }
    }

    // ---- the ends ----

    /// The router: the request has passed all filters.
    fn route(&mut self, id: u64, end: bool) {
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
        let reply = match taken {
            None => {
                state.info.flags |= NO_ROUTE_FOUND;
                answer(404, "route_not_found", Vec::new())
            }
            Some(crate::context::Route { direct: Some((status, body)), .. }) => {
                answer(status, "direct_response", body)
            }
            Some(crate::context::Route { cluster: Some(cluster), .. })
                if self.common.borrow().clusters.contains(&cluster) =>
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
            let found = crate::route::find(&self.routes, &state.info.listener, &headers);
            state.info.route.clone_from(&found);
            state.cached_route = found;
        }
        state.cached_route.clone()
    }

    fn send_data(&mut self, id: u64, chunk: &[u8], end: bool) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if let Some(incoming) = &mut stream.upstream.incoming {
            incoming.body.extend(chunk);
            incoming.is_complete |= end;
        }
    }

    fn send_trailers(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let trailers = stream.state.borrow().request.trailers.clone();
        if let Some(incoming) = &mut stream.upstream.incoming {
            incoming.trailers = trailers;
            incoming.is_complete = true;
        }
    }

    fn deliver_headers(&mut self, id: u64, end: bool) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let mut state = stream.state.borrow_mut();
        let headers = state.response.headers.clone().unwrap_or_default();
        state.info.code = headers.text(":status").and_then(|status| status.parse().ok());
        drop(state);
        stream.client.headers = Some(headers);
        stream.client.is_bare = end;
        if end {
            self.complete(id);
        }
    }

    fn deliver_data(&mut self, id: u64, chunk: Vec<u8>, end: bool) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        {
            let info = &mut stream.state.borrow_mut().info;
            info.response_bytes = info.response_bytes.saturating_add(bytes);
        }
        stream.client.body.extend(chunk);
        if end {
            self.complete(id);
        }
    }

    fn deliver_trailers(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.client.trailers.clone_from(&stream.state.borrow().response.trailers);
        self.complete(id);
    }

    fn complete(&mut self, id: u64) {
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

/// What a plugin said to a question.
enum Asked {
    /// It is not interested.
    Missing,
    /// It answered, or failed.
    Stopped,
    Returned(u32),
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
            Err(_) => grpc_status(reply.status),
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

/// The gRPC status that stands for an HTTP status (gRPC's own table).
fn grpc_status(status: u16) -> u32 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// A gRPC message as a header value (gRPC over HTTP/2, `Percent-Encoded`).
fn percent_encoded(message: &[u8]) -> String {
    let encode = |byte: &u8| match byte {
        b' '..=b'~' if *byte != b'%' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    message.iter().map(encode).collect()
}
