;;! title = "Headers of a reply that cannot be read are none"
;;! [[request]]
;;! [expect]
;;! log = ["info: reply: Ok"]
;;! [[expect.answer]]
;;! status = 403
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"reply" (call $send_local_response (i32.const 403) @"" @""
            @"\01\00\00\00\05\00\00\00\05\00\00\00x-b\001\00" (i32.const -1)))
        (i32.const 1)))
