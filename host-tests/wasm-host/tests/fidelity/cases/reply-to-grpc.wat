;;! title = "A gRPC request gets a reply as gRPC has it: 200, and the status in a header"
;;! [[request]]
;;! method = "POST"
;;! headers = ["content-type: application/grpc"]
;;! [[request]]
;;! method = "POST"
;;! headers = ["content-type: application/grpc", "x-status: grpc"]
;;! [[request]]
;;! headers = ["x-status: grpc"]
;;! [expect]
;;! log = [
;;!     "info: reply: Ok",
;;!     "info: headers, end 1",
;;!     "info: :status: Ok 200",
;;!     "info: grpc-status: Ok 14",
;;!     "info: reply: Ok",
;;!     "info: headers, end 1",
;;!     "info: :status: Ok 200",
;;!     "info: grpc-status: Ok 8",
;;!     "info: reply: Ok",
;;!     "info: headers, end 0",
;;!     "info: :status: Ok 503",
;;!     "info: grpc-status: NotFound",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! headers = [
;;!     "content-length: 0",
;;!     "content-type: application/grpc",
;;!     "grpc-message: a b%25",
;;!     "grpc-status: 14",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! headers = [
;;!     "content-length: 0",
;;!     "content-type: application/grpc",
;;!     "grpc-message: a b%25",
;;!     "grpc-status: 8",
;;! ]
;;! [[expect.answer]]
;;! status = 503
;;! headers = [
;;!     "content-length: 4",
;;!     "content-type: text/plain",
;;! ]
;;! body = "a b%"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (if (call $header_is @"x-status" @"grpc")
            (then (call $status @"reply" (call $send_local_response
                (i32.const 503) @"" @"a b%" (i32.const 0) (i32.const 0) (i32.const 8))))
            (else (call $reply (i32.const 503) @"a b%")))
        (i32.const 1))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $say @"headers, end" (local.get 2))
        (call $show_header (i32.const 2) @":status")
        (call $show_header (i32.const 2) @"grpc-status")
        (i32.const 0)))
