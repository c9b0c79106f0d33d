//! Attributes: what `proxy_get_property` finds, and in which phase.

use crate::context::{Info, StreamState, View};
use crate::plugin::Plugin;
use crate::proxy::{Proxy, StreamNumber};
use crate::{Headers, Status, Value};

/// Where somebody looks from.
pub(crate) struct Scope<'s> {
    /// The stream, unless it is a root context that looks.
    pub(crate) stream: Option<(&'s StreamState, View)>,
    /// The plugin; a VM without one has none.
    pub(crate) plugin: Option<&'s Plugin>,
    pub(crate) vm_id: &'s str,
    pub(crate) node: &'s Value,
}

impl Scope<'_> {
    /// The bytes of an attribute, by its path, whose parts are joined by NUL.
    pub(crate) fn find(&self, path: &[u8]) -> Result<Vec<u8>, Status> {
        let path = String::from_utf8_lossy(path);
        let mut parts = path.split('\0');
        // A NUL at the end is no part.
        let top = parts.next().unwrap_or_default();
        let mut value = self.top(top).ok_or(Status::NotFound)?;
        for part in parts.filter(|part| !part.is_empty()) {
            value = value.field(part).cloned().ok_or(Status::NotFound)?;
        }
        value.serialize()
    }

    fn top(&self, name: &str) -> Option<Value> {
        let known = self.built_in(name);
        let Some((state, _)) = self.stream else { return known };
        let mut value = known;
        for (path, said) in &state.info.attributes {
            if path.first().is_some_and(|first| first == name) {
                let base = value.take().unwrap_or_else(|| Value::Map(Vec::new()));
                value = Some(with(base, path.get(1..).unwrap_or_default(), said));
            }
        }
        value
    }

    fn built_in(&self, name: &str) -> Option<Value> {
        match name {
            "plugin_name" => return self.plugin.map(|plugin| Value::text(&plugin.name)),
            "plugin_root_id" => {
                return Some(Value::text(self.plugin.map_or("", |plugin| &plugin.root_id)));
            }
            "plugin_vm_id" => return Some(Value::text(self.vm_id)),
            "xds" => return Some(self.xds()),
            _ => {}
        }
        let (state, view) = self.stream?;
        let info = &state.info;
        Some(match name {
            "request" => request(state, view),
            "response" => response(state, view),
            "connection" => Value::Attributes(vec![
                ("id".into(), Value::Uint(info.connection_id)),
                ("mtls".into(), Value::Bool(false)),
            ]),
            "connection_id" => Value::Uint(info.connection_id),
            "upstream" => upstream(info),
            "source" | "destination" => {
                let port = if name == "source" { 50_000 } else { 10_000 };
                Value::Attributes(vec![
                    ("address".into(), Value::text(format!("127.0.0.1:{port}"))),
                    ("port".into(), Value::Int(port)),
                ])
            }
            "metadata" => {
                let namespaces = info.metadata.iter();
                let namespaces =
                    namespaces.map(|(name, value)| (name.clone(), value.clone())).collect();
                Value::Attributes(vec![("filter_metadata".into(), Value::Map(namespaces))])
            }
            "filter_state" => Value::Attributes(
                info.filter_state
                    .iter()
                    .map(|(key, stored)| (key.clone(), stored.value.clone()))
                    .collect(),
            ),
            "upstream_filter_state" => Value::Attributes(Vec::new()),
            // What a plugin stored with the stream.
            _ => info.filter_state.get(&format!("wasm.{name}"))?.value.clone(),
        })
    }

    fn xds(&self) -> Value {
        let mut xds = vec![("node".to_owned(), self.node.clone())];
        if let Some((state, _)) = self.stream {
            // Envoy counts listeners from the outside: 1 is inbound.
            xds.push(("listener_direction".into(), Value::Int(0)));
            if let Some(route) = &state.info.route {
                xds.push(("route_name".into(), Value::text(&route.name)));
                let cluster = state.info.upstream.as_ref().or(route.cluster.as_ref());
                xds.extend(cluster.map(|name| ("cluster_name".to_owned(), Value::text(name))));
                xds.push(("virtual_host_name".into(), Value::text("wasm-host")));
            }
        }
        Value::Attributes(xds)
    }
}

impl Proxy {
    /// Says an attribute of a stream that is open, from now on: such as what is known of an upstream
    /// once there is one. It wins over what the host itself knows.
    pub fn attribute(&mut self, stream: StreamNumber, path: &[&str], value: impl Into<Value>) {
        if let Some(stream) = self.streams.get(&stream.0) {
            let path = path.iter().map(|part| (*part).to_owned()).collect();
            stream.state.borrow_mut().info.attributes.push((path, value.into()));
        }
    }
}

