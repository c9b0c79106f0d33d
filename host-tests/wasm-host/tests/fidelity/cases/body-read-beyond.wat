;;! title = "What is read beyond the end of a body is cut off, wherever it begins"
;;! [[request]]
;;! method = "POST"
;;! body = ["0123456789"]
;;! [expect]
;;! log = [
;;!     "info: buffer 0: Ok length 10 flags 0",
;;!     "info: buffer 0 0 0: Ok ",
;;!     "info: buffer 0 3 4: Ok 3456",
;;!     "info: buffer 0 8 4: Ok 89",
;;!     "info: buffer 0 9 -1: Ok 9",
;;!     "info: buffer 0 10 1: Ok ",
;;!     "info: buffer 0 11 1: Ok ",
;;!     "info: buffer 0 -1 1: Ok ",
;;!     "info: buffer 0 -1 -1: Ok ",
;;!     "info: buffer 0 0 -1: Ok 0123456789",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "0123456789"
(module (; prelude ;)
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (if (local.get 1) (then
            (call $show_buffer_status (i32.const 0))
            (call $show_buffer (i32.const 0) (i32.const 0) (i32.const 0))
            (call $show_buffer (i32.const 0) (i32.const 3) (i32.const 4))
            (call $show_buffer (i32.const 0) (i32.const 8) (i32.const 4))
            (call $show_buffer (i32.const 0) (i32.const 9) (i32.const -1))
            (call $show_buffer (i32.const 0) (i32.const 10) (i32.const 1))
            (call $show_buffer (i32.const 0) (i32.const 11) (i32.const 1))
            (call $show_buffer (i32.const 0) (i32.const -1) (i32.const 1))
            (call $show_buffer (i32.const 0) (i32.const -1) (i32.const -1))
            (call $show_buffer (i32.const 0) (i32.const 0) (i32.const -1))))
        (i32.const 0)))
