//! Plays a case in `wasm-host`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use wasm_host::{
    Answer, ClusterInfo, Code, Ended, Failure, FailurePolicy, Headers, Host, Incoming, LoadError,
    LogLevel, LogLine, MetricValue, Outcome, Plugin, Proxy, Request, Response, Route, StartError,
    StreamNumber, TagExtractor, Value,
};

use crate::case::{self, Case, Cluster, HOST, Written, pair};
use crate::shown::{self, Arrived, Shown, headers, readable};

/// How long, by the virtual clock, something that has to happen may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// By how much the clock moves while somebody waits for a line of the log.
const STEP: Duration = Duration::from_millis(5);

/// Plays a case.
///
/// # Errors
/// Why it could not be played.
pub(crate) fn play_in_wasm_host(case: &Case) -> Result<Shown, String> {
    let module = case.module()?;
    let lines: Rc<RefCell<Vec<LogLine>>> = Rc::default();
    let arrived: Rc<RefCell<Vec<Arrived>>> = Rc::default();
    let mut seen = Shown::default();
    match start(case, &module, &lines, &arrived)? {
        Ok(proxy) => {
            let mut player = Player {
                proxy,
                case,
                lines: Rc::clone(&lines),
                answers: Vec::new(),
                running: Vec::new(),
            };
            player.play(&arrived)?;
            seen.died = !player.proxy.deaths().is_empty();
            // Who died answers nobody and tells nothing.
            if !seen.died {
                seen.stats = player.stats();
                seen.metrics = player.metrics();
                seen.answer = player.answers;
            }
        }
        Err(Refused::Died) => seen.died = true,
        Err(Refused::Says(why)) => seen.refused = why,
    }
    (seen.log, seen.main_log) = logged(&lines.borrow(), case.plugin.len());
    if case.workers > 1 {
        seen.log.sort();
    }
    seen.upstream.clone_from(&arrived.borrow());
    seen.upstream.sort_by(|one, other| one.cluster.cmp(&other.cluster));
    Ok(seen)
}

/// A proxy as the case wants it, or why it does not start.
fn start(
    case: &Case,
    module: &[u8],
    lines: &Rc<RefCell<Vec<LogLine>>>,
    arrived: &Rc<RefCell<Vec<Arrived>>>,
) -> Result<Result<Proxy, Refused>, String> {
    let code = match compile(case, module) {
        Ok(code) => code,
        Err(why) => return Ok(Err(Refused::Says(as_refusal(&why.to_string())))),
    };
    let mut plugins = case.plugin.iter().map(|known| plugin(known, &code));
    let first = plugins.next().ok_or("a case has a plugin")?;
    let lines = Rc::clone(lines);
    let mut host = Host::of(first)
        .workers(case.workers as usize)
        .log_level(level(case.log_level))
        .patience(PATIENCE)
        .node(node())
        .on_log(move |line| lines.borrow_mut().push(line.clone()));
    for plugin in plugins {
        host = host.plugin(plugin);
    }
    for tag in &case.stats_tag {
        let tag = TagExtractor::new(&tag.name, &tag.regex).map_err(|error| error.to_string())?;
        host = host.tag(tag);
    }
    for known in &case.route {
        host = host.route(route(known));
    }
    for (name, cluster) in &case.cluster {
        let info = ClusterInfo::new().locality("taiwan", "b");
        let info = info.metadata("fidelity", metadata_of(name));
        host = host.cluster_info(name, info.host_metadata("fidelity", metadata_of("host")));
        let (cluster, arrived) = (cluster.clone(), Rc::clone(arrived));
        host = host.cluster(name, move |incoming: Incoming| {
            if cluster.failure != Some(case::Failure::Refused) {
                arrived.borrow_mut().push(as_arrived(&incoming));
            }
            answer(&cluster)
        });
    }
    Ok(host.start().map_err(|error| match error {
        StartError::Died { .. } => Refused::Died,
        error => Refused::Says(as_refusal(&error.to_string())),
    }))
}

/// Why a proxy does not start.
enum Refused {
    /// Envoy would have died of it.
    Died,
    /// What is said.
    Says(String),
}

/// The code of a module. The guests in Rust are one module, compiled once.
fn compile(case: &Case, module: &[u8]) -> Result<Code, LoadError> {
    static GUESTS: OnceLock<Result<Code, LoadError>> = OnceLock::new();
    match case.written {
        Written::Wat => Code::compile(module),
        Written::Toml => GUESTS.get_or_init(|| Code::compile(module)).clone(),
    }
}

/// What Envoy's log says before each reason.
fn as_refusal(why: &str) -> String {
    format!("Wasm VM failed {}", readable_line(why))
}

