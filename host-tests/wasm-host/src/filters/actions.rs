//! What a plugin asks for about its stream.

use crate::Direction;
use crate::proxy::Proxy;
use crate::vm::Action;

impl Proxy {
    /// Does what a plugin asked for about a stream.
    pub(crate) fn act_on_stream(&mut self, number: crate::schedule::VmNumber, action: Action) {
        let context = match &action {
            Action::Continue { context, .. }
            | Action::Reply { context, .. }
            | Action::Reset { context }
            | Action::ClearRouteCache { context } => *context,
            _ => return,
        };
        let Some(vm) = self.vms.get_mut(&number) else { return };
        let Some(id) = vm.stream_mut(context).map(|stream| stream.stream) else { return };
        let Some(stream) = self.stream(id) else { return };
        let index = stream
            .filters
            .iter()
            .position(|filter| filter.vm == number && filter.context == context);
        let Some(index) = index else { return };
        let state = stream.state.clone();
        match action {
            Action::Continue { direction: Direction::Response, .. }
                if !stream.response_has_begun =>
            {
                self.die("a plugin resumes a response that has not begun");
            }
            Action::Continue { direction, .. } => {
                let position = stream.index(direction, index);
                self.continue_from(id, direction, position);
            }
            Action::Reply { .. } if stream.has_ended => {
                self.die("a plugin answers a request that is over");
            }
            Action::Reply { reply, .. } => {
                self.reply(id, reply);
                self.send_unless_calling(id);
            }
            Action::Reset { .. } => self.reset(id, "wasm_fail_stream"),
            Action::ClearRouteCache { .. } => state.borrow_mut().clear_route_cache(),
            _ => {}
        }
    }

    fn die(&self, why: &str) {
        self.common.borrow_mut().died(0, why);
    }
}
