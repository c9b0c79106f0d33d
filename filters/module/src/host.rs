//! Envoy as the guard's host.

use crate::abi::{self, Level, Map, MetricType, Status};
use crate::{pairs, plugin};
use guard::{
    AgentCall, Cas, Counter, Gauge, Headers, Host, HostFault, Metric, MetricKind, Reply,
    SECRET_PREFIX, Vm,
};
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};

/// Gauges with names of policies that a VM sets, and counters: some for each lease or context of a
/// policy with many.
const NAMED_MAX: usize = 10_000;

/// The stream whose callback is running.
pub(crate) struct Envoy;

fn done(result: Result<(), Status>) -> Result<(), HostFault> {
    result.map_err(|_| HostFault)
}

impl Host for Envoy {
    fn request_headers(&mut self) -> Option<Headers> {
        pairs::decode(&abi::header_pairs(Map::RequestHeaders).ok()?)
    }

    fn set_request_header(&mut self, name: &str, value: &[u8]) -> Result<(), HostFault> {
        done(abi::replace_header(Map::RequestHeaders, name.as_bytes(), value))
    }

    fn remove_request_header(&mut self, name: &[u8]) -> Result<(), HostFault> {
        done(abi::remove_header(Map::RequestHeaders, name))
    }

    fn set_response_header(&mut self, name: &str, value: &[u8]) -> Result<(), HostFault> {
        done(abi::replace_header(Map::ResponseHeaders, name.as_bytes(), value))
    }

    fn response_headers(&mut self) -> Option<Headers> {
        pairs::decode(&abi::header_pairs(Map::ResponseHeaders).ok()?)
    }

    fn remove_response_header(&mut self, name: &[u8]) -> Result<(), HostFault> {
        done(abi::remove_header(Map::ResponseHeaders, name))
    }

    fn request_trailers(&mut self) -> Option<Headers> {
        trailers(Map::RequestTrailers)
    }

    fn remove_request_trailer(&mut self, name: &[u8]) -> Result<(), HostFault> {
        done(abi::remove_header(Map::RequestTrailers, name))
    }

    fn response_body(&mut self, size: usize) -> Option<Vec<u8>> {
        abi::response_body(size).ok()
    }

    fn replace_response_body(&mut self, size: usize, bytes: &[u8]) -> Result<(), HostFault> {
        done(abi::replace_response_body(size, bytes))
    }

    fn response_trailers(&mut self) -> Option<Headers> {
        trailers(Map::ResponseTrailers)
    }

    fn remove_response_trailer(&mut self, name: &[u8]) -> Result<(), HostFault> {
        done(abi::remove_header(Map::ResponseTrailers, name))
    }

    fn close_response(&mut self) -> Result<(), HostFault> {
        done(abi::close_response())
    }

    fn property(&mut self, path: &[&str]) -> Result<Option<Vec<u8>>, HostFault> {
        property(path).map_err(|_| HostFault)
    }

    fn note_pass(&mut self, token: &[u8]) -> Result<(), HostFault> {
        done(abi::set_property(guard::reroute::PROPERTY_PASS.as_bytes(), token))
    }

    fn record(&mut self, json: &[u8]) -> Result<(), HostFault> {
        done(abi::set_property(guard::PROPERTY_DECISION.as_bytes(), json))
    }

    fn reply(&mut self, reply: &Reply<'_>) -> Result<(), HostFault> {
        let headers = reply.headers.iter().map(|(name, value)| (name.as_bytes(), &**value));
        let headers = pairs::encode(headers).ok_or(HostFault)?;
        done(abi::send_local_response(
            reply.status,
            reply.details,
            &headers,
            reply.body,
            reply.grpc_status,
        ))
    }

    fn unix_ms(&mut self) -> Option<u64> {
        abi::unix_ns().ok().map(|ns| ns / 1_000_000)
    }

    fn monotonic_us(&mut self) -> Option<u64> {
        abi::monotonic_ns().ok().map(|ns| ns / 1_000)
    }

    fn count(&mut self, metric: Metric) {
        increment(metric);
    }

    fn count_named(&mut self, counter: Counter<'_>) {
        increment_named(&counter.name());
    }
}

fn trailers(map: Map) -> Option<Headers> {
    let pairs = abi::header_pairs(map).ok()?;
    // Where there are trailers, and none of them, Envoy has no bytes for that.
    if pairs.is_empty() { Some(Headers::default()) } else { pairs::decode(&pairs) }
}

/// Makes the note of [`Host::note_pass`] one that a second pass of a request finds: text that lives
/// as long as the request does, whatever filters run for it.
pub(crate) fn declare_pass() -> Result<(), HostFault> {
    // A message of Envoy's (`DeclarePropertyArguments`): 1 is the name, 3 the type (1: string), 5 the
    // span (1: the downstream request).
    const TYPE_AND_SPAN: [u8; 4] = [3 << 3, 1, 5 << 3, 1];
    let name = guard::reroute::PROPERTY_PASS.as_bytes();
    let length = u8::try_from(name.len()).map_err(|_| HostFault)?;
    let argument = [&[1 << 3 | 2, length], name, &TYPE_AND_SPAN].concat();
    abi::foreign(b"declare_property", &argument).map(|_| ()).map_err(|_| HostFault)
}

/// This VM, between requests.
pub(crate) struct ThisVm;

