//! Plays a case in `wasm-host`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use wasm_host::{
    Answer, Code, Ended, Failure, FailurePolicy, Headers, Host, Incoming, LogLevel, LogLine,
    MetricValue, Outcome, Plugin, Proxy, Request, Response, Route, StreamNumber, TagExtractor,
};

use crate::case::{self, Case, Cluster, HOST, pair};
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
            let mut player = Player { proxy, case, lines: Rc::clone(&lines), answers: Vec::new() };
            player.play(&arrived)?;
            seen.stats = player.stats();
            seen.metrics = player.metrics();
            seen.answer = player.answers;
        }
        Err(why) => seen.refused = why,
    }
    (seen.log, seen.main_log) = logged(&lines.borrow(), case.plugin.len());
    if case.workers > 1 {
        seen.log.sort();
    }
    seen.upstream.clone_from(&arrived.borrow());
    Ok(seen)
}

/// A proxy as the case wants it, or why it does not start.
fn start(
    case: &Case,
    module: &[u8],
    lines: &Rc<RefCell<Vec<LogLine>>>,
    arrived: &Rc<RefCell<Vec<Arrived>>>,
) -> Result<Result<Proxy, String>, String> {
    let code = match Code::compile(module) {
        Ok(code) => code,
        Err(why) => return Ok(Err(why.to_string())),
    };
    let mut plugins = case.plugin.iter().map(|known| plugin(known, &code));
    let first = plugins.next().ok_or("a case has a plugin")?;
    let lines = Rc::clone(lines);
    let mut host = Host::of(first)
        .workers(case.workers as usize)
        .log_level(level(case.log_level))
        .patience(PATIENCE)
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
        let (cluster, arrived) = (cluster.clone(), Rc::clone(arrived));
        host = host.cluster(name, move |incoming: Incoming| {
            if cluster.failure != Some(case::Failure::Refused) {
                arrived.borrow_mut().push(as_arrived(&incoming));
            }
            answer(&cluster)
        });
    }
    Ok(host.start().map_err(|error| error.to_string()))
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
    if known.header.is_empty() {
        return route;
    }
    let (name, value) = pair(&known.header);
    route.header(name, value)
}

/// What a cluster's host answers. A body over HTTP/1.1 ends with an empty part.
fn answer(cluster: &Cluster) -> Answer {
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
    match cluster.failure {
        None => response.into(),
        Some(case::Failure::Refused) => Failure::Refused.into(),
        Some(case::Failure::Reset) => Failure::Reset.into(),
        Some(case::Failure::Cut) => Answer::Cut(response, Duration::ZERO),
        Some(case::Failure::Silent) => Answer::Silence,
    }
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

/// Envoy escapes what would break a line of its log.
fn readable_line(message: &str) -> String {
    message.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
}

/// A case that is being played.
struct Player<'c> {
    proxy: Proxy,
    case: &'c Case,
    lines: Rc<RefCell<Vec<LogLine>>>,
    answers: Vec<shown::Answer>,
}

impl Player<'_> {
    fn play(&mut self, arrived: &Rc<RefCell<Vec<Arrived>>>) -> Result<(), String> {
        let mut running: Vec<(usize, StreamNumber)> = Vec::new();
        for known in &self.case.request {
            if !known.after.is_empty() {
                self.until_logged(&known.after)?;
            }
            if known.background {
                running.push((self.answers.len(), self.proxy.begin(request(self.case, known))));
                self.answers.push(shown::Answer::default());
                continue;
            }
            let outcome = self.ask(known)?;
            note_cut(&outcome, arrived);
            self.answers.push(as_answer(&outcome));
        }
        for (place, stream) in running {
            let outcome = wait(&mut self.proxy, stream)?;
            note_cut(&outcome, arrived);
            if let Some(answer) = self.answers.get_mut(place) {
                *answer = as_answer(&outcome);
            }
        }
        for text in &self.case.until {
            self.until_logged(text)?;
        }
        Ok(())
    }

    /// Sends a request, again and again if only one status will do.
    fn ask(&mut self, known: &case::Request) -> Result<Outcome, String> {
        let until = self.proxy.now().saturating_add(PATIENCE);
        loop {
            let stream = self.proxy.begin(request(self.case, known));
            self.proxy.wait(Duration::ZERO);
            let outcome = if known.leave.is_empty() || self.proxy.has_ended(stream) {
                wait(&mut self.proxy, stream)?
            } else {
                self.until_logged(&known.leave)?;
                let mut outcome = self.proxy.close(stream);
                outcome.status = 0;
                outcome
            };
            if known.until_status == 0 || outcome.status == known.until_status {
                return Ok(outcome);
            }
            if self.proxy.now() > until {
                return Err(format!("no answer of {}", known.until_status));
            }
            self.proxy.wait(STEP);
        }
    }

    fn until_logged(&mut self, text: &str) -> Result<(), String> {
        let until = self.proxy.now().saturating_add(PATIENCE);
        // What is due right now has to happen first.
        self.proxy.wait(Duration::ZERO);
        while !self.lines.borrow().iter().any(|line| line.message.contains(text)) {
            if self.proxy.now() > until {
                return Err(format!("`{text}` is not logged"));
            }
            self.proxy.wait(STEP);
        }
        Ok(())
    }

    /// Counters and gauges as Envoy's admin interface has them.
    fn stats(&self) -> BTreeMap<String, u64> {
        let mut stats = BTreeMap::new();
        let hides_early = self.case.request.iter().any(|request| request.until_status != 0);
        for (name, value) in self.proxy.metrics() {
            let (MetricValue::Counter(value) | MetricValue::Gauge(value)) = value else { continue };
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
    let mut request = Request::of(all);
    if is_denied {
        request = request.answered_before(403, "RBAC: access denied");
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

fn wait(proxy: &mut Proxy, stream: StreamNumber) -> Result<Outcome, String> {
    let until = proxy.now().saturating_add(PATIENCE);
    proxy.wait(Duration::ZERO);
    while !proxy.has_ended(stream) && proxy.now() < until {
        proxy.wait(STEP);
    }
    if !proxy.has_ended(stream) {
        return Err(format!("hung: {:#?}", proxy.close(stream)));
    }
    Ok(proxy.close(stream))
}
