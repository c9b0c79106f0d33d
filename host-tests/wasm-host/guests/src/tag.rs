//! Tags requests with what it was configured with, and takes from the standard library what there
//! is: the environment, clocks, maps with a random seed.
//!
//! Configuration: lines of `name: value`; `$NAME` is a variable of the environment.

use crate::roots::configuration;
use log::{debug, error, info, trace, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

#[derive(Debug, Default)]
pub(crate) struct Root {
    tags: Rc<HashMap<String, String>>,
    configured: Option<Instant>,
}

impl Context for Root {
    fn on_done(&mut self) -> bool {
        info!("root done");
        true
    }
}

impl RootContext for Root {
    fn on_vm_start(&mut self, size: usize) -> bool {
        let configuration = self.get_vm_configuration().unwrap_or_default();
        info!("vm start {size}: {}", String::from_utf8_lossy(&configuration));
        true
    }

    fn on_configure(&mut self, size: usize) -> bool {
        let mut tags = HashMap::new();
        for line in configuration(self).lines() {
            let Some((name, value)) = line.split_once(": ") else {
                error!("no tag: {line}");
                return false;
            };
            let value = match value.strip_prefix('$') {
                Some(variable) => std::env::var(variable).unwrap_or_else(|why| why.to_string()),
                None => value.to_owned(),
            };
            tags.insert(name.to_owned(), value);
        }
        let mut arguments = std::env::args();
        let variables = std::env::vars().count();
        info!("configured {size}: {} tags, {variables} variables", tags.len());
        debug!("argument {:?}", arguments.next());
        self.tags = Rc::new(tags);
        self.configured = Some(Instant::now());
        true
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        let age = self.configured.map(|then| then.elapsed());
        debug!("it is some time ago: {}", age.is_some_and(|age| age < Duration::from_mins(5)));
        Some(Box::new(Request { tags: Rc::clone(&self.tags), begun: Instant::now() }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Request {
    tags: Rc<HashMap<String, String>>,
    begun: Instant,
}

impl Context for Request {
    fn on_done(&mut self) -> bool {
        debug!("done");
        true
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        debug!("dropped");
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, count: usize, end: bool) -> Action {
        trace!("traced");
        info!("request headers {count} {end}");
        // In no order, and not twice in the same one.
        for (name, value) in self.tags.iter() {
            self.add_http_request_header(name, value);
        }
        let mut headers = self.get_http_request_headers();
        headers.sort();
        for (name, value) in headers.iter().filter(|(name, _)| name.starts_with("x-")) {
            debug!("{name}: {value}");
        }
        let (own, hosts) = (SystemTime::now(), self.get_current_time());
        let apart = hosts.duration_since(own).unwrap_or_else(|error| error.duration());
        info!("clocks agree: {}", apart < Duration::from_secs(5));
        let age = own.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        info!("it is after 2020: {}", age > Duration::from_hours(50 * 365 * 24));
        Action::Continue
    }

    fn on_http_response_headers(&mut self, count: usize, end: bool) -> Action {
        info!("response headers {count} {end}");
        self.set_http_response_header("x-tags", Some(&self.tags.len().to_string()));
        self.set_property(vec!["tagged"], Some(b"yes"));
        Action::Continue
    }

    fn on_log(&mut self) {
        let took = self.begun.elapsed();
        info!("took less than a minute: {}", took < Duration::from_mins(1));
        let property = |path: Vec<&str>| {
            let value = self.get_property(path).unwrap_or_default();
            String::from_utf8_lossy(&value).into_owned()
        };
        let (name, tagged) = (property(vec!["plugin_name"]), property(vec!["tagged"]));
        warn!("{} by {name}, tagged: {tagged}", property(vec!["request", "path"]));
    }
}
