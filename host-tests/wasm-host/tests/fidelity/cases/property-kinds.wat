;;! title = "Properties of each kind: text as it is, numbers 8 bytes, bool 1, maps and lists as pairs"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: xds.cluster_metadata.filter_metadata.fidelity.name: Ok upstream",
;;!     'info: xds.cluster_metadata.filter_metadata.fidelity.number: Ok \x00\x00\x00\x00\x00\x00\xf8?',
;;!     'info: xds.cluster_metadata.filter_metadata.fidelity.flag: Ok \x01',
;;!     "info: xds.cluster_metadata.filter_metadata.fidelity.nothing: SerializationFailure",
;;!     'info: xds.cluster_metadata.filter_metadata.fidelity.list: Ok \x02\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00a\x00\x00\x00\x00\x00\x00\x00\x00\x00@\x00\x00',
;;!     'info: xds.cluster_metadata.filter_metadata.fidelity.map: Ok \x01\x00\x00\x00\x03\x00\x00\x00\x05\x00\x00\x00key\x00value\x00',
;;!     "info: xds.cluster_metadata.filter_metadata.fidelity.map.key: Ok value",
;;!     "info: xds.cluster_metadata.filter_metadata.fidelity.empty: Ok ",
;;!     "info: xds.cluster_metadata.filter_metadata.fidelity.missing: NotFound",
;;!     "info: xds.cluster_metadata.filter_metadata.fidelity.name.more: NotFound",
;;!     "info: xds.cluster_metadata.filter_metadata.fidelity.list.0: Ok a",
;;!     "info: xds.cluster_metadata.filter_metadata.missing: NotFound",
;;!     "info: xds.cluster_metadata.filter_metadata.missing.name: NotFound",
;;!     "info: xds.cluster_metadata: Ok 152 bytes",
;;!     "info: xds.cluster_metadata.filter_metadata: SerializationFailure 0 bytes",
;;!     "info: xds.cluster_metadata.filter_metadata.fidelity: SerializationFailure 0 bytes",
;;!     "info: xds.route_metadata.filter_metadata.fidelity.name: Ok all",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00fidelity\00name")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00fidelity\00number")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00fidelity\00flag")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00fidelity\00nothing")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00fidelity\00list")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00fidelity\00map")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00fidelity\00map\00key")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00fidelity\00empty")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00fidelity\00missing")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00fidelity\00name\00more")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00fidelity\00list\000")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00missing")
        (call $show_property @"xds\00cluster_metadata\00filter_metadata\00missing\00name")
        (call $show_property_size @"xds\00cluster_metadata")
        (call $show_property_size @"xds\00cluster_metadata\00filter_metadata")
        (call $show_property_size @"xds\00cluster_metadata\00filter_metadata\00fidelity")
        (call $show_property @"xds\00route_metadata\00filter_metadata\00fidelity\00name")
        (i32.const 0)))
