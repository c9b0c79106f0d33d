;;! title = "A guest that does not come back is ended"
;;! host_only = "V8 has no limit: the worker of an Envoy would hang for ever"
;;! [[request]]
;;! [expect]
;;! log = ["info: request"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"request")
        (loop $for_ever (br $for_ever))
        (i32.const 0)))
