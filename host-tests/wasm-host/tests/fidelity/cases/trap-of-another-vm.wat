;;! title = "A trap in one VM leaves a filter of another one alone"
;;! [[plugin]]
;;! name = "one"
;;! failure_policy = "open"
;;! [[plugin]]
;;! name = "two"
;;! env = { A = "b" }
;;! [[request]]
;;! headers = ["x-trap: one"]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info one: plugin_name: Ok one",
;;!     "info two: plugin_name: Ok two",
;;! ]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"plugin_name")
        (if (i32.and
                (i32.eq (i32.load8_u (i32.load (i32.const 16))) (i32.const 111))
                (call $header_is @"x-trap" @"one"))
            (then unreachable))
        (i32.const 0)))
