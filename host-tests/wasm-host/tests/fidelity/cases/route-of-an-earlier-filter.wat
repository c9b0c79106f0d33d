;;! title = "A later filter sees the header that an earlier one set, and the route's name of before"
;;! [[plugin]]
;;! name = "one"
;;! [[plugin]]
;;! name = "two"
;;! [[route]]
;;! name = "there"
;;! header = "x-to: there"
;;! cluster = "there"
;;! [[route]]
;;! name = "here"
;;! [cluster.there]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info one: x-to: NotFound",
;;!     "info one: xds.route_name: Ok here",
;;!     "info one: add: Ok",
;;!     "info two: x-to: Ok there",
;;!     "info two: xds.route_name: Ok here",
;;!     "info two: add: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "there"
;;! request = "GET /"
;;! headers = [
;;!     "x-to: there",
;;!     "x-to: there",
;;! ]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 0) @"x-to")
        (call $show_property @"xds\00route_name")
        (call $status @"add" (call $add_header (i32.const 0) @"x-to" @"there"))
        (i32.const 0)))
