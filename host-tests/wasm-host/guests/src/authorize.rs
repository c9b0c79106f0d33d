//! Asks a service whether a request may pass, and lets nothing pass that it did not allow.
//!
//! Configuration: the service's cluster and how many milliseconds it has, `authorizer 200`.

use crate::roots::configuration;
use log::{info, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::rc::Rc;
use std::time::Duration;

#[derive(Debug, Default)]
struct Service {
    cluster: String,
    timeout: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Root {
    service: Rc<Service>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let text = configuration(self);
        let Some((cluster, timeout)) = text.split_once(' ') else { return false };
        let Ok(timeout) = timeout.parse() else { return false };
        let timeout = Duration::from_millis(timeout);
        self.service = Rc::new(Service { cluster: cluster.to_owned(), timeout });
        true
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request { service: Rc::clone(&self.service) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Request {
    service: Rc<Service>,
}

impl Request {
    fn refuse(&self, status: u32, why: &str) {
        info!("refused: {why}");
        self.send_http_response(status, vec![("x-refused", why)], Some(b"refused\n"));
    }
}

impl Context for Request {
    fn on_http_call_response(&mut self, _token: u32, _headers: usize, size: usize, _: usize) {
        match self.get_http_call_response_header(":status").as_deref() {
            Some("200") => {
                let user = self.get_http_call_response_header("x-user");
                info!("allowed for {user:?}");
                self.set_http_request_header("x-user", user.as_deref());
                self.resume_http_request();
            }
            Some("403") => {
                let body = self.get_http_call_response_body(0, size).unwrap_or_default();
                self.refuse(403, &String::from_utf8_lossy(&body));
            }
            other => {
                warn!("the service said {other:?}");
                self.refuse(503, "nobody could say");
            }
        }
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        // Who the user is, only the service says.
        self.set_http_request_header("x-user", None);
        let Some(token) = self.get_http_request_header("authorization") else {
            self.refuse(401, "no token");
            return Action::Pause;
        };
        let path = self.get_http_request_header(":path").unwrap_or_default();
        let cluster = self.service.cluster.as_str();
        let headers = vec![
            (":method", "GET"),
            (":path", path.as_str()),
            (":authority", cluster),
            ("authorization", token.as_str()),
        ];
        let asked = self.dispatch_http_call(cluster, headers, None, vec![], self.service.timeout);
        if let Err(status) = asked {
            warn!("the service cannot be asked: {status:?}");
            self.refuse(503, "nobody could be asked");
        }
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        self.set_http_response_header("x-authorize", Some("seen"));
        Action::Continue
    }
}
