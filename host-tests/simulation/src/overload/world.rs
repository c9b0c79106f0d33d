//! A run: users, proxies and a backend, in a time of their own.

use super::backend::{Backend, Began};
use super::draw::{self, Lognormal};
use super::limiter::{Ask, Ending, Gauge, Limiter};
use super::number::{float, length, whole};
use super::queue::{MS, Queue, SECOND, Us};
use super::scenario::{Of, Phase, Scenario};
use super::slab::{Key, Slab};
use super::tally::{Ended, Tally};
use crate::rng::Rng;
use policy_core::Priority;

/// How often a worker's timer fires.
pub const TICK: Us = 100 * MS;
/// How long after the last arrival a run ends: every client has given up, and everything that was
/// let in has been given back.
const DRAIN: Us = 5 * SECOND;

/// What a run leaves.
#[derive(Debug)]
pub struct Played {
    /// What was counted.
    pub tally: Tally,
    /// The limiter when nobody waited for anything any more.
    pub last: Gauge,
}

#[derive(Clone, Copy)]
enum Event {
    /// A user asks, if the load has not changed since this was planned.
    Arrival {
        phase: usize,
    },
    /// A user asks again.
    Retry(Key),
    /// The backend has finished an attempt.
    Ready(Key),
    /// A client gives an attempt up, if that is still going on.
    GiveUp(Key),
    Tick(usize),
    Phase(usize),
    Announcement(f64),
    Gauge,
}

/// A user's request, between its first attempt and its end.
struct Request {
    born: Us,
    priority: Priority,
    user: u64,
    cohort: u8,
    retries: u32,
}

/// One attempt, until the backend has finished with it.
struct Attempt<P> {
    worker: usize,
    since: Us,
    waited: Us,
    /// What is still held for a client that still waits.
    held: Option<(P, Key)>,
}

struct World<'a, L: Limiter> {
    scenario: &'a Scenario,
    limiter: &'a mut L,
    queue: Queue<Event>,
    requests: Slab<Request>,
    attempts: Slab<Attempt<L::Pass>>,
    backends: Vec<Backend>,
    phase: Phase,
    phase_number: usize,
    /// Who asks and when, apart from what becomes of it: the same requests for every limiter.
    users: Rng,
    /// Which worker gets an attempt, and how long clients wait.
    chance: Rng,
    tally: Tally,
}

/// Plays a scenario.
pub fn play<L: Limiter>(scenario: &Scenario, limiter: &mut L) -> Played {
    let mut rng = Rng::new(scenario.seed);
    let backend = scenario.backend;
    let count = if backend.of == Of::All { 1 } else { scenario.shape.proxies };
    let service = Lognormal::of(backend.mean_ms * float(MS), backend.sigma);
    let backends = (0..count).map(|_| Backend::new(service, rng.fork())).collect();
    let mut world = World {
        scenario,
        limiter,
        queue: Queue::new(scenario.clients.patience),
        requests: Slab::new(),
        attempts: Slab::new(),
        backends,
        phase: Phase { at: 0, rps: 0.0, servers: 1.0, slowness: 1.0 },
        phase_number: 0,
        users: rng.fork(),
        chance: rng.fork(),
        tally: Tally::new(scenario.stress.clone(), scenario.end, scenario.clients.users),
    };
    for (number, phase) in scenario.phases.iter().enumerate() {
        world.queue.add(phase.at, Event::Phase(number));
    }
    if let Some((at, multiplier)) = scenario.announced {
        world.queue.add(at, Event::Announcement(multiplier));
    }
    for worker in 0..scenario.shape.all() {
        world.queue.add(rng.below(TICK), Event::Tick(worker));
    }
    world.queue.add(scenario.gauge_every, Event::Gauge);
    while let Some((now, event)) = world.queue.pop() {
        if now >= scenario.end + DRAIN {
            break;
        }
        world.happen(event, now);
    }
    Played { tally: world.tally, last: world.limiter.gauge() }
}

