//! What is told of a stream that is over.

use super::failures::DOWNSTREAM_GONE;
use super::{Proxy, StreamNumber};
use crate::Headers;
use crate::outcome::{Ended, Outcome};
use crate::trace::{HostCall, LogLine, Trace};
use std::collections::BTreeMap;
use std::time::Duration;

impl Proxy {
    /// Ends a stream, as a client does that goes away, and tells what came of it.
    pub fn close(&mut self, stream: StreamNumber) -> Outcome {
        let id = stream.0;
        let was_over = self.has_ended(stream);
        if !was_over {
            if let Some(stream) = self.streams.get(&id) {
                let info = &mut stream.state.borrow_mut().info;
                info.flags |= DOWNSTREAM_GONE;
                info.details = Some("downstream_remote_disconnect".into());
            }
            self.end(id);
        }
        self.bury();
        let Some(stream) = self.streams.remove(&id) else { return self.nothing() };
        let (logs, trace, unexpected) = self.since(stream.marks);
        let deaths = self.common.borrow().deaths.get(stream.deaths..).unwrap_or_default().to_vec();
        let state = stream.state.borrow();
        let mut headers = stream.client.headers.clone().unwrap_or_default();
        let status = headers.text(":status").and_then(|status| status.parse().ok());
        headers.remove(":status");
        let ended = match (was_over, stream.was_reset) {
            (true, false) => Ended::Complete,
            (true, true) => Ended::Reset,
            (false, _) => Ended::Hung,
        };
        Outcome {
            ended,
            status: status.unwrap_or_default(),
            headers,
            body: stream.client.body.clone(),
            trailers: stream.client.trailers.clone(),
            deaths,
            is_bare: stream.client.is_bare,
            local_reply: state.info.details.clone().filter(|_| stream.is_local),
            details: state.info.details.clone(),
            flags: state.info.flags,
            route: state.info.route.as_ref().map(|route| route.name.clone()),
            cluster: stream.upstream.incoming.as_ref().map(|sent| sent.cluster.clone()),
            upstream: stream.upstream.incoming.clone(),
            logs,
            trace,
            unexpected,
            took: self.now().saturating_sub(stream.began),
            filter_state: state.info.filter_state.clone(),
        }
    }

    /// What came of a stream that was closed before.
    fn nothing(&self) -> Outcome {
        let (logs, trace, unexpected) = self.since(self.marks());
        Outcome {
            ended: Ended::Hung,
            status: 0,
            headers: Headers::new(),
            body: Vec::new(),
            trailers: None,
            deaths: Vec::new(),
            is_bare: true,
            local_reply: None,
            details: None,
            flags: 0,
            route: None,
            cluster: None,
            upstream: None,
            logs,
            trace,
            unexpected,
            took: Duration::ZERO,
            filter_state: BTreeMap::new(),
        }
    }

    pub(super) fn marks(&self) -> [usize; 4] {
        let common = self.common.borrow();
        [
            common.logs.len(),
            common.trace.callbacks.len(),
            common.trace.hostcalls.len(),
            common.unexpected.len(),
        ]
    }

    fn since(&self, marks: [usize; 4]) -> (Vec<LogLine>, Trace, Vec<HostCall>) {
        fn tail<T: Clone>(all: &[T], from: usize) -> Vec<T> {
            all.get(from..).unwrap_or_default().to_vec()
        }
        let [logs, callbacks, hostcalls, unexpected] = marks;
        let common = self.common.borrow();
        let trace = Trace {
            callbacks: tail(&common.trace.callbacks, callbacks),
            hostcalls: tail(&common.trace.hostcalls, hostcalls),
        };
        (tail(&common.logs, logs), trace, tail(&common.unexpected, unexpected))
    }
}
