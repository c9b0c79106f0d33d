//! Users: an open loop. Each request is made when it is due, however many wait, and is measured from
//! that moment on, not from the one at which it could be sent.

use crate::arrivals::{Arrival, address, arrivals};
use crate::policy::{HOST, path};
use crate::trouble::Trouble;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::RETRY_AFTER;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use policy_core::PerPriority;
use simulation::overload::number::{float, whole};
use simulation::overload::queue::{SECOND, Us};
use simulation::overload::scenario::{Clients, Scenario};
use simulation::overload::tally::{Ended, Fate, Tally};
use simulation::rng::Rng;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{Mutex, oneshot};
use tokio::task::LocalSet;
use tokio::time::Instant;

/// So many streams of a connection may be reset, and so many more a second, before Envoy's codec takes
/// it for an attack and closes it.
const RESETS: (f64, f64) = (1_000.0, 33.0);
/// Connections at least: as many for each worker as a balancer has.
const CONNECTIONS_MIN: u64 = 32;
/// For how long after the end it is waited for those who still wait.
const DRAIN: Duration = Duration::from_secs(6);
/// How many kinds of errors are told apart.
const KINDS_MAX: usize = 8;

/// What was seen.
#[derive(Debug)]
pub struct Driven {
    /// By the second.
    pub tally: Tally,
    /// What became of each user's requests made during the stress.
    pub users: PerPriority<Vec<Fate>>,
    /// Attempts that were sent during the stress.
    pub attempts: u64,
    /// How much later than due requests of the stress were sent, microseconds.
    pub late: Vec<u32>,
    /// What the answers said that were none of the upstream, over the whole run.
    pub refusals: BTreeMap<u16, u64>,
    /// Attempts that ended without an answer and without a client that had lost patience.
    pub broken: BTreeMap<String, u64>,
}

/// Users at work, on a thread of their own.
#[derive(Debug)]
pub struct Load(oneshot::Receiver<Result<Driven, Trouble>>);

impl Load {
    /// Users who ask at this address from then on. A `Retry-After` is heeded up to `heed`: for longer
    /// nobody waits.
    ///
    /// # Errors
    /// No thread.
    pub fn start(
        edge: SocketAddr,
        scenario: &Scenario,
        heed: Duration,
        at: Instant,
    ) -> Result<Self, Trouble> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Trouble::io("start the load"))?;
        let (done, waiting) = oneshot::channel();
        let scenario = scenario.clone();
        let run = move || {
            let local = LocalSet::new();
            let driven = local.block_on(&runtime, drive(edge, scenario, heed, at));
            // Who does not wait for it has given up the run.
            let _ = done.send(driven);
        };
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn(run);
        thread.map_err(Trouble::io("start the load"))?;
        Ok(Self(waiting))
    }

    /// Waits until everybody has been answered or has given up.
    ///
    /// # Errors
    /// That the proxy could not be reached.
    pub async fn end(self) -> Result<Driven, Trouble> {
        self.0.await.map_err(|_| Trouble::Other("the load has ended early".to_owned()))?
    }
}

