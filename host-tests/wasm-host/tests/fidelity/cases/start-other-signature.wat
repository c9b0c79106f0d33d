;;! title = "A module that imports a call with another signature is refused"
;;! [expect]
;;! refused = "Failed to load Wasm module due to an import type mismatch: env.proxy_increment_metric, want: i32 i32 -> i32, but host exports: i32 i64 -> i32"
(module
    (import "env" "proxy_increment_metric" (func (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_abi_version_0_2_1")))
