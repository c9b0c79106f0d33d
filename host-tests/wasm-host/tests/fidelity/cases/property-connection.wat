;;! title = "Properties of the client's connection without TLS, of the listener, and of the node"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     'info: connection.mtls: Ok \x00',
;;!     "info: connection.requested_server_name: Ok ",
;;!     "info: connection.tls_version: NotFound",
;;!     "info: connection.uri_san_peer_certificate: NotFound",
;;!     "info: connection.termination_details: NotFound",
;;!     "info: connection.id: Ok 8 bytes",
;;!     "info: source.port: Ok 8 bytes",
;;!     "info: destination.port: Ok 8 bytes",
;;!     'info: xds.listener_direction: Ok \x00\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: xds.filter_chain_name: Ok chain",
;;!     "info: xds.virtual_host_name: Ok all",
;;!     "info: xds.node.id: Ok node-1",
;;!     "info: xds.node.locality.region: Ok tokyo",
;;!     'info: xds.node.metadata.number: Ok \x00\x00\x00\x00\x00\x00\xf8?',
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"connection\00mtls")
        (call $show_property @"connection\00requested_server_name")
        (call $show_property @"connection\00tls_version")
        (call $show_property @"connection\00uri_san_peer_certificate")
        (call $show_property @"connection\00termination_details")
        (call $show_property_size @"connection\00id")
        (call $show_property_size @"source\00port")
        (call $show_property_size @"destination\00port")
        (call $show_property @"xds\00listener_direction")
        (call $show_property @"xds\00filter_chain_name")
        (call $show_property @"xds\00virtual_host_name")
        (call $show_property @"xds\00node\00id")
        (call $show_property @"xds\00node\00locality\00region")
        (call $show_property @"xds\00node\00metadata\00number")
        (i32.const 0)))
