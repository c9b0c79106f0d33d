;;! title = "A stream that is resumed in the callback that then pauses it goes on"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: resume: Ok",
;;!     "info: :path: BadArgument",
;;!     "info: returns",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"resume" (call $continue_stream (i32.const 0)))
        (call $show_header (i32.const 0) @":path")
        (call $log @"returns")
        (i32.const 1)))
