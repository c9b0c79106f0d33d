;;! title = "A property that is set is read by its own name or in filter state, by other filters too, and hides none of Envoy"
;;! [[plugin]]
;;! name = "one"
;;! [[plugin]]
;;! name = "two"
;;! vm_id = "other"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: set in a root: NotFound",
;;!     "info: mine: NotFound",
;;!     "info other: set in a root: NotFound",
;;!     "info other: mine: NotFound",
;;!     "info one: mine: NotFound",
;;!     "info one: wasm.mine: NotFound",
;;!     "info one: filter_state.wasm.mine: NotFound",
;;!     "info one: a.b: NotFound",
;;!     "info one: empty: NotFound",
;;!     "info one: plugin_name: Ok one",
;;!     "info one: set: Ok",
;;!     "info one: set two segments: Ok",
;;!     "info one: set to nothing: Ok",
;;!     "info one: set what Envoy has: Ok",
;;!     'info one: mine: Ok one\x00two',
;;!     "info one: wasm.mine: NotFound",
;;!     'info one: filter_state.wasm.mine: Ok one\x00two',
;;!     "info one: a.b: NotFound",
;;!     "info one: empty: Ok ",
;;!     "info one: plugin_name: Ok one",
;;!     'info two other: mine: Ok one\x00two',
;;!     "info two other: wasm.mine: NotFound",
;;!     'info two other: filter_state.wasm.mine: Ok one\x00two',
;;!     "info two other: a.b: NotFound",
;;!     "info two other: empty: Ok ",
;;!     "info two other: plugin_name: Ok two",
;;!     "info two other: set: Ok",
;;!     "info two other: set two segments: Ok",
;;!     "info two other: set to nothing: Ok",
;;!     "info two other: set what Envoy has: Ok",
;;!     'info two other: mine: Ok one\x00two',
;;!     "info two other: wasm.mine: NotFound",
;;!     'info two other: filter_state.wasm.mine: Ok one\x00two',
;;!     "info two other: a.b: NotFound",
;;!     "info two other: empty: Ok ",
;;!     "info two other: plugin_name: Ok two",
;;!     'info one: mine: Ok one\x00two',
;;!     "info one: wasm.mine: NotFound",
;;!     'info one: filter_state.wasm.mine: Ok one\x00two',
;;!     "info one: a.b: NotFound",
;;!     "info one: empty: Ok ",
;;!     "info one: plugin_name: Ok one",
;;!     'info two other: mine: Ok one\x00two',
;;!     "info two other: wasm.mine: NotFound",
;;!     'info two other: filter_state.wasm.mine: Ok one\x00two',
;;!     "info two other: a.b: NotFound",
;;!     "info two other: empty: Ok ",
;;!     "info two other: plugin_name: Ok two",
;;! ]
;;! main_log = [
;;!     "info: set in a root: NotFound",
;;!     "info: mine: NotFound",
;;!     "info: set in a root: NotFound",
;;!     "info: mine: NotFound",
;;!     "info other: set in a root: NotFound",
;;!     "info other: mine: NotFound",
;;!     "info other: set in a root: NotFound",
;;!     "info other: mine: NotFound",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func $all
        (call $show_property @"mine")
        (call $show_property @"wasm.mine")
        (call $show_property @"filter_state\00wasm.mine")
        (call $show_property @"a\00b")
        (call $show_property @"empty")
        (call $show_property @"plugin_name"))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $status @"set in a root" (call $set_property @"mine" @"root"))
        (call $show_property @"mine")
        (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $all)
        (call $status @"set" (call $set_property @"mine" @"one\00two"))
        (call $status @"set two segments" (call $set_property @"a\00b" @"three"))
        (call $status @"set to nothing" (call $set_property @"empty" @""))
        (call $status @"set what Envoy has" (call $set_property @"plugin_name" @"liar"))
        (call $all)
        (i32.const 0))
    (func (export "proxy_on_log") (param i32) (call $all)))
