;;! title = "An allocator that gives a bad address, or none, is InvalidMemoryAccess for who reads"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: status 6",
;;!     "info: status 6",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_get_header_map_value"
        (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) ":path")
    (data (i32.const 80) "status x")
    (global $answer (mut i32) (i32.const 0x7ffffff0))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) (global.get $answer))
    (func $try
        (i32.store8 (i32.const 87) (i32.add (i32.const 48)
            (call $get (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 16) (i32.const 20))))
        (drop (call $log (i32.const 2) (i32.const 80) (i32.const 8))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $try)
        (global.set $answer (i32.const 0))
        (call $try)
        (i32.const 0)))
