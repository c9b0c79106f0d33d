//! The functions of WASI that Envoy 1.36 has, and no others: a module that loads here loads in every
//! Envoy since.

use super::{Args, Fail, Guest, HostFunction};
use crate::LogLevel;

pub(super) const FUNCTIONS: &[HostFunction] = &[
    HostFunction::wasi("fd_write", "iiii->i", fd_write),
    HostFunction::wasi("fd_read", "iiii->i", |_, _| Ok(ENOSYS)),
    HostFunction::wasi("fd_seek", "iIii->i", |guest, _| said(guest, "wasi_unstable fd_seek")),
    HostFunction::wasi("fd_close", "i->i", |guest, _| said(guest, "wasi_unstable fd_close")),
    HostFunction::wasi("fd_fdstat_get", "ii->i", fd_fdstat_get),
    HostFunction::wasi("fd_fdstat_set_flags", "ii->i", |_, _| Ok(ENOSYS)),
    HostFunction::wasi("environ_get", "ii->i", environ_get),
    HostFunction::wasi("environ_sizes_get", "ii->i", environ_sizes_get),
    HostFunction::wasi("args_get", "ii->i", |_, _| Ok(0)),
    HostFunction::wasi("args_sizes_get", "ii->i", args_sizes_get),
    HostFunction::wasi("clock_time_get", "iIi->i", clock_time_get),
    HostFunction::wasi("random_get", "ii->i", random_get),
    HostFunction::wasi("sched_yield", "->i", |_, _| Ok(0)),
    HostFunction::wasi("poll_oneoff", "iiii->i", poll_oneoff),
    HostFunction::wasi("proc_exit", "i", proc_exit),
    HostFunction::wasi("path_open", "iiiiiIIii->i", |_, _| Ok(ENOENT)),
    HostFunction::wasi("fd_prestat_get", "ii->i", |_, _| Ok(EBADF)),
    HostFunction::wasi("fd_prestat_dir_name", "iii->i", |_, _| Ok(ENOSYS)),
];

const EBADF: u32 = 8;
const EFAULT: u32 = 21;
const EINVAL: u32 = 28;
const ENOENT: u32 = 44;
const ENOSYS: u32 = 52;
const ENOTSUP: u32 = 58;

/// The longest line that is written at once: the slices of a guest may all be the same bytes.
const LINE_BYTES_MAX: usize = 1024 * 1024;

const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// The most random bytes of one call.
const RANDOM_BYTES_MAX: u32 = 64 * 1024;

fn said(guest: &mut Guest<'_>, message: &str) -> Result<u32, Fail> {
    let state = guest.state();
    state.common().log(state.worker, LogLevel::Error, None, message);
    Ok(0)
}

/// What goes out on 1 and 2 is a log line.
fn fd_write(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let level = match args.u32(0) {
        STDOUT => LogLevel::Info,
        STDERR => LogLevel::Error,
        _ => return Ok(EBADF),
    };
    let mut text = Vec::new();
    for slice in 0..args.u32(2) {
        let at = slice.checked_mul(8).and_then(|offset| args.u32(1).checked_add(offset));
        let Some(Ok(slice)) = at.map(|at| guest.read(at, 8)) else { return Ok(EFAULT) };
        let Some((at, size)) = slice.split_first_chunk::<4>() else { return Ok(EFAULT) };
        let Some(size) = size.first_chunk::<4>() else { return Ok(EFAULT) };
        let (at, size) = (u32::from_le_bytes(*at), u32::from_le_bytes(*size));
        if size > 0 {
            if text.len().saturating_add(size as usize) > LINE_BYTES_MAX {
                return Ok(EINVAL);
            }
            let Ok(part) = guest.read(at, size) else { return Ok(EFAULT) };
            text.extend(part);
        }
    }
    let written = u32::try_from(text.len()).unwrap_or(u32::MAX);
    if !text.is_empty() {
        let line = text.strip_suffix(b"\n").unwrap_or(&text);
        guest.about(line);
        guest.state().log(level, &String::from_utf8_lossy(line));
    }
    Ok(if guest.write_u32(args.u32(3), written).is_ok() { 0 } else { EFAULT })
}

/// Only the two that can be written to.
fn fd_fdstat_get(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    const RIGHT_TO_WRITE: u64 = 64;
    if !matches!(args.u32(0), STDOUT | STDERR) {
        return Ok(EBADF);
    }
    let stat: Vec<u8> = [0, RIGHT_TO_WRITE, 0].into_iter().flat_map(u64::to_le_bytes).collect();
    // Envoy does not look whether this could be written.
    let _ = guest.write(args.u32(1), &stat);
    Ok(0)
}

fn variables(guest: &Guest<'_>) -> Vec<Vec<u8>> {
    let env = guest.state().env.iter();
    env.map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
}

fn environ_get(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let (mut table, mut text) = (args.u32(0), args.u32(1));
    for variable in variables(guest) {
        if guest.write_u32(table, text).is_err() || guest.write(text, &variable).is_err() {
            return Ok(EFAULT);
        }
        table = table.wrapping_add(4);
        text = text.wrapping_add(u32::try_from(variable.len()).unwrap_or(u32::MAX));
    }
    Ok(0)
}

fn environ_sizes_get(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let variables = variables(guest);
    let size: usize = variables.iter().map(Vec::len).sum();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let count = guest.write_u32(args.u32(0), number(variables.len()));
    let done = count.is_ok() && guest.write_u32(args.u32(1), number(size)).is_ok();
    Ok(if done { 0 } else { EFAULT })
}

fn args_sizes_get(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let count = guest.write_u32(args.u32(0), 0);
    let done = count.is_ok() && guest.write_u32(args.u32(1), 0).is_ok();
    Ok(if done { 0 } else { EFAULT })
}

fn clock_time_get(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let clock = guest.state().common().clock.clone();
    let now = match args.u32(0) {
        0 => clock.unix_ns(),
        1 => clock.monotonic_ns(),
        // The time of a process or thread.
        _ => return Ok(ENOTSUP),
    };
    Ok(if guest.write_u64(args.u32(2), now).is_ok() { 0 } else { EFAULT })
}

fn random_get(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let (at, size) = (args.u32(0), args.u32(1));
    if size > RANDOM_BYTES_MAX {
        return Ok(EINVAL);
    }
    if size == 0 {
        return Ok(0);
    }
    let mut bytes = vec![0; size as usize];
    guest.state().common().random.fill(&mut bytes);
    Ok(if guest.write(at, &bytes).is_ok() { 0 } else { EFAULT })
}

/// Nothing ever happens, and nobody sleeps.
fn poll_oneoff(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    Ok(if guest.write_u32(args.u32(3), 0).is_ok() { 0 } else { EFAULT })
}

/// Logs, and goes on: nobody exits a proxy.
fn proc_exit(guest: &mut Guest<'_>, _args: Args<'_>) -> Result<u32, Fail> {
    said(guest, "wasi_unstable proc_exit")
}
