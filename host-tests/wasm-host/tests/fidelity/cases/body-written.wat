;;! title = "Bytes go before a body, after it, or in place of its beginning, but not into its middle"
;;! [[request]]
;;! method = "POST"
;;! path = "/prepend"
;;! body = ["0123456789"]
;;! [[request]]
;;! method = "POST"
;;! path = "/append"
;;! body = ["0123456789"]
;;! [[request]]
;;! method = "POST"
;;! path = "/replace"
;;! body = ["0123456789"]
;;! [[request]]
;;! method = "POST"
;;! path = "/begin"
;;! body = ["0123456789"]
;;! [[request]]
;;! method = "POST"
;;! path = "/middle"
;;! body = ["0123456789"]
;;! [[request]]
;;! method = "POST"
;;! path = "/beyond"
;;! body = ["0123456789"]
;;! [expect]
;;! log = [
;;!     "info: at 0 0",
;;!     "info: set: Ok",
;;!     "info: buffer 0 0 100: Ok new0123456789",
;;!     "info: buffer 0: Ok length 13 flags 0",
;;!     "info: at 10 0",
;;!     "info: set: Ok",
;;!     "info: buffer 0 0 100: Ok 0123456789new",
;;!     "info: buffer 0: Ok length 13 flags 0",
;;!     "info: at 0 10",
;;!     "info: set: Ok",
;;!     "info: buffer 0 0 100: Ok new",
;;!     "info: buffer 0: Ok length 3 flags 0",
;;!     "info: at 0 4",
;;!     "info: set: Ok",
;;!     "info: buffer 0 0 100: Ok new456789",
;;!     "info: buffer 0: Ok length 9 flags 0",
;;!     "info: at 4 2",
;;!     "info: set: BadArgument",
;;!     "info: buffer 0 0 100: Ok 0123456789",
;;!     "info: buffer 0: Ok length 10 flags 0",
;;!     "info: at 20 2",
;;!     "info: set: Ok",
;;!     "info: buffer 0 0 100: Ok 0123456789new",
;;!     "info: buffer 0: Ok length 13 flags 0",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /prepend"
;;! body = "new0123456789"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /append"
;;! body = "0123456789new"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /replace"
;;! body = "new"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /begin"
;;! body = "new456789"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /middle"
;;! body = "0123456789"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /beyond"
;;! body = "0123456789new"
(module (; prelude ;)
    (global $start (mut i32) (i32.const 0))
    (global $length (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $start (i32.const 0))
        (global.set $length (i32.const 0))
        (if (call $path_is @"/append") (then (global.set $start (i32.const 10))))
        (if (call $path_is @"/replace") (then (global.set $length (i32.const 10))))
        (if (call $path_is @"/begin") (then (global.set $length (i32.const 4))))
        (if (call $path_is @"/middle") (then
            (global.set $start (i32.const 4)) (global.set $length (i32.const 2))))
        (if (call $path_is @"/beyond") (then
            (global.set $start (i32.const 20)) (global.set $length (i32.const 2))))
        (i32.const 0))
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (if (local.get 1) (then
            (call $say2 @"at" (global.get $start) (global.get $length))
            (call $status @"set" (call $set_buffer (i32.const 0)
                (global.get $start) (global.get $length) @"new"))
            (call $show_buffer (i32.const 0) (i32.const 0) (i32.const 100))
            (call $show_buffer_status (i32.const 0))))
        (i32.const 0)))
