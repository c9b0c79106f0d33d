//! `Mesh.spec.upstreams`: the services behind the contexts.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::fields::{Fields, Shape};
use crate::load::Parts;
use crate::set::{Upstream, Upstreams};
use crate::value::check_label;
use crate::yaml::Entry;

const UPSTREAM: Shape =
    Shape { what: "an upstream", keys: &["name", "namespace", "port"], later: &[] };

/// What holds for every context that says nothing else.
const DEFAULT: &str = "default";

/// What is said of the services, and where.
#[derive(Debug)]
pub(crate) struct UpstreamsEntry {
    pub(crate) upstreams: Upstreams,
    contexts: Vec<Spanned<String>>,
    at: Span,
    /// Whether something in it could not be read.
    unclear: bool,
}

/// Reads `upstreams`.
pub(super) fn decode(entry: &Entry, sink: &mut Sink) -> UpstreamsEntry {
    let mut decoded = UpstreamsEntry {
        upstreams: Upstreams::default(),
        contexts: Vec::new(),
        at: entry.key.span,
        unclear: false,
    };
    let Some(items) = entry.some_entries(sink) else {
        decoded.unclear = true;
        return decoded;
    };
    for item in items {
        let name = item.name("a context", sink);
        let found = upstream(item, sink);
        let (Some(name), Some(found)) = (name, found) else {
            decoded.unclear = true;
            continue;
        };
        if name.value == DEFAULT {
            decoded.upstreams.default = found;
        } else {
            decoded.upstreams.by_context.insert(name.value.clone(), found);
            decoded.contexts.push(name);
        }
    }
    decoded
}

fn upstream(item: &Entry, sink: &mut Sink) -> Option<Upstream> {
    item.some_entries(sink)?;
    let fields = Fields::open_at(&item.value, item.key.span, &UPSTREAM, sink)?;
    let mut label = |key: &str| {
        let text = fields.get(key)?.text(sink)?;
        check_label(&quote(key), &text, sink);
        Some(text.value)
    };
    let (name, namespace) = (label("name"), label("namespace"));
    let port = fields
        .get("port")
        .and_then(|port| port.value.number("`port`", 1..=u64::from(u16::MAX), sink))
        .and_then(|port| u16::try_from(port.value).ok());
    let unread = |key: &str, read: bool| fields.get(key).is_some() && !read;
    let unclear = unread("name", name.is_some())
        || unread("namespace", namespace.is_some())
        || unread("port", port.is_some());
    (!unclear).then_some(Upstream { name, namespace, port })
}

/// Checks that every context that is named exists, and that every context has a service.
pub(crate) fn check(parts: &Parts<'_>, sink: &mut Sink) {
    let Some(entry) = parts.mesh.as_ref().and_then(|mesh| mesh.upstreams.as_ref()) else { return };
    for name in &entry.contexts {
        parts.scope.contexts.check(name, sink);
    }
    if entry.unclear {
        return;
    }
    let contexts = parts.scope.contexts.list();
    for key in ["namespace", "port"] {
        let lacks = |upstream: &Upstream| match key {
            "namespace" => upstream.namespace.is_none(),
            _ => upstream.port.is_none(),
        };
        let mut lacking = contexts.iter().filter(|name| lacks(&entry.upstreams.of(name)));
        let Some(first) = lacking.next() else { continue };
        let others = match lacking.count() {
            0 => String::new(),
            1 => " and of another context".to_owned(),
            more => format!(" and of {more} other contexts"),
        };
        let message = format!("nothing says the {key} of the service of {}{others}", quote(first));
        sink.push(
            Diagnostic::error(codes::MISSING_KEY, message)
                .at(entry.at)
                .help(format!("add `{key}` to `{DEFAULT}` or to each context")),
        );
    }
}
