//! Prints, and panics without the SDK's hook.

use log::info;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::io::{Write as _, stdout};

pub(crate) struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        // What the SDK set; without it the standard library tells of a panic.
        drop(std::panic::take_hook());
        true
    }

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
    #[expect(clippy::panic, reason = "how it is told is the question")]
    fn on_http_request_headers(&mut self, count: usize, _end: bool) -> Action {
        println!("a line");
        println!("two\nlines");
        println!();
        println!("number {count} of {}", count + 1);
        print!("kept until ");
        info!("between");
        println!("the end of the line");
        print!("kept until it is flushed");
        info!("flushed: {:?}", stdout().flush());
        eprintln!("an error");
        eprintln!("error {count} of {}", count + 1);
        eprint!("not kept");
        // To read one asks for functions of WASI that Envoy before 1.39 does not have.
        let opened = std::fs::File::open("/etc/hostname").map(drop);
        info!("open: {:?}", opened.map_err(|error| error.kind()));
        info!("current directory: {:?}", std::env::current_dir());
        match self.get_http_request_header(":path").as_deref() {
            Some("/panic") => panic!("{count} headers,\nand that was it"),
            _ => Action::Continue,
        }
    }
}
