//! Plugins of a proxy: tried, started on each thread, configured anew, reloaded, retired.

use super::{Handle, Proxy, Retiring};
use crate::code;
use crate::context::{Context, RootContext};
use crate::host::StartError;
use crate::plugin::{FailurePolicy, Plugin};
use crate::schedule::VmNumber;
use crate::vm::{Called, Vm};
use std::rc::Rc;

impl Proxy {
    /// Configures a plugin anew, or one that was not there. What is under way stays with the plugin
    /// as it was.
    ///
    /// # Errors
    /// Why Envoy would refuse the configuration; the one before stays in force.
    pub fn configure(&mut self, plugin: Plugin) -> Result<(), StartError> {
        let plugin = Rc::new(plugin);
        self.canary(&plugin)?;
        let before = self.plugins.insert(plugin.name.clone(), Rc::clone(&plugin));
        for worker in 0..self.workers.len() {
            let old = self.workers.get(worker).and_then(|known| known.handles.get(&plugin.name));
            let old = old.copied();
            let handle = self.load(worker, &plugin);
            if let Some(known) = self.workers.get_mut(worker) {
                known.handles.insert(plugin.name.clone(), handle);
            }
            if let Some(Handle { vm: Some(vm), root, .. }) = old
                && (handle.vm, handle.root) != (Some(vm), root)
            {
                self.retiring.push(Retiring { vm, root });
            }
        }
        drop(before);
        self.bury();
        Ok(())
    }

    /// Calls a callback of a plugin on every thread although nothing has happened: for its root, with
    /// these arguments behind that. So a test sees what a plugin makes of a tick, a queue or an
    /// answer that it never asked for. What the callback takes more of is 0. Says whether there are
    /// such a callback and such a plugin.
    pub fn provoke(&mut self, plugin: &str, callback: &'static str, arguments: &[u32]) -> bool {
        let Some(takes) = code::arity(callback) else { return false };
        let mut is_there = false;
        for worker in 0..self.workers.len() {
            let handle = self.workers.get(worker).and_then(|known| known.handles.get(plugin));
            let Some(Handle { vm: Some(vm), root, .. }) = handle.copied() else { continue };
            let all = [root].into_iter().chain(arguments.iter().copied());
            let all: Vec<u32> = all.chain(std::iter::repeat(0)).take(takes).collect();
            self.call(vm, callback, root, &all);
            is_there = true;
        }
        self.bury();
        is_there
    }

    /// Tries a plugin in a VM of its own, on the main thread, before any thread uses it.
    fn canary(&mut self, plugin: &Rc<Plugin>) -> Result<(), StartError> {
        let start = || {
            Vm::start(plugin, 0, &self.common, self.limits).map_err(|why| {
                let plugin = plugin.name.clone();
                if self.is_dead() {
                    StartError::Died { plugin, why }
                } else {
                    StartError::Vm { plugin, why }
                }
            })
        };
        if self.canaries.contains(&(plugin.vm_key(), plugin.key())) {
            return Ok(());
        }
        // The base VM does no more than start.
        if !self.bases.contains(&plugin.vm_key()) {
            start()?;
        }
        let vm = start()?;
        self.bases.insert(plugin.vm_key());
        let number = self.keep(vm);
        let started = self.start_root(number, plugin);
        let failure = self.vms.get(&number).and_then(|vm| vm.failure().map(str::to_owned));
        self.forget(number);
        let name = plugin.name.clone();
        match (started, failure) {
            // Where it failed is not asked once it is started.
            (Started::Configured(_), _) => {
                self.canaries.insert((plugin.vm_key(), plugin.key()));
                Ok(())
            }
            (_, Some(why)) => Err(StartError::Vm { plugin: name, why }),
            (Started::VmRefused, None) => Err(StartError::VmStart(name)),
            (Started::ConfigurationRefused, None) => Err(StartError::Configure(name)),
        }
    }

    fn keep(&mut self, vm: Vm) -> VmNumber {
        self.next_vm = self.next_vm.saturating_add(1);
        let number = VmNumber(self.next_vm);
        self.vms.insert(number, vm);
        number
    }

