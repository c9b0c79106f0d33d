;;! title = "A property that is declared read-only is written once; without a declaration any number of times"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: declare: Ok",
;;!     "info: declare again: BadArgument",
;;!     "info: kept: NotFound",
;;!     "info: set: Ok",
;;!     "info: set again: BadArgument",
;;!     "info: kept: Ok one",
;;!     "info: set: Ok",
;;!     "info: set again: Ok",
;;!     "info: free: Ok two",
;;! ]
;;! main_log = [
;;!     "info: declare: Ok",
;;!     "info: declare again: BadArgument",
;;!     "info: declare: Ok",
;;!     "info: declare again: BadArgument",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        ;; name = "kept", readonly = true, type = String, span = DownstreamRequest.
        (call $status @"declare" (call $call_foreign
            @"declare_property" @"\0a\04kept\10\01\18\01\28\01" (i32.const 16) (i32.const 20)))
        (call $status @"declare again" (call $call_foreign
            @"declare_property" @"\0a\04kept\10\01\18\01\28\01" (i32.const 16) (i32.const 20)))
        (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"kept")
        (call $status @"set" (call $set_property @"kept" @"one"))
        (call $status @"set again" (call $set_property @"kept" @"two"))
        (call $show_property @"kept")
        (call $status @"set" (call $set_property @"free" @"one"))
        (call $status @"set again" (call $set_property @"free" @"two"))
        (call $show_property @"free")
        (i32.const 0)))
