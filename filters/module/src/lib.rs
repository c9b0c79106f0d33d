//! meshfence.wasm: the guard behind the proxy-wasm ABI, and the bytes of it for native crates.