/// The node that cases are played on.
fn node() -> Value {
    let locality = Value::map([("region", "tokyo"), ("zone", "a")].map(as_text));
    Value::map([
        ("id", Value::text("node-1")),
        ("cluster", Value::text("nodes")),
        ("locality", locality),
        ("metadata", metadata_of("node")),
    ])
}

fn as_text((name, text): (&'static str, &str)) -> (&'static str, Value) {
    (name, Value::text(text))
}

/// One value of each kind, for properties.
fn metadata_of(what: &str) -> Value {
    Value::map([
        ("name", Value::text(what)),
        ("number", Value::Double(1.5)),
        ("flag", Value::Bool(true)),
        ("nothing", Value::Null),
        ("list", Value::List(vec![Value::text("a"), Value::Double(2.0)])),
        ("map", Value::map([as_text(("key", "value"))])),
        ("empty", Value::text("")),
    ])
}

fn plugin(known: &case::Plugin, code: &Code) -> Plugin {
    let policy = match known.failure_policy {
        case::FailurePolicy::Closed => FailurePolicy::Closed,
        case::FailurePolicy::Open => FailurePolicy::Open,
        case::FailurePolicy::Reload => FailurePolicy::RELOAD,
    };
    let mut plugin = Plugin::new(&known.name, code)
        .root_id(&known.root_id)
        .vm_id(&known.vm_id)
        .configuration(known.configuration.as_bytes())
        .vm_configuration(known.vm_configuration.as_bytes())
        .failure_policy(policy)
        .allow_on_headers_stop_iteration(known.allow_on_headers_stop_iteration);
    for (name, value) in &known.env {
        plugin = plugin.env(name, value);
    }
    plugin
}

fn level(level: case::LogLevel) -> LogLevel {
    match level {
        case::LogLevel::Trace => LogLevel::Trace,
        case::LogLevel::Debug => LogLevel::Debug,
        case::LogLevel::Info => LogLevel::Info,
        case::LogLevel::Warn => LogLevel::Warn,
        case::LogLevel::Error => LogLevel::Error,
        case::LogLevel::Critical => LogLevel::Critical,
    }
}

fn route(known: &case::Route) -> Route {
    let route = match known.direct {
        Some(status) => Route::direct(status, ""),
        None => Route::to(&known.cluster),
    };
    let route = route.named(&known.name).prefix(&known.prefix);
    let route = route.metadata("fidelity", metadata_of(&known.name));
    if known.header.is_empty() {
        return route;
    }
    let (name, value) = pair(&known.header);
    route.header(name, value)
}

/// What a cluster's host answers. A body over HTTP/1.1 ends with an empty part.
fn answer(cluster: &Cluster) -> Answer {
    if !cluster.after.is_empty() {
        return Answer::Silence;
    }
    let response = response(cluster);
    match cluster.failure {
        None => response.into(),
        Some(case::Failure::Refused) => Failure::Refused.into(),
        Some(case::Failure::Reset) => Failure::Reset.into(),
        Some(case::Failure::Cut) => Answer::Cut(response, Duration::ZERO),
        Some(case::Failure::Silent) => Answer::Silence,
    }
}

fn response(cluster: &Cluster) -> Response {
    let mut response = Response::new(cluster.status);
    response.headers.extend(cluster.headers.iter().map(|header| pair(header)));
    response.body = cluster.body.iter().map(case::Piece::bytes).collect();
    if !is_bare(&response) && response.headers.get("content-length").is_none() {
        response.headers.add("transfer-encoding", "chunked");
    }
    if !cluster.trailers.is_empty() {
        response.trailers = Some(cluster.trailers.iter().map(|trailer| pair(trailer)).collect());
    } else if !is_bare(&response) && cluster.failure.is_none() {
        response.body.push(Vec::new());
    }
    response
}

/// A response that says that it has no body has none; any other one is chunked.
fn is_bare(response: &Response) -> bool {
    response.body.is_empty() || response.headers.get("content-length") == Some(b"0")
}

/// What an upstream has of a request once it has come over HTTP/1.1.
fn as_arrived(incoming: &Incoming) -> Arrived {
    let Incoming { cluster, headers: all, body, trailers, is_complete, is_bare } = incoming;
    let text = |name: &str| readable(all.get(name).unwrap_or_default());
    let method = text(":method");
    let mut sent: Headers = all.iter().filter(|(name, _)| !name.starts_with(':')).collect();
    if all.get(":authority") != Some(HOST.as_bytes()) {
        sent.add("host", all.get(":authority").unwrap_or_default());
    }
    if *is_bare && ["POST", "PUT", "PATCH"].contains(&method.as_str()) {
        sent.set("content-length", "0");
    }
    let chunked = trailers.as_ref().filter(|_| sent.get("content-length").is_none());
    Arrived {
        cluster: cluster.clone(),
        request: format!("{method} {}", text(":path")),
        headers: shown_headers(&sent),
        body: readable(body),
        trailers: chunked.map(shown_headers).unwrap_or_default(),
        cut: !is_complete,
    }
}

fn shown_headers(all: &Headers) -> Vec<String> {
    headers(all.iter().map(|(name, value)| (name.as_bytes(), value)))
}

/// What a client has of a response once it has come over HTTP/1.1.
fn as_answer(outcome: &Outcome) -> shown::Answer {
    let Outcome { status, headers, body, trailers, is_bare, ended, .. } = outcome;
    let mut sent = headers.clone();
    let needs_length = *is_bare && *status >= 200 && ![204, 304].contains(status);
    if needs_length && sent.get("content-length").is_none() {
        sent.set("content-length", "0");
    }
    let chunked = trailers.as_ref().filter(|_| sent.get("content-length").is_none());
    let said = sent.text("content-length").and_then(|length| length.parse().ok());
    let body = body.get(..said.unwrap_or(body.len())).unwrap_or(body);
    let cut = *ended != Ended::Complete;
    if *status == 0 {
        return shown::Answer { cut, ..shown::Answer::default() };
    }
    shown::Answer {
        status: *status,
        headers: shown_headers(&sent),
        body: readable(body),
        trailers: chunked.map(shown_headers).unwrap_or_default(),
        cut,
    }
}

/// What guests logged, on workers and on the main thread.
fn logged(lines: &[LogLine], plugins: usize) -> (Vec<String>, Vec<String>) {
    let (mut workers, mut of_main) = (Vec::new(), Vec::new());
    for LogLine { worker, level, plugin, message } in lines {
        let Some(plugin) = plugin else { continue };
        let context =
            if plugins > 1 && !plugin.is_empty() { format!(" {plugin}") } else { String::new() };
        let place = if *worker == 0 { &mut of_main } else { &mut workers };
        place.push(format!("{level}{context}: {}", readable_line(message)));
    }
    (workers, of_main)
}

/// Envoy escapes what would break a line of its log, and what is no ASCII.
fn readable_line(message: &str) -> String {
    message.bytes().fold(String::new(), |mut line, byte| {
        match byte {
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            b' '..=b'~' => line.push(char::from(byte)),
            // Writing into a String cannot fail.
            _ => drop(write!(line, "\\{byte:03o}")),
        }
        line
    })
}

/// A case that is being played.
struct Player<'c> {
    proxy: Proxy,
    case: &'c Case,
    lines: Rc<RefCell<Vec<LogLine>>>,
    answers: Vec<shown::Answer>,
    running: Vec<(usize, StreamNumber, &'c case::Request)>,
}

impl Player<'_> {
    fn play(&mut self, arrived: &Rc<RefCell<Vec<Arrived>>>) -> Result<(), String> {
        let case = self.case;
        for known in &case.request {
            if !known.after.is_empty() {
                self.until("a line of the log", |player| player.count(&known.after) > 0)?;
            }
            if known.background || known.abandon {
                let stream = self.begin(known);
                self.running.push((self.answers.len(), stream, known));
                self.answers.push(shown::Answer::default());
                continue;
            }
            let outcome = self.ask(known)?;
            note_cut(&outcome, arrived);
            self.answers.push(as_answer(&outcome));
        }
        for (place, stream, known) in self.running.clone() {
            let outcome = if known.abandon { self.leave(stream) } else { self.wait(stream)? };
            note_cut(&outcome, arrived);
            if let Some(answer) = self.answers.get_mut(place) {
                *answer = as_answer(&outcome);
            }
        }
        for text in &case.until {
            let wanted = case.until.iter().filter(|other| *other == text).count();
            self.until(text, |player| player.count(text) >= wanted)?;
        }
        Ok(())
    }

    /// Sends a request; what is due at once happens.
    fn begin(&mut self, known: &case::Request) -> StreamNumber {
        let stream = self.proxy.begin(request(self.case, known));
        self.proxy.wait(Duration::ZERO);
        stream
    }

    /// The client goes away, and has nothing.
    fn leave(&mut self, stream: StreamNumber) -> Outcome {
        let has_ended = self.proxy.has_ended(stream);
        let mut outcome = self.proxy.close(stream);
        if !has_ended {
            outcome.status = 0;
        }
        outcome
    }

    /// Sends a request, again and again if only one status will do.
    fn ask(&mut self, known: &case::Request) -> Result<Outcome, String> {
        let until = self.proxy.now().saturating_add(PATIENCE);
        loop {
            let stream = self.begin(known);
            let outcome = if known.leave.is_empty() || self.proxy.has_ended(stream) {
                self.wait(stream)?
            } else {
                self.until("a line of the log", |player| player.count(&known.leave) > 0)?;
                self.leave(stream)
            };
            if known.until_status == 0 || outcome.status == known.until_status {
                return Ok(outcome);
            }
            if self.proxy.now() > until {
                return Err(format!("no answer of {}", known.until_status));
            }
            self.step();
        }
    }

    fn wait(&mut self, stream: StreamNumber) -> Result<Outcome, String> {
        // What kills a host answers nobody.
        let over =
            |player: &Self| player.proxy.has_ended(stream) || !player.proxy.deaths().is_empty();
        if self.until("an answer", over).is_err() {
            return Err(format!("hung: {:#?}", self.proxy.close(stream)));
        }
        Ok(self.proxy.close(stream))
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<(), String> {
        let until = self.proxy.now().saturating_add(PATIENCE);
        self.proxy.wait(Duration::ZERO);
        while !is_so(self) {
            if self.proxy.now() > until {
                return Err(format!("`{what}` did not happen"));
            }
            self.step();
        }
        Ok(())
    }

    /// A moment passes; upstreams that waited for a line answer.
    fn step(&mut self) {
        for (_, stream, _) in self.running.clone() {
            let incoming = self.proxy.waiting(stream);
            let cluster = incoming.and_then(|incoming| self.case.cluster.get(&incoming.cluster));
            if let Some(cluster) = cluster
                .filter(|cluster| !cluster.after.is_empty() && self.count(&cluster.after) > 0)
            {
                self.proxy.respond(stream, response(cluster));
            }
        }
        self.proxy.wait(STEP);
    }

    /// How many lines of Envoy's log would have this.
    fn count(&self, text: &str) -> usize {
        let lines = self.lines.borrow();
        let line = |line: &LogLine| {
            let plugin = line.plugin.as_deref().unwrap_or_default();
            let space = if plugin.is_empty() { "" } else { " " };
            format!("wasm log{space}{plugin}: {}", line.message)
        };
        lines.iter().filter(|known| line(known).contains(text)).count()
    }

    /// Counters and gauges as Envoy's admin interface has them.
    fn stats(&self) -> BTreeMap<String, u64> {
        let mut stats = BTreeMap::new();
        let hides_early = self.case.request.iter().any(|request| request.until_status != 0);
        for (name, value) in self.proxy.metrics() {
            let (MetricValue::Counter(value) | MetricValue::Gauge(value)) = value else { continue };
            if name.defined.is_empty() {
                continue;
            }
            let is_of_host = name.defined.starts_with("wasm.");
            if is_of_host && hides_early && name.defined.ends_with(".vm_reload_backoff") {
                continue;
            }
            let prefix = if is_of_host { "" } else { "wasmcustom." };
            stats.insert(format!("{prefix}{}", name.defined), value);
        }
        stats
    }

    /// The same as Prometheus is told of them.
    fn metrics(&self) -> Vec<String> {
        if self.case.stats_tag.is_empty() {
            return Vec::new();
        }
        let shown = self.proxy.metrics();
        let shown = shown.into_iter().filter_map(|(name, value)| match value {
            MetricValue::Counter(value) | MetricValue::Gauge(value) => {
                Some(format!("{name} {value}"))
            }
            MetricValue::Histogram(_) => None,
        });
        let mut shown: Vec<String> = shown.collect();
        shown.sort();
        shown
    }
}

/// A request as Envoy's connection manager hands it on.
fn request(case: &Case, known: &case::Request) -> Request {
    let mut all = Headers::new();
    let host = known.headers.iter().map(|header| pair(header)).find(|(name, _)| *name == "host");
    all.add(":authority", host.map_or(HOST, |(_, value)| value));
    all.add(":path", known.path.as_str());
    all.add(":method", known.method.as_str());
    all.add(":scheme", "http");
    all.extend(known.headers.iter().map(|header| pair(header)).filter(|(name, _)| *name != "host"));
    all.add("x-forwarded-proto", "http");
    let is_denied = !case.denied.is_empty() && all.get(&case.denied).is_some();
    let mut request = Request::of(all)
        .attribute(&["xds", "filter_chain_name"], "chain")
        .attribute(&["xds", "virtual_host_name"], "all");
    if is_denied {
        let details = "rbac_access_denied_matched_policy[denied]";
        request = request.answered_before(403, details, "RBAC: access denied");
    }
    for piece in &known.body {
        request = request.body(piece.bytes());
    }
    for trailer in &known.trailers {
        let (name, value) = pair(trailer);
        request = request.trailer(name, value);
    }
    if !known.body.is_empty() && known.trailers.is_empty() {
        request = request.body("");
    }
    request
}

/// A request that its upstream has not seen the end of is not asked about; it got there all the same.
fn note_cut(outcome: &Outcome, arrived: &Rc<RefCell<Vec<Arrived>>>) {
    if let Some(upstream) = outcome.upstream.as_ref().filter(|sent| !sent.is_complete) {
        arrived.borrow_mut().push(as_arrived(upstream));
    }
}
