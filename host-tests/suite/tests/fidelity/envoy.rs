//! An Envoy that plays one case.

use local_mesh::client::RawRequest;
use local_mesh::envoy::{self, Pinned};
use local_mesh::run_dir::RunDir;
use local_mesh::supervise::{Handle, Supervised};
use local_mesh::{Part, launch};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use suite::{Trouble, send, stats, until};
use tokio::process::Command;
use tokio::sync::oneshot::{self, Sender};
use tokio::task::{JoinError, JoinHandle};

use crate::bootstrap::bootstrap;
use crate::case::{Case, HOST, LogLevel, Request, pair};
use crate::shown::{Answer, Shown, headers, readable};
use crate::upstream::Upstreams;
use crate::wire::{Flow, Message, Rest, connect, receive};

/// Plays a case on the Envoy that is found as `meshfence up` finds it.
pub(crate) async fn play_on_envoy(case: &Case, executable: &Path) -> Result<Shown, Trouble> {
    let module = case.module().map_err(Trouble::new)?;
    let admin = Arc::default();
    let run_dir = RunDir::create()?;
    let log = run_dir.envoy_log("fidelity");
    let upstreams = Upstreams::start(case, &admin, &log).await?;
    let module = run_dir.write("guest.wasm", &module)?;
    let bootstrap = bootstrap(case, &module, &upstreams.addresses);
    let bootstrap = run_dir.write("bootstrap.json", bootstrap.to_string().as_bytes())?;
    let mut envoy = Envoy::start(case, executable, &bootstrap, run_dir)?;
    let mut shown = Shown::default();
    match envoy.ready(&admin).await? {
        Ok(edge) => {
            let Envoy { running, log, .. } = &mut envoy;
            let died = std::future::poll_fn(|context| running.poll_end(context));
            tokio::select! {
                biased;
                _ = died => shown.died = true,
                seen = play(case, edge, &admin, log, &upstreams.answered) => {
                    (shown.answer, shown.stats, shown.metrics) = seen?;
                }
            }
        }
        Err(None) => shown.died = true,
        Err(Some(why)) => shown.refused = why,
    }
    let main = envoy.end().await?;
    (shown.log, shown.main_log) = logged(&read(&envoy.log)?, main, case.plugin.len());
    if case.workers > 1 {
        shown.log.sort();
    }
    shown.upstream = upstreams.arrived().await?;
    Ok(shown)
}

/// Answers, statistics and metrics: all that is asked while it runs.
async fn play(
    case: &Case,
    edge: SocketAddr,
    admin: &Arc<OnceLock<SocketAddr>>,
    log: &Path,
    answered: &Arc<AtomicUsize>,
) -> Result<(Vec<Answer>, BTreeMap<String, u64>, Vec<String>), Trouble> {
    let flow = Flow::new(admin, "http.fidelity.downstream_cx_rx_bytes_total".to_owned());
    let client =
        Arc::new(Client { edge, flow, log: log.to_owned(), answered: Arc::clone(answered) });
    let answers = answers(&client, &case.request).await?;
    let Some(admin) = admin.get() else { return Err(Trouble::new("no admin interface")) };
    quiet(case, *admin, log).await?;
    let mut counted = counted(*admin).await?;
    if case.request.iter().any(|request| request.until_status != 0) {
        counted.retain(|name, _| !name.ends_with(".vm_reload_backoff"));
    }
    let metrics = if case.stats_tag.is_empty() { Vec::new() } else { metrics(*admin).await? };
    Ok((answers, counted, metrics))
}

/// An Envoy of the version that the cases are about: the one that `meshfence up` would find, if it
/// is of that version.
pub(crate) async fn executable() -> Result<PathBuf, Trouble> {
    let pinned = Pinned::Newest;
    let found = envoy::find(None, &mut |_| {}).await?;
    if found.version == pinned.version() {
        return Ok(found.path);
    }
    Ok(envoy::find_pinned(pinned, &mut |_| {}).await?.path)
}

