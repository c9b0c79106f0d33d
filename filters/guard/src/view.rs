//! The region state that one policy is judged by, from tick to tick.

use fencing::Watch;
use policy_core::{Policy, RegionState};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The region state that one policy is judged by. It changes between requests, never during one.
#[derive(Debug)]
pub(crate) struct View {
    state: RefCell<Rc<RegionState>>,
    /// The revision of the watch that it is of, if it is of one.
    revision: Cell<Option<u64>>,
    /// When the agent was asked for it, by the monotonic clock.
    asked_ms: Cell<Option<u64>>,
}

impl View {
    /// What the configuration itself brings: all there is until an agent has said something.
    pub(crate) fn configured(policy: &Policy) -> Self {
        let state = Rc::new(policy.configured_state().clone());
        Self { state: RefCell::new(state), revision: Cell::new(None), asked_ms: Cell::new(None) }
    }

    /// The state now.
    pub(crate) fn get(&self) -> Rc<RegionState> {
        Rc::clone(&self.state.borrow())
    }

    /// When the agent was asked for it; nothing where no agent was.
    pub(crate) fn asked_ms(&self) -> Option<u64> {
        self.asked_ms.get()
    }

    /// Takes over what a VM believes now, where that has changed or is too old to be believed.
    pub(crate) fn refresh(&self, policy: &Policy, watch: &Watch, now_ms: Option<u64>) {
        let until = self.state.borrow().until;
        let is_current = self.revision.get() == Some(watch.revision())
            && until.is_none_or(|until| until.is_ahead(now_ms));
        if is_current {
            return;
        }
        self.revision.set(Some(watch.revision()));
        self.asked_ms.set(watch.newest().map(|(_, asked_ms)| asked_ms));
        // Nobody borrows it for longer than a call.
        if let Ok(mut state) = self.state.try_borrow_mut() {
            *state = Rc::new(watch.state(policy, now_ms));
        }
    }
}
