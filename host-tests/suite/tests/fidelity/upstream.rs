//! Upstreams that answer as a case says and remember what reached them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use suite::{Trouble, until};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::case::{Case, Cluster, Failure, HOST};
use crate::envoy::until_logged;
use crate::shown::{Arrived, headers, readable};
use crate::wire::{Flow, Message, Rest, closed, receive};

/// The upstreams of a case. They go when this goes.
#[derive(Debug)]
pub(crate) struct Upstreams {
    /// Where each cluster listens.
    pub(crate) addresses: BTreeMap<String, SocketAddr>,
    /// How many answers were sent.
    pub(crate) answered: Arc<AtomicUsize>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    running: Vec<Arc<Upstream>>,
    _tasks: JoinSet<()>,
    // Bound, so that nobody else listens there.
    _refusing: Vec<TcpSocket>,
}

// === impl Upstreams ===

impl Upstreams {
    /// Starts them. The admin interface of the proxy need not be known yet.
    pub(crate) async fn start(
        case: &Case,
        admin: &Arc<OnceLock<SocketAddr>>,
        log: &Path,
    ) -> Result<Self, Trouble> {
        let arrived: Arc<Mutex<Vec<Arrived>>> = Arc::default();
        let answered: Arc<AtomicUsize> = Arc::default();
        let (mut addresses, mut tasks) = (BTreeMap::new(), JoinSet::new());
        let (mut running, mut refusing) = (Vec::new(), Vec::new());
        for (name, cluster) in &case.cluster {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let address = if cluster.failure == Some(Failure::Refused) {
                let socket = TcpSocket::new_v4()?;
                socket.bind(any)?;
                let address = socket.local_addr()?;
                refusing.push(socket);
                address
            } else {
                let listener = TcpListener::bind(any).await?;
                let address = listener.local_addr()?;
                let flow = Flow::new(admin, format!("cluster.{name}.upstream_cx_rx_bytes_total"));
                let (name, cluster) = (name.clone(), cluster.clone());
                let (arrived, answered) = (Arc::clone(&arrived), Arc::clone(&answered));
                let log = log.to_owned();
                let upstream = Upstream { name, cluster, flow, log, answered, arrived };
                let upstream = Arc::new(upstream);
                running.push(Arc::clone(&upstream));
                tasks.spawn_local(serve(listener, upstream));
                address
            };
            addresses.insert(name.clone(), address);
        }
        Ok(Self { addresses, answered, arrived, running, _tasks: tasks, _refusing: refusing })
    }

    /// What reached them, once every connection has ended.
    pub(crate) async fn arrived(&self) -> Result<Vec<Arrived>, Trouble> {
        // Who listens holds an upstream, we do, and so does each connection.
        until("no connection to an upstream is left", async || {
            self.running.iter().all(|upstream| Arc::strong_count(upstream) == 2).then_some(())
        })
        .await?;
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Between clusters the order is chance.
        arrived.sort_by(|one, other| one.cluster.cmp(&other.cluster));
        Ok(arrived)
    }
}

#[derive(Debug)]
struct Upstream {
    name: String,
    cluster: Cluster,
    flow: Flow,
    log: PathBuf,
    answered: Arc<AtomicUsize>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

async fn serve(listener: TcpListener, upstream: Arc<Upstream>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let upstream = Arc::clone(&upstream);
        connections.spawn_local(async move { upstream.connection(stream).await });
    }
}

// === impl Upstream ===

impl Upstream {
    async fn connection(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let (mut reader, mut writer) = stream.into_split();
        let mut wire = Vec::new();
        while let Some(request) = receive(&mut reader, &mut wire, false).await {
            let complete = request.complete;
            self.keep(request);
            if !complete || self.cluster.failure == Some(Failure::Reset) {
                return;
            }
            if self.cluster.failure == Some(Failure::Silent) {
                continue;
            }
            if !self.cluster.after.is_empty()
                && until_logged(&self.log, &self.cluster.after, 1).await.is_err()
            {
                return;
            }
            let cut = self.cluster.failure == Some(Failure::Cut);
            let Cluster { status, headers, body, trailers, .. } = &self.cluster;
            let first = format!("HTTP/1.1 {status} Scripted");
            let rest = Rest { headers, body, trailers, cut, says_empty: true };
            // A proxy that has had enough closes the connection, and reads no more of the answer.
            let sent = tokio::select! {
                sent = self.flow.message(&mut writer, &first, rest) => sent.is_ok(),
                () = closed(&mut reader, &mut wire) => false,
            };
            self.answered.fetch_add(1, Ordering::Relaxed);
            if !sent || cut {
                return;
            }
        }
    }

    fn keep(&self, request: Message) {
        let Message { first, headers: all, body, trailers, complete } = request;
        let usual = format!("host: {HOST}");
        let shown = |all: &[(Vec<u8>, Vec<u8>)]| {
            let mut shown = headers(all.iter().map(|(name, value)| (&**name, &**value)));
            shown.retain(|header| *header != usual);
            shown
        };
        let arrived = Arrived {
            cluster: self.name.clone(),
            request: first.trim_end_matches(" HTTP/1.1").to_owned(),
            headers: shown(&all),
            body: readable(&body),
            trailers: shown(&trailers),
            cut: !complete,
        };
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).push(arrived);
    }
}
