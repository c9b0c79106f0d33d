;;! title = "A root has properties of the node and of itself, and no others"
;;! [[plugin]]
;;! root_id = "root"
;;! vm_id = "vm"
;;! [expect]
;;! log = [
;;!     "info: plugin_name: Ok guest",
;;!     "info: xds.node.id: Ok node-1",
;;!     "info: xds.node.cluster: Ok nodes",
;;!     "info: xds.node.locality.region: Ok tokyo",
;;!     "info: xds.node.metadata.name: Ok node",
;;!     "info: xds.cluster_name: NotFound",
;;!     "info: xds.listener_direction: NotFound",
;;!     "info: plugin_name: Ok guest",
;;!     "info: plugin_root_id: Ok root",
;;!     "info: plugin_vm_id: Ok vm",
;;!     "info: request.path: NotFound",
;;!     "info: request.protocol: NotFound",
;;!     "info: response.code: NotFound",
;;!     "info: source.address: NotFound",
;;!     "info: upstream.address: NotFound",
;;!     "info: connection.mtls: NotFound",
;;!     "info: connection_id: NotFound",
;;!     "info: metadata: NotFound",
;;!     "info: filter_state.x: NotFound",
;;! ]
;;! main_log = [
;;!     "info: plugin_name: Ok guest",
;;!     "info: xds.node.id: Ok node-1",
;;!     "info: xds.node.cluster: Ok nodes",
;;!     "info: xds.node.locality.region: Ok tokyo",
;;!     "info: xds.node.metadata.name: Ok node",
;;!     "info: xds.cluster_name: NotFound",
;;!     "info: xds.listener_direction: NotFound",
;;!     "info: plugin_name: Ok guest",
;;!     "info: plugin_root_id: Ok root",
;;!     "info: plugin_vm_id: Ok vm",
;;!     "info: request.path: NotFound",
;;!     "info: request.protocol: NotFound",
;;!     "info: response.code: NotFound",
;;!     "info: source.address: NotFound",
;;!     "info: upstream.address: NotFound",
;;!     "info: connection.mtls: NotFound",
;;!     "info: connection_id: NotFound",
;;!     "info: metadata: NotFound",
;;!     "info: filter_state.x: NotFound",
;;!     "info: plugin_name: Ok guest",
;;!     "info: xds.node.id: Ok node-1",
;;!     "info: xds.node.cluster: Ok nodes",
;;!     "info: xds.node.locality.region: Ok tokyo",
;;!     "info: xds.node.metadata.name: Ok node",
;;!     "info: xds.cluster_name: NotFound",
;;!     "info: xds.listener_direction: NotFound",
;;!     "info: plugin_name: Ok guest",
;;!     "info: plugin_root_id: Ok root",
;;!     "info: plugin_vm_id: Ok vm",
;;!     "info: request.path: NotFound",
;;!     "info: request.protocol: NotFound",
;;!     "info: response.code: NotFound",
;;!     "info: source.address: NotFound",
;;!     "info: upstream.address: NotFound",
;;!     "info: connection.mtls: NotFound",
;;!     "info: connection_id: NotFound",
;;!     "info: metadata: NotFound",
;;!     "info: filter_state.x: NotFound",
;;! ]
(module (; prelude ;)
    (func $all
        (call $show_property @"xds\00node\00id")
        (call $show_property @"xds\00node\00cluster")
        (call $show_property @"xds\00node\00locality\00region")
        (call $show_property @"xds\00node\00metadata\00name")
        (call $show_property @"xds\00cluster_name")
        (call $show_property @"xds\00listener_direction")
        (call $show_property @"plugin_name")
        (call $show_property @"plugin_root_id")
        (call $show_property @"plugin_vm_id")
        (call $show_property @"request\00path")
        (call $show_property @"request\00protocol")
        (call $show_property @"response\00code")
        (call $show_property @"source\00address")
        (call $show_property @"upstream\00address")
        (call $show_property @"connection\00mtls")
        (call $show_property @"connection_id")
        (call $show_property @"metadata")
        (call $show_property @"filter_state\00x"))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (call $show_property @"plugin_name") (i32.const 1))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $all) (i32.const 1)))
