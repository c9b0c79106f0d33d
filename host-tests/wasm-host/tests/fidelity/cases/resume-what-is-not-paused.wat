;;! title = "Streams are resumed and closed by type: of other types there is none, connections are one more"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: continue 0: Ok",
;;!     "info: continue 1: Ok",
;;!     "info: continue 2: Ok",
;;!     "info: continue 3: Unimplemented",
;;!     "info: continue 4: BadArgument",
;;!     "info: continue -1: BadArgument",
;;!     "info: close 2: Ok",
;;!     "info: close 3: Ok",
;;!     "info: close 4: BadArgument",
;;!     "info: close 0: Ok",
;;!     "info: close 1: Ok",
;;!     "info: continue 2: Ok",
;;!     "info: continue 3: Unimplemented",
;;!     "info: continue 4: BadArgument",
;;!     "info: continue -1: BadArgument",
;;!     "info: close 2: Ok",
;;!     "info: close 3: Ok",
;;!     "info: close 4: BadArgument",
;;! ]
;;! main_log = [
;;!     "info: continue 0: Ok",
;;!     "info: continue 1: Ok",
;;!     "info: continue 2: Ok",
;;!     "info: continue 3: Unimplemented",
;;!     "info: continue 4: BadArgument",
;;!     "info: continue -1: BadArgument",
;;!     "info: close 2: Ok",
;;!     "info: close 3: Ok",
;;!     "info: close 4: BadArgument",
;;!     "info: close 0: Ok",
;;!     "info: close 1: Ok",
;;!     "info: continue 0: Ok",
;;!     "info: continue 1: Ok",
;;!     "info: continue 2: Ok",
;;!     "info: continue 3: Unimplemented",
;;!     "info: continue 4: BadArgument",
;;!     "info: continue -1: BadArgument",
;;!     "info: close 2: Ok",
;;!     "info: close 3: Ok",
;;!     "info: close 4: BadArgument",
;;!     "info: close 0: Ok",
;;!     "info: close 1: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func $all
        (call $status @"continue 2" (call $continue_stream (i32.const 2)))
        (call $status @"continue 3" (call $continue_stream (i32.const 3)))
        (call $status @"continue 4" (call $continue_stream (i32.const 4)))
        (call $status @"continue -1" (call $continue_stream (i32.const -1)))
        (call $status @"close 2" (call $close_stream (i32.const 2)))
        (call $status @"close 3" (call $close_stream (i32.const 3)))
        (call $status @"close 4" (call $close_stream (i32.const 4))))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $status @"continue 0" (call $continue_stream (i32.const 0)))
        (call $status @"continue 1" (call $continue_stream (i32.const 1)))
        (call $all)
        (call $status @"close 0" (call $close_stream (i32.const 0)))
        (call $status @"close 1" (call $close_stream (i32.const 1)))
        (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $all)
        (i32.const 0)))
