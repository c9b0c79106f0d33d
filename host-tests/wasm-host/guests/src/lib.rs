//! Plugins as other people write them: with the official SDK, with its panics, without our rules.
//!
//! They are one module; the root id says which of them a filter is. Built natively this is
//! [`WASM`], what tests and the example `authorize` of `wasm-host` play.
//!
//! What a panic says has a line of these sources, and is in the words of the SDK and the standard
//! library: where one of them changes, the cases that show it are to be recorded anew.

#[cfg(target_arch = "wasm32")]
mod authorize;
#[cfg(target_arch = "wasm32")]
mod counter;
#[cfg(target_arch = "wasm32")]
mod hungry;
#[cfg(target_arch = "wasm32")]
mod measure;
#[cfg(target_arch = "wasm32")]
mod panics;
#[cfg(target_arch = "wasm32")]
mod print;
#[cfg(target_arch = "wasm32")]
mod queue;
#[cfg(target_arch = "wasm32")]
mod rewrite;
#[cfg(target_arch = "wasm32")]
mod roots;
#[cfg(target_arch = "wasm32")]
mod strings;
#[cfg(target_arch = "wasm32")]
mod tag;

/// The module with all of them.
#[cfg(not(target_arch = "wasm32"))]
pub static WASM: &[u8] = include_bytes!(env!("GUESTS_WASM"));
