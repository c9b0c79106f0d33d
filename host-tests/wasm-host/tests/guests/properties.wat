;; Shows two properties as headers: filter state of the request, an attribute of the upstream.
(module
  (import "env" "proxy_get_property"
    (func $property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value"
    (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "filter_state\00key")
  (data (i32.const 48) "upstream\00uri_san_peer_certificate")
  (data (i32.const 96) "x-seen")
  ;; Where the host puts a value, and its size.
  (global $value i32 (i32.const 128))
  (global $size i32 (i32.const 132))
  (global $next (mut i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param $size i32) (result i32)
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get $size))))
  (func $show (param $map i32) (param $path i32) (param $length i32) (result i32)
    (if (i32.eqz (call $property (local.get $path) (local.get $length)
          (global.get $value) (global.get $size)))
      (then (drop (call $replace (local.get $map) (i32.const 96) (i32.const 6)
        (i32.load (global.get $value)) (i32.load (global.get $size))))))
    (i32.const 0))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $show (i32.const 0) (i32.const 16) (i32.const 16)))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (call $show (i32.const 2) (i32.const 48) (i32.const 33))))
