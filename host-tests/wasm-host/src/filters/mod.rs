//! How headers, bodies and trailers pass the filters of a stream: Envoy's filter manager.
//!
//! ```text
//! client ─► filter 0 ─► filter 1 ─► router ─► upstream
//!        ◄──────────────────────────────────
//! ```
//!
//! A filter may stop what passes; then it waits in the proxy until the filter continues. A position
//! counts filters in the direction of the message.

mod actions;
mod callbacks;
mod ends;
mod replies;

use crate::Direction;
use crate::abi::{DataStatus, HeadersStatus, TrailersStatus};
use crate::context::{Message, StreamState};
use crate::proxy::Proxy;
use crate::stream::{Iteration, Stream};
use crate::vm::LocalReply;

fn message(state: &mut StreamState, direction: Direction) -> &mut Message {
    match direction {
        Direction::Request => &mut state.request,
        Direction::Response => &mut state.response,
    }
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
        let had_trailers = self.has_trailers(id, direction);
        let mut added_at = None;
        for position in from..filters {
            let Some(stream) = self.stream(id) else { return };
            let flow = stream.flow(direction, position);
            if flow.iteration == Iteration::StopAll {
                self.buffer(id, direction, false);
                return self.pass_added_trailers(id, direction, added_at);
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
            if !had_trailers && self.has_trailers(id, direction) {
                added_at.get_or_insert(position);
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
                    return self.pass_added_trailers(id, direction, added_at);
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
                    return self.pass_added_trailers(id, direction, added_at);
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
        self.pass_added_trailers(id, direction, added_at);
    }

    /// Trailers that a filter added to a body that had none pass the filters behind it.
    fn pass_added_trailers(&mut self, id: u64, direction: Direction, added_at: Option<usize>) {
        if let Some(position) = added_at
            && self.is_moving(id, direction)
        {
            self.pass_trailers(id, direction, position.saturating_add(1));
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
}
