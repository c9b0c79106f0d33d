;;! title = "Random bytes come 64 KiB at a time"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: 16 0",
;;!     "info: differ 1",
;;!     "info: none 0",
;;!     "info: 65536 0",
;;!     "info: 65537 28",
;;!     "info: to a bad pointer 21",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $say @"16" (call $random (i32.const 256) (i32.const 16)))
        (call $say @"differ" (i64.ne (i64.load (i32.const 256)) (i64.load (i32.const 264))))
        (call $say @"none" (call $random (i32.const 256) (i32.const 0)))
        (call $say @"65536" (call $random (i32.const 65536) (i32.const 65536)))
        (call $say @"65537" (call $random (i32.const 65536) (i32.const 65537)))
        (call $say @"to a bad pointer" (call $random (i32.const 0x7ffffff0) (i32.const 16)))
        (i32.const 0)))
