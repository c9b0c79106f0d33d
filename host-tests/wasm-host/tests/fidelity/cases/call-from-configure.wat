;;! title = "A call can be made while a root is configured, but the one of the trial is never answered"
;;! until = ["answered", "answered"]
;;! [cluster.callee]
;;! [expect]
;;! log = [
;;!     "info: call: Ok",
;;!     "info: :status: Ok 200",
;;!     "info: answered",
;;! ]
;;! main_log = [
;;!     "info: call: Ok",
;;!     "info: call: Ok",
;;!     "info: :status: Ok 200",
;;!     "info: answered",
;;! ]
;;! [[expect.upstream]]
;;! cluster = "callee"
;;! request = "GET /call"
;;! headers = [
;;!     "host: callee",
;;!     "x-envoy-expected-rq-timeout-ms: 9000",
;;!     "x-envoy-internal: true",
;;! ]
;;! [[expect.upstream]]
;;! cluster = "callee"
;;! request = "GET /call"
;;! headers = [
;;!     "host: callee",
;;!     "x-envoy-expected-rq-timeout-ms: 9000",
;;!     "x-envoy-internal: true",
;;! ]
(module (; prelude ;)
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $get @"callee" (i32.const 9000)) (i32.const 1))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $show_header (i32.const 6) @":status")
        (call $log @"answered")))
