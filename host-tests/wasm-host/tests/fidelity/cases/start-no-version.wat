;;! title = "A module that does not say a version of the ABI is refused"
;;! [expect]
;;! refused = "Wasm VM failed Missing or unknown Proxy-Wasm ABI version"
(module
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 0)))
