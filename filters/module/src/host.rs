//! Envoy as the guard's host.

use crate::abi::{self, Map, MetricType, Status};
use crate::pairs;
use guard::{Headers, Host, HostFault, Metric, MetricKind, Reply, SECRET_PREFIX, Vm};
use std::cell::Cell;

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

    fn record(&mut self, json: &[u8]) -> Result<(), HostFault> {
        done(abi::set_property(guard::PROPERTY_DECISION.as_bytes(), json))
    }

    fn reply(&mut self, reply: &Reply<'_>) -> Result<(), HostFault> {
        let headers = reply.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
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

    fn monotonic_ms(&mut self) -> Option<u64> {
        abi::monotonic_ns().ok().map(|ns| ns / 1_000_000)
    }

    fn count(&mut self, metric: Metric) {
        increment(metric);
    }
}

fn trailers(map: Map) -> Option<Headers> {
    let pairs = abi::header_pairs(map).ok()?;
    // Where there are trailers, and none of them, Envoy has no bytes for that.
    if pairs.is_empty() { Some(Headers::default()) } else { pairs::decode(&pairs) }
}

/// The VM that is being configured.
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

    fn shared(&mut self, key: &str) -> Option<Vec<u8>> {
        abi::shared_data(key.as_bytes()).ok().flatten()
    }

    fn share(&mut self, key: &str, value: &[u8]) -> Result<(), HostFault> {
        done(abi::set_shared_data(key.as_bytes(), value))
    }

    fn unix_ms(&mut self) -> Option<u64> {
        abi::unix_ns().ok().map(|ns| ns / 1_000_000)
    }
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
