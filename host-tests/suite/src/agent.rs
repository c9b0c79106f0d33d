//! An agent on loopback, with a script: what it says of its region, signed, or what it does instead.

use crate::{Gate, Trouble, Way};
use guard::Question;
use guard::header::SIG;
use policy_core::wire::{LIVE_LEN_MAX, LiveDocument, LiveLease};
use policy_core::{LeaseState, Policy, Role, Until};
use policy_doc::{AgentUrl, PolicySet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// No question is longer.
const QUESTION_MAX: usize = 8 << 10;

/// What an agent does when it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conduct {
    /// It says what is so.
    Honest,
    /// It refuses connections.
    Down,
    /// It takes questions and never answers.
    Hanging,
    /// It says what is so, after this time, for which proxies wait.
    Slow(Duration),
    /// It says what is so, after this time, for which nobody waits.
    Late(Duration),
    /// It answers with this status, and what is so.
    Failing(u16),
    /// It says what is so, in more bytes than anybody reads.
    Oversized,
    /// It says half of what is so, and signs that.
    Malformed,
    /// It says what is so, and bears no signature.
    Unsigned,
    /// It says what is so, and signs it with another secret.
    WronglySigned,
    /// It repeats an answer to somebody else's question, signature and all.
    Replaying,
    /// It signs the last document that was so anew, for each question.
    Repeating,
    /// It says what is so of this region, where somebody else's proxies ask.
    Elsewhere(&'static str),
    /// It promises leases for longer than they last.
    Overlong,
    /// What it says is not so: it contradicts what it has said before, in due form.
    Lying,
}

/// An agent of one region.
#[derive(Debug)]
pub struct Agent {
    gate: Gate,
    inner: Arc<Mutex<Inner>>,
    _task: JoinSet<()>,
}

#[derive(Debug)]
struct Inner {
    document: LiveDocument,
    conduct: Conduct,
    key: String,
    secret: String,
    asked: usize,
    /// The last answer that said what is so: number, body and signature.
    last: Option<(u64, Vec<u8>, String)>,
    /// For how long its answers have made leases certain.
    promises: Vec<Promise>,
}

/// For how long an answer made leases certain.
#[derive(Debug, Clone, Copy)]
struct Promise {
    asked: Instant,
    /// The proxy has asked before that, so it may not believe it longer.
    ends: Instant,
}

impl Agent {
    /// The agent of a region of a policy set, in which every lease is at home with epoch 1, and the
    /// secret of the set's first key.
    ///
    /// # Errors
    /// A set without that region or a key; no free port.
    pub async fn start(set: &PolicySet, region: &str, secret: &str) -> Result<Self, Trouble> {
        let policy = Policy::compile(&set.plugin_config(region, Role::Edge));
        let policy = policy.map_err(|fault| Trouble::new(fault.to_string()))?;
        let key = set.body.hmac.as_ref().and_then(|hmac| hmac.keys.first());
        let key = key.ok_or_else(|| Trouble::new("the policy set has no key"))?;
        let inner = Arc::new(Mutex::new(Inner {
            document: document(&policy, region, set.body.fencing.lease.ttl_ms),
            conduct: Conduct::Honest,
            key: key.id.clone(),
            secret: secret.to_owned(),
            asked: 0,
            last: None,
            promises: Vec::new(),
        }));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let gate = Gate::to(listener.local_addr()?).await?;
        let mut task = JoinSet::new();
        task.spawn(listen(listener, Arc::clone(&inner)));
        Ok(Self { gate, inner, _task: task })
    }

    /// Where it is.
    pub fn url(&self) -> AgentUrl {
        let addr: SocketAddr = self.gate.addr();
        AgentUrl { is_tls: false, host: addr.ip().to_string(), port: addr.port() }
    }

    /// Changes what it does; returns when that is so.
    ///
    /// # Errors
    /// That its address cannot be closed or opened.
    pub async fn behave(&self, conduct: Conduct) -> Result<(), Trouble> {
        let way = if conduct == Conduct::Down { Way::Refusing } else { Way::Open };
        self.inner().conduct = conduct;
        self.gate.set(way).await
    }

    /// Changes what is so. The number of the document rises by itself.
    pub fn set(&self, change: impl FnOnce(&mut LiveDocument)) {
        change(&mut self.inner().document);
    }

    /// Changes what is so of a lease.
    pub fn lease(&self, name: &str, change: impl Fn(&mut LiveLease)) {
        let leases = &mut self.inner().document.leases;
        leases.iter_mut().filter(|lease| lease.name() == name).for_each(change);
    }

    /// How often it was asked; a question that found nobody does not count.
    pub fn asked(&self) -> usize {
        self.inner().asked
    }

    /// Whether any answer made leases certain at some moment between these two.
    pub fn promised(&self, from: Instant, to: Instant) -> bool {
        self.inner().promises.iter().any(|promise| promise.asked <= to && from < promise.ends)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is so at first.
fn document(policy: &Policy, region: &str, ttl_ms: u32) -> LiveDocument {
    let lease = |ctx: &str, shard: Option<&str>, holder: &str| LiveLease {
        ctx: ctx.to_owned(),
        shard: shard.map(str::to_owned),
        state: LeaseState::Active,
        holder: Some(holder.to_owned()),
        epoch: 1,
        ttl_ms,
        prev: None,
    };
    let leases = policy.leases().iter().flat_map(|spec| {
        let home = |shard| policy.region_name(shard);
        spec.shards.iter().map(move |it| lease(&spec.name, it.name.as_deref(), home(it.home)))
    });
    LiveDocument::new(region, 0, leases.collect())
}

async fn listen(listener: TcpListener, inner: Arc<Mutex<Inner>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&inner)));
        while connections.try_join_next().is_some() {}
    }
}

