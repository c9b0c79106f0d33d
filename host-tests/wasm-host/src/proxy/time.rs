//! Time: what is due happens, and whoever waits waits by the virtual clock.

use super::{Proxy, StreamNumber, Unexpected};
use crate::LogLevel;
use crate::outcome::Outcome;
use crate::request::Request;
use crate::schedule::Event;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Waiting, Poll, Wake, Waker};
use std::time::Duration;

impl Proxy {
    /// The time since the start, by the virtual clock.
    pub fn now(&self) -> Duration {
        self.common.borrow().clock.now()
    }

    /// Steps the wall clock, forward or back, by so many milliseconds. The clock that never steps
    /// does not.
    pub fn step_unix_ms(&mut self, by_ms: i64) {
        self.common.borrow_mut().clock.step_unix_ms(by_ms);
    }

    /// Sends a request and waits for what comes of it, asking services where they are needed. The
    /// clock moves only as far as somebody waits for it.
    ///
    /// # Errors
    /// A hostcall that was not expected, in a proxy that is strict.
    pub async fn request(&mut self, request: Request) -> Result<Outcome, Unexpected> {
        let stream = self.open(request);
        self.finish(stream).await
    }

    /// Opens a stream whose services are asked as time passes, whoever waits for what.
    pub fn begin(&mut self, request: Request) -> StreamNumber {
        let number = self.open(request);
        self.drive(number);
        number
    }

    fn drive(&mut self, number: StreamNumber) {
        if let Some(stream) = self.streams.get_mut(&number.0) {
            stream.upstream.is_driven = true;
        }
    }

    /// Waits for what comes of a stream that is open.
    ///
    /// # Errors
    /// A hostcall that was not expected, in a proxy that is strict.
    pub async fn finish(&mut self, stream: StreamNumber) -> Result<Outcome, Unexpected> {
        self.drive(stream);
        let until = self.now().saturating_add(self.patience);
        loop {
            self.ask_services().await;
            if self.has_ended(stream) || !self.step(until) {
                break;
            }
        }
        let outcome = self.close(stream);
        let first = self.unexpected().into_iter().next();
        first.map_or(Ok(outcome), |call| Err(Unexpected(call)))
    }

    /// The same as [`Self::request`] for who is not async.
    ///
    /// # Errors
    /// A hostcall that was not expected, in a proxy that is strict.
    pub fn send(&mut self, request: Request) -> Result<Outcome, Unexpected> {
        block_on(self.request(request))
    }

    /// Lets time pass: ticks, answers to calls, whatever is due.
    pub async fn advance(&mut self, time: Duration) {
        let until = self.now().saturating_add(time);
        loop {
            self.ask_services().await;
            if !self.step(until) {
                break;
            }
        }
        self.common.borrow_mut().clock.advance_to(until);
    }

    /// The same as [`Self::advance`] for who is not async.
    pub fn wait(&mut self, time: Duration) {
        block_on(self.advance(time));
    }

    /// The next thing happens, if it is due by then.
    fn step(&mut self, until: Duration) -> bool {
        if self.is_dead() {
            return false;
        }
        let Some((time, event)) = self.schedule.next(until) else { return false };
        let (instant, happened) = self.instant;
        self.instant = if instant == time { (time, happened.saturating_add(1)) } else { (time, 0) };
        if self.instant.1 > self.limits.events_per_instant {
            let why = "too much happens at one instant: a plugin asks again for what comes at once";
            self.common.borrow_mut().log(0, LogLevel::Critical, None, why);
            self.schedule.at(time, event);
            return false;
        }
        self.common.borrow_mut().clock.advance_to(time);
        self.happen(event);
        true
    }

    /// Asks everybody who was not asked yet.
    async fn ask_services(&mut self) {
        if self.is_dead() {
            return;
        }
        self.ask_about_calls().await;
        let driven = self.streams.iter().filter(|(_, stream)| stream.upstream.is_driven);
        let driven: Vec<u64> = driven.map(|(id, _)| *id).collect();
        for id in driven {
            self.ask_upstream(id).await;
        }
    }

    async fn ask_upstream(&mut self, id: u64) {
        let Some(incoming) = self.waiting(StreamNumber(id)).cloned() else { return };
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if std::mem::replace(&mut stream.upstream.is_asked, true) {
            return;
        }
        // A cluster without a service is silent.
        let Some(service) = self.services.get(&incoming.cluster).cloned() else { return };
        let Some((after, ending)) = service.answer(incoming).await.ending() else { return };
        let time = self.now().saturating_add(after);
        self.schedule.at(time, Event::Answered { stream: id, ending });
    }
}

/// Wakes a thread.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut waiting = Waiting::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut waiting) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
