;;! title = "After Continue the request's headers are gone from the guest"
;;! [[request]]
;;! method = "POST"
;;! headers = ["x-a: 1"]
;;! body = ["one"]
;;! [expect]
;;! log = [
;;!     "info: x-a: Ok 1",
;;!     "info: body, end 3 0",
;;!     "info: x-a: BadArgument",
;;!     "info: pairs 0: Ok 0 bytes",
;;!     "info: size 0: BadArgument 0",
;;!     "info: add: BadArgument",
;;!     "info: replace: BadArgument",
;;!     "info: remove: BadArgument",
;;!     "info: request.headers.x-a: NotFound",
;;!     "info: request.path: NotFound",
;;!     "info: request.method: NotFound",
;;!     "info: request.protocol: Ok HTTP/1.1",
;;!     "info: body, end 0 1",
;;!     "info: x-a: BadArgument",
;;!     "info: pairs 0: Ok 0 bytes",
;;!     "info: size 0: BadArgument 0",
;;!     "info: add: BadArgument",
;;!     "info: replace: BadArgument",
;;!     "info: remove: BadArgument",
;;!     "info: request.headers.x-a: NotFound",
;;!     "info: request.path: NotFound",
;;!     "info: request.method: NotFound",
;;!     "info: request.protocol: Ok HTTP/1.1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! headers = ["x-a: 1"]
;;! body = "one"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 0) @"x-a")
        (i32.const 0))
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (call $show_header (i32.const 0) @"x-a")
        (call $show_pairs (i32.const 0))
        (call $show_size (i32.const 0))
        (call $status @"add" (call $add_header (i32.const 0) @"x-b" @"1"))
        (call $status @"replace" (call $replace_header (i32.const 0) @"x-b" @"1"))
        (call $status @"remove" (call $remove_header (i32.const 0) @"x-a"))
        (call $show_property @"request\00headers\00x-a")
        (call $show_property @"request\00path")
        (call $show_property @"request\00method")
        (call $show_property @"request\00protocol")
        (i32.const 0)))
