;;! title = "What has properties is none itself, but for metadata and headers"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: request: SerializationFailure",
;;!     "info: response: SerializationFailure",
;;!     "info: connection: SerializationFailure",
;;!     "info: upstream: SerializationFailure",
;;!     "info: source: SerializationFailure",
;;!     "info: destination: SerializationFailure",
;;!     "info: metadata: Ok 0 bytes",
;;!     "info: filter_state: SerializationFailure",
;;!     "info: upstream_filter_state: NotFound",
;;!     "info: xds: SerializationFailure",
;;!     "info: request.headers: Ok 128 bytes",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"request")
        (call $show_property @"response")
        (call $show_property @"connection")
        (call $show_property @"upstream")
        (call $show_property @"source")
        (call $show_property @"destination")
        (call $show_property_size @"metadata")
        (call $show_property @"filter_state")
        (call $show_property @"upstream_filter_state")
        (call $show_property @"xds")
        (call $show_property_size @"request\00headers")
        (i32.const 0)))
