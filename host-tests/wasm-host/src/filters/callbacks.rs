//! A message at one filter: what the plugin may look at, what it is asked, what it says.

use crate::abi::{DataStatus, HeadersStatus, TrailersStatus};
use crate::context::{BodyView, View};
use crate::proxy::Proxy;
use crate::stream::{Stream, place};
use crate::vm::LocalReply;
use crate::{Direction, Headers};

impl Proxy {
    pub(super) fn headers_at(
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

    pub(super) fn data_at(
        &mut self,
        id: u64,
        direction: Direction,
        position: usize,
        end: bool,
    ) -> DataStatus {
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
        self.view(id, direction, position, |view| {
            view.at_end = end;
            match direction {
                Direction::Request => view.request_body = body,
                Direction::Response => view.response_body = body,
            }
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

    pub(super) fn trailers_at(
        &mut self,
        id: u64,
        direction: Direction,
        position: usize,
    ) -> TrailersStatus {
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
            Asked::Missing => TrailersStatus::Continue,
            Asked::Stopped => TrailersStatus::Stop,
            Asked::Returned(returned) => TrailersStatus::of(returned),
        };
        if status == TrailersStatus::Continue {
            self.view(id, direction, position, |view| match direction {
                Direction::Request => view.request_trailers = false,
                Direction::Response => view.response_trailers = false,
            });
        }
        status
    }

    pub(super) fn index(&self, id: u64, direction: Direction, position: usize) -> usize {
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
        let Some((vm, context)) = filter.map(|filter| (filter.vm, filter.context)) else { return };
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
        let (number, context) = (filter.vm, filter.context);
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
        let (number, context) = (filter.vm, filter.context);
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
        let vm = self.vms.get(&filter.vm);
        let is_failed = vm.is_none_or(|vm| vm.failure().is_some());
        if !is_failed {
            return false;
        }
        if !std::mem::replace(&mut filter.has_failed, true) {
            let calling = stream.calling.get_mut(place(direction));
            // Envoy answers as from within the callback, whether there was one or not.
            if let Some(depth) = calling {
                *depth = depth.saturating_add(1);
            }
            let reply = LocalReply {
                status: 503,
                details: "wasm_fail_stream".into(),
                body: Vec::new(),
                headers: Vec::new(),
                grpc_status: 14,
            };
            self.reply(id, reply);
            if let Some(stream) = self.streams.get_mut(&id)
                && let Some(depth) = stream.calling.get_mut(place(direction))
            {
                *depth = depth.saturating_sub(1);
            }
        }
        true
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

/// An empty or missing map has no headers, and so has Envoy's count.
fn count(headers: Option<&Headers>) -> u32 {
    u32::try_from(headers.map_or(0, Headers::len)).unwrap_or(u32::MAX)
}