#[derive(Debug)]
struct Envoy {
    running: Box<dyn Supervised>,
    log: PathBuf,
    // After what writes there.
    run_dir: RunDir,
}

// === impl Envoy ===

impl Envoy {
    fn start(
        case: &Case,
        executable: &Path,
        bootstrap: &Path,
        run_dir: RunDir,
    ) -> Result<Self, Trouble> {
        let log = run_dir.envoy_log("fidelity");
        let level = match case.log_level {
            LogLevel::Trace => "trace",
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
            LogLevel::Critical => "critical",
        };
        let mut command = Command::new(executable);
        command.arg("-c").arg(bootstrap);
        command.args(["--disable-hot-restart", "--log-level", "error", "--log-format-escaped"]);
        command.args(["--log-format", "%t %l %n %v", "--component-log-level"]);
        command.args([&format!("wasm:{level}"), "--concurrency", &case.workers.to_string()]);
        command.arg("--admin-address-path").arg(run_dir.path().join("admin"));
        let running = launch::process("fidelity", Part::Envoy, &mut command, &log)?;
        Ok(Self { running, log, run_dir })
    }

    /// Waits until it serves, and says where; or says why it does not, which is nothing if it was
    /// killed.
    async fn ready(
        &mut self,
        admin: &OnceLock<SocketAddr>,
    ) -> Result<Result<SocketAddr, Option<String>>, Trouble> {
        let path = self.run_dir.path().join("admin");
        let ready = until("Envoy is ready", async || {
            let addr: SocketAddr = std::fs::read_to_string(&path).ok()?.trim().parse().ok()?;
            let response = send(addr, &RawRequest::new("GET", "/ready")).await.ok()?;
            (response.status == 200).then_some(addr)
        });
        let ended = std::future::poll_fn(|context| self.running.poll_end(context));
        let addr = tokio::select! {
            biased;
            status = ended => {
                let refused = !status.starts_with("signal");
                let why = refused.then(|| read(&self.log).map(|log| refusal(&status, &log)));
                return Ok(Err(why.transpose()?));
            }
            addr = ready => match addr {
                Ok(addr) => addr,
                Err(trouble) => {
                    return Err(Trouble::new(format!("{trouble}\n{}", read(&self.log)?)));
                }
            },
        };
        let response = send(addr, &RawRequest::new("GET", "/listeners?format=json")).await?;
        let listeners: Value = serde_json::from_slice(&response.body)?;
        let port = listeners
            .pointer("/listener_statuses/0/local_address/socket_address/port_value")
            .and_then(Value::as_u64)
            .and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or_else(|| Trouble::new(format!("no listener in {listeners}")))?;
        // Set once, here.
        let _ = admin.set(addr);
        Ok(Ok(SocketAddr::new(addr.ip(), port)))
    }

    /// Ends it and says what its process was.
    async fn end(&mut self) -> Result<u32, Trouble> {
        let Handle::Process(pid) = self.running.handle() else {
            return Err(Trouble::new("Envoy is no process"));
        };
        self.running.kill();
        std::future::poll_fn(|context| match self.running.poll_end(context) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        })
        .await;
        Ok(pid)
    }
}

fn read(log: &Path) -> Result<String, Trouble> {
    Ok(String::from_utf8_lossy(&std::fs::read(log)?).into_owned())
}

pub(crate) async fn until_logged(log: &Path, text: &str, times: usize) -> Result<(), Trouble> {
    let what = format!("`{text}` is logged {times} times");
    let logged =
        until(&what, async || (read(log).ok()?.matches(text).count() >= times).then_some(()));
    match logged.await {
        Ok(()) => Ok(()),
        Err(trouble) => Err(Trouble::new(format!("{trouble}\n{}", read(log)?))),
    }
}

