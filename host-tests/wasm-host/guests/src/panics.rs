//! Panics. Configuration: where, and how, `request_headers unwrap`. Where `path` is, only requests
//! to `/panic` are meant.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "that is what it is for"
)]

use crate::roots::configuration;
use log::info;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

thread_local! {
    /// Requests that this VM has seen.
    static SEEN: RefCell<u32> = const { RefCell::new(0) };
}

/// Does what was asked for. These lines stand in what cases expect.
fn go_wrong(how: &str) {
    let number = black_box(i32::MAX);
    match how {
        "unwrap" => drop(black_box("seven").parse::<u32>().unwrap()),
        "index" => drop(black_box(vec![1, 2, 3])[black_box(3)]),
        "slice" => drop(black_box("größer")[..3].to_owned()),
        "overflow" => drop(black_box(number + 1)),
        "borrow" => {
            let cell = RefCell::new(number);
            let held = cell.borrow();
            *cell.borrow_mut() = *held;
        }
        "abort" => std::process::abort(),
        "exit" => std::process::exit(3),
        _ => panic!("as asked,\n{how}"),
    }
}

#[derive(Debug, Default)]
pub(crate) struct Root {
    plan: Rc<(String, String)>,
}

impl Root {
    fn at(&self, place: &str) {
        at(&self.plan, place);
    }
}

fn at(plan: &(String, String), place: &str) {
    let (wanted, how) = plan;
    if wanted == place {
        go_wrong(how);
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let text = configuration(self);
        let (place, how) = text.split_once(' ').unwrap_or_default();
        self.plan = Rc::new((place.to_owned(), how.to_owned()));
        self.at("configure");
        info!("configured");
        true
    }

    fn on_tick(&mut self) {
        info!("tick");
        self.at("tick");
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        self.at("create");
        Some(Box::new(Request { plan: Rc::clone(&self.plan) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Request {
    plan: Rc<(String, String)>,
}

impl Request {
    fn at(&self, place: &str) {
        at(&self.plan, place);
    }
}

impl Context for Request {
    fn on_done(&mut self) -> bool {
        info!("done");
        self.at("done");
        true
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.at("drop");
        info!("dropped");
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let seen = SEEN.with_borrow_mut(|seen| {
            *seen += 1;
            *seen
        });
        info!("request {seen} of this VM");
        self.at("request_headers");
        if self.get_http_request_header(":path").as_deref() == Some("/panic") {
            self.at("path");
        }
        if self.plan.0 == "tick" {
            // Only the root of this thread ticks, and what started it waits for that.
            let _ = proxy_wasm::hostcalls::set_tick_period(Duration::from_millis(10));
            return Action::Pause;
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        info!("response headers");
        self.at("response_headers");
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        info!("response body {size} {end}");
        self.at("response_body");
        Action::Continue
    }

    fn on_log(&mut self) {
        info!("log");
        self.at("log");
    }
}