async fn drive(
    edge: SocketAddr,
    scenario: Scenario,
    heed: Duration,
    began: Instant,
) -> Result<Driven, Trouble> {
    let arrivals = arrivals(&scenario);
    let mut connections = Vec::new();
    for _ in 0..connections_of(&scenario) {
        connections.push(Mutex::new(connect(edge).await?));
    }
    let count = usize::try_from(scenario.clients.users).unwrap_or(0);
    let driven = Driven {
        tally: Tally::new(scenario.stress.clone(), scenario.end, scenario.clients.users),
        users: PerPriority::each(|_| vec![Fate::default(); count]),
        attempts: 0,
        late: Vec::new(),
        refusals: BTreeMap::new(),
        broken: BTreeMap::new(),
    };
    let users = Rc::new(Users {
        edge,
        began,
        heed,
        connections,
        waiting: Cell::new(0),
        rng: RefCell::new(Rng::new(scenario.seed ^ 1)),
        seen: RefCell::new(driven),
        scenario,
    });
    for arrival in arrivals {
        let due = users.moment(arrival.at);
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        users.asked(&arrival);
        let users = Rc::clone(&users);
        tokio::task::spawn_local(async move {
            users.ask(arrival).await;
            users.waiting.set(users.waiting.get() - 1);
        });
    }
    let end = users.moment(users.scenario.end);
    tokio::time::sleep_until(end).await;
    while users.waiting.get() > 0 && Instant::now() < end + DRAIN {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let empty = Tally::new(0..0, 0, 0);
    let mut seen = users.seen.borrow_mut();
    Ok(Driven {
        tally: std::mem::replace(&mut seen.tally, empty),
        users: std::mem::take(&mut seen.users),
        attempts: seen.attempts,
        late: std::mem::take(&mut seen.late),
        refusals: std::mem::take(&mut seen.refusals),
        broken: std::mem::take(&mut seen.broken),
    })
}

/// How many connections all users share, as behind a balancer: so many that none is closed where nobody
/// sheds and all attempts are given up.
fn connections_of(scenario: &Scenario) -> u64 {
    let Clients { retries, .. } = scenario.clients;
    let most = scenario.phases.iter().map(|phase| phase.rps).fold(0.0, f64::max);
    let seconds = float(scenario.stress.end - scenario.stress.start) / float(SECOND);
    let (burst, rate) = RESETS;
    // A third more, as users are not spread evenly.
    let needed = 1.3 * most * f64::from(1 + retries) / (rate + burst / seconds.max(1.0));
    whole(needed).max(CONNECTIONS_MIN)
}

type Sender = SendRequest<Empty<Bytes>>;

async fn connect(edge: SocketAddr) -> Result<Sender, Trouble> {
    let stream = TcpStream::connect(edge).await.map_err(Trouble::io("connect to Envoy"))?;
    stream.set_nodelay(true).map_err(Trouble::io("connect to Envoy"))?;
    let mut client = http2::Builder::new(TokioExecutor::new());
    client
        .timer(TokioTimer::new())
        .initial_max_send_streams(10_000)
        // What comes late for a stream that was given up is no error of the connection.
        .max_concurrent_reset_streams(1_000_000);
    let (sender, connection) = client
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Trouble::Other(format!("connect to Envoy: {error}")))?;
    tokio::spawn(async move {
        // What breaks it is seen by the requests on it.
        let _ = connection.await;
    });
    Ok(sender)
}

struct Users {
    edge: SocketAddr,
    scenario: Scenario,
    began: Instant,
    heed: Duration,
    connections: Vec<Mutex<Sender>>,
    waiting: Cell<u64>,
    rng: RefCell<Rng>,
    seen: RefCell<Driven>,
}

/// How an attempt has ended.
enum Attempt {
    Answered,
    /// By the proxy, with a status and perhaps when to come again.
    Refused(u16, Option<Duration>),
    GivenUp,
    Broken(String),
}

impl Users {
    fn moment(&self, at: Us) -> Instant {
        self.began + Duration::from_micros(at)
    }

    fn now(&self) -> Us {
        let passed = Instant::now().saturating_duration_since(self.began);
        Us::try_from(passed.as_micros()).unwrap_or(Us::MAX)
    }

    fn asked(&self, arrival: &Arrival) {
        let mut seen = self.seen.borrow_mut();
        seen.tally.asked(arrival.at, arrival.priority);
        self.waiting.set(self.waiting.get() + 1);
    }

    /// How late a request begins, with all that was to be done before it.
    fn began(&self, arrival: &Arrival) {
        if self.scenario.stress.contains(&arrival.at) {
            let late = self.now().saturating_sub(arrival.at);
            self.seen.borrow_mut().late.push(u32::try_from(late).unwrap_or(u32::MAX));
        }
    }

