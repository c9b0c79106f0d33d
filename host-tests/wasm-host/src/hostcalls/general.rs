//! Logs, clocks, timers, the life of contexts.

use super::{Args, Fail, Guest, HostFunction};
use crate::vm::Action;
use crate::{LogLevel, Status};
use std::time::Duration;

pub(super) const FUNCTIONS: &[HostFunction] = &[
    HostFunction::env("proxy_log", "iii->i", log),
    HostFunction::later("proxy_get_log_level", "i->i", get_log_level),
    HostFunction::env("proxy_get_status", "iii->i", get_status),
    HostFunction::env("proxy_get_current_time_nanoseconds", "i->i", get_current_time),
    HostFunction::env("proxy_set_tick_period_milliseconds", "i->i", set_tick_period),
    HostFunction::env("proxy_set_effective_context", "i->i", set_effective_context),
    HostFunction::env("proxy_done", "->i", done),
    HostFunction::env("pthread_equal", "ii->i", pthread_equal),
    HostFunction::env("emscripten_notify_memory_growth", "i", notify_memory_growth),
    HostFunction::env("envoy_resolve_dns", "iii->i", resolve_dns),
];

fn log(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let level = LogLevel::of(args.u32(0)).ok_or(Status::BadArgument)?;
    let message = guest.read(args.u32(1), args.u32(2))?;
    guest.about(&message);
    guest.state().log(level, &String::from_utf8_lossy(&message));
    Ok(0)
}

fn get_log_level(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let level = guest.state().common().log_level;
    guest.write_u32(args.u32(0), level as u32)?;
    Ok(0)
}

fn get_status(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let (code, message) = guest.state().root().map(|root| root.status.clone()).unwrap_or_default();
    guest.write_u32(args.u32(0), code)?;
    guest.give(message.as_bytes(), args.u32(1), args.u32(2))?;
    Ok(0)
}

fn get_current_time(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let now = guest.state().common().clock.unix_ns();
    guest.write_u64(args.u32(0), now)?;
    Ok(0)
}

/// The timer is the root's, whoever sets it.
fn set_tick_period(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let period = Duration::from_millis(u64::from(args.u32(0)));
    guest.about(format!("{period:?}").as_bytes());
    let root = guest.state().root_id();
    guest.state_mut().actions.push(Action::Tick { root, period });
    Ok(0)
}

fn set_effective_context(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let context = args.u32(0);
    // 0 is the VM's own, which stands for no other one.
    if context != 0 && !guest.state().contexts.contains_key(&context) {
        return Err(Status::BadArgument.into());
    }
    guest.state_mut().effective = context;
    Ok(0)
}

fn done(guest: &mut Guest<'_>, _args: Args<'_>) -> Result<u32, Fail> {
    let root = guest.state().root_id();
    let pending = &mut guest.state_mut().pending_done;
    let place = pending.iter().position(|known| *known == root).ok_or(Status::NotFound)?;
    pending.remove(place);
    guest.state_mut().actions.push(Action::Done { root });
    Ok(0)
}

fn pthread_equal(_guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    Ok(u32::from(args.u32(0) == args.u32(1)))
}

fn notify_memory_growth(_guest: &mut Guest<'_>, _args: Args<'_>) -> Result<u32, Fail> {
    Ok(0)
}

/// This host knows no names: every answer would be made up.
fn resolve_dns(_guest: &mut Guest<'_>, _args: Args<'_>) -> Result<u32, Fail> {
    Err(Status::Unimplemented.into())
}
