//! The guest's side of a hostcall: its arguments and its memory.

use super::Restriction;
use crate::Status;
use crate::vm::{VM_CONTEXT, VmState};
use wasmtime::{Caller, Memory, Val};

/// Why a hostcall did not do what it should.
#[derive(Debug)]
pub(crate) enum Fail {
    /// It returns this.
    Status(Status),
    /// It does not return.
    Trap(wasmtime::Error),
}

impl From<Status> for Fail {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// What a hostcall was called with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Args<'a>(pub(crate) &'a [Val]);

impl Args<'_> {
    pub(crate) fn u32(self, place: usize) -> u32 {
        self.0.get(place).and_then(Val::i32).unwrap_or_default().cast_unsigned()
    }

    pub(crate) fn i64(self, place: usize) -> i64 {
        self.0.get(place).and_then(Val::i64).unwrap_or_default()
    }
}

/// The guest that calls.
pub(crate) struct Guest<'c> {
    pub(super) caller: Caller<'c, VmState>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) allocations: u32,
    pub(super) about: String,
}

impl<'c> Guest<'c> {
    pub(super) fn new(caller: Caller<'c, VmState>) -> Self {
        Self { caller, bytes_in: 0, bytes_out: 0, allocations: 0, about: String::new() }
    }

    pub(crate) fn state(&self) -> &VmState {
        self.caller.data()
    }

    pub(crate) fn state_mut(&mut self) -> &mut VmState {
        self.caller.data_mut()
    }

    /// Says what the call is about, for the trace.
    pub(crate) fn about(&mut self, what: &[u8]) {
        const SHOWN: usize = 256;
        let shown = what.get(..SHOWN).unwrap_or(what);
        self.about = String::from_utf8_lossy(shown).replace('\0', ".");
    }

    /// The guest's memory. Envoy does not ask whether there is one.
    fn memory(&self) -> Result<Memory, Status> {
        let state = self.state();
        state.memory.ok_or_else(|| {
            state
                .common()
                .died(state.worker, "a module has the host use a memory it does not show");
            Status::InvalidMemoryAccess
        })
    }

    /// Reads bytes of the guest.
    pub(crate) fn read(&mut self, at: u32, size: u32) -> Result<Vec<u8>, Status> {
        let memory = self.memory()?;
        let (start, size) = (at as usize, size as usize);
        let end = start.checked_add(size).ok_or(Status::InvalidMemoryAccess)?;
        let bytes = memory.data(&self.caller).get(start..end);
        let bytes = bytes.ok_or(Status::InvalidMemoryAccess)?.to_vec();
        self.bytes_in = self.bytes_in.saturating_add(size as u64);
        Ok(bytes)
    }

    /// Writes bytes of the guest.
    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Status> {
        let memory = self.memory()?;
        memory
            .write(&mut self.caller, at as usize, bytes)
            .map_err(|_| Status::InvalidMemoryAccess)?;
        self.bytes_out = self.bytes_out.saturating_add(bytes.len() as u64);
        Ok(())
    }

    pub(crate) fn write_u32(&mut self, at: u32, value: u32) -> Result<(), Status> {
        self.write(at, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, at: u32, value: u64) -> Result<(), Status> {
        self.write(at, &value.to_le_bytes())
    }

    /// Has the guest allocate, and writes bytes there. Nothing is allocated for no bytes: the guest
    /// gets a null pointer.
    pub(crate) fn place(&mut self, bytes: &[u8]) -> Result<u32, Fail> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let at = self.allocate(bytes.len())?;
        self.write(at, bytes)?;
        Ok(at)
    }

    /// The same, and tells the guest where and how much.
    pub(crate) fn give(&mut self, bytes: &[u8], at: u32, size_at: u32) -> Result<(), Fail> {
        let place = self.place(bytes)?;
        self.write_u32(at, place)?;
        self.write_u32(size_at, u32::try_from(bytes.len()).unwrap_or(u32::MAX))?;
        Ok(())
    }

    fn allocate(&mut self, size: usize) -> Result<u32, Fail> {
        let malloc = self.state().malloc.ok_or(Status::InvalidMemoryAccess)?;
        let size = i32::try_from(size).map_err(|_| Status::InvalidMemoryAccess)?;
        self.allocations = self.allocations.saturating_add(1);
        let state = self.state_mut();
        let (restriction, current) = (state.restriction, state.current);
        let effective = state.effective;
        // The guest may not do much meanwhile, and not for the context at hand.
        state.restriction = Restriction::Allocating;
        state.current = VM_CONTEXT;
        state.effective = 0;
        let mut result = [Val::I32(0)];
        let called = malloc.call(&mut self.caller, &[Val::I32(size)], &mut result);
        let state = self.state_mut();
        (state.restriction, state.current, state.effective) = (restriction, current, effective);
        called.map_err(Fail::Trap)?;
        let [at] = result;
        match at.i32().unwrap_or_default().cast_unsigned() {
            0 => Err(Status::InvalidMemoryAccess.into()),
            at => Ok(at),
        }
    }
}
