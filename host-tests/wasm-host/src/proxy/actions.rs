//! What plugins ask for, and what is due: timers, queues, answers.

use super::{PendingCall, Proxy, StreamNumber, Timer};
use crate::schedule::{Event, VmNumber};
use crate::service::Ending;
use crate::vm::{Action, CallKind};
use std::time::Duration;

impl Proxy {
    /// Does what a plugin asked for, and lets nobody else into a VM that has failed.
    pub(crate) fn act(&mut self, number: VmNumber, actions: Vec<Action>) {
        if self.has_failed(Some(number)) {
            for worker in &mut self.workers {
                worker.local.retain(|_, known| *known != number);
            }
        }
        for action in actions {
            match action {
                Action::Tick { root, period } => self.set_timer(number, root, period),
                Action::Call { kind, root, token, request } => {
                    let call = PendingCall { root, request, is_asked: false };
                    self.calls.insert((number, kind, token), call);
                }
                Action::Cancel { token } => self.calls.retain(|(vm, kind, known), _| {
                    (*vm, *known) != (number, token) || *kind == CallKind::Http
                }),
                Action::QueueReady { worker, vm_key, root, token } => {
                    let now = self.now();
                    self.schedule.at(now, Event::QueueReady { worker, vm_key, root, token });
                }
                Action::Done { root } => self.delete_root(number, root),
                Action::Continue { .. }
                | Action::Reply { .. }
                | Action::Reset { .. }
                | Action::ClearRouteCache { .. } => self.act_on_stream(number, action),
            }
        }
    }

    fn set_timer(&mut self, vm: VmNumber, root: u32, period: Duration) {
        let generation =
            self.timers.get(&(vm, root)).map_or(0, |timer| timer.generation).saturating_add(1);
        self.timers.insert((vm, root), Timer { period, generation });
        self.arm(vm, root);
    }

    fn arm(&mut self, vm: VmNumber, root: u32) {
        if let Some(Timer { period, generation }) = self.timers.get(&(vm, root)).copied()
            && !period.is_zero()
        {
            let time = self.now().saturating_add(period);
            self.schedule.at(time, Event::Tick { vm, root, generation });
        }
    }

    pub(super) fn call(
        &mut self,
        number: VmNumber,
        callback: &'static str,
        context: u32,
        arguments: &[u32],
    ) {
        if let Some(vm) = self.vms.get_mut(&number) {
            let called = vm.call(callback, context, arguments);
            self.act(number, called.actions);
        }
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Tick { vm, root, generation } => {
                let known = self.timers.get(&(vm, root)).map(|timer| timer.generation);
                if known == Some(generation) {
                    self.call(vm, "proxy_on_tick", root, &[root]);
                    // The period begins when the callback ends, unless that set another one.
                    let known = self.timers.get(&(vm, root)).map(|timer| timer.generation);
                    if known == Some(generation) {
                        self.arm(vm, root);
                    }
                }
            }
            Event::QueueReady { worker, vm_key, root, token } => {
                let known = self.workers.get(worker).and_then(|known| known.local.get(&vm_key));
                if let Some(vm) = known.copied() {
                    self.call(vm, "proxy_on_queue_ready", root, &[root, token]);
                }
            }
            Event::Called { vm, kind, token, ending } => {
                // One that was given up is not there any more.
                if let Some(PendingCall { root, .. }) = self.calls.remove(&(vm, kind, token)) {
                    match kind {
                        CallKind::Http => self.called(vm, root, token, ending),
                        CallKind::Grpc => self.grpc_called(vm, root, token, ending),
                        CallKind::GrpcStream => self.grpc_streamed(vm, root, token, ending),
                    }
                }
            }
            Event::Answered { stream, ending } => match ending {
                Ending::Respond(response) => self.respond(StreamNumber(stream), response),
                Ending::Fail(failure) => self.fail(StreamNumber(stream), failure),
                Ending::Cut(response) => self.cut(StreamNumber(stream), response),
            },
        }
        self.bury();
    }
}
