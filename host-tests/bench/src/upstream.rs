//! A backend of known capacity: the one of the model, behind a socket.
//!
//! It waits instead of working, so that it takes nothing from the proxy. What it does when is reckoned
//! by the moments at which things are due and not by those at which a timer wakes it: a server whose
//! timer is a millisecond late begins with the next request in the millisecond before, and the
//! capacity is exact. What it was given it works on, whether anybody still waits for that or not.

use crate::trouble::Trouble;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use simulation::overload::backend::{Backend, Began};
use simulation::overload::draw::Lognormal;
use simulation::overload::number::{float, whole};
use simulation::overload::queue::{MS, Queue, Us};
use simulation::overload::scenario::Scenario;
use simulation::overload::slab::{Key, Slab};
use simulation::rng::Rng;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Streams of one connection; a proxy has one to each worker.
const STREAMS_MAX: u32 = 1_000_000;

/// A running backend, on a thread of its own.
#[derive(Debug)]
pub struct Upstream {
    addr: SocketAddr,
    orders: mpsc::UnboundedSender<Order>,
    served: Arc<Served>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What it did during the stress.
#[derive(Debug, Default)]
struct Served {
    all: AtomicU64,
    in_vain: AtomicU64,
    busy_us: AtomicU64,
}

/// What an upstream did during the stress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Requests that it has finished with.
    pub all: u64,
    /// Those of them that nobody waited for any more.
    pub in_vain: u64,
    /// How long its servers were busy together.
    pub busy: Us,
}

enum Order {
    /// A request; it is answered by a word.
    Serve(oneshot::Sender<()>),
    /// The scenario begins then.
    Begin(Instant),
}

impl Upstream {
    /// Listens; until the scenario begins it answers at once.
    ///
    /// # Errors
    /// No free port, or no thread.
    pub fn start(scenario: Scenario) -> Result<Self, Trouble> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.map_err(Trouble::io("listen for the upstream"))?;
        let addr = listener.local_addr().map_err(Trouble::io("listen for the upstream"))?;
        listener.set_nonblocking(true).map_err(Trouble::io("listen for the upstream"))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Trouble::io("start the upstream"))?;
        let (orders, incoming) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = Arc::new(Served::default());
        let (sender, counts) = (orders.clone(), Arc::clone(&served));
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, sender) => {}
                    () = work(incoming, &scenario, &counts) => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("upstream".to_owned()).spawn(run);
        let thread = Some(thread.map_err(Trouble::io("start the upstream"))?);
        Ok(Self { addr, orders, served, stop: Some(stop), thread })
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The scenario begins then.
    pub fn begin(&self, at: Instant) {
        // Who does not listen any more has been stopped.
        let _ = self.orders.send(Order::Begin(at));
    }

    /// What it did during the stress.
    pub fn done(&self) -> Done {
        self.served.read()
    }
}

impl Served {
    fn read(&self) -> Done {
        let read = |of: &AtomicU64| of.load(Ordering::Relaxed);
        Done { all: read(&self.all), in_vain: read(&self.in_vain), busy: read(&self.busy_us) }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say that was not said.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: std::net::TcpListener, orders: mpsc::UnboundedSender<Order>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, orders.clone()));
    }
}

async fn connection(stream: TcpStream, orders: mpsc::UnboundedSender<Order>) {
    // Without it answers wait for others; nothing else depends on it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |_: Request<Incoming>| {
        let (done, waiting) = oneshot::channel();
        // A backend that is gone drops the sender, and the answer is an error.
        let _ = orders.send(Order::Serve(done));
        async move {
            // Only the end of the run makes this fail, when nobody looks any more.
            let _ = waiting.await;
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"done\n"))))
        }
    });
    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    server
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        // Clients that give up are what is measured, not an attack.
        .max_pending_accept_reset_streams(Some(1_000_000))
        .max_local_error_reset_streams(None);
    // A connection that breaks is seen by the proxy.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// Serves by the scenario.
async fn work(mut orders: mpsc::UnboundedReceiver<Order>, scenario: &Scenario, served: &Served) {
    let mut running: Option<(Instant, Station)> = None;
    loop {
        let due = running.as_ref().and_then(|(began, station)| {
            station.queue.next_at().map(|at| *began + Duration::from_micros(at))
        });
        let wake = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let order = tokio::select! {
            order = orders.recv() => match order {
                Some(order) => Some(order),
                None => return,
            },
            () = wake => None,
        };
        match (order, &mut running) {
            (Some(Order::Begin(at)), _) => running = Some((at, Station::new(scenario))),
            (Some(Order::Serve(done)), Some((began, station))) => {
                station.serve(done, since(*began), served);
            }
            (Some(Order::Serve(done)), None) => {
                let _ = done.send(());
            }
            (None, Some((began, station))) => station.advance(since(*began), served),
            (None, None) => {}
        }
    }
}

