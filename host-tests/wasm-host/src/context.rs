//! Contexts: what a plugin's numbers for its callbacks stand for.

use crate::plugin::Plugin;
use crate::{BufferType, Headers, MapType, Status, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// How long something lives that a plugin stores with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    FilterChain,
    Request,
    Connection,
}

/// How a property that a plugin declared is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) is_text: bool,
    pub(crate) is_readonly: bool,
    pub(crate) span: Span,
}

impl Default for Declared {
    fn default() -> Self {
        Self { is_text: false, is_readonly: false, span: Span::FilterChain }
    }
}

/// A value that was stored with a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) value: Value,
    pub(crate) declared: Declared,
}

/// The answer to an HTTP call, while the plugin is told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CallResponse {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<Headers>,
}

/// One direction of a stream, as the proxy holds it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    pub(crate) headers: Option<Headers>,
    /// The part of the body that is passing the filters.
    pub(crate) chunk: Vec<u8>,
    /// What waits in the proxy.
    pub(crate) buffered: Option<Vec<u8>>,
    pub(crate) trailers: Option<Headers>,
}

/// The route of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) cluster: Option<String>,
    pub(crate) direct: Option<(u16, Vec<u8>)>,
    pub(crate) metadata: BTreeMap<String, Value>,
}

/// What is known of a stream beside its messages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Info {
    /// Attributes that whoever sends the request says, by path. They win over all others.
    pub(crate) attributes: Vec<(Vec<String>, Value)>,
    /// Dynamic metadata by namespace.
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) filter_state: BTreeMap<String, Stored>,
    /// The listener that the request came in by; routes may be its alone.
    pub(crate) listener: String,
    pub(crate) connection_id: u64,
    pub(crate) started_unix_ns: u64,
    pub(crate) ended_after: Option<Duration>,
    pub(crate) code: Option<u16>,
    pub(crate) details: Option<String>,
    pub(crate) flags: u64,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    /// The route that attributes show: that of the last time anybody asked for it.
    pub(crate) route: Option<Route>,
    /// The cluster, once a host of it was chosen.
    pub(crate) upstream: Option<String>,
    pub(crate) attempts: u64,
}

impl Info {
    /// The cluster: that of the host that was chosen, or else of the route.
    pub(crate) fn cluster(&self) -> Option<&String> {
        let route = self.route.as_ref();
        self.upstream.as_ref().or_else(|| route.and_then(|route| route.cluster.as_ref()))
    }
}

/// A stream as all of its filters see it.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamState {
    pub(crate) request: Message,
    pub(crate) response: Message,
    pub(crate) info: Info,
    /// The route that the router would take; absent when somebody cleared it.
    pub(crate) cached_route: Option<Route>,
    /// No header changes the route any more.
    pub(crate) route_is_blocked: bool,
    /// The request came with `x-forwarded-proto`, without which Envoy looks for no route.
    pub(crate) came_forwarded: bool,
}

impl StreamState {
    /// The next one who asks for the route finds it anew, unless it is too late for that.
    pub(crate) fn clear_route_cache(&mut self) {
        if !self.route_is_blocked {
            self.cached_route = None;
        }
    }
}

/// The part of a body that a filter may look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum BodyView {
    #[default]
    Gone,
    Chunk,
    Buffered,
}

/// What of a stream a filter may look at: a map is gone once its phase is over.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "maps come and go one by one")]
pub(crate) struct View {
    pub(crate) request_headers: bool,
    pub(crate) request_body: BodyView,
    pub(crate) request_trailers: bool,
    pub(crate) response_headers: bool,
    pub(crate) response_body: BodyView,
    pub(crate) response_trailers: bool,
    /// What the callback at hand sees is the end of the message.
    pub(crate) at_end: bool,
    /// `on_log`: headers are there again, to be read.
    pub(crate) log: bool,
}

/// A plugin in a VM.
#[derive(Debug)]
pub(crate) struct RootContext {
    pub(crate) plugin: Rc<Plugin>,
    /// Its configuration can be read: only while it is being configured.
    pub(crate) is_configuring: bool,
    pub(crate) declared: BTreeMap<Vec<u8>, Declared>,
    /// What `proxy_get_status` shows.
    pub(crate) status: (u32, String),
    pub(crate) call_response: Option<CallResponse>,
    pub(crate) grpc_initial: Option<Headers>,
    pub(crate) grpc_trailing: Option<Headers>,
    pub(crate) grpc_message: Option<Vec<u8>>,
}

