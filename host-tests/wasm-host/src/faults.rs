//! Faults on purpose: hostcalls that return something else than they would.

use crate::Status;
use crate::trace::CallSite;
use std::fmt;

type Rule = Box<dyn FnMut(&CallSite, &'static str, u64) -> Option<Status>>;

/// Which hostcalls fail, and how.
///
/// A call that fails is not made: nothing is written, nothing is returned but the status.
#[derive(Default)]
pub struct FaultPlan {
    rule: Option<Rule>,
    calls: u64,
}

impl FaultPlan {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// The call with this number fails, counted from 0 over all calls since the proxy started.
    pub fn at(number: u64, status: Status) -> Self {
        Self::new(move |_, _, call| (call == number).then_some(status))
    }

    /// Every call of a hostcall fails.
    pub fn always(name: &'static str, status: Status) -> Self {
        Self::new(move |_, known, _| (known == name).then_some(status))
    }

    /// A rule of your own: where, which, and the number of the call since the proxy started.
    pub fn new(rule: impl FnMut(&CallSite, &'static str, u64) -> Option<Status> + 'static) -> Self {
        Self { rule: Some(Box::new(rule)), calls: 0 }
    }

    pub(crate) fn strike(&mut self, during: &CallSite, name: &'static str) -> Option<Status> {
        let call = self.calls;
        self.calls = self.calls.saturating_add(1);
        self.rule.as_mut().and_then(|rule| rule(during, name, call))
    }
}

impl fmt::Debug for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultPlan").field("calls", &self.calls).finish_non_exhaustive()
    }
}
