;;! title = "Pairs replace all headers, also those that routes need"
;;! [[request]]
;;! headers = ["x-a: 1", "x-b: 1"]
;;! [expect]
;;! log = [
;;!     "info: set: Ok",
;;!     "info: pairs 0: Ok 96 bytes :path=/p :method=PUT :authority=another x-c=1 x-c=2",
;;! ]
;;! [[expect.answer]]
;;! status = 404
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"set" (call $set_pairs (i32.const 0)
            @"\05\00\00\00\05\00\00\00\02\00\00\00\07\00\00\00\03\00\00\00\0a\00\00\00\07\00\00\00\03\00\00\00\01\00\00\00\03\00\00\00\01\00\00\00:path\00/p\00:method\00PUT\00:authority\00another\00x-c\001\00X-C\002\00"))
        (call $show_pairs (i32.const 0))
        (i32.const 0)))
