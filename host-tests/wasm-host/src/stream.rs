//! A stream: what the proxy holds of a request and its response, and where they are.

use crate::context::StreamState;
use crate::schedule::VmNumber;
use crate::service::Incoming;
use crate::vm::LocalReply;
use crate::{Direction, Headers};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Whether frames pass a filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Iteration {
    #[default]
    Continue,
    /// What it has seen waits; it sees what comes.
    StopSingle,
    /// Everything waits.
    StopAll,
}

/// One direction at one filter.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FilterFlow {
    pub(crate) iteration: Iteration,
    pub(crate) headers_continued: bool,
    pub(crate) has_ended: bool,
}

/// A filter of a stream.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Filter {
    pub(crate) vm: VmNumber,
    pub(crate) context: u32,
    pub(crate) is_created: bool,
    /// It saw the request's headers. Without them it is not asked about anything else.
    pub(crate) has_started: bool,
    pub(crate) has_failed: bool,
    pub(crate) allow_stop_iteration: bool,
    pub(crate) is_buffering: [bool; 2],
    pub(crate) flows: [FilterFlow; 2],
}

impl Filter {
    /// Without the headers of a request a plugin is not asked about its response, and one that has
    /// failed lets its own 503 pass.
    pub(crate) fn hears_responses(&self) -> bool {
        self.has_started && !self.has_failed
    }
}

/// What the client has.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    pub(crate) headers: Option<Headers>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<Headers>,
    /// Headers were all.
    pub(crate) is_bare: bool,
}

/// What the upstream has.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) incoming: Option<Incoming>,
    /// It is asked as time passes, not by whoever opened the stream.
    pub(crate) is_driven: bool,
    /// Somebody was asked for an answer.
    pub(crate) is_asked: bool,
}

/// A stream.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Stream {
    pub(crate) filters: Vec<Filter>,
    pub(crate) state: Rc<RefCell<StreamState>>,
    /// The last frame of a direction has come to the proxy.
    pub(crate) is_complete: [bool; 2],
    /// How many callbacks of a direction are running.
    pub(crate) calling: [u32; 2],
    /// A direction goes no further: somebody answered.
    pub(crate) is_aborted: [bool; 2],
    pub(crate) prepared: Option<LocalReply>,
    pub(crate) response_has_begun: bool,
    pub(crate) is_local: bool,
    pub(crate) is_head: bool,
    pub(crate) is_grpc: bool,
    pub(crate) client: Delivered,
    pub(crate) upstream: Sent,
    pub(crate) has_ended: bool,
    pub(crate) was_reset: bool,
    pub(crate) began: Duration,
    /// How many deaths there were when it began.
    pub(crate) deaths: usize,
    /// How many log lines, callbacks, hostcalls and surprises there were when it began.
    pub(crate) marks: [usize; 4],
}

pub(crate) const fn place(direction: Direction) -> usize {
    match direction {
        Direction::Request => 0,
        Direction::Response => 1,
    }
}

impl Stream {
    /// The filter at a position: responses pass the filters from the last to the first.
    pub(crate) fn index(&self, direction: Direction, position: usize) -> usize {
        match direction {
            Direction::Request => position,
            Direction::Response => self.filters.len().saturating_sub(1).saturating_sub(position),
        }
    }

    pub(crate) fn filter(&self, direction: Direction, position: usize) -> Option<&Filter> {
        self.filters.get(self.index(direction, position))
    }

    pub(crate) fn filter_mut(
        &mut self,
        direction: Direction,
        position: usize,
    ) -> Option<&mut Filter> {
        let index = self.index(direction, position);
        self.filters.get_mut(index)
    }

    pub(crate) fn flow(&self, direction: Direction, position: usize) -> FilterFlow {
        let flows = self.filter(direction, position).map(|filter| filter.flows);
        let [request, response] = flows.unwrap_or_default();
        if direction == Direction::Request { request } else { response }
    }

    pub(crate) fn flow_mut(
        &mut self,
        direction: Direction,
        position: usize,
    ) -> Option<&mut FilterFlow> {
        self.filter_mut(direction, position)?.flows.get_mut(place(direction))
    }

    pub(crate) fn is(flags: [bool; 2], direction: Direction) -> bool {
        let [request, response] = flags;
        if direction == Direction::Request { request } else { response }
    }
}
