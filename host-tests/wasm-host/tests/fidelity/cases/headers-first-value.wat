;;! title = "A header is its first value alone, and the property is all of them joined"
;;! [[request]]
;;! headers = ["x-a: 1", "x-b: 2", "X-A: 3"]
;;! [expect]
;;! log = [
;;!     "info: x-a: Ok 1",
;;!     "info: X-A: Ok 1",
;;!     "info: x-c: NotFound",
;;!     "info: request.headers.x-a: Ok 1,3",
;;!     "info: pairs 0: Ok 170 bytes :authority=fidelity.example :path=/ :method=GET :scheme=http x-a=1 x-b=2 x-a=3 x-forwarded-proto=http",
;;!     "info: size 0: Ok 86",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! headers = [
;;!     "x-a: 1",
;;!     "x-a: 3",
;;!     "x-b: 2",
;;! ]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 0) @"x-a")
        (call $show_header (i32.const 0) @"X-A")
        (call $show_header (i32.const 0) @"x-c")
        (call $show_property @"request\00headers\00x-a")
        (call $show_pairs (i32.const 0))
        (call $show_size (i32.const 0))
        (i32.const 0)))
