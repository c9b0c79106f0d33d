//! Faults on purpose: hostcalls that return something else than they would, and what other threads do
//! between two of them.

use crate::Status;
use crate::shared::SharedData;
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
    /// The only hostcall that it is about, which has to be one.
    pub(crate) name: Option<&'static str>,
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
        let plan = Self::new(move |_, known, _| (known == name).then_some(status));
        Self { name: Some(name), ..plan }
    }

    /// A rule of your own: where, which, and the number of the call since the proxy started.
    pub fn new(rule: impl FnMut(&CallSite, &'static str, u64) -> Option<Status> + 'static) -> Self {
        Self { rule: Some(Box::new(rule)), calls: 0, name: None }
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

/// Shared data as another thread of the proxy sees it.
#[derive(Debug)]
pub struct OtherThread<'d>(pub(crate) &'d mut SharedData);

impl OtherThread<'_> {
    /// A value that VMs of an id share.
    pub fn shared_data(&self, vm_id: &str, key: &str) -> Option<Vec<u8>> {
        self.0.get(vm_id, key.as_bytes()).map(|(value, _)| value.to_vec())
    }

    /// Shares a value.
    pub fn share(&mut self, vm_id: &str, key: &str, value: &[u8]) {
        // Without a number to compare nothing can go wrong.
        let _ = self.0.set(vm_id, key.as_bytes(), value, 0);
    }
}

type Deed = Box<dyn FnMut(&CallSite, &'static str, &mut OtherThread<'_>)>;

/// What another thread does just before a hostcall is made.
pub(crate) struct Meanwhile(pub(crate) Deed);

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
}
