;;! title = "A response that is kept may have 1 MiB: what follows its headers is then cut"
;;! [cluster.upstream]
;;! body = [{ repeat = "a", times = 600000 }, { repeat = "b", times = 600000 }]
;;! [[request]]
;;! [expect]
;;! log = ["info: response.code_details: Ok response_payload_too_large"]
;;! [[expect.answer]]
;;! status = 200
;;! cut = true
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_log") (param i32)
        (call $show_property @"response\00code_details")))
