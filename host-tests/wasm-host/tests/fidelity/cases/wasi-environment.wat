;;! title = "The environment is that of the VM's settings, and there are no arguments"
;;! [[plugin]]
;;! env = { A = "one", LONGER = "" }
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: sizes 0",
;;!     "info: count, bytes 2 14",
;;!     "info: get 0",
;;!     "info: first at 0",
;;!     "info: sum 141",
;;!     "info: arguments 0",
;;!     "info: count, bytes 0 0",
;;!     "info: get 0",
;;!     "info: sizes to a bad pointer 21",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $arg_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $say @"sizes" (call $sizes (i32.const 256) (i32.const 260)))
        (call $say2 @"count, bytes" (i32.load (i32.const 256)) (i32.load (i32.const 260)))
        (call $say @"get" (call $environ (i32.const 300) (i32.const 400)))
        (call $say @"first at" (i32.sub (i32.load (i32.const 300)) (i32.const 400)))
        ;; Their order is chance: the letters that there are have to do.
        (call $say @"sum" (i32.add
            (i32.load8_u (i32.load (i32.const 300))) (i32.load8_u (i32.load (i32.const 304)))))
        (call $say @"arguments" (call $arg_sizes (i32.const 256) (i32.const 260)))
        (call $say2 @"count, bytes" (i32.load (i32.const 256)) (i32.load (i32.const 260)))
        (call $say @"get" (call $args (i32.const 300) (i32.const 400)))
        (call $say @"sizes to a bad pointer" (call $sizes (i32.const 0x7ffffff0) (i32.const 260)))
        (i32.const 0)))