/// A value with another one at a path below it.
fn with(base: Value, path: &[String], said: &Value) -> Value {
    let Some((first, rest)) = path.split_first() else { return said.clone() };
    let (mut entries, is_listable) = match base {
        Value::Map(entries) => (entries, true),
        Value::Attributes(entries) => (entries, false),
        _ => (Vec::new(), true),
    };
    let known = entries.iter().position(|(key, _)| key == first);
    let old = known.map_or_else(|| Value::Map(Vec::new()), |place| entries.remove(place).1);
    entries.push((first.clone(), with(old, rest, said)));
    if is_listable { Value::Map(entries) } else { Value::Attributes(entries) }
}

fn headers(headers: &Headers) -> Value {
    let mut entries: Vec<(String, Value)> = Vec::new();
    for (name, _) in headers.iter() {
        if entries.iter().all(|(known, _)| known != name) {
            let joined = headers.joined(name).unwrap_or_default();
            entries.push((name.to_owned(), text(&joined)));
        }
    }
    Value::Attributes(entries)
}

/// Header values are strings to Envoy, whatever their bytes.
fn text(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn length(bytes: u64) -> Value {
    Value::Int(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn request(state: &StreamState, view: View) -> Value {
    let info = &state.info;
    let mut found = vec![
        (
            "time".to_owned(),
            Value::Nanoseconds(i64::try_from(info.started_unix_ns).unwrap_or(i64::MAX)),
        ),
        ("protocol".to_owned(), Value::text("HTTP/1.1")),
    ];
    if let Some(duration) = info.ended_after {
        let nanoseconds = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        found.push(("duration".into(), Value::Nanoseconds(nanoseconds)));
    }
    let mut size = info.request_bytes;
    let visible = state.request.headers.as_ref().filter(|_| view.request_headers || view.log);
    if let Some(known) = visible {
        let mut put = |attribute: &str, header: &str| {
            found.extend(known.get(header).map(|value| (attribute.to_owned(), text(value))));
        };
        put("path", ":path");
        put("host", ":authority");
        put("scheme", ":scheme");
        put("method", ":method");
        put("referer", "referer");
        put("useragent", "user-agent");
        put("id", "x-request-id");
        let path = known.get(":path").unwrap_or_default();
        let mut parts = path.splitn(2, |byte| *byte == b'?');
        let bare = parts.next().unwrap_or_default();
        found.push(("url_path".into(), text(bare)));
        let query = parts.next().unwrap_or_default();
        found.push((
            "query".into(),
            text(query.split(|byte| *byte == b'#').next().unwrap_or_default()),
        ));
        found.push(("headers".into(), headers(known)));
        let declared = known.text("content-length").and_then(|length| length.parse().ok());
        size = declared.unwrap_or(size);
        let headers = u64::try_from(known.byte_size()).unwrap_or(u64::MAX);
        found.push(("total_size".into(), length(info.request_bytes.saturating_add(headers))));
    }
    found.push(("size".into(), length(size)));
    Value::Attributes(found)
}

fn response(state: &StreamState, view: View) -> Value {
    let info = &state.info;
    let mut found = vec![
        ("flags".to_owned(), Value::Int(i64::try_from(info.flags).unwrap_or(i64::MAX))),
        ("size".to_owned(), length(info.response_bytes)),
    ];
    found.extend(info.code.map(|code| ("code".to_owned(), Value::Int(i64::from(code)))));
    found.extend(
        info.details.as_ref().map(|details| ("code_details".to_owned(), Value::text(details))),
    );
    if let Some(known) =
        state.response.headers.as_ref().filter(|_| view.response_headers || view.log)
    {
        found.push(("headers".into(), headers(known)));
        let trailers = state.response.trailers.as_ref();
        let status = trailers.and_then(|trailers| trailers.text("grpc-status"));
        let status = status.or_else(|| known.text("grpc-status"));
        let status = status.and_then(|status| status.parse().ok()).map(Value::Int);
        found.extend(status.map(|status| ("grpc_status".to_owned(), status)));
    }
    if let Some(known) =
        state.response.trailers.as_ref().filter(|_| view.response_trailers || view.log)
    {
        found.push(("trailers".into(), headers(known)));
    }
    Value::Attributes(found)
}

fn upstream(info: &Info) -> Value {
    let mut found = vec![("request_attempt_count".to_owned(), Value::Uint(info.attempts))];
    if info.upstream.is_some() {
        found.push(("address".into(), Value::text("127.0.0.1:20000")));
        found.push(("port".into(), Value::Int(20_000)));
    }
    Value::Attributes(found)
}
