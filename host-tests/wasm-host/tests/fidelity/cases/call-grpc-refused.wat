;;! title = "gRPC: services that nobody knows are ParseFailure, unknown tokens NotFound or BadArgument"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: call an unknown one: ParseFailure",
;;!     "info: call an unreadable one: ParseFailure",
;;!     "info: stream to an unreadable one: ParseFailure",
;;!     "info: cancel: NotFound",
;;!     "info: close: NotFound",
;;!     "info: send: BadArgument",
;;!     "info: status: Ok",
;;!     "info: code, length 0 0",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"call an unknown one" (call $grpc_call @"nowhere" @"s" @"m"
            (i32.const 0) (i32.const 0) @"" (i32.const 1000) (i32.const 24)))
        (call $status @"call an unreadable one" (call $grpc_call @"\ff\ff" @"s" @"m"
            (i32.const 0) (i32.const 0) @"" (i32.const 1000) (i32.const 24)))
        (call $status @"stream to an unreadable one" (call $grpc_stream @"\ff\ff" @"s" @"m"
            (i32.const 0) (i32.const 0) (i32.const 24)))
        (call $status @"cancel" (call $grpc_cancel (i32.const 77)))
        (call $status @"close" (call $grpc_close (i32.const 77)))
        (call $status @"send" (call $grpc_send (i32.const 77) @"x" (i32.const 1)))
        (call $clear)
        (call $status @"status"
            (call $get_status (i32.const 24) (i32.const 16) (i32.const 20)))
        (call $say2 @"code, length" (i32.load (i32.const 24)) (i32.load (i32.const 20)))
        (i32.const 0)))
