;;! title = "A buffer that is not there is empty to read and BadArgument to write, or NotFound"
;;! why = "The types are those of bodies, connections, calls, gRPC, configurations, foreign calls, and two that do not exist"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: buffer 0 0 10: Ok ",
;;!     "info: buffer 0: Ok length 0 flags 0",
;;!     "info: set: BadArgument",
;;!     "info: buffer 1 0 10: Ok ",
;;!     "info: buffer 1: Ok length 0 flags 0",
;;!     "info: set: BadArgument",
;;!     "info: buffer 2 0 10: Ok ",
;;!     "info: buffer 2: Ok length 0 flags 0",
;;!     "info: set: BadArgument",
;;!     "info: buffer 3 0 10: Ok ",
;;!     "info: buffer 3: Ok length 0 flags 0",
;;!     "info: set: BadArgument",
;;!     "info: buffer 4 0 10: NotFound",
;;!     "info: buffer 4: NotFound length 0 flags 0",
;;!     "info: set: NotFound",
;;!     "info: buffer 5 0 10: Ok ",
;;!     "info: buffer 5: Ok length 0 flags 0",
;;!     "info: set: BadArgument",
;;!     "info: buffer 6 0 10: Ok ",
;;!     "info: buffer 6: Ok length 0 flags 0",
;;!     "info: set: BadArgument",
;;!     "info: buffer 7 0 10: NotFound",
;;!     "info: buffer 7: NotFound length 0 flags 0",
;;!     "info: set: NotFound",
;;!     "info: buffer 8 0 10: Ok ",
;;!     "info: buffer 8: Ok length 0 flags 0",
;;!     "info: set: BadArgument",
;;!     "info: buffer 9 0 10: BadArgument",
;;!     "info: buffer 9: BadArgument length 0 flags 0",
;;!     "info: set: BadArgument",
;;!     "info: buffer -1 0 10: BadArgument",
;;!     "info: buffer -1: BadArgument length 0 flags 0",
;;!     "info: set: BadArgument",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func $all (param $type i32)
        (call $show_buffer (local.get $type) (i32.const 0) (i32.const 10))
        (call $show_buffer_status (local.get $type))
        (call $status @"set" (call $set_buffer (local.get $type) (i32.const 0) (i32.const 0) @"x")))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (local $type i32)
        (loop $next
            (call $all (local.get $type))
            (local.set $type (i32.add (local.get $type) (i32.const 1)))
            (br_if $next (i32.lt_s (local.get $type) (i32.const 10))))
        (call $all (i32.const -1))
        (i32.const 0)))
