//! One plugin that passes work on through a queue, and one that does it.

use log::{info, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

const NAME: &str = "work";
/// The id of the VM that works.
const WHERE: &str = "consumer";

pub(crate) struct Consumer;

impl Context for Consumer {}

impl RootContext for Consumer {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.register_shared_queue(NAME);
        true
    }

    fn on_queue_ready(&mut self, queue: u32) {
        match self.dequeue_shared_queue(queue) {
            Ok(Some(work)) => info!("doing {}", String::from_utf8_lossy(&work)),
            Ok(None) => info!("nothing to do"),
            Err(status) => warn!("no queue: {status:?}"),
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Passing))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Passing;

impl Context for Passing {}
impl HttpContext for Passing {}

pub(crate) struct Producer;

impl Context for Producer {}

impl RootContext for Producer {
    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Request;

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let Some(queue) = self.resolve_shared_queue(WHERE, NAME) else {
            warn!("nobody works");
            return Action::Continue;
        };
        let path = self.get_http_request_header(":path").unwrap_or_default();
        let sent = self.enqueue_shared_queue(queue, Some(path.as_bytes()));
        info!("passed on {path}: {sent:?}");
        info!("unknown: {:?}", self.enqueue_shared_queue(u32::MAX, Some(b"lost")));
        Action::Continue
    }
}