impl<L: Limiter> World<'_, L> {
    fn happen(&mut self, event: Event, now: Us) {
        match event {
            Event::Arrival { phase } if phase == self.phase_number && now < self.scenario.end => {
                self.arrive(now);
                self.plan_arrival(now);
            }
            Event::Arrival { .. } => {}
            Event::Retry(request) => self.attempt(request, now),
            Event::Ready(attempt) => self.ready(attempt, now),
            Event::GiveUp(attempt) => self.give_up(attempt, now),
            Event::Tick(worker) => {
                self.limiter.tick(worker, now);
                self.queue.add(now + TICK, Event::Tick(worker));
            }
            Event::Phase(number) => self.enter(number, now),
            Event::Announcement(multiplier) => self.limiter.expect(multiplier, now),
            Event::Gauge => {
                self.tally.gauges.push((now, self.limiter.gauge()));
                self.queue.add(now + self.scenario.gauge_every, Event::Gauge);
            }
        }
    }

    fn enter(&mut self, number: usize, now: Us) {
        let Some(phase) = self.scenario.phases.get(number) else { return };
        (self.phase, self.phase_number) = (*phase, number);
        let all = f64::from(self.scenario.backend.servers) * phase.servers;
        let each = whole(all / length(self.backends.len()));
        for index in 0..self.backends.len() {
            if let Some(backend) = self.backends.get_mut(index) {
                backend.set(u32::try_from(each).unwrap_or(u32::MAX), phase.slowness);
            }
            self.begin(index, now);
        }
        // A Poisson process has no memory: what was planned at the old rate can be forgotten.
        self.plan_arrival(now);
    }

    fn plan_arrival(&mut self, now: Us) {
        if self.phase.rps > 0.0 {
            let gap = draw::exponential(&mut self.users, float(SECOND) / self.phase.rps);
            self.queue.add(now + whole(gap), Event::Arrival { phase: self.phase_number });
        }
    }

    fn arrive(&mut self, now: Us) {
        let priority = draw::priority(&mut self.users, &self.scenario.mix);
        let user = self.users.below(self.scenario.clients.users);
        let cohort = super::cohort::of(user, now);
        self.tally.asked(now, priority);
        let request = Request { born: now, priority, user, cohort, retries: 0 };
        let key = self.requests.insert(request);
        self.attempt(key, now);
    }

    fn attempt(&mut self, key: Key, now: Us) {
        let worker = self.worker();
        let Some(request) = self.requests.get_mut(key) else { return };
        let ask = Ask {
            priority: request.priority,
            user: request.user,
            cohort: request.cohort,
            is_retry: self.scenario.clients.tells_retries && request.retries > 0,
            patience: self.scenario.clients.patience,
        };
        let pass = self.limiter.admit(worker, &ask, now);
        self.tally.attempted(now, ask.priority, pass.is_some());
        let Some(pass) = pass else { return self.fail(key, now) };
        let held = Some((pass, key));
        let attempt = self.attempts.insert(Attempt { worker, since: now, waited: 0, held });
        self.queue.add_ahead(now, Event::GiveUp(attempt));
        let index = self.backend_of(worker);
        if let Some(backend) = self.backends.get_mut(index) {
            backend.offer(attempt, now);
        }
        self.begin(index, now);
    }

    /// Half of the workers of each proxy get `skew` times what the others get.
    fn worker(&mut self) -> usize {
        let (shape, skew) = (self.scenario.shape, self.scenario.skew);
        let proxy = self.chance.place(shape.proxies) * shape.workers;
        let favoured = shape.workers / 2;
        let (few, many) = (length(favoured) * skew, length(shape.workers - favoured));
        if favoured > 0 && draw::happens(&mut self.chance, few / (few + many)) {
            proxy + self.chance.place(favoured)
        } else {
            proxy + favoured + self.chance.place(shape.workers - favoured)
        }
    }

    fn backend_of(&self, worker: usize) -> usize {
        if self.backends.len() == 1 { 0 } else { self.scenario.shape.proxy(worker) }
    }

    fn begin(&mut self, index: usize, now: Us) {
        let Some(backend) = self.backends.get_mut(index) else { return };
        while let Some(Began { attempt, waited, ready }) = backend.begin(now) {
            if let Some(attempt) = self.attempts.get_mut(attempt) {
                attempt.waited = waited;
            }
            self.queue.add(ready, Event::Ready(attempt));
        }
    }

    fn ready(&mut self, key: Key, now: Us) {
        let Some(attempt) = self.attempts.remove(key) else { return };
        let index = self.backend_of(attempt.worker);
        if let Some(backend) = self.backends.get_mut(index) {
            backend.finish();
        }
        if let Some((pass, request)) = attempt.held {
            let (latency, waited) = (now - attempt.since, attempt.waited);
            self.limiter.end(attempt.worker, pass, Ending::Answered { latency, waited }, now);
            self.close(request, true, now);
        }
        self.begin(index, now);
    }

    fn give_up(&mut self, key: Key, now: Us) {
        // The attempt stays, for the backend still has it.
        let Some(attempt) = self.attempts.get_mut(key) else { return };
        let (worker, latency) = (attempt.worker, now - attempt.since);
        if let Some((pass, request)) = attempt.held.take() {
            self.limiter.end(worker, pass, Ending::TimedOut { latency }, now);
            self.fail(request, now);
        }
    }

    /// An attempt came to nothing: once more, or that was it.
    fn fail(&mut self, key: Key, now: Us) {
        let clients = self.scenario.clients;
        let Some(request) = self.requests.get_mut(key) else { return };
        if request.retries >= clients.retries {
            return self.close(key, false, now);
        }
        let wait = clients.backoff.wait(request.retries, &mut self.chance);
        request.retries += 1;
        self.queue.add(now + wait, Event::Retry(key));
    }

    fn close(&mut self, key: Key, is_answered: bool, now: Us) {
        let Some(request) = self.requests.remove(key) else { return };
        let Request { born, priority, user, cohort, retries } = request;
        let ended = Ended { born, priority, cohort, user, retries, is_answered };
        self.tally.ended(&ended, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overload::baseline::none::Open;
    use crate::overload::figures::Figures;
    use crate::overload::ours::Ours;
    use policy_core::Baseline;

    fn short(scenario: Scenario) -> Scenario {
        let stress = 5 * SECOND..15 * SECOND;
        let mut scenario = Scenario { stress, end: 20 * SECOND, ..scenario };
        scenario.stressed(|_| ());
        scenario
    }

    #[test]
    fn a_seed_is_always_the_same_run() {
        let scenario = short(Scenario::calm(7, 0.9));
        let run = || {
            let mut limiter = Ours::new(scenario.shape, Baseline::Auto);
            format!("{:?}", play(&scenario, &mut limiter).tally)
        };
        assert_eq!(run(), run());
        let other = play(&Scenario { seed: 8, ..scenario.clone() }, &mut Open::default());
        assert_ne!(run(), format!("{:?}", other.tally));
    }

    #[test]
    fn users_ask_for_the_same_whoever_limits() {
        let scenario = short(Scenario::calm(3, 1.2));
        let asked = |tally: &Tally| tally.seconds.iter().map(|at| at.asked).collect::<Vec<_>>();
        let open = play(&scenario, &mut Open::default());
        let ours = play(&scenario, &mut Ours::new(scenario.shape, Baseline::Auto));
        assert_eq!(asked(&open.tally), asked(&ours.tally));
    }

    /// By Erlang's formula one in eight waits where 40 servers are busy to 80 %, for a fraction of a
    /// service; by Little's law there are then a few more than 32 at once.
    #[test]
    fn an_open_queue_is_what_theory_says() {
        let scenario = short(Scenario::calm(5, 0.8));
        let played = play(&scenario, &mut Open::default());
        let figures = Figures::of(&scenario, &played);
        assert!((figures.goodput - 0.8).abs() < 0.02, "{}", figures.goodput);
        let held = played.tally.gauges.iter().filter(|(at, _)| scenario.stress.contains(at));
        let (sum, count) =
            held.fold((0, 0), |(sum, count), (_, gauge)| (sum + gauge.in_flight, count + 1));
        let held = float(sum) / float(count);
        assert!((30.0..36.0).contains(&held), "{held} of 32 at once");
        assert_eq!(played.last.in_flight, 0);
    }

    /// Why shedding is needed at all: the backlog of work that nobody waits for keeps itself alive.
    #[test]
    fn without_shedding_one_burst_is_the_end() {
        let mut scenario = short(Scenario::calm(5, 0.6));
        scenario.stressed(|phase| phase.rps *= 5.0);
        let played = play(&scenario, &mut Open::default());
        let after = scenario.stress.end + SECOND..scenario.end;
        let answered: u32 = played.tally.between(&after).iter().map(|second| second.in_time).sum();
        assert_eq!(answered, 0, "nobody is answered though the load is 60 % again");
        assert_eq!(played.last.in_flight, 0, "all gave up");
    }

    #[test]
    fn half_of_the_workers_can_get_more_than_the_others() {
        struct Count(Vec<u64>);
        impl Limiter for Count {
            type Pass = ();
            fn admit(&mut self, worker: usize, _: &Ask, _: Us) -> Option<()> {
                self.0[worker] += 1;
                None
            }
            fn end(&mut self, _: usize, (): (), _: Ending, _: Us) {}
            fn tick(&mut self, _: usize, _: Us) {}
            fn gauge(&self) -> Gauge {
                Gauge::default()
            }
        }
        let scenario = Scenario { skew: 4.0, ..short(Scenario::calm(2, 1.0)) };
        let mut count = Count(vec![0; scenario.shape.all()]);
        play(&scenario, &mut count);
        for proxy in count.0.chunks(4) {
            let many = float(proxy[0] + proxy[1]) / float(proxy[2] + proxy[3]);
            assert!((3.8..4.2).contains(&many), "{proxy:?}");
        }
    }
}