/// Answers the questions of one connection, one after the other.
async fn serve(mut stream: TcpStream, inner: Arc<Mutex<Inner>>) {
    loop {
        let Some(target) = question(&mut stream).await else { return };
        let asked = Instant::now();
        let (conduct, answer) = lock(&inner).answer(&target, asked);
        match conduct {
            Conduct::Hanging => return std::future::pending().await,
            Conduct::Slow(time) | Conduct::Late(time) => tokio::time::sleep(time).await,
            _ => {}
        }
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// The target of the next question.
async fn question(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= QUESTION_MAX {
            return None;
        }
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let target = head.strip_prefix("GET ")?.split_once(' ')?.0;
    Some(target.to_owned())
}

impl Inner {
    /// What is done now, and the bytes of the answer if there is one.
    fn answer(&mut self, target: &str, asked: Instant) -> (Conduct, Vec<u8>) {
        self.asked += 1;
        let conduct = self.conduct.clone();
        let Some(question) = Question::at(target) else {
            return (conduct, response(404, None, b""));
        };
        self.document.issued_seq += 1;
        let mut document = self.document.clone();
        let mut ttl_ms = document.leases.iter().map(|lease| lease.ttl_ms).max().unwrap_or(0);
        match (&conduct, &self.last) {
            (Conduct::Repeating, Some((number, ..))) => document.issued_seq = *number,
            (Conduct::Elsewhere(region), _) => (*region).clone_into(&mut document.region),
            (Conduct::Overlong, _) => {
                ttl_ms = ttl_ms.saturating_mul(10);
                document.leases.iter_mut().for_each(|lease| lease.ttl_ms = ttl_ms);
            }
            _ => {}
        }
        let mut body = serde_json::to_vec(&document).unwrap_or_default();
        match conduct {
            Conduct::Oversized => body.resize(LIVE_LEN_MAX + 1, b' '),
            Conduct::Malformed => body.truncate(body.len() / 2),
            _ => {}
        }
        let secret = match conduct {
            Conduct::WronglySigned => "a secret of 32 bytes or more that nobody else has",
            _ => &self.secret,
        };
        let sig = question.sign(&self.key, secret.as_bytes(), &body);
        let sig = sig.filter(|_| conduct != Conduct::Unsigned);
        let answer = match (&conduct, &self.last) {
            (Conduct::Replaying, Some((_, body, sig))) => response(200, Some(sig), body),
            (Conduct::Failing(status), _) => response(*status, sig.as_deref(), &body),
            _ => response(200, sig.as_deref(), &body),
        };
        if matches!(conduct, Conduct::Honest | Conduct::Slow(_)) {
            self.last = sig.map(|sig| (document.issued_seq, body, sig));
            let certain = Duration::from_millis(Until::after(0, ttl_ms).0);
            self.promises.push(Promise { asked, ends: asked + certain });
        }
        (conduct, answer)
    }
}

fn response(status: u16, sig: Option<&str>, body: &[u8]) -> Vec<u8> {
    let sig = sig.map(|sig| format!("{SIG}: {sig}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\n{sig}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
