//! Replaces a word in bodies, which it waits for as a whole.
//!
//! Configuration: the word and what comes in its place, `world everyone`.

use crate::roots::configuration;
use log::info;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::rc::Rc;

#[derive(Debug, Default)]
pub(crate) struct Root {
    words: Rc<(String, String)>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let text = configuration(self);
        let Some((from, to)) = text.split_once(' ') else { return false };
        self.words = Rc::new((from.to_owned(), to.to_owned()));
        true
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Exchange { words: Rc::clone(&self.words) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Exchange {
    words: Rc<(String, String)>,
}

impl Exchange {
    fn rewritten(&self, body: &[u8]) -> Vec<u8> {
        let (from, to) = &*self.words;
        String::from_utf8_lossy(body).replace(from, to).into_bytes()
    }
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        self.set_http_request_header("content-length", None);
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        info!("request body {size} {end}");
        if !end {
            return Action::Pause;
        }
        if let Some(body) = self.get_http_request_body(0, size) {
            self.set_http_request_body(0, size, &self.rewritten(&body));
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        self.set_http_response_header("content-length", None);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        info!("response body {size} {end}");
        if !end {
            return Action::Pause;
        }
        if let Some(body) = self.get_http_response_body(0, size) {
            self.set_http_response_body(0, size, &self.rewritten(&body));
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        info!("response trailers {count}");
        self.add_http_response_trailer("x-rewrite", "was here");
        Action::Continue
    }
}
