//! Streams of a proxy: opened, fed, answered, buried.

use super::failures::{UPSTREAM_PROTOCOL_ERROR, flag, router_reply};
use super::{Handle, Proxy, Retiring, StreamNumber};
use crate::context::{Context, Declared, Info, Message, Stored, StreamContext, StreamState, View};
use crate::request::Request;
use crate::schedule::VmNumber;
use crate::service::{Failure, Incoming, Response};
use crate::stream::{Delivered, Filter, Sent, Stream, place};
use crate::vm::LocalReply;
use crate::{Direction, Headers, Value};
use std::cell::RefCell;
use std::rc::Rc;

impl Proxy {
    /// Opens a stream with a request, which passes the filters as far as it can. What stands behind
    /// is not asked; see [`Self::waiting`].
    pub fn open(&mut self, request: Request) -> StreamNumber {
        let worker = request.worker.unwrap_or_else(|| self.take_turn());
        let is_there = worker > 0 && worker < self.workers.len();
        self.next_stream = self.next_stream.saturating_add(1);
        let id = self.next_stream;
        let listener = self.listeners.get(&request.listener).or_else(|| {
            // Without a name it is the only one, if there is only one.
            let only = self.listeners.values().next().filter(|_| self.listeners.len() == 1);
            only.filter(|_| request.listener.is_empty())
        });
        let names = listener.map(|listener| listener.plugins.clone());
        let nowhere = names.is_none().then(|| {
            let body = format!("wasm-host: there is no listener `{}`", request.listener);
            (503, "no_such_listener".to_owned(), body.into_bytes())
        });
        let names = names.unwrap_or_default();
        let Request { headers, body, trailers, attributes, metadata, answered, .. } = request;
        let nobody = (!is_there).then(|| {
            let body = format!("wasm-host: there is no worker {worker}, they count from 1");
            (503, "no_such_worker".to_owned(), body.into_bytes())
        });
        let answered = nowhere.or(nobody).or(answered);
        let stored = |value| Stored { value, declared: Declared::default() };
        let filter_state = request.filter_state.into_iter();
        let is_head = headers.get(":method") == Some(b"HEAD");
        let kind =
            headers.get("content-type").and_then(|kind| kind.strip_prefix(b"application/grpc"));
        let is_grpc = kind.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"));
        let (started_unix_ns, began) = {
            let clock = &self.common.borrow().clock;
            (clock.unix_ns(), clock.now())
        };
        let state = StreamState {
            came_forwarded: headers.get("x-forwarded-proto").is_some(),
            request: Message { headers: Some(headers), ..Message::default() },
            info: Info {
                attributes,
                metadata: metadata.into_iter().collect(),
                filter_state: filter_state.map(|(key, value)| (key, stored(value))).collect(),
                listener: request.listener,
                connection_id: id,
                started_unix_ns,
                ..Info::default()
            },
            ..StreamState::default()
        };
        let state = Rc::new(RefCell::new(state));
        let marks = self.marks();
        let mut filters = Vec::new();
        for name in names {
            if let Some(handle) = self.handle(worker, &name) {
                filters.extend(self.filter(&name, handle, id, &state));
            }
        }
        let stream = Stream {
            filters,
            state,
            is_complete: [false, false],
            calling: [0, 0],
            is_aborted: [false, false],
            prepared: None,
            response_has_begun: false,
            is_local: false,
            is_head,
            is_grpc,
            client: Delivered::default(),
            upstream: Sent::default(),
            has_ended: false,
            was_reset: false,
            began,
            deaths: self.common.borrow().deaths.len(),
            marks,
        };
        self.streams.insert(id, stream);
        self.find_route(id);
        if let Some((status, details, body)) = answered {
            let headers = Vec::new();
            self.reply(id, LocalReply { status, details, body, headers, grpc_status: -1 });
        } else {
            let is_bare = body.is_empty() && trailers.is_none();
            self.pass(id, Direction::Request, body, trailers, is_bare);
        }
        self.bury();
        StreamNumber(id)
    }

    fn take_turn(&mut self) -> usize {
        let workers = self.workers.len().saturating_sub(1).max(1);
        let turn = self.next_worker.checked_rem(workers).unwrap_or(0);
        self.next_worker = self.next_worker.wrapping_add(1);
        turn.saturating_add(1)
    }

