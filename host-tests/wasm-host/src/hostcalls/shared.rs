//! What VMs share.

use super::{Args, Fail, Guest, HostFunction};
use crate::Status;
use crate::shared::Reader;
use crate::vm::Action;

pub(super) const FUNCTIONS: &[HostFunction] = &[
    HostFunction::env("proxy_get_shared_data", "iiiii->i", get_data),
    HostFunction::env("proxy_set_shared_data", "iiiii->i", set_data),
    HostFunction::env("proxy_register_shared_queue", "iii->i", register_queue),
    HostFunction::env("proxy_resolve_shared_queue", "iiiii->i", resolve_queue),
    HostFunction::env("proxy_enqueue_shared_queue", "iii->i", enqueue),
    HostFunction::env("proxy_dequeue_shared_queue", "iii->i", dequeue),
];

fn get_data(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let key = guest.read(args.u32(0), args.u32(1))?;
    guest.about(&key);
    let state = guest.state();
    let found = {
        let common = state.common();
        common.data.get(&state.vm_id, &key).map(|(value, cas)| (value.to_vec(), cas))
    };
    let (value, cas) = found.ok_or(Status::NotFound)?;
    guest.give(&value, args.u32(2), args.u32(3))?;
    guest.write_u32(args.u32(4), cas)?;
    Ok(0)
}

fn set_data(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let key = guest.read(args.u32(0), args.u32(1))?;
    guest.about(&key);
    let value = guest.read(args.u32(2), args.u32(3))?;
    let state = guest.state();
    state.common().data.set(&state.vm_id, &key, &value, args.u32(4))?;
    Ok(0)
}

fn register_queue(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let name = guest.read(args.u32(0), args.u32(1))?;
    guest.about(&name);
    let state = guest.state();
    let reader =
        Reader { worker: state.worker, vm_key: state.vm_key.clone(), root: state.root_id() };
    let token = state.common().queues.register(&state.vm_id, &name, reader);
    guest.write_u32(args.u32(2), token)?;
    Ok(0)
}

fn resolve_queue(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let vm_id = guest.read(args.u32(0), args.u32(1))?;
    let name = guest.read(args.u32(2), args.u32(3))?;
    guest.about(&name);
    let state = guest.state();
    let vm_id = String::from_utf8_lossy(&vm_id);
    let vm_id = if vm_id.is_empty() { state.vm_id.as_str() } else { &vm_id };
    let token = state.common().queues.resolve(vm_id, &name).ok_or(Status::NotFound)?;
    guest.write_u32(args.u32(4), token)?;
    Ok(0)
}

fn enqueue(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let token = args.u32(0);
    let item = guest.read(args.u32(1), args.u32(2))?;
    let Reader { worker, vm_key, root } = guest.state().common().queues.enqueue(token, &item)?;
    guest.state_mut().actions.push(Action::QueueReady { worker, vm_key, root, token });
    Ok(0)
}

fn dequeue(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let item = guest.state().common().queues.dequeue(args.u32(0))?;
    guest.give(&item, args.u32(1), args.u32(2))?;
    Ok(0)
}
