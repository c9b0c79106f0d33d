;;! title = "In the phase of the response, its headers are there and those of the request are not"
;;! [cluster.upstream]
;;! headers = ["x-a: 1", "x-a: 2"]
;;! [[request]]
;;! headers = ["x-a: 3"]
;;! [expect]
;;! log = [
;;!     "info: x-a: Ok 1",
;;!     "info: response.headers.x-a: Ok 1,2",
;;!     "info: x-a: BadArgument",
;;!     "info: x-a: BadArgument",
;;!     "info: replace: BadArgument",
;;!     "info: x-a: BadArgument",
;;!     "info: replace: BadArgument",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! headers = [
;;!     "x-a: 4",
;;!     "x-b: 5",
;;! ]
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! headers = ["x-a: 3"]
(module (; prelude ;)
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @"x-a")
        (call $show_property @"response\00headers\00x-a")
        (call $show_header (i32.const 0) @"x-a")
        (drop (call $replace_header (i32.const 2) @"x-a" @"4"))
        (drop (call $add_header (i32.const 2) @"X-B" @"5"))
        (i32.const 0))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @"x-a")
        (call $status @"replace" (call $replace_header (i32.const 2) @"x-a" @"6"))
        (i32.const 0)))
