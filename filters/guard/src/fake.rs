//! A host for tests: headers and claims in, header changes, answers and counted calls out.

use crate::host::{AgentCall, Cas, Headers, Host, HostFault, Reply, Vm};
use crate::metric::{Counter, Gauge, Metric};
use std::collections::BTreeMap;

/// A proxy with one stream.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct FakeHost {
    /// Request headers, in order.
    pub request: Vec<(String, Vec<u8>)>,
    /// Request trailers.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Response headers.
    pub response: Vec<(String, Vec<u8>)>,
    /// What waits of the response's body.
    pub body: Vec<u8>,
    /// Response trailers.
    pub response_trailers: Vec<(String, Vec<u8>)>,
    /// The response was closed.
    pub closed: bool,
    /// Attributes by their path, joined by dots.
    pub properties: BTreeMap<String, Vec<u8>>,
    /// The wall clock.
    pub unix_ms: u64,
    /// The clock that never steps.
    pub monotonic_ms: u64,
    /// Which call fails, counted from 0; none if absent.
    pub failing_call: Option<usize>,
    /// What was answered.
    pub replied: Option<Answered>,
    /// The decision record.
    pub recorded: Option<String>,
    /// Counted metrics by name.
    pub metrics: BTreeMap<String, u64>,
    /// Attributes that were asked for, in order, with what was found.
    pub asked: Vec<(String, Option<Vec<u8>>)>,
    /// Calls by kind.
    pub calls: BTreeMap<&'static str, usize>,
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The gRPC status.
    pub grpc_status: Option<u8>,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answered {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl FakeHost {
    /// A stream with these request headers.
    pub fn new(headers: &[(&str, &str)]) -> Self {
        let request =
            headers.iter().map(|(name, value)| ((*name).into(), value.as_bytes().into())).collect();
        Self { request, unix_ms: 1_700_000_000_000, ..Self::default() }
    }

    /// The first value of a request header, as it stands.
    pub fn request_header(&self, name: &str) -> Option<String> {
        let found = self.request.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// The request headers as they stand.
    pub fn headers(&self) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in &self.request {
            headers.push(name.as_bytes(), value);
        }
        headers
    }

    fn call(&mut self, kind: &'static str) -> Result<(), HostFault> {
        let number = self.calls.values().sum::<usize>();
        let count = self.calls.entry(kind).or_default();
        *count = count.saturating_add(1);
        if self.failing_call == Some(number) { Err(HostFault) } else { Ok(()) }
    }
}

impl Host for FakeHost {
    fn request_headers(&mut self) -> Option<Headers> {
        self.call("request_headers").ok()?;
        Some(self.headers())
    }

    fn set_request_header(&mut self, name: &str, value: &[u8]) -> Result<(), HostFault> {
        self.call("set_request_header")?;
        self.request.retain(|(known, _)| known != name);
        self.request.push((name.into(), value.into()));
        Ok(())
    }

    fn remove_request_header(&mut self, name: &[u8]) -> Result<(), HostFault> {
        self.call("remove_request_header")?;
        self.request.retain(|(known, _)| known.as_bytes() != name);
        Ok(())
    }

    fn set_response_header(&mut self, name: &str, value: &[u8]) -> Result<(), HostFault> {
        self.call("set_response_header")?;
        self.response.retain(|(known, _)| known != name);
        self.response.push((name.into(), value.into()));
        Ok(())
    }

    fn response_headers(&mut self) -> Option<Headers> {
        self.call("response_headers").ok()?;
        let mut headers = Headers::default();
        for (name, value) in &self.response {
            headers.push(name.as_bytes(), value);
        }
        Some(headers)
    }

    fn remove_response_header(&mut self, name: &[u8]) -> Result<(), HostFault> {
        self.call("remove_response_header")?;
        self.response.retain(|(known, _)| known.as_bytes() != name);
        Ok(())
    }

    fn request_trailers(&mut self) -> Option<Headers> {
        self.call("request_trailers").ok()?;
        let mut trailers = Headers::default();
        for (name, value) in &self.trailers {
            trailers.push(name.as_bytes(), value);
        }
        Some(trailers)
    }

    fn remove_request_trailer(&mut self, name: &[u8]) -> Result<(), HostFault> {
        self.call("remove_request_trailer")?;
        self.trailers.retain(|(known, _)| known.as_bytes() != name);
        Ok(())
    }

    fn response_body(&mut self, size: usize) -> Option<Vec<u8>> {
        self.call("response_body").ok()?;
        Some(self.body.iter().take(size).copied().collect())
    }

    fn replace_response_body(&mut self, size: usize, bytes: &[u8]) -> Result<(), HostFault> {
        self.call("replace_response_body")?;
        let size = size.min(self.body.len());
        self.body.splice(..size, bytes.iter().copied());
        Ok(())
    }

    fn response_trailers(&mut self) -> Option<Headers> {
        self.call("response_trailers").ok()?;
        let mut trailers = Headers::default();
        for (name, value) in &self.response_trailers {
            trailers.push(name.as_bytes(), value);
        }
        Some(trailers)
    }

    fn remove_response_trailer(&mut self, name: &[u8]) -> Result<(), HostFault> {
        self.call("remove_response_trailer")?;
        self.response_trailers.retain(|(known, _)| known.as_bytes() != name);
        Ok(())
    }

    fn close_response(&mut self) -> Result<(), HostFault> {
        self.call("close_response")?;
        self.closed = true;
        Ok(())
    }

    fn property(&mut self, path: &[&str]) -> Result<Option<Vec<u8>>, HostFault> {
        self.call("property")?;
        let path = path.join(".");
        let found = self.properties.get(&path).cloned();
        self.asked.push((path, found.clone()));
        Ok(found)
    }

    fn note_pass(&mut self, token: &[u8]) -> Result<(), HostFault> {
        self.call("set_property")?;
        self.properties.insert(policy_core::name::PROPERTY_PASS.into(), token.into());
        Ok(())
    }

    fn record(&mut self, json: &[u8]) -> Result<(), HostFault> {
        self.call("record")?;
        self.recorded = Some(String::from_utf8_lossy(json).into_owned());
        Ok(())
    }

    fn reply(&mut self, reply: &Reply<'_>) -> Result<(), HostFault> {
        self.call("reply")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.replied = Some(Answered {
            status: reply.status,
            grpc_status: reply.grpc_status,
            headers: reply
                .headers
                .iter()
                .map(|(name, value)| ((*name).into(), text(value)))
                .collect(),
            body: text(reply.body),
        });
        Ok(())
    }

    fn unix_ms(&mut self) -> Option<u64> {
        self.call("unix_ms").ok()?;
        Some(self.unix_ms)
    }

    fn monotonic_us(&mut self) -> Option<u64> {
        self.call("monotonic_us").ok()?;
        Some(self.monotonic_ms.saturating_mul(1_000))
    }

    fn count(&mut self, metric: Metric) {
        if self.call("count").is_ok() {
            let count = self.metrics.entry(metric.name()).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn count_named(&mut self, counter: Counter<'_>) {
        if self.call("count").is_ok() {
            let count = self.metrics.entry(counter.name()).or_default();
            *count = count.saturating_add(1);
        }
    }
}

/// What an agent answers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct FakeAnswer {
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A VM for tests: an environment, what its proxy's VMs share, an agent that is asked.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct FakeVm {
    /// The secrets of the environment.
    pub secrets: Vec<(String, Vec<u8>)>,
    /// What is shared, and how often anything was under its key.
    pub shared: BTreeMap<String, (Vec<u8>, u32)>,
    /// The wall clock.
    pub unix_ms: u64,
    /// The clock that never steps.
    pub monotonic_ms: u64,
    /// The paths of questions to the agent, in order; the number of one is its place.
    pub asked: Vec<String>,
    /// The agent cannot be asked.
    pub is_cut_off: bool,
    /// The answer that is being handled.
    pub answer: Option<FakeAnswer>,
    /// Counted metrics by name.
    pub metrics: BTreeMap<String, u64>,
    /// Gauges by name.
    pub gauges: BTreeMap<String, u64>,
    /// Lines of the log.
    pub lines: Vec<String>,
}

impl Vm for FakeVm {
    fn secrets(&mut self) -> Vec<(String, Vec<u8>)> {
        self.secrets.clone()
    }

    fn shared(&mut self, key: &str) -> Option<(Vec<u8>, Cas)> {
        self.shared.get(key).map(|(value, cas)| (value.clone(), Cas(*cas)))
    }

    fn share(&mut self, key: &str, value: &[u8], after: Option<Cas>) -> Result<(), HostFault> {
        let known = self.shared.get(key).map_or(0, |(_, cas)| *cas);
        if known != 0 && after.is_some_and(|after| after != Cas(known)) {
            return Err(HostFault);
        }
        self.shared.insert(key.into(), (value.into(), known.saturating_add(1)));
        Ok(())
    }

    fn unix_ms(&mut self) -> Option<u64> {
        Some(self.unix_ms)
    }

    fn monotonic_ms(&mut self) -> Option<u64> {
        Some(self.monotonic_ms)
    }

    fn random(&mut self) -> Option<[u8; 16]> {
        let mut bytes = [7; 16];
        if let Some(first) = bytes.first_mut() {
            *first = u8::try_from(self.asked.len()).unwrap_or(u8::MAX);
        }
        Some(bytes)
    }

    fn ask(&mut self, call: &AgentCall<'_>) -> Result<u32, HostFault> {
        if self.is_cut_off {
            return Err(HostFault);
        }
        let number = u32::try_from(self.asked.len()).map_err(|_| HostFault)?;
        self.asked.push(call.path.into());
        Ok(number)
    }

    fn answer_headers(&mut self) -> Option<Headers> {
        let mut headers = Headers::default();
        for (name, value) in &self.answer.as_ref()?.headers {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        Some(headers)
    }

    fn answer_body(&mut self, size_max: usize) -> Option<Vec<u8>> {
        let FakeAnswer { body, .. } = self.answer.as_ref()?;
        Some(body.iter().take(size_max).copied().collect())
    }

    fn count(&mut self, metric: Metric) {
        let count = self.metrics.entry(metric.name()).or_default();
        *count = count.saturating_add(1);
    }

    fn set(&mut self, gauge: Gauge<'_>, value: u64) {
        self.gauges.insert(gauge.name(), value);
    }

    fn log(&mut self, line: &str) {
        self.lines.push(line.into());
    }
}
