;;! title = "A changed request header chooses another route, and the property tells of the old one"
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
;;!     "info: xds.cluster_name: Ok upstream",
;;!     "info: xds.route_name: Ok here",
;;!     "info: xds.cluster_name: Ok upstream",
;;!     "info: xds.route_name: Ok here",
;;!     "info: xds.cluster_name: Ok there",
;;!     "info: xds.route_name: Ok there",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "there"
;;! request = "GET /"
;;! headers = ["x-to: there"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"xds\00cluster_name")
        (call $show_property @"xds\00route_name")
        (drop (call $replace_header (i32.const 0) @"x-to" @"there"))
        (call $show_property @"xds\00cluster_name")
        (call $show_property @"xds\00route_name")
        (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"xds\00cluster_name")
        (call $show_property @"xds\00route_name")
        (i32.const 0)))