    pub(super) fn filter(
        &mut self,
        name: &str,
        handle: Handle,
        stream: u64,
        state: &Rc<RefCell<StreamState>>,
    ) -> Option<Filter> {
        let number = handle.vm?;
        let state = Rc::clone(state);
        let context = StreamContext { root: handle.root, stream, state, view: View::default() };
        let context = self.vms.get_mut(&number)?.add(Context::Stream(context));
        let allow =
            self.plugins.get(name).is_some_and(|plugin| plugin.allow_on_headers_stop_iteration);
        Some(Filter {
            vm: number,
            context,
            is_created: false,
            has_started: false,
            has_failed: false,
            allow_stop_iteration: allow,
            is_buffering: [false, false],
            flows: [crate::stream::FilterFlow::default(); 2],
        })
    }

    /// A message comes into the proxy, frame by frame, and the last one ends it.
    fn pass(
        &mut self,
        id: u64,
        direction: Direction,
        body: Vec<Vec<u8>>,
        trailers: Option<Headers>,
        is_bare: bool,
    ) {
        self.mark_complete(id, direction, is_bare);
        self.pass_headers(id, direction, 0, is_bare);
        let parts = body.len();
        for (part, chunk) in (1..).zip(body) {
            let is_last = part == parts && trailers.is_none();
            if !self.may_pass(id, direction) {
                return;
            }
            self.mark_complete(id, direction, is_last);
            self.put_chunk(id, direction, chunk);
            self.pass_data(id, direction, 0, is_last);
        }
        if let Some(trailers) = trailers
            && self.may_pass(id, direction)
        {
            if let Some(stream) = self.streams.get(&id) {
                let mut state = stream.state.borrow_mut();
                match direction {
                    Direction::Request => state.request.trailers = Some(trailers),
                    Direction::Response => state.response.trailers = Some(trailers),
                }
            }
            self.mark_complete(id, direction, true);
            self.pass_trailers(id, direction, 0);
        }
    }

    /// Headers and parts of a body, none of which is the last.
    fn pass_part(&mut self, id: u64, direction: Direction, body: Vec<Vec<u8>>) {
        self.pass_headers(id, direction, 0, false);
        for chunk in body.into_iter().filter(|chunk| !chunk.is_empty()) {
            if !self.may_pass(id, direction) {
                return;
            }
            self.put_chunk(id, direction, chunk);
            self.pass_data(id, direction, 0, false);
        }
    }

    fn put_chunk(&mut self, id: u64, direction: Direction, chunk: Vec<u8>) {
        let Some(stream) = self.streams.get(&id) else { return };
        let mut state = stream.state.borrow_mut();
        let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        match direction {
            Direction::Request => {
                state.info.request_bytes = state.info.request_bytes.saturating_add(bytes);
                state.request.chunk = chunk;
            }
            Direction::Response => state.response.chunk = chunk,
        }
    }

    fn may_pass(&self, id: u64, direction: Direction) -> bool {
        self.streams.get(&id).is_some_and(|stream| {
            let is_replaced = direction == Direction::Response && stream.is_local;
            let is_over = stream.has_ended || Stream::is(stream.is_aborted, direction);
            !is_over && !is_replaced
        })
    }

    fn mark_complete(&mut self, id: u64, direction: Direction, is_complete: bool) {
        let stream = self.streams.get_mut(&id);
        if let Some(flag) = stream.and_then(|stream| stream.is_complete.get_mut(place(direction))) {
            *flag |= is_complete;
        }
    }

    /// What the upstream got, if all of the request is there and no answer was given.
    pub fn waiting(&self, stream: StreamNumber) -> Option<&Incoming> {
        let stream = self.streams.get(&stream.0)?;
        let waits = !stream.response_has_begun && !stream.has_ended;
        stream.upstream.incoming.as_ref().filter(|sent| waits && sent.is_complete)
    }

    /// Says an attribute of a stream that is open, from now on: such as what is known of an upstream
    /// once there is one. It wins over what the host itself knows.
    pub fn attribute(&mut self, stream: StreamNumber, path: &[&str], value: impl Into<Value>) {
        if let Some(stream) = self.streams.get(&stream.0) {
            let path = path.iter().map(|part| (*part).to_owned()).collect();
            stream.state.borrow_mut().info.attributes.push((path, value.into()));
        }
    }

    /// Whether a stream is over.
    pub fn has_ended(&self, stream: StreamNumber) -> bool {
        self.streams.get(&stream.0).is_none_or(|stream| stream.has_ended)
    }

    /// The upstream responds.
    pub fn respond(&mut self, stream: StreamNumber, response: Response) {
        let Response { status, headers, body, trailers } = response;
        if self.begin_response(stream.0, status, &headers) {
            let is_bare = body.is_empty() && trailers.is_none();
            self.pass(stream.0, Direction::Response, body, trailers, is_bare);
            self.bury();
        }
    }