/// Waits until no request and no connection is left, and the log has what it should have.
async fn quiet(case: &Case, admin: SocketAddr, log: &Path) -> Result<(), Trouble> {
    let over = until("every request is over", async || {
        let active = stats(admin, "^http.fidelity.downstream_(cx|rq)_active$").await.ok()?;
        (active.len() == 2 && active.values().all(|count| *count == 0)).then_some(())
    });
    if let Err(trouble) = over.await {
        return Err(Trouble::new(format!("{trouble}\n{}", read(log)?)));
    }
    for text in &case.until {
        let times = case.until.iter().filter(|other| *other == text).count();
        until_logged(log, text, times).await?;
    }
    Ok(())
}

/// Why an Envoy ended: what it said about plugins, or all that it said.
fn refusal(status: &str, log: &str) -> String {
    let said = log.lines().filter_map(|line| {
        let mut parts = line.splitn(4, ' ').skip(1);
        let (level, logger, text) = (parts.next()?, parts.next()?, parts.next()?);
        let bad = ["warn", "error", "critical"].contains(&level);
        (bad && logger == "wasm" && !text.starts_with("wasm log")).then_some(text)
    });
    let said = said.collect::<Vec<_>>().join("; ");
    if said.is_empty() { format!("{status}: {log}") } else { said }
}

