;;! title = "Properties of the host that was chosen are there from the response on"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: upstream.address: NotFound 0 bytes",
;;!     "info: upstream.port: NotFound 0 bytes",
;;!     "info: upstream.locality.region: NotFound",
;;!     "info: upstream.locality.zone: NotFound",
;;!     "info: upstream.locality: NotFound",
;;!     'info: upstream.request_attempt_count: Ok \x00\x00\x00\x00\x00\x00\x00\x00',
;;!     'info: upstream.num_endpoints: Ok \x01\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: upstream.transport_failure_reason: NotFound",
;;!     "info: upstream.uri_san_peer_certificate: NotFound",
;;!     "info: xds.upstream_host_metadata.filter_metadata.fidelity.name: NotFound",
;;!     "info: xds.cluster_name: Ok upstream",
;;!     "info: xds.cluster_metadata.filter_metadata.fidelity.name: Ok upstream",
;;!     "info: response",
;;!     "info: upstream.address: Ok 15 bytes",
;;!     "info: upstream.port: Ok 8 bytes",
;;!     "info: upstream.locality.region: Ok taiwan",
;;!     "info: upstream.locality.zone: Ok b",
;;!     'info: upstream.locality: Ok \x0a\x06taiwan\x12\x01b',
;;!     'info: upstream.request_attempt_count: Ok \x01\x00\x00\x00\x00\x00\x00\x00',
;;!     'info: upstream.num_endpoints: Ok \x01\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: upstream.transport_failure_reason: Ok ",
;;!     "info: upstream.uri_san_peer_certificate: NotFound",
;;!     "info: xds.upstream_host_metadata.filter_metadata.fidelity.name: Ok host",
;;!     "info: xds.cluster_name: Ok upstream",
;;!     "info: xds.cluster_metadata.filter_metadata.fidelity.name: Ok upstream",
;;!     "info: log",
;;!     "info: upstream.address: Ok 15 bytes",
;;!     "info: upstream.port: Ok 8 bytes",
;;!     "info: upstream.locality.region: Ok taiwan",
;;!     "info: upstream.locality.zone: Ok b",
;;!     'info: upstream.locality: Ok \x0a\x06taiwan\x12\x01b',
;;!     'info: upstream.request_attempt_count: Ok \x01\x00\x00\x00\x00\x00\x00\x00',
;;!     'info: upstream.num_endpoints: Ok \x01\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: upstream.transport_failure_reason: Ok ",
;;!     "info: upstream.uri_san_peer_certificate: NotFound",
;;!     "info: xds.upstream_host_metadata.filter_metadata.fidelity.name: Ok host",
;;!     "info: xds.cluster_name: Ok upstream",
;;!     "info: xds.cluster_metadata.filter_metadata.fidelity.name: Ok upstream",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func $all
        (call $show_property_size @"upstream\00address")
        (call $show_property_size @"upstream\00port")
        (call $show_property @"upstream\00locality\00region")
        (call $show_property @"upstream\00locality\00zone")
        (call $show_property @"upstream\00locality")
        (call $show_property @"upstream\00request_attempt_count")
        (call $show_property @"upstream\00num_endpoints")
        (call $show_property @"upstream\00transport_failure_reason")
        (call $show_property @"upstream\00uri_san_peer_certificate")
        (call $show_property @"xds\00upstream_host_metadata\00filter_metadata\00fidelity\00name")
        (call $show_property @"xds\00cluster_name")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00fidelity\00name"))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $all) (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $log @"response") (call $all) (i32.const 0))
    (func (export "proxy_on_log") (param i32) (call $log @"log") (call $all)))
