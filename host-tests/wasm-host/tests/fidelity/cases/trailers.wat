;;! title = "Trailers of both directions have a callback of their own and can be changed there"
;;! [cluster.upstream]
;;! trailers = ["x-t: 3", "x-u: 4"]
;;! [[request]]
;;! method = "POST"
;;! body = ["one"]
;;! trailers = ["x-t: 1", "x-t: 2"]
;;! [expect]
;;! log = [
;;!     "info: pairs 1: Ok 0 bytes",
;;!     "info: body, end 3 0",
;;!     "info: trailers 2",
;;!     "info: x-t: Ok 1",
;;!     "info: pairs 1: Ok 32 bytes x-t=1 x-t=2",
;;!     "info: body, end 5 0",
;;!     "info: trailers 2",
;;!     "info: pairs 3: Ok 18 bytes x-u=4",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! trailers = ["x-u: 4"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "one"
;;! trailers = [
;;!     "x-n: new",
;;!     "x-t: 1",
;;!     "x-t: 2",
;;! ]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_pairs (i32.const 1)) (i32.const 0))
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (i32.const 0))
    (func (export "proxy_on_request_trailers") (param i32 i32) (result i32)
        (call $say @"trailers" (local.get 1))
        (call $show_header (i32.const 1) @"x-t")
        (call $show_pairs (i32.const 1))
        (drop (call $add_header (i32.const 1) @"x-n" @"new"))
        (i32.const 0))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (i32.const 0))
    (func (export "proxy_on_response_trailers") (param i32 i32) (result i32)
        (call $say @"trailers" (local.get 1))
        (drop (call $remove_header (i32.const 3) @"x-t"))
        (call $show_pairs (i32.const 3))
        (i32.const 0)))
