//! The functions that a module may import, and nothing else.
//!
//! Each is a row of a table: where from, its name, its type, and what it does. What all of them
//! have in common happens in one place: faults, restrictions, the trace, what is expected.
#![expect(clippy::unnecessary_wraps, reason = "a hostcall has the type of all of them")]

mod buffers;
mod calls;
mod foreign;
mod general;
mod grpc;
mod guest;
mod maps;
mod metrics;
mod properties;
mod shared;
mod streams;
mod wasi;

use crate::code::Signature;
use crate::trace::HostCall;
use crate::vm::VmState;
use crate::{AbiVersion, Status};
pub(crate) use guest::{Args, Fail, Guest};
use wasmtime::{Caller, Linker, Val};

/// What a hostcall does. What it returns goes to the guest.
type Run = fn(&mut Guest<'_>, Args<'_>) -> Result<u32, Fail>;

/// A function that a module may import.
#[derive(Clone, Copy)]
pub(crate) struct HostFunction {
    pub(crate) name: &'static str,
    pub(crate) signature: Signature,
    run: Run,
    is_wasi: bool,
    since: AbiVersion,
}

impl HostFunction {
    /// A function of the ABI, in the module `env`.
    const fn env(name: &'static str, signature: &'static str, run: Run) -> Self {
        let signature = Signature(signature);
        Self { name, signature, run, is_wasi: false, since: AbiVersion::V0_2_0 }
    }

    /// The same, of ABI 0.2.1.
    const fn later(name: &'static str, signature: &'static str, run: Run) -> Self {
        let signature = Signature(signature);
        Self { name, signature, run, is_wasi: false, since: AbiVersion::V0_2_1 }
    }

    /// A function of WASI, under both of its module names.
    const fn wasi(name: &'static str, signature: &'static str, run: Run) -> Self {
        let signature = Signature(signature);
        Self { name, signature, run, is_wasi: true, since: AbiVersion::V0_2_0 }
    }

    fn modules(&self) -> &'static [&'static str] {
        if self.is_wasi { &["wasi_unstable", "wasi_snapshot_preview1"] } else { &["env"] }
    }
}

/// When a module may call little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restriction {
    /// It may call everything.
    None,
    /// Its start function runs: there is no VM yet that could be called from.
    Instantiating,
    /// Before it has started: it may log, and look at arguments, environment, clock and random
    /// bytes.
    Initializing,
    /// The host has it allocate: it may log and look at the clock.
    Allocating,
}

impl Restriction {
    fn allows(self, name: &str) -> bool {
        const ALWAYS: [&str; 4] = ["proxy_log", "fd_write", "clock_time_get", "poll_oneoff"];
        const AT_FIRST: [&str; 8] = [
            "emscripten_notify_memory_growth",
            "args_sizes_get",
            "args_get",
            "environ_sizes_get",
            "environ_get",
            "random_get",
            "fd_fdstat_get",
            "fd_fdstat_set_flags",
        ];
        match self {
            Self::None => true,
            Self::Instantiating => false,
            Self::Initializing => ALWAYS.contains(&name) || AT_FIRST.contains(&name),
            Self::Allocating => ALWAYS.contains(&name),
        }
    }
}

fn all() -> impl Iterator<Item = &'static HostFunction> {
    let tables: [&'static [HostFunction]; 11] = [
        general::FUNCTIONS,
        maps::FUNCTIONS,
        buffers::FUNCTIONS,
        properties::FUNCTIONS,
        streams::FUNCTIONS,
        shared::FUNCTIONS,
        metrics::FUNCTIONS,
        calls::FUNCTIONS,
        grpc::FUNCTIONS,
        foreign::FUNCTIONS,
        wasi::FUNCTIONS,
    ];
    tables.into_iter().flatten()
}

/// Every name.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|function| function.name)
}

/// A function by the name that it is imported by.
pub(crate) fn find(module: &str, name: &str, abi: AbiVersion) -> Option<&'static HostFunction> {
    all().find(|function| {
        function.name == name && function.modules().contains(&module) && abi >= function.since
    })
}

/// Gives a linker everything that a module of this ABI may import.
pub(crate) fn link(linker: &mut Linker<VmState>, abi: AbiVersion) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for function in all().filter(|function| abi >= function.since) {
        for module in function.modules() {
            let ty = function.signature.of_wasmtime(&engine);
            linker.func_new(module, function.name, ty, move |caller, params, results| {
                call(function, caller, params, results)
            })?;
        }
    }
    Ok(())
}

/// One hostcall, with everything that all of them have in common.
fn call(
    function: &'static HostFunction,
    caller: Caller<'_, VmState>,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let HostFunction { name, run, .. } = *function;
    let state = caller.data();
    let during = state.site.clone();
    if state.restriction == Restriction::Instantiating {
        let why = format!("the start function of a module calls `{name}`");
        state.common().died(state.worker, &why);
        wasmtime::bail!("{why}");
    }
    if !state.restriction.allows(name) {
        wasmtime::bail!("restricted_callback: `{name}` may not be called yet");
    }
    state.common().let_others(&during, name);
    let fault = state.common().fault(&during, name);
    let mut guest = Guest::new(caller);
    let returned = match fault {
        Some(status) => Ok(status.code()),
        None => match run(&mut guest, Args(params)) {
            Err(Fail::Status(status)) => Ok(status.code()),
            Err(Fail::Trap(error)) => Err(error),
            Ok(returned) => Ok(returned),
        },
    };
    let Guest { caller, bytes_in, bytes_out, allocations, about } = guest;
    let shown = *returned.as_ref().unwrap_or(&Status::InternalFailure.code());
    caller.data().common().called(HostCall {
        during,
        name,
        about,
        returned: shown,
        bytes_in,
        bytes_out,
        allocations,
        is_struck: fault.is_some(),
    });
    let returned = returned?;
    if let Some(result) = results.first_mut() {
        *result = Val::I32(returned.cast_signed());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Restriction, all, find};
    use crate::AbiVersion;
    use std::collections::BTreeSet;

    #[test]
    fn every_function_is_there_once() {
        let names: Vec<&str> = all().map(|function| function.name).collect();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len());
        // 36 of every ABI, three of some, `envoy_resolve_dns`, two of emscripten, 18 of WASI.
        assert_eq!(names.len(), 36 + 3 + 1 + 2 + 18);
    }

    #[test]
    fn the_log_level_came_with_0_2_1() {
        let found = |abi| find("env", "proxy_get_log_level", abi).is_some();
        assert!(found(AbiVersion::V0_2_1));
        assert!(!found(AbiVersion::V0_2_0));
        assert!(find("wasi_snapshot_preview1", "proxy_log", AbiVersion::V0_2_1).is_none());
    }

    #[test]
    fn little_is_allowed_at_first() {
        for (name, at_first, allocating) in [
            ("proxy_log", true, true),
            ("random_get", true, false),
            ("poll_oneoff", true, true),
            ("proxy_get_property", false, false),
        ] {
            assert_eq!(Restriction::Initializing.allows(name), at_first, "{name}");
            assert_eq!(Restriction::Allocating.allows(name), allocating, "{name}");
        }
    }
}
