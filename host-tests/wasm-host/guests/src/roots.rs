//! Which plugin a root is.

use crate::{authorize, counter, hungry, measure, panics, print, queue, rewrite, strings, tag};
use proxy_wasm::hostcalls::get_property;
use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| root());
}}

/// The root of this id. The id is no argument, but a property.
fn root() -> Box<dyn RootContext> {
    let id = get_property(vec!["plugin_root_id"]).ok().flatten().unwrap_or_default();
    match id.as_slice() {
        b"authorize" => Box::new(authorize::Root::default()),
        b"bytes" => Box::new(strings::Bytes),
        b"consumer" => Box::new(queue::Consumer),
        b"counter" => Box::new(counter::Root::default()),
        b"deep" => Box::new(hungry::Deep),
        b"hog" => Box::new(hungry::Hog),
        b"measure" => Box::new(measure::Root::default()),
        b"panics" => Box::new(panics::Root::default()),
        b"print" => Box::new(print::Root),
        b"producer" => Box::new(queue::Producer),
        b"rewrite" => Box::new(rewrite::Root::default()),
        b"strings" => Box::new(strings::Strings),
        b"tag" => Box::new(tag::Root::default()),
        // One that makes no streams: the SDK panics when it is asked for one.
        _ => Box::new(Nobody),
    }
}

struct Nobody;

impl Context for Nobody {}
impl RootContext for Nobody {}

/// What a root reads its settings from, as text.
pub(crate) fn configuration(root: &dyn RootContext) -> String {
    let bytes = root.get_plugin_configuration().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
