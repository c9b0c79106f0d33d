;;! title = "A module without an allocator is refused"
;;! [expect]
;;! refused = "Wasm VM failed Wasm module is missing malloc function."
(module
    (memory (export "memory") 1)
    (func (export "proxy_abi_version_0_2_1")))
