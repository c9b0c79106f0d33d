//! Calls of plugins: who is asked, and what the plugin is told of the answer.

use super::Proxy;
use super::failures::router_reply;
use crate::context::{CallResponse, RootContext};
use crate::schedule::{Event, VmNumber};
use crate::service::{Ending, Failure, Incoming, Response};
use crate::vm::{CallRequest, LocalReply};
use crate::{Headers, grpc};

impl Proxy {
    pub(super) async fn ask_about_calls(&mut self) {
        loop {
            let next = self.calls.iter_mut().find(|(_, call)| !call.is_asked);
            let Some(((vm, kind, token), call)) = next else { return };
            call.is_asked = true;
            let (vm, kind, token) = (*vm, *kind, *token);
            let CallRequest { cluster, headers, body, trailers, timeout } = call.request.clone();
            let trailers = (!trailers.is_empty()).then_some(trailers);
            // A cluster without a service is silent.
            let service = self.services.get(&cluster).cloned();
            let is_bare = body.is_empty() && trailers.is_none();
            let incoming =
                Incoming { cluster, headers, body, trailers, is_complete: true, is_bare };
            let answered = match service {
                Some(service) => service.answer(incoming).await.ending(),
                None => None,
            };
            let timed_out = timeout.map(|timeout| (timeout, Ending::Fail(Failure::Timeout)));
            let first = answered.into_iter().chain(timed_out).min_by_key(|(after, _)| *after);
            if let Some((after, ending)) = first {
                let time = self.now().saturating_add(after);
                self.schedule.at(time, Event::Called { vm, kind, token, ending });
            }
        }
    }

    /// Tells a plugin what came of its call.
    pub(super) fn called(&mut self, number: VmNumber, root: u32, token: u32, ending: Ending) {
        const BROKEN_CONNECTION: u32 = 11;
        let Some(vm) = self.vms.get_mut(&number) else { return };
        let Some(known) = vm.root_mut(root) else { return };
        // What Envoy's router makes of a failure is a response; only a reset is none.
        let response = match ending {
            // The router of Envoy's client says how long it took, to the millisecond; here it took none.
            Ending::Respond(response) => {
                Some(response.header("x-envoy-upstream-service-time", "0"))
            }
            Ending::Fail(Failure::Reset) | Ending::Cut(_) => None,
            Ending::Fail(failure) => {
                let LocalReply { status, body, .. } = router_reply(failure);
                let length = body.len().to_string();
                let response = Response::new(status).header("content-length", length);
                Some(response.header("content-type", "text/plain").body(body))
            }
        };
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let [headers, body, trailers] = if let Some(response) = response {
            let Response { status, headers, body, trailers } = response;
            let mut all = Headers::from_iter([(":status", status.to_string())]);
            all.extend(headers.iter().map(|(name, value)| (name.to_owned(), value)));
            let body = body.concat();
            let trailer_count = trailers.as_ref().map_or(0, Headers::len);
            let counts = [count(all.len()), count(body.len()), count(trailer_count)];
            known.call_response = Some(CallResponse { headers: all, body, trailers });
            counts
        } else {
            known.status = (BROKEN_CONNECTION, "reset".into());
            [0, 0, 0]
        };
        self.call(
            number,
            "proxy_on_http_call_response",
            root,
            &[root, token, headers, body, trailers],
        );
        if let Some(known) = self.vms.get_mut(&number).and_then(|vm| vm.root_mut(root)) {
            known.call_response = None;
            known.status.1.clear();
        }
    }

    /// Tells a plugin what came of its gRPC call: a message, or how it ended without one.
    pub(super) fn grpc_called(&mut self, number: VmNumber, root: u32, token: u32, ending: Ending) {
        let (status, message) = match grpc_ending(ending) {
            (_, (0, _), messages) if messages.len() == 1 => {
                let message = messages.into_iter().next().unwrap_or_default();
                self.close_grpc(number, token);
                return self.grpc_receive(number, root, token, message);
            }
            (_, (0, _), _) => (grpc::INTERNAL, String::new()),
            (_, status, _) => status,
        };
        self.close_grpc(number, token);
        self.grpc_close(number, root, token, status, message);
    }

    /// Tells a plugin what came over its gRPC stream, and how it ended.
    pub(super) fn grpc_streamed(
        &mut self,
        number: VmNumber,
        root: u32,
        token: u32,
        ending: Ending,
    ) {
        let (response, (status, message), messages) = grpc_ending(ending);
        let count = |headers: &Headers| u32::try_from(headers.len()).unwrap_or(u32::MAX);
        if let Some(Response { status, headers, .. }) = &response {
            let mut all = Headers::from_iter([(":status", status.to_string())]);
            all.extend(headers.iter().map(|(name, value)| (name.to_owned(), value)));
            let headers = count(&all);
            self.with_root(number, root, |root| root.grpc_initial = Some(all));
            let callback = "proxy_on_grpc_receive_initial_metadata";
            self.call(number, callback, root, &[root, token, headers]);
            self.with_root(number, root, |root| root.grpc_initial = None);
        }
        for message in messages {
            self.grpc_receive(number, root, token, message);
        }
        if let Some(trailers) = response.and_then(|response| response.trailers) {
            let headers = count(&trailers);
            self.with_root(number, root, |root| root.grpc_trailing = Some(trailers));
            let callback = "proxy_on_grpc_receive_trailing_metadata";
            self.call(number, callback, root, &[root, token, headers]);
            self.with_root(number, root, |root| root.grpc_trailing = None);
        }
        self.close_grpc(number, token);
        self.grpc_close(number, root, token, status, message);
    }

    fn with_root(&mut self, vm: VmNumber, root: u32, change: impl FnOnce(&mut RootContext)) {
        if let Some(root) = self.vms.get_mut(&vm).and_then(|vm| vm.root_mut(root)) {
            change(root);
        }
    }

    fn close_grpc(&mut self, number: VmNumber, token: u32) {
        if let Some(vm) = self.vms.get_mut(&number) {
            vm.state_mut().grpc_open.remove(&token);
        }
    }

    fn grpc_receive(&mut self, number: VmNumber, root: u32, token: u32, message: Vec<u8>) {
        let size = u32::try_from(message.len()).unwrap_or(u32::MAX);
        self.with_root(number, root, |root| root.grpc_message = Some(message));
        self.call(number, "proxy_on_grpc_receive", root, &[root, token, size]);
        self.with_root(number, root, |root| root.grpc_message = None);
    }

    fn grpc_close(
        &mut self,
        number: VmNumber,
        root: u32,
        token: u32,
        status: u32,
        message: String,
    ) {
        self.with_root(number, root, |root| root.status = (status, message));
        self.call(number, "proxy_on_grpc_close", root, &[root, token, status]);
        self.with_root(number, root, |root| root.status.1.clear());
    }
}

/// What an answer is to gRPC: the response, how it ended, and the messages.
fn grpc_ending(ending: Ending) -> (Option<Response>, (u32, String), Vec<Vec<u8>>) {
    match ending {
        Ending::Respond(response) => match grpc::messages(&response.body.concat()) {
            Some(messages) => {
                let status = grpc::status(&response);
                (Some(response), status, messages)
            }
            None => (Some(response), (grpc::INTERNAL, String::new()), Vec::new()),
        },
        Ending::Cut(_) => (None, grpc::failed(Failure::Reset), Vec::new()),
        Ending::Fail(failure) => (None, grpc::failed(failure), Vec::new()),
    }
}
