;;! title = "A call sends the headers and the body that it is given, but not the trailers"
;;! until = ["answered"]
;;! [cluster.callee]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: call: Ok",
;;!     "info: answered",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "callee"
;;! request = "POST /call?a="
;;! headers = [
;;!     "content-length: 4",
;;!     "host: callee",
;;!     "x-a: 1",
;;!     "x-a: 2",
;;!     "x-envoy-internal: true",
;;! ]
;;! body = "body"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"call" (call $http_call @"callee"
            @"\05\00\00\00\07\00\00\00\04\00\00\00\05\00\00\00\08\00\00\00\0a\00\00\00\06\00\00\00\03\00\00\00\01\00\00\00\03\00\00\00\01\00\00\00:method\00POST\00:path\00/call?a=\00:authority\00callee\00x-a\001\00x-a\002\00"
            @"body"
            @"\01\00\00\00\03\00\00\00\01\00\00\00x-t\001\00"
            (i32.const 0) (i32.const 24)))
        (i32.const 0))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $log @"answered")))