    /// One request of a user with all its attempts.
    async fn ask(&self, arrival: Arrival) {
        self.began(&arrival);
        let clients = self.scenario.clients;
        let (mut retries, mut at) = (0, arrival.at);
        loop {
            let patience = self.moment(at + clients.patience);
            let attempt = tokio::time::timeout_at(patience, self.attempt(&arrival)).await;
            let attempt = attempt.unwrap_or(Attempt::GivenUp);
            self.note(&arrival, at, &attempt);
            let is_answered = matches!(attempt, Attempt::Answered);
            if is_answered || retries >= clients.retries {
                return self.ended(&arrival, retries, is_answered);
            }
            tokio::time::sleep(self.pause(retries, &attempt)).await;
            retries += 1;
            at = self.now();
        }
    }

    async fn attempt(&self, arrival: &Arrival) -> Attempt {
        match self.send(arrival).await {
            Ok(attempt) => attempt,
            Err(error) => Attempt::Broken(error.to_string()),
        }
    }

    async fn send(&self, arrival: &Arrival) -> Result<Attempt, Box<dyn std::error::Error>> {
        let request = Request::get(format!("http://{HOST}{}", path(arrival.priority)))
            .header("x-forwarded-for", address(arrival.user).to_string())
            .body(Empty::new())?;
        let place = usize::try_from(arrival.user).unwrap_or(0) % self.connections.len().max(1);
        let connection = self.connections.get(place).ok_or("no connection")?;
        let mut sender = {
            let mut sender = connection.lock().await;
            if sender.is_closed() {
                *sender = connect(self.edge).await?;
            }
            sender.clone()
        };
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let after = response.headers().get(RETRY_AFTER);
        let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
        response.into_body().collect().await?;
        Ok(match status {
            200 => Attempt::Answered,
            _ => Attempt::Refused(status, after.map(Duration::from_secs)),
        })
    }

    fn note(&self, arrival: &Arrival, at: Us, attempt: &Attempt) {
        let mut seen = self.seen.borrow_mut();
        let is_refused = matches!(attempt, Attempt::Refused(..));
        seen.tally.attempted(at, arrival.priority, !is_refused);
        seen.attempts += u64::from(self.scenario.stress.contains(&at));
        match attempt {
            Attempt::Answered | Attempt::GivenUp => {}
            Attempt::Refused(status, _) => *seen.refusals.entry(*status).or_default() += 1,
            Attempt::Broken(why) => {
                if seen.broken.len() < KINDS_MAX || seen.broken.contains_key(why) {
                    *seen.broken.entry(why.clone()).or_default() += 1;
                }
            }
        }
    }

    /// Full jitter, and what the answer asks for as long as that is bearable.
    fn pause(&self, retries: u32, attempt: &Attempt) -> Duration {
        let jitter = self.scenario.clients.backoff.wait(retries, &mut self.rng.borrow_mut());
        let asked = match attempt {
            Attempt::Refused(_, Some(after)) => (*after).min(self.heed),
            _ => Duration::ZERO,
        };
        asked.max(Duration::from_micros(jitter))
    }

    fn ended(&self, arrival: &Arrival, retries: u32, is_answered: bool) {
        let Arrival { at: born, priority, user } = *arrival;
        let mut seen = self.seen.borrow_mut();
        let ended = Ended { born, priority, cohort: 0, user: user.into(), retries, is_answered };
        seen.tally.ended(&ended, self.now());
        if self.scenario.stress.contains(&born)
            && let Some(fate) =
                usize::try_from(user).ok().and_then(|user| seen.users[priority].get_mut(user))
        {
            fate.asked += 1;
            fate.answered += u32::from(is_answered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Case, Span};

    #[test]
    fn connections_are_enough_for_what_is_given_up() {
        let span = Span { before: 5, stress: 20, after: 12 };
        let of = |case: Case, span| connections_of(&case.scenario(10, span, 1));
        // 15 000 attempts a second; each connection bears 83 resets a second for 20 seconds.
        assert_eq!(of(Case::Times(10.0), span), 235);
        assert_eq!(of(Case::Calm, span), CONNECTIONS_MIN);
        assert!(of(Case::Times(10.0), Span { stress: 300, ..span }) > 400);
    }
}