impl Vm for ThisVm {
    fn secrets(&mut self) -> Vec<(String, Vec<u8>)> {
        // Without an environment there are no secrets, which is told as such.
        let environment = abi::environment().unwrap_or_default();
        let variables = environment.split(|byte| *byte == 0).filter_map(|variable| {
            let end = variable.iter().position(|byte| *byte == b'=')?;
            let (name, value) = variable.split_at_checked(end)?;
            let name = str::from_utf8(name).ok().filter(|name| name.starts_with(SECRET_PREFIX))?;
            Some((name.to_owned(), value.strip_prefix(b"=")?.to_vec()))
        });
        variables.collect()
    }

    fn shared(&mut self, key: &str) -> Option<(Vec<u8>, Cas)> {
        let (value, cas) = abi::shared_data(key.as_bytes()).ok()??;
        Some((value, Cas(cas)))
    }

    fn share(&mut self, key: &str, value: &[u8], after: Option<Cas>) -> Result<(), HostFault> {
        done(abi::set_shared_data(key.as_bytes(), value, after.map(|Cas(cas)| cas)))
    }

    fn unix_ms(&mut self) -> Option<u64> {
        abi::unix_ns().ok().map(|ns| ns / 1_000_000)
    }

    fn monotonic_ms(&mut self) -> Option<u64> {
        abi::monotonic_ns().ok().map(|ns| ns / 1_000_000)
    }

    fn random(&mut self) -> Option<[u8; 16]> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok().map(|()| bytes)
    }

    fn ask(&mut self, call: &AgentCall<'_>) -> Result<u32, HostFault> {
        let headers = [
            (":method", "GET"),
            (":path", call.path),
            (":authority", call.authority),
            (":scheme", "http"),
            ("accept", "application/json"),
        ];
        let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let headers = pairs::encode(headers).ok_or(HostFault)?;
        abi::http_call(call.cluster.as_bytes(), &headers, call.timeout_ms).map_err(|_| HostFault)
    }

    fn answer_headers(&mut self) -> Option<Headers> {
        pairs::decode(&abi::header_pairs(Map::AnswerHeaders).ok()?)
    }

    fn answer_body(&mut self, size_max: usize) -> Option<Vec<u8>> {
        abi::answer_body(size_max).ok()
    }

    fn count(&mut self, metric: Metric) {
        increment(metric);
    }

    fn set(&mut self, gauge: Gauge<'_>, value: u64) {
        set_named(gauge, value);
    }

    fn log(&mut self, line: &str) {
        plugin::log(Level::Warn, line);
    }
}

/// Sets a gauge that a policy names. What it has been set to already it is not set to again.
fn set_named(gauge: Gauge<'_>, value: u64) {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, (u32, u64)>> = RefCell::default();
    }
    KNOWN.with(|known| {
        let Ok(mut known) = known.try_borrow_mut() else { return };
        let name = gauge.name();
        if let Some((id, last)) = known.get_mut(&name) {
            if *last != value && abi::record_metric(*id, value).is_ok() {
                *last = value;
            }
            return;
        }
        // More of them than policies can name would only be kept for ever.
        if known.len() < NAMED_MAX
            && let Ok(id) = abi::define_metric(MetricType::Gauge, &name)
            && abi::record_metric(id, value).is_ok()
        {
            known.insert(name, (id, value));
        }
    });
}

/// Adds one to a counter that a policy names.
fn increment_named(name: &str) {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, u32>> = RefCell::default();
    }
    KNOWN.with(|known| {
        let Ok(mut known) = known.try_borrow_mut() else { return };
        let id = match known.get(name) {
            Some(id) => *id,
            // More of them than policies can name would only be kept for ever.
            None if known.len() < NAMED_MAX => {
                let Ok(id) = abi::define_metric(MetricType::Counter, name) else { return };
                known.insert(name.to_owned(), id);
                id
            }
            None => return,
        };
        // A count that is lost changes no decision.
        let _ = abi::increment_metric(id, 1);
    });
}

/// Adds one to a counter.
pub(crate) fn increment(metric: Metric) {
    if let Some(id) = id_of(metric) {
        // A count that is lost changes no decision.
        let _ = abi::increment_metric(id, 1);
    }
}

/// An attribute of the plugin or of the stream whose callback is running.
pub(crate) fn property(path: &[&str]) -> Result<Option<Vec<u8>>, Status> {
    abi::property(path.join("\0").as_bytes())
}

/// Sets a gauge.
pub(crate) fn set_gauge(metric: Metric, value: u64) {
    if let Some(id) = id_of(metric) {
        // A gauge that is not set is missing from the metrics, which is seen there.
        let _ = abi::record_metric(id, value);
    }
}

/// What Envoy calls a metric. It is defined once for each VM: Envoy keeps every definition.
fn id_of(metric: Metric) -> Option<u32> {
    thread_local! {
        static IDS: [Cell<Option<u32>>; Metric::COUNT] = const {
            [const { Cell::new(None) }; Metric::COUNT]
        };
    }
    IDS.with(|ids| {
        let slot = ids.get(metric.index())?;
        if slot.get().is_none() {
            let kind = match metric.kind() {
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Gauge => MetricType::Gauge,
            };
            slot.set(abi::define_metric(kind, &metric.name()).ok());
        }
        slot.get()
    })
}