impl RootContext {
    pub(crate) fn new(plugin: Rc<Plugin>) -> Self {
        Self {
            plugin,
            is_configuring: false,
            declared: BTreeMap::new(),
            status: (0, String::new()),
            call_response: None,
            grpc_initial: None,
            grpc_trailing: None,
            grpc_message: None,
        }
    }
}

/// A plugin at a stream.
#[derive(Debug)]
pub(crate) struct StreamContext {
    pub(crate) root: u32,
    pub(crate) stream: u64,
    pub(crate) state: Rc<RefCell<StreamState>>,
    pub(crate) view: View,
}

/// What a number stands for.
#[derive(Debug)]
pub(crate) enum Context {
    Root(Box<RootContext>),
    Stream(StreamContext),
}

impl StreamContext {
    /// A map to read.
    pub(crate) fn map(&self, map: MapType) -> Option<Headers> {
        let state = self.state.borrow();
        let view = self.view;
        match map {
            MapType::RequestHeaders if view.request_headers || view.log => {
                state.request.headers.clone()
            }
            MapType::RequestTrailers
                if view.request_trailers || view.at_end && view.request_body != BodyView::Gone =>
            {
                state.request.trailers.clone()
            }
            // A log is not shown the trailers of the request.
            MapType::RequestTrailers if view.log => Some(Headers::new()),
            MapType::ResponseHeaders if view.response_headers || view.log => {
                state.response.headers.clone()
            }
            MapType::ResponseTrailers
                if view.response_trailers
                    || view.log
                    || view.at_end && view.response_body != BodyView::Gone =>
            {
                state.response.trailers.clone()
            }
            _ => None,
        }
    }

    /// Changes a map, unless it is gone.
    pub(crate) fn change(
        &self,
        map: MapType,
        change: impl FnOnce(&mut Headers),
    ) -> Result<(), Status> {
        let mut state = self.state.borrow_mut();
        let view = self.view;
        // At the end of a body a plugin can add trailers that did not come.
        let ends = |body: BodyView| view.at_end && body != BodyView::Gone;
        match map {
            MapType::RequestTrailers if ends(view.request_body) => {
                state.request.trailers.get_or_insert_default();
            }
            MapType::ResponseTrailers if ends(view.response_body) => {
                state.response.trailers.get_or_insert_default();
            }
            _ => {}
        }
        let view = View {
            request_trailers: view.request_trailers || ends(view.request_body),
            response_trailers: view.response_trailers || ends(view.response_body),
            ..view
        };
        let headers = match map {
            MapType::RequestHeaders if view.request_headers => state.request.headers.as_mut(),
            MapType::RequestTrailers if view.request_trailers => state.request.trailers.as_mut(),
            MapType::ResponseHeaders if view.response_headers => state.response.headers.as_mut(),
            MapType::ResponseTrailers if view.response_trailers => state.response.trailers.as_mut(),
            _ => None,
        };
        change(headers.ok_or(Status::BadArgument)?);
        Ok(())
    }

    /// The next one who asks for the route finds it anew.
    pub(crate) fn clear_route_cache(&self) {
        self.state.borrow_mut().clear_route_cache();
    }

    /// A body to read.
    pub(crate) fn body(&self, buffer: BufferType) -> Option<Vec<u8>> {
        let state = self.state.borrow();
        let (view, message) = match buffer {
            BufferType::HttpRequestBody => (self.view.request_body, &state.request),
            BufferType::HttpResponseBody => (self.view.response_body, &state.response),
            _ => return None,
        };
        match view {
            BodyView::Gone => None,
            BodyView::Chunk => Some(message.chunk.clone()),
            BodyView::Buffered => Some(message.buffered.clone().unwrap_or_default()),
        }
    }

    /// Changes a body, unless it is gone.
    pub(crate) fn change_body(
        &self,
        buffer: BufferType,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Status> {
        let mut state = self.state.borrow_mut();
        let (view, message) = match buffer {
            BufferType::HttpRequestBody => (self.view.request_body, &mut state.request),
            BufferType::HttpResponseBody => (self.view.response_body, &mut state.response),
            _ => return Err(Status::BadArgument),
        };
        match view {
            BodyView::Gone => return Err(Status::BadArgument),
            BodyView::Chunk => change(&mut message.chunk),
            BodyView::Buffered => change(message.buffered.get_or_insert_default()),
        }
        Ok(())
    }
}
