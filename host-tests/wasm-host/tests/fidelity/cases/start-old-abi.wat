;;! title = "A module of version 0.2.0 of the ABI is served as well"
;;! [[route]]
;;! name = "there"
;;! header = "x-to: there"
;;! cluster = "there"
;;! [[route]]
;;! [cluster.there]
;;! [[request]]
;;! [expect]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "there"
;;! request = "GET /"
;;! headers = ["x-to: there"]
(module
    (import "env" "proxy_add_header_map_value"
        (func $add (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "x-to")
    (data (i32.const 80) "there")
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_abi_version_0_2_0"))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $add (i32.const 0)
            (i32.const 64) (i32.const 4) (i32.const 80) (i32.const 5)))
        (i32.const 0)))