/// What guests logged, on workers and on the main thread. Whose a line is is said if there is more
/// than one plugin.
fn logged(log: &str, main: u32, plugins: usize) -> (Vec<String>, Vec<String>) {
    let (mut workers, mut of_main) = (Vec::new(), Vec::new());
    for line in log.lines() {
        let mut parts = line.splitn(4, ' ');
        let (Some(thread), Some(level), Some("wasm"), Some(text)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let Some((context, text)) =
            text.strip_prefix("wasm log").and_then(|rest| rest.split_once(": "))
        else {
            continue;
        };
        let place = if thread == main.to_string() { &mut of_main } else { &mut workers };
        let context = if plugins > 1 { context } else { "" };
        // Envoy was asked to escape, lest a line of a guest be several.
        let text = text.replace("\\\\", "\\").replace("\\\"", "\"").replace("\\'", "'");
        place.push(format!("{level}{context}: {text}"));
    }
    (workers, of_main)
}

/// Counters and gauges of guests, and reloads that happened.
async fn counted(admin: SocketAddr) -> Result<BTreeMap<String, u64>, Trouble> {
    let mut all = stats(admin, "^wasmcustom\\.").await?;
    let reloads = stats(admin, "^wasm\\..*\\.vm_reload").await?;
    all.extend(reloads.into_iter().filter(|(_, count)| *count > 0));
    Ok(all)
}

/// What Prometheus is told of metrics of guests: all that is not Envoy's.
async fn metrics(admin: SocketAddr) -> Result<Vec<String>, Trouble> {
    let response = send(admin, &RawRequest::new("GET", "/stats/prometheus")).await?;
    let text = response.text();
    let own = text.lines().filter(|line| !line.starts_with("envoy_") && !line.starts_with('#'));
    let mut own: Vec<String> = own.filter(|line| !line.is_empty()).map(str::to_owned).collect();
    own.sort();
    Ok(own)
}

/// Sends requests.
#[derive(Debug)]
struct Client {
    edge: SocketAddr,
    flow: Flow,
    log: PathBuf,
    answered: Arc<AtomicUsize>,
}

/// The answers to all requests, in their order.
async fn answers(client: &Arc<Client>, requests: &[Request]) -> Result<Vec<Answer>, Trouble> {
    enum Sent {
        Answered(Answer),
        Running(JoinHandle<Result<Answer, Trouble>>),
        Abandoned(JoinHandle<Result<Answer, Trouble>>),
    }
    let mut all = Vec::new();
    for request in requests {
        if !request.after.is_empty() {
            until_logged(&client.log, &request.after, 1).await?;
        }
        until("upstreams have answered", async || {
            let answered = client.answered.load(Ordering::Relaxed);
            (answered >= request.after_answers).then_some(())
        })
        .await?;
        let (sent, is_sent) = oneshot::channel();
        if !request.background && !request.abandon {
            all.push(Sent::Answered(client.ask(request, sent).await?));
            continue;
        }
        let (client, abandon, request) = (Arc::clone(client), request.abandon, request.clone());
        let task = tokio::task::spawn_local(async move { client.ask(&request, sent).await });
        // Sent or given up: both are an end.
        let _ = is_sent.await;
        all.push(if abandon { Sent::Abandoned(task) } else { Sent::Running(task) });
    }
    let failed = |error: JoinError| Trouble::new(error.to_string());
    // Whom nobody waits for may still be answered while somebody else is waited for.
    let mut answers = Vec::new();
    let mut abandoned = Vec::new();
    for sent in all {
        answers.push(match sent {
            Sent::Answered(answer) => answer,
            Sent::Running(task) => task.await.map_err(failed)??,
            Sent::Abandoned(task) => {
                abandoned.push((answers.len(), task));
                Answer { cut: true, ..Answer::default() }
            }
        });
    }
    for (at, task) in abandoned {
        if task.is_finished() {
            let answer = task.await.map_err(failed)??;
            if let Some(place) = answers.get_mut(at) {
                *place = answer;
            }
        } else {
            task.abort();
        }
    }
    Ok(answers)
}

// === impl Client ===

impl Client {
    /// Sends a request, again and again if only one status will do.
    async fn ask(&self, request: &Request, sent: Sender<()>) -> Result<Answer, Trouble> {
        if request.until_status == 0 {
            return self.ask_once(request, Some(sent)).await;
        }
        until(&format!("an answer of {}", request.until_status), async || {
            let answer = self.ask_once(request, None).await.ok()?;
            (answer.status == request.until_status).then_some(answer)
        })
        .await
    }

    async fn ask_once(
        &self,
        request: &Request,
        sent: Option<Sender<()>>,
    ) -> Result<Answer, Trouble> {
        let (mut reader, mut writer) = connect(self.edge).await?.into_split();
        let Request { method, path, headers, body, trailers, .. } = request;
        let mut headers = headers.clone();
        if !headers.iter().any(|header| pair(header).0 == "host") {
            headers.push(format!("host: {HOST}"));
        }
        let first = format!("{method} {path} HTTP/1.1");
        let rest = Rest { headers: &headers, body, trailers, cut: false, says_empty: false };
        let write = self.flow.message(&mut writer, &first, rest);
        let mut wire = Vec::new();
        let exchange = async {
            let read = receive(&mut reader, &mut wire, method == "HEAD");
            tokio::pin!(read, write);
            // An answer may come before the request has ended.
            tokio::select! {
                answer = &mut read => answer,
                _ = &mut write => {
                    // Nobody need be waiting for it.
                    let _ = sent.map(|sent| sent.send(()));
                    read.await
                }
            }
        };
        if request.leave.is_empty() {
            let answer = tokio::time::timeout(suite::LIMIT, exchange).await;
            let answer = answer.map_err(|_| Trouble::new(format!("no answer to {path}")))?;
            return Ok(answer.map_or(Answer { cut: true, ..Answer::default() }, as_answer));
        }
        tokio::select! {
            answer = exchange => Ok(answer.map(as_answer).unwrap_or_default()),
            left = until_logged(&self.log, &request.leave, 1) => {
                left?;
                Ok(Answer { cut: true, ..Answer::default() })
            }
        }
    }
}

fn as_answer(message: Message) -> Answer {
    let Message { first, headers: all, body, trailers, complete } = message;
    let shown =
        |all: &[(Vec<u8>, Vec<u8>)]| headers(all.iter().map(|(name, value)| (&**name, &**value)));
    Answer {
        status: first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default(),
        headers: shown(&all),
        body: readable(&body),
        trailers: shown(&trailers),
        cut: !complete,
    }
}
