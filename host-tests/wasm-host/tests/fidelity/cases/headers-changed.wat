;;! title = "Add appends, replace leaves one, remove takes all, and names are lowered"
;;! [[request]]
;;! headers = ["x-a: 1", "x-a: 2", "x-b: 1", "x-b: 2", "x-c: 1"]
;;! [expect]
;;! log = [
;;!     "info: add: Ok",
;;!     "info: replace: Ok",
;;!     "info: replace a new one: Ok",
;;!     "info: remove: Ok",
;;!     "info: remove what is not there: Ok",
;;!     "info: add an empty one: Ok",
;;!     "info: x-f: Ok ",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! headers = [
;;!     "x-a: 3",
;;!     "x-c: 1",
;;!     "x-c: 2",
;;!     "x-d: 1",
;;!     "x-f: ",
;;! ]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"add" (call $add_header (i32.const 0) @"X-C" @"2"))
        (call $status @"replace" (call $replace_header (i32.const 0) @"X-A" @"3"))
        (call $status @"replace a new one" (call $replace_header (i32.const 0) @"X-D" @"1"))
        (call $status @"remove" (call $remove_header (i32.const 0) @"X-B"))
        (call $status @"remove what is not there" (call $remove_header (i32.const 0) @"x-e"))
        (call $status @"add an empty one" (call $add_header (i32.const 0) @"x-f" @""))
        (call $show_header (i32.const 0) @"x-f")
        (i32.const 0)))
