;;! title = "A module that imports a global is refused"
;;! [expect]
;;! refused = "Failed to load Wasm module due to a missing import: env.table_base"
(module
    (import "env" "table_base" (global i32))
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_abi_version_0_2_1")))
