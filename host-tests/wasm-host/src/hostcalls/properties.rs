//! Properties: attributes to read, and values that a plugin stores with a stream.

use super::{Args, Fail, Guest, HostFunction};
use crate::attributes::Scope;
use crate::context::Stored;
use crate::{Status, Value};

pub(super) const FUNCTIONS: &[HostFunction] = &[
    HostFunction::env("proxy_get_property", "iiii->i", get),
    HostFunction::env("proxy_set_property", "iiii->i", set),
];

fn get(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let path = guest.read(args.u32(0), args.u32(1))?;
    guest.about(&path);
    let found = {
        let state = guest.state();
        let common = state.common();
        let stream = state.stream().map(|context| (context.state.borrow(), context.view));
        let scope = Scope {
            stream: stream.as_ref().map(|(stream, view)| (&**stream, *view)),
            plugin: state.plugin().map(|plugin| &**plugin),
            vm_id: &state.vm_id,
            node: &common.node,
            clusters: &common.clusters,
        };
        scope.find(&path)
    };
    guest.give(&found?, args.u32(2), args.u32(3))?;
    Ok(0)
}

fn set(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let path = guest.read(args.u32(0), args.u32(1))?;
    guest.about(&path);
    let value = guest.read(args.u32(2), args.u32(3))?;
    let state = guest.state();
    // Without a stream there is nothing to keep it with.
    let stream = state.stream().ok_or(Status::NotFound)?;
    let declared = state.root().and_then(|root| root.declared.get(&path).copied());
    let declared = declared.unwrap_or_default();
    let key = format!("wasm.{}", String::from_utf8_lossy(&path));
    let value = if declared.is_text {
        Value::String(String::from_utf8_lossy(&value).into_owned())
    } else {
        Value::Bytes(value)
    };
    let mut stream = stream.state.borrow_mut();
    match stream.info.filter_state.get_mut(&key) {
        Some(known) if known.declared.is_readonly => return Err(Status::BadArgument.into()),
        Some(known) => known.value = value,
        None => {
            stream.info.filter_state.insert(key, Stored { value, declared });
        }
    }
    Ok(0)
}
