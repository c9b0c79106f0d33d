;;! title = "To resume a request when it is over says Ok and does nothing"
;;! [[request]]
;;! [expect]
;;! log = ["info: resume: Ok"]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_log") (param i32)
        (call $status @"resume" (call $continue_stream (i32.const 0)))))
