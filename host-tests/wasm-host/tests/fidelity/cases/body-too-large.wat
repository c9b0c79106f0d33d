;;! title = "A body that is kept may have 1 MiB: the request is then refused with 413"
;;! [[request]]
;;! method = "POST"
;;! body = [{ repeat = "a", times = 600000 }, { repeat = "b", times = 600000 }]
;;! [expect]
;;! log = ["info: response.code_details: Ok request_payload_too_large"]
;;! [[expect.answer]]
;;! status = 413
;;! headers = [
;;!     "content-length: 17",
;;!     "content-type: text/plain",
;;! ]
;;! body = "Payload Too Large"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! cut = true
(module (; prelude ;)
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"response\00code_details") (i32.const 0)))
