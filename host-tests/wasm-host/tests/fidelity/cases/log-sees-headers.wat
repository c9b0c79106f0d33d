;;! title = "In on_log, headers and trailers are there again, to read; after it they are gone for good"
;;! why = "The order is on_log, on_done, on_delete"
;;! [cluster.upstream]
;;! headers = ["x-a: 2"]
;;! trailers = ["x-t: 2"]
;;! [[request]]
;;! method = "POST"
;;! headers = ["x-a: 1"]
;;! body = ["one"]
;;! trailers = ["x-t: 1"]
;;! [expect]
;;! log = [
;;!     "info: log",
;;!     "info: x-a: Ok 1",
;;!     "info: x-b: Ok new",
;;!     "info: x-t: NotFound",
;;!     "info: x-a: Ok 2",
;;!     "info: x-t: Ok 2",
;;!     "info: pairs 0: Ok 159 bytes :authority=fidelity.example :path=/ :method=POST :scheme=http x-a=1 x-forwarded-proto=http x-b=new",
;;!     "info: size 0: BadArgument 0",
;;!     "info: request.path: Ok /",
;;!     "info: request.headers.x-a: Ok 1",
;;!     "info: response.headers.x-a: Ok 2",
;;!     'info: response.code: Ok \xc8\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: add: BadArgument",
;;!     "info: add: BadArgument",
;;!     "info: done",
;;!     "info: x-a: BadArgument",
;;!     "info: x-b: BadArgument",
;;!     "info: x-t: BadArgument",
;;!     "info: x-a: BadArgument",
;;!     "info: x-t: BadArgument",
;;!     "info: pairs 0: Ok 0 bytes",
;;!     "info: size 0: BadArgument 0",
;;!     "info: request.path: NotFound",
;;!     "info: request.headers.x-a: NotFound",
;;!     "info: response.headers.x-a: NotFound",
;;!     'info: response.code: Ok \xc8\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: add: BadArgument",
;;!     "info: add: BadArgument",
;;!     "info: delete",
;;!     "info: x-a: BadArgument",
;;!     "info: x-b: BadArgument",
;;!     "info: x-t: BadArgument",
;;!     "info: x-a: BadArgument",
;;!     "info: x-t: BadArgument",
;;!     "info: pairs 0: Ok 0 bytes",
;;!     "info: size 0: BadArgument 0",
;;!     "info: request.path: NotFound",
;;!     "info: request.headers.x-a: NotFound",
;;!     "info: response.headers.x-a: NotFound",
;;!     'info: response.code: Ok \xc8\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: add: BadArgument",
;;!     "info: add: BadArgument",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! headers = ["x-a: 2"]
;;! body = "hello"
;;! trailers = ["x-t: 2"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! headers = [
;;!     "x-a: 1",
;;!     "x-b: new",
;;! ]
;;! body = "one"
;;! trailers = ["x-t: 1"]
(module (; prelude ;)
    (func $all
        (call $show_header (i32.const 0) @"x-a")
        (call $show_header (i32.const 0) @"x-b")
        (call $show_header (i32.const 1) @"x-t")
        (call $show_header (i32.const 2) @"x-a")
        (call $show_header (i32.const 3) @"x-t")
        (call $show_pairs (i32.const 0))
        (call $show_size (i32.const 0))
        (call $show_property @"request\00path")
        (call $show_property @"request\00headers\00x-a")
        (call $show_property @"response\00headers\00x-a")
        (call $show_property @"response\00code")
        (call $status @"add" (call $add_header (i32.const 0) @"x-c" @"1"))
        (call $status @"add" (call $add_header (i32.const 2) @"x-c" @"1")))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $add_header (i32.const 0) @"x-b" @"new"))
        (i32.const 0))
    (func (export "proxy_on_log") (param i32) (call $log @"log") (call $all))
    (func (export "proxy_on_done") (param i32) (result i32)
        (call $log @"done") (call $all) (i32.const 1))
    (func (export "proxy_on_delete") (param i32) (call $log @"delete") (call $all)))
