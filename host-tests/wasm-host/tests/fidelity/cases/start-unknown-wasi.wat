;;! title = "A module with a WASI function that does not exist is refused"
;;! [expect]
;;! refused = "Failed to load Wasm module due to a missing import: wasi_snapshot_preview1.proc_raise_tea"
(module
    (import "wasi_snapshot_preview1" "proc_raise_tea" (func (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_abi_version_0_2_1")))