    /// Forgets VMs that failed and that no stream, plugin or thread knows any more.
    pub(super) fn forget_unused(&mut self) {
        let is_known = |number: VmNumber| {
            self.workers.iter().any(|worker| {
                worker.local.values().any(|known| *known == number)
                    || worker.handles.values().any(|handle| handle.vm == Some(number))
            })
        };
        let has_streams = |vm: &Vm| {
            vm.state().contexts.values().any(|context| matches!(context, Context::Stream(_)))
        };
        let unused: Vec<VmNumber> = self
            .vms
            .iter()
            .filter(|(number, vm)| {
                vm.failure().is_some() && !is_known(**number) && !has_streams(vm)
            })
            .map(|(number, _)| *number)
            .collect();
        for number in unused {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: VmNumber) {
        self.vms.remove(&number);
        self.timers.retain(|(vm, _), _| *vm != number);
        self.calls.retain(|(vm, ..), _| *vm != number);
    }

    /// A plugin on a thread: in the VM that others of its key have, if there is one.
    fn load(&mut self, worker: usize, plugin: &Rc<Plugin>) -> Handle {
        let loaded = self.now();
        let nothing = Handle { vm: None, root: 0, loaded };
        let key = plugin.vm_key();
        let known = self.workers.get(worker).and_then(|known| known.local.get(&key)).copied();
        let number = if let Some(number) = known {
            number
        } else {
            let Ok(vm) = Vm::start(plugin, worker, &self.common, self.limits) else {
                return nothing;
            };
            let number = self.keep(vm);
            if let Some(known) = self.workers.get_mut(worker) {
                known.local.insert(key, number);
            }
            number
        };
        let same = self.vms.get(&number).and_then(|vm| {
            vm.state().contexts.iter().find_map(|(id, context)| match context {
                Context::Root(root) if root.plugin.key() == plugin.key() => Some(*id),
                _ => None,
            })
        });
        if let Some(root) = same {
            self.retiring.retain(|retiring| (retiring.vm, retiring.root) != (number, root));
            return Handle { vm: Some(number), root, loaded };
        }
        if let Started::Configured(root) = self.start_root(number, plugin) {
            return Handle { vm: Some(number), root, loaded };
        }
        // Nobody uses what was made for it alone.
        if known.is_none() {
            if let Some(worker) = self.workers.get_mut(worker) {
                worker.local.retain(|_, known| *known != number);
            }
            self.forget(number);
        }
        nothing
    }

    /// Makes a root of a plugin in a VM, and configures it.
    fn start_root(&mut self, number: VmNumber, plugin: &Rc<Plugin>) -> Started {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let Some(vm) = self.vms.get_mut(&number) else { return Started::VmRefused };
        let root = vm.add(Context::Root(Box::new(RootContext::new(Rc::clone(plugin)))));
        let created = vm.call("proxy_on_context_create", root, &[root, 0]);
        let says_yes = |vm: &mut Vm, called: Called, callback| {
            let yes = !vm.has(callback) || called.returned.is_some_and(|returned| returned != 0);
            (yes, called.actions)
        };
        let vm_size = size(&plugin.vm_configuration);
        // A VM that has failed by now is started all the same.
        let called = vm.call_anyway("proxy_on_vm_start", root, &[root, vm_size]);
        let (started, more) = says_yes(vm, called, "proxy_on_vm_start");
        let mut actions = created.actions;
        actions.extend(more);
        let mut configured = false;
        if started {
            if let Some(root) = vm.root_mut(root) {
                root.is_configuring = true;
            }
            configured = vm.failure().is_some();
            if !configured {
                let size = size(&plugin.configuration);
                let called = vm.call("proxy_on_configure", root, &[root, size]);
                let (yes, more) = says_yes(vm, called, "proxy_on_configure");
                configured = yes;
                actions.extend(more);
            }
            if let Some(root) = vm.root_mut(root) {
                root.is_configuring = false;
            }
        }
        self.act(number, actions);
        if !(started && configured)
            && let Some(vm) = self.vms.get_mut(&number)
        {
            vm.state_mut().contexts.remove(&root);
        }
        match (started, configured) {
            (false, _) => Started::VmRefused,
            (true, false) => Started::ConfigurationRefused,
            (true, true) => Started::Configured(root),
        }
    }

    /// The plugin for a new stream: with a new VM if the old one failed and its policy says so.
    /// Nothing if the stream passes without it.
    pub(super) fn handle(&mut self, worker: usize, name: &str) -> Option<Handle> {
        let plugin = Rc::clone(self.plugins.get(name)?);
        let mut handle = *self.workers.get(worker)?.handles.get(name)?;
        let count = |proxy: &Self, what: &str| {
            proxy.common.borrow_mut().metrics.count(&format!("wasm.{name}.{what}"));
        };
        if self.has_failed(handle.vm)
            && handle.vm.is_some()
            && let FailurePolicy::Reload { backoff } = plugin.failure_policy
        {
            if self.now().saturating_sub(handle.loaded) < backoff {
                count(self, "vm_reload_backoff");
            } else {
                let new = self.load(worker, &plugin);
                // The old one goes on refusing if there is no new one.
                handle =
                    if new.vm.is_some() { new } else { Handle { loaded: new.loaded, ..handle } };
                let works = !self.has_failed(handle.vm);
                count(self, if works { "vm_reload_success" } else { "vm_reload_failure" });
                if let Some(known) = self.workers.get_mut(worker) {
                    known.handles.insert(name.to_owned(), handle);
                }
            }
        }
        // Where a plugin never came to life there is no filter, whatever its policy says.
        let passes_without = handle.vm.is_none()
            || self.has_failed(handle.vm) && plugin.failure_policy == FailurePolicy::Open;
        (!passes_without).then_some(handle)
    }

    pub(super) fn has_failed(&self, vm: Option<VmNumber>) -> bool {
        vm.and_then(|number| self.vms.get(&number)).is_none_or(|vm| vm.failure().is_some())
    }

    /// Tells a root that it is no longer wanted.
    pub(super) fn retire(&mut self, number: VmNumber, root: u32) {
        let Some(vm) = self.vms.get_mut(&number) else { return };
        let exists = vm.has("proxy_on_done");
        let called = vm.call("proxy_on_done", root, &[root]);
        let is_done = !exists || called.returned.is_none_or(|returned| returned != 0);
        if !is_done {
            vm.state_mut().pending_done.push(root);
        }
        self.act(number, called.actions);
        if is_done {
            self.delete_root(number, root);
        }
    }

    pub(super) fn delete_root(&mut self, number: VmNumber, root: u32) {
        self.call(number, "proxy_on_delete", root, &[root]);
        if let Some(vm) = self.vms.get_mut(&number) {
            vm.state_mut().contexts.remove(&root);
        }
        self.timers.remove(&(number, root));
    }
}

/// What came of making a root.
pub(super) enum Started {
    Configured(u32),
    VmRefused,
    ConfigurationRefused,
}