    /// The upstream begins to respond, and the connection breaks before the end.
    pub fn cut(&mut self, stream: StreamNumber, response: Response) {
        let Response { status, headers, body, .. } = response;
        if self.begin_response(stream.0, status, &headers) {
            self.pass_part(stream.0, Direction::Response, body);
            self.end_cut(stream.0);
            self.bury();
        }
    }

    /// The client sees the stream end before its message does.
    fn end_cut(&mut self, id: u64) {
        if let Some(stream) = self.streams.get_mut(&id)
            && !stream.has_ended
        {
            let mut state = stream.state.borrow_mut();
            let details = "upstream_reset_after_response_started{protocol_error}";
            state.info.details = Some(details.into());
            state.info.flags |= UPSTREAM_PROTOCOL_ERROR;
            drop(state);
            stream.was_reset = true;
            self.end(id);
        }
    }

    fn begin_response(&mut self, id: u64, status: u16, headers: &Headers) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else { return false };
        // Whoever never got the request cannot answer it.
        let is_waiting = stream.upstream.incoming.is_some() && !stream.response_has_begun;
        if stream.has_ended || !is_waiting {
            return false;
        }
        stream.response_has_begun = true;
        {
            let mut state = stream.state.borrow_mut();
            let mut all = Headers::from_iter([(":status", status.to_string())]);
            all.extend(headers.iter().map(|(name, value)| (name.to_owned(), value)));
            state.response.headers = Some(all);
            state.route_is_blocked = true;
            state.info.details = Some("via_upstream".into());
            state.info.code = Some(status);
            let cluster = stream.upstream.incoming.as_ref().map(|sent| sent.cluster.clone());
            state.info.upstream = cluster;
        }
        true
    }

    /// The upstream fails before it responds.
    pub fn fail(&mut self, stream: StreamNumber, failure: Failure) {
        let id = stream.0;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.has_ended || stream.response_has_begun {
            return;
        }
        {
            let mut state = stream.state.borrow_mut();
            state.info.flags |= flag(failure);
            if failure != Failure::NoHealthyHost {
                let cluster = stream.upstream.incoming.as_ref().map(|sent| sent.cluster.clone());
                state.info.upstream = cluster;
            }
        }
        self.reply(id, router_reply(failure));
        self.bury();
    }

    /// A stream is over: its plugins are told once nobody is in a callback for it.
    pub(crate) fn end(&mut self, id: u64) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.has_ended = true;
        }
    }

    /// Tells plugins of what is over: logs first, in order, then the ends.
    pub(super) fn bury(&mut self) {
        let over: Vec<u64> = self
            .streams
            .iter()
            .filter(|(_, stream)| {
                stream.has_ended && stream.filters.iter().any(|filter| filter.context != 0)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            self.bury_stream(id);
        }
        self.forget_unused();
        let retiring = std::mem::take(&mut self.retiring);
        for Retiring { vm, root } in retiring {
            let is_used = self.vms.get(&vm).is_some_and(|vm| {
                vm.state().contexts.values().any(
                    |context| matches!(context, Context::Stream(stream) if stream.root == root),
                )
            });
            if is_used {
                self.retiring.push(Retiring { vm, root });
            } else {
                self.retire(vm, root);
            }
        }
    }

    fn bury_stream(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let took = self.common.borrow().clock.now().saturating_sub(stream.began);
        stream.state.borrow_mut().info.ended_after = Some(took);
        let filters: Vec<(VmNumber, u32)> =
            stream.filters.iter().map(|filter| (filter.vm, filter.context)).collect();
        for (index, (vm, context)) in filters.iter().enumerate() {
            let number = *vm;
            self.create(id, index);
            self.set_log_view(number, *context, true);
            self.call(number, "proxy_on_log", *context, &[*context]);
            self.set_log_view(number, *context, false);
        }
        for (vm, context) in filters {
            let number = vm;
            self.call(number, "proxy_on_done", context, &[context]);
            self.call(number, "proxy_on_delete", context, &[context]);
            if let Some(vm) = self.vms.get_mut(&number) {
                vm.state_mut().contexts.remove(&context);
            }
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.filters.clear();
        }
    }

    fn set_log_view(&mut self, number: VmNumber, context: u32, log: bool) {
        let stream = self.vms.get_mut(&number).and_then(|vm| vm.stream_mut(context));
        if let Some(stream) = stream {
            stream.view = View { log, ..View::default() };
        }
    }
}
