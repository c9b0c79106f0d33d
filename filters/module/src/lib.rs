//! `meshfence.wasm`: the guard behind the proxy-wasm ABI, and its bytes for native crates.
//!
//! Built for WebAssembly this is the plugin, and the only crate that knows the ABI; it has no policy
//! logic. Built natively it is [`WASM`], which the command and the tests carry.
#![deny(clippy::arithmetic_side_effects)]

#[cfg(target_arch = "wasm32")]
mod abi;
#[cfg(target_arch = "wasm32")]
mod callbacks;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(any(target_arch = "wasm32", test))]
mod pairs;
#[cfg(target_arch = "wasm32")]
mod plugin;

/// The module.
#[cfg(not(target_arch = "wasm32"))]
pub static WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/meshfence.wasm"));