fn since(began: Instant) -> Us {
    let passed = Instant::now().saturating_duration_since(began);
    Us::try_from(passed.as_micros()).unwrap_or(Us::MAX)
}

/// The backend and who waits for it.
struct Station {
    backend: Backend,
    jobs: Slab<oneshot::Sender<()>>,
    queue: Queue<Event>,
    scenario: Scenario,
}

enum Event {
    Phase(usize),
    Ready(Key),
}

impl Station {
    fn new(scenario: &Scenario) -> Self {
        let service = Lognormal::of(scenario.backend.mean_ms * float(MS), scenario.backend.sigma);
        let mut queue = Queue::new(0);
        for (number, phase) in scenario.phases.iter().enumerate() {
            queue.add(phase.at, Event::Phase(number));
        }
        Self {
            backend: Backend::new(service, Rng::new(scenario.seed)),
            jobs: Slab::new(),
            queue,
            scenario: scenario.clone(),
        }
    }

    fn serve(&mut self, done: oneshot::Sender<()>, now: Us, served: &Served) {
        self.advance(now, served);
        let job = self.jobs.insert(done);
        self.backend.offer(job, now);
        self.begin(now, served);
    }

    /// Everything happens that was due, at the moment at which it was.
    fn advance(&mut self, now: Us, served: &Served) {
        while self.queue.next_at().is_some_and(|at| at <= now) {
            let Some((at, event)) = self.queue.pop() else { return };
            match event {
                Event::Phase(number) => self.enter(number),
                Event::Ready(job) => self.ready(job, at, served),
            }
            self.begin(at, served);
        }
    }

    fn enter(&mut self, number: usize) {
        let Some(phase) = self.scenario.phases.get(number) else { return };
        let servers = whole(f64::from(self.scenario.backend.servers) * phase.servers);
        self.backend.set(u32::try_from(servers).unwrap_or(u32::MAX), phase.slowness);
    }

    fn ready(&mut self, job: Key, at: Us, served: &Served) {
        self.backend.finish();
        let waited_for = self.jobs.remove(job).is_some_and(|done| done.send(()).is_ok());
        if self.scenario.stress.contains(&at) {
            served.all.fetch_add(1, Ordering::Relaxed);
            served.in_vain.fetch_add(u64::from(!waited_for), Ordering::Relaxed);
        }
    }

    fn begin(&mut self, now: Us, served: &Served) {
        let stress = &self.scenario.stress;
        while let Some(Began { attempt, ready, .. }) = self.backend.begin(now) {
            self.queue.add(ready, Event::Ready(attempt));
            let busy = ready.min(stress.end).saturating_sub(now.max(stress.start));
            served.busy_us.fetch_add(busy, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Case, Span};
    use simulation::overload::queue::SECOND;

    const SPAN: Span = Span { before: 1, stress: 10, after: 1 };

    /// Served during the stress of a case, by a timer that comes this often, when there is always
    /// something to do; nobody waits for the first half.
    fn served(case: Case, every: Us) -> Done {
        let mut station = Station::new(&case.scenario(10, SPAN, 3));
        let served = Served::default();
        let waiting: Vec<_> = (0..12_000)
            .map(|number| {
                let (done, waiting) = oneshot::channel();
                station.serve(done, 0, &served);
                (number >= 3_000).then_some(waiting)
            })
            .collect();
        let mut now = 0;
        while now < 12 * SECOND {
            now += every;
            station.advance(now, &served);
        }
        drop(waiting);
        served.read()
    }

    #[test]
    fn the_capacity_does_not_depend_on_the_timer() {
        for (case, capacity) in
            [(Case::Calm, 5_000_u64), (Case::Slow, 2_500), (Case::Halved, 2_500)]
        {
            let often = served(case, MS);
            assert_eq!(often, served(case, 40 * MS), "{case:?}");
            assert!(often.all.abs_diff(capacity) < capacity / 20, "{case:?}: {often:?}");
            let servers = if case == Case::Halved { 5 } else { 10 };
            let all = servers * 10 * SECOND;
            assert!(often.busy.abs_diff(all) < all / 50, "{case:?}: {often:?}");
        }
        assert!(served(Case::Hung, MS).all < 20, "only what it had begun with");
    }

    #[test]
    fn what_nobody_waits_for_is_served_all_the_same() {
        let done = served(Case::Calm, MS);
        // The first second of 500 is no stress.
        assert!(done.in_vain.abs_diff(2_500) < 100, "{done:?}");
    }
}
