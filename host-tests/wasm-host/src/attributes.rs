//! Attributes: what `proxy_get_property` finds, and in which phase.

use crate::context::{Info, StreamState, View};
use crate::plugin::Plugin;
use crate::{ClusterInfo, Headers, Status, Value, grpc, proto};
use std::collections::BTreeMap;

/// Where somebody looks from.
pub(crate) struct Scope<'s> {
    /// The stream, unless it is a root context that looks.
    pub(crate) stream: Option<(&'s StreamState, View)>,
    /// The plugin; a VM without one has none.
    pub(crate) plugin: Option<&'s Plugin>,
    pub(crate) vm_id: &'s str,
    pub(crate) node: &'s Value,
    pub(crate) clusters: &'s BTreeMap<String, ClusterInfo>,
}

impl Scope<'_> {
    /// The bytes of an attribute, by its path, whose parts are joined by NUL.
    pub(crate) fn find(&self, path: &[u8]) -> Result<Vec<u8>, Status> {
        let path = String::from_utf8_lossy(path);
        // Nothing at all is a value of no kind.
        if path.is_empty() {
            return Err(Status::SerializationFailure);
        }
        let path = path.strip_suffix('\0').unwrap_or(&path);
        let mut parts = path.split('\0');
        let mut value = self.top(parts.next().unwrap_or_default()).ok_or(Status::NotFound)?;
        for part in parts {
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
                ("requested_server_name".into(), Value::text("")),
            ]),
            "connection_id" => Value::Uint(info.connection_id),
            "upstream" => self.upstream(info),
            "source" | "destination" => {
                let port = if name == "source" { 50_000 } else { 10_000 };
                Value::Attributes(vec![
                    ("address".into(), Value::text(format!("127.0.0.1:{port}"))),
                    ("port".into(), Value::Int(port)),
                ])
            }
            "metadata" => proto::metadata(info.metadata.iter()),
            "filter_state" => Value::Attributes(
                info.filter_state
                    .iter()
                    .map(|(key, stored)| (key.clone(), stored.value.clone()))
                    .collect(),
            ),
            // What a plugin stored with the stream.
            _ => info.filter_state.get(&format!("wasm.{name}"))?.value.clone(),
        })
    }

    fn xds(&self) -> Value {
        let mut xds = vec![("node".to_owned(), self.node.clone())];
        if let Some((state, _)) = self.stream {
            // Unspecified; 1 would be inbound.
            xds.push(("listener_direction".into(), Value::Int(0)));
            if let Some(route) = &state.info.route {
                xds.push(("route_name".into(), Value::text(&route.name)));
                xds.push(("route_metadata".into(), proto::metadata(route.metadata.iter())));
                xds.push(("virtual_host_name".into(), Value::text("wasm-host")));
            }
            let cluster = state.info.cluster();
            if let Some(name) = cluster {
                xds.push(("cluster_name".into(), Value::text(name)));
            }
            if let Some(known) = cluster.and_then(|name| self.clusters.get(name)) {
                xds.push(("cluster_metadata".into(), proto::metadata(known.metadata.iter())));
                if state.info.upstream.is_some() {
                    let metadata = proto::metadata(known.host_metadata.iter());
                    xds.push(("upstream_host_metadata".into(), metadata));
                }
            }
        }
        Value::Attributes(xds)
    }

    fn upstream(&self, info: &Info) -> Value {
        let mut found = vec![("request_attempt_count".to_owned(), Value::Uint(info.attempts))];
        // Every cluster has one host here.
        found.extend(info.cluster().map(|_| ("num_endpoints".to_owned(), Value::Uint(1))));
        if let Some(name) = &info.upstream {
            found.push(("address".into(), Value::text("127.0.0.1:20000")));
            found.push(("port".into(), Value::Int(20_000)));
            found.push(("transport_failure_reason".into(), Value::text("")));
            if let Some(known) = self.clusters.get(name) {
                let (region, zone) = &known.locality;
                found.push(("locality".into(), proto::locality(region, zone)));
            }
        }
        Value::Attributes(found)
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
    Value::Map(entries)
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
        let status = status.and_then(|status| status.parse().ok());
        // Without one the HTTP status stands for it.
        let status = status.or_else(|| info.code.map(|code| i64::from(grpc::of_http(code))));
        found.extend(status.map(|status| ("grpc_status".to_owned(), Value::Int(status))));
        let headers = known.byte_size().saturating_add(trailers.map_or(0, Headers::byte_size));
        let headers = u64::try_from(headers).unwrap_or(u64::MAX);
        found.push(("total_size".into(), length(info.response_bytes.saturating_add(headers))));
    }
    if let (Some(took), Some(_)) = (info.ended_after, &info.upstream) {
        let nanoseconds = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
        found.push(("backend_latency".into(), Value::Nanoseconds(nanoseconds)));
    }
    if let Some(known) =
        state.response.trailers.as_ref().filter(|_| view.response_trailers || view.log)
    {
        found.push(("trailers".into(), headers(known)));
    }
    Value::Attributes(found)
}
