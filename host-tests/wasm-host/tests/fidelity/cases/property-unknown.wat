;;! title = "What was a property of its own before 1.33 is none any more"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: node: NotFound",
;;!     "info: node.id: NotFound",
;;!     "info: cluster_name: NotFound",
;;!     "info: cluster_metadata: NotFound",
;;!     "info: route_name: NotFound",
;;!     "info: listener_direction: NotFound",
;;!     "info: : SerializationFailure",
;;!     "info: .: NotFound",
;;!     "info: request.: SerializationFailure",
;;!     "info: request.path.: Ok /",
;;!     "info: request.path.more: NotFound",
;;!     "info: .request.path: NotFound",
;;!     "info: request.path: NotFound",
;;!     "info: request.unknown: NotFound",
;;!     "info: plugin_name: Ok guest",
;;!     "info: plugin_root_id: Ok ",
;;!     "info: plugin_vm_id: Ok ",
;;!     "info: connection_id: Ok 8 bytes",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"node")
        (call $show_property @"node\00id")
        (call $show_property @"cluster_name")
        (call $show_property @"cluster_metadata")
        (call $show_property @"route_name")
        (call $show_property @"listener_direction")
        (call $show_property @"")
        (call $show_property @"\00")
        (call $show_property @"request\00")
        (call $show_property @"request\00path\00")
        (call $show_property @"request\00path\00more")
        (call $show_property @"\00request\00path")
        (call $show_property @"request.path")
        (call $show_property @"request\00unknown")
        (call $show_property @"plugin_name")
        (call $show_property @"plugin_root_id")
        (call $show_property @"plugin_vm_id")
        (call $show_property_size @"connection_id")
        (i32.const 0)))
