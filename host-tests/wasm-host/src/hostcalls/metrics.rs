//! Metrics.

use super::{Args, Fail, Guest, HostFunction};

pub(super) const FUNCTIONS: &[HostFunction] = &[
    HostFunction::env("proxy_define_metric", "iiii->i", define),
    HostFunction::env("proxy_increment_metric", "iI->i", increment),
    HostFunction::env("proxy_record_metric", "iI->i", record),
    HostFunction::env("proxy_get_metric", "ii->i", get),
];

fn define(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let name = guest.read(args.u32(1), args.u32(2))?;
    guest.about(&name);
    let name = String::from_utf8_lossy(&name).into_owned();
    let state = guest.state_mut();
    let mut metrics = std::mem::take(&mut state.metrics);
    let id = metrics.define(&mut state.common().metrics, args.u32(0), &name);
    state.metrics = metrics;
    guest.write_u32(args.u32(3), id?)?;
    Ok(0)
}

fn increment(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    guest.about(args.u32(0).to_string().as_bytes());
    let state = guest.state();
    state.metrics.increment(&mut state.common().metrics, args.u32(0), args.i64(1))?;
    Ok(0)
}

fn record(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    guest.about(args.u32(0).to_string().as_bytes());
    let state = guest.state();
    let value = args.i64(1).cast_unsigned();
    state.metrics.record(&mut state.common().metrics, args.u32(0), value)?;
    Ok(0)
}

fn get(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let state = guest.state();
    let value = state.metrics.get(&mut state.common().metrics, args.u32(0))?;
    guest.write_u64(args.u32(1), value)?;
    Ok(0)
}
