;;! title = "A module of a version of the ABI that the host does not know is refused"
;;! [expect]
;;! refused = "Wasm VM failed Missing or unknown Proxy-Wasm ABI version"
(module
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_abi_version_0_3_0")))
