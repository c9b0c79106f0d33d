//! One that writes headers that are no text, and one that believes all headers to be text.

use log::info;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, GrpcStatusCode};

pub(crate) struct Bytes;

impl Context for Bytes {}

impl RootContext for Bytes {
    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Writing))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Writing;

impl Context for Writing {}

impl HttpContext for Writing {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        self.set_http_request_header_bytes("x-bytes", Some(b"\x80\xff"));
        self.set_http_request_header("x-text", Some("größer"));
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        for (name, value) in self.get_http_response_headers_bytes() {
            if name.starts_with("x-") {
                info!("{name}: {value:?}");
            }
        }
        Action::Continue
    }
}

pub(crate) struct Strings;

impl Context for Strings {}

impl RootContext for Strings {
    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Reading))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Reading;

impl Context for Reading {}

impl HttpContext for Reading {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        info!("x-text: {:?}", self.get_http_request_header("x-text"));
        info!("x-none: {:?}", self.get_http_request_header("x-none"));
        info!("x-empty: {:?}", self.get_http_request_header("x-empty"));
        info!("x-bytes: {:?}", self.get_http_request_header_bytes("x-bytes"));
        match self.get_http_request_header(":path").as_deref() {
            Some("/one") => info!("x-bytes: {:?}", self.get_http_request_header("x-bytes")),
            Some("/all") => info!("all: {:?}", self.get_http_request_headers()),
            // There are none yet.
            Some("/early") => self.set_http_response_header("x-early", Some("yes")),
            Some("/early/read") => info!("early: {:?}", self.get_http_response_headers()),
            Some("/early/body") => self.set_http_response_body(0, 0, b"early"),
            Some("/early/resume") => self.resume_http_response(),
            Some("/grpc") => {
                let why = "not today, größer";
                let status = GrpcStatusCode::Unavailable;
                self.send_grpc_response(status, Some(why), vec![("x-bytes", b"\x80\xff")]);
                return Action::Pause;
            }
            _ => {}
        }
        Action::Continue
    }
}
