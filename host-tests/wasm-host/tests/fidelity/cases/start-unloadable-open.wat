;;! title = "A module that cannot be loaded is refused where it fails open too"
;;! [[plugin]]
;;! failure_policy = "open"
;;! [[request]]
;;! [expect]
;;! refused = "Failed to load Wasm module due to a missing import: env.proxy_make_tea"
(module
    (import "env" "proxy_make_tea" (func (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_abi_version_0_2_1")))
