;;! title = "A module may have two memories; the host sees the one that is exported last"
;;! [[request]]
;;! [expect]
;;! log = ["info: last!"]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (memory $one 1)
    (memory $two 1)
    (export "memory" (memory $one))
    (export "other" (memory $two))
    (data (memory $one) (i32.const 64) "first")
    (data (memory $two) (i32.const 64) "last!")
    (func (export "malloc") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $log (i32.const 2) (i32.const 64) (i32.const 5)))
        (i32.const 0)))
