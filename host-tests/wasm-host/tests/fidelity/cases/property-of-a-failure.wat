;;! title = "An upstream that cannot be reached shows in the response's flags"
;;! [cluster.upstream]
;;! failure = "refused"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: :status: Ok 503",
;;!     'info: response.flags: Ok  \x00\x00\x00\x00\x00\x00\x00',
;;!     'info: response.code: Ok \xf7\x01\x00\x00\x00\x00\x00\x00',
;;!     "info: upstream.locality.region: Ok taiwan",
;;!     'info: upstream.request_attempt_count: Ok \x01\x00\x00\x00\x00\x00\x00\x00',
;;!     'info: response.flags: Ok  \x00\x00\x00\x00\x00\x00\x00',
;;!     'info: response.code: Ok \xf7\x01\x00\x00\x00\x00\x00\x00',
;;! ]
;;! [[expect.answer]]
;;! status = 503
;;! headers = [
;;!     "content-length: 98",
;;!     "content-type: text/plain",
;;! ]
;;! body = "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"
(module (; prelude ;)
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @":status")
        (call $show_property @"response\00flags")
        (call $show_property @"response\00code")
        (call $show_property @"upstream\00locality\00region")
        (call $show_property @"upstream\00request_attempt_count")
        (i32.const 0))
    (func (export "proxy_on_log") (param i32)
        (call $show_property @"response\00flags")
        (call $show_property @"response\00code")))
