;; What a guest of a case has at hand: every call of the ABI, an allocator, and a line of the log that
;; is put together and then written. A case may use any of it, and may export any callback.
;;
;; memory: 0.. results of calls | 1024.. the line | 8192.. texts of the case | 65536.. allocated

(import "env" "proxy_log" (func $proxy_log (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_log_level" (func $get_log_level (param i32) (result i32)))
(import "env" "proxy_get_status" (func $get_status (param i32 i32 i32) (result i32)))
(import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_property" (func $get_property (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_send_local_response"
    (func $send_local_response (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_continue_stream" (func $continue_stream (param i32) (result i32)))
(import "env" "proxy_close_stream" (func $close_stream (param i32) (result i32)))
(import "env" "proxy_get_shared_data"
    (func $get_shared_data (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_set_shared_data"
    (func $set_shared_data (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_register_shared_queue"
    (func $register_shared_queue (param i32 i32 i32) (result i32)))
(import "env" "proxy_resolve_shared_queue"
    (func $resolve_shared_queue (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_dequeue_shared_queue"
    (func $dequeue_shared_queue (param i32 i32 i32) (result i32)))
(import "env" "proxy_enqueue_shared_queue"
    (func $enqueue_shared_queue (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_value"
    (func $get_header (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_add_header_map_value"
    (func $add_header (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_replace_header_map_value"
    (func $replace_header (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_remove_header_map_value"
    (func $remove_header (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_pairs" (func $get_pairs (param i32 i32 i32) (result i32)))
(import "env" "proxy_set_header_map_pairs" (func $set_pairs (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_size" (func $get_size (param i32 i32) (result i32)))
(import "env" "proxy_get_buffer_status" (func $get_buffer_status (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_buffer_bytes"
    (func $get_buffer (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_set_buffer_bytes"
    (func $set_buffer (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_http_call"
    (func $http_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_grpc_call"
    (func $grpc_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_grpc_stream"
    (func $grpc_stream (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_grpc_close" (func $grpc_close (param i32) (result i32)))
(import "env" "proxy_grpc_cancel" (func $grpc_cancel (param i32) (result i32)))
(import "env" "proxy_grpc_send" (func $grpc_send (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_set_tick_period_milliseconds" (func $set_tick (param i32) (result i32)))
(import "env" "proxy_get_current_time_nanoseconds" (func $get_time (param i32) (result i32)))
(import "env" "proxy_define_metric" (func $define_metric (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_increment_metric" (func $increment_metric (param i32 i64) (result i32)))
(import "env" "proxy_record_metric" (func $record_metric (param i32 i64) (result i32)))
(import "env" "proxy_get_metric" (func $get_metric (param i32 i32) (result i32)))
(import "env" "proxy_set_effective_context" (func $set_effective_context (param i32) (result i32)))
(import "env" "proxy_done" (func $done (result i32)))
(import "env" "proxy_call_foreign_function"
    (func $call_foreign (param i32 i32 i32 i32 i32 i32) (result i32)))

(memory (export "memory") 4)
(global $heap (mut i32) (i32.const 65536))
(global $end (mut i32) (i32.const 1024))

(func (export "proxy_abi_version_0_2_1"))

(func $malloc (export "malloc") (param $size i32) (result i32) (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap
        (i32.and
            (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 7))
            (i32.const -8)))
    (block $enough
        (loop $more
            (br_if $enough
                (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
            (br_if $enough (i32.eq (memory.grow (i32.const 16)) (i32.const -1)))
            (br $more)))
    (local.get $at))

;; The line: what is put is appended, `$flush` logs it and begins a new one.

(func $char (param $char i32)
    (if (i32.lt_u (global.get $end) (i32.const 8000))
        (then
            (i32.store8 (global.get $end) (local.get $char))
            (global.set $end (i32.add (global.get $end) (i32.const 1))))))

(func $put (param $at i32) (param $length i32)
    (block $done
        (loop $next
            (br_if $done (i32.eqz (local.get $length)))
            (call $char (i32.load8_u (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (local.set $length (i32.sub (local.get $length) (i32.const 1)))
            (br $next))))

(func $hex (param $digit i32)
    (call $char
        (i32.add (local.get $digit)
            (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $digit) (i32.const 10))))))

;; Bytes that are no printable ASCII, and `\`, as `\xNN`.
(func $put_bytes (param $at i32) (param $length i32) (local $byte i32)
    (block $done
        (loop $next
            (br_if $done (i32.eqz (local.get $length)))
            (local.set $byte (i32.load8_u (local.get $at)))
            (if (i32.or
                    (i32.or
                        (i32.lt_u (local.get $byte) (i32.const 32))
                        (i32.gt_u (local.get $byte) (i32.const 126)))
                    (i32.eq (local.get $byte) (i32.const 92)))
                (then
                    (call $put @"\\x")
                    (call $hex (i32.shr_u (local.get $byte) (i32.const 4)))
                    (call $hex (i32.and (local.get $byte) (i32.const 15))))
                (else (call $char (local.get $byte))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (local.set $length (i32.sub (local.get $length) (i32.const 1)))
            (br $next))))

;; The same, but for `.` where a path has a NUL.
(func $put_path (param $at i32) (param $length i32) (local $byte i32)
    (block $done
        (loop $next
            (br_if $done (i32.eqz (local.get $length)))
            (local.set $byte (i32.load8_u (local.get $at)))
            (call $char
                (select (i32.const 46) (local.get $byte) (i32.eqz (local.get $byte))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (local.set $length (i32.sub (local.get $length) (i32.const 1)))
            (br $next))))

(func $put_long (param $number i64)
    (if (i64.lt_s (local.get $number) (i64.const 0))
        (then
            (call $char (i32.const 45))
            (local.set $number (i64.sub (i64.const 0) (local.get $number)))))
    (if (i64.ge_u (local.get $number) (i64.const 10))
        (then (call $put_long (i64.div_u (local.get $number) (i64.const 10)))))
    (call $char
        (i32.add (i32.const 48)
            (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10))))))

(func $put_number (param $number i32) (call $put_long (i64.extend_i32_s (local.get $number))))

(func $put_status (param $status i32)
    (block $other
        (block $12 (block $11 (block $10 (block $9 (block $8 (block $7 (block $6
        (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
            (br_table $0 $1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $12 $other (local.get $status)))
        (return (call $put @"Ok")))
        (return (call $put @"NotFound")))
        (return (call $put @"BadArgument")))
        (return (call $put @"SerializationFailure")))
        (return (call $put @"ParseFailure")))
        (return (call $put @"BadExpression")))
        (return (call $put @"InvalidMemoryAccess")))
        (return (call $put @"Empty")))
        (return (call $put @"CasMismatch")))
        (return (call $put @"ResultMismatch")))
        (return (call $put @"InternalFailure")))
        (return (call $put @"BrokenConnection")))
        (return (call $put @"Unimplemented")))
    (call $put @"status ")
    (call $put_number (local.get $status)))

(func $flush
    (drop (call $proxy_log (i32.const 2)
        (i32.const 1024) (i32.sub (global.get $end) (i32.const 1024))))
    (global.set $end (i32.const 1024)))

;; Whole lines.

(func $log (param $at i32) (param $length i32)
    (call $put (local.get $at) (local.get $length))
    (call $flush))

(func $say (param $at i32) (param $length i32) (param $number i32)
    (call $put (local.get $at) (local.get $length))
    (call $char (i32.const 32))
    (call $put_number (local.get $number))
    (call $flush))

(func $say2 (param $at i32) (param $length i32) (param $one i32) (param $two i32)
    (call $put (local.get $at) (local.get $length))
    (call $char (i32.const 32))
    (call $put_number (local.get $one))
    (call $char (i32.const 32))
    (call $put_number (local.get $two))
    (call $flush))

(func $status (param $at i32) (param $length i32) (param $status i32)
    (call $put (local.get $at) (local.get $length))
    (call $put @": ")
    (call $put_status (local.get $status))
    (call $flush))

;; Results of calls: a pointer at 16, a length at 20, a number at 24.

(func $clear
    (i64.store (i32.const 16) (i64.const 0))
    (i64.store (i32.const 24) (i64.const 0)))

;; The end of a line: a status and, if it is Ok, the bytes of the result.
(func $result (param $status i32)
    (call $put @": ")
    (call $put_status (local.get $status))
    (if (i32.eqz (local.get $status))
        (then
            (call $char (i32.const 32))
            (call $put_bytes (i32.load (i32.const 16)) (i32.load (i32.const 20)))))
    (call $flush))

(func $show_header (param $map i32) (param $at i32) (param $length i32)
    (call $clear)
    (call $put (local.get $at) (local.get $length))
    (call $result (call $get_header (local.get $map)
        (local.get $at) (local.get $length) (i32.const 16) (i32.const 20))))

(func $show_property (param $at i32) (param $length i32)
    (call $clear)
    (call $put_path (local.get $at) (local.get $length))
    (call $result (call $get_property
        (local.get $at) (local.get $length) (i32.const 16) (i32.const 20))))

;; How long a property is, for one that changes.
(func $show_property_size (param $at i32) (param $length i32) (local $status i32)
    (call $clear)
    (local.set $status (call $get_property
        (local.get $at) (local.get $length) (i32.const 16) (i32.const 20)))
    (call $put_path (local.get $at) (local.get $length))
    (call $put @": ")
    (call $put_status (local.get $status))
    (call $char (i32.const 32))
    (call $put_number (i32.load (i32.const 20)))
    (call $put @" bytes")
    (call $flush))

;; How many pairs a map has, and all of them.
(func $show_pairs (param $map i32) (local $status i32) (local $count i32) (local $sizes i32)
        (local $at i32)
    (call $clear)
    (local.set $status (call $get_pairs (local.get $map) (i32.const 16) (i32.const 20)))
    (call $put @"pairs ")
    (call $put_number (local.get $map))
    (call $put @": ")
    (call $put_status (local.get $status))
    (call $char (i32.const 32))
    (call $put_number (i32.load (i32.const 20)))
    (call $put @" bytes")
    (if (i32.ge_u (i32.load (i32.const 20)) (i32.const 4))
        (then
            (local.set $sizes (i32.load (i32.const 16)))
            (local.set $count (i32.load (local.get $sizes)))
            (local.set $sizes (i32.add (local.get $sizes) (i32.const 4)))
            (local.set $at
                (i32.add (local.get $sizes) (i32.mul (local.get $count) (i32.const 8))))
            (block $done
                (loop $next
                    (br_if $done (i32.eqz (local.get $count)))
                    (call $put @" ")
                    (call $put_bytes (local.get $at) (i32.load (local.get $sizes)))
                    (local.set $at
                        (i32.add (i32.add (local.get $at) (i32.load (local.get $sizes)))
                            (i32.const 1)))
                    (call $put @"=")
                    (call $put_bytes (local.get $at) (i32.load offset=4 (local.get $sizes)))
                    (local.set $at
                        (i32.add (i32.add (local.get $at) (i32.load offset=4 (local.get $sizes)))
                            (i32.const 1)))
                    (local.set $sizes (i32.add (local.get $sizes) (i32.const 8)))
                    (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                    (br $next)))))
    (call $flush))

(func $show_size (param $map i32) (local $status i32)
    (call $clear)
    (local.set $status (call $get_size (local.get $map) (i32.const 24)))
    (call $put @"size ")
    (call $put_number (local.get $map))
    (call $put @": ")
    (call $put_status (local.get $status))
    (call $char (i32.const 32))
    (call $put_number (i32.load (i32.const 24)))
    (call $flush))

(func $show_buffer (param $type i32) (param $start i32) (param $length i32)
    (call $clear)
    (call $put @"buffer ")
    (call $put_number (local.get $type))
    (call $char (i32.const 32))
    (call $put_number (local.get $start))
    (call $char (i32.const 32))
    (call $put_number (local.get $length))
    (call $result (call $get_buffer (local.get $type)
        (local.get $start) (local.get $length) (i32.const 16) (i32.const 20))))

(func $show_buffer_status (param $type i32) (local $status i32)
    (call $clear)
    (local.set $status
        (call $get_buffer_status (local.get $type) (i32.const 24) (i32.const 28)))
    (call $put @"buffer ")
    (call $put_number (local.get $type))
    (call $put @": ")
    (call $put_status (local.get $status))
    (call $put @" length ")
    (call $put_number (i32.load (i32.const 24)))
    (call $put @" flags ")
    (call $put_number (i32.load (i32.const 28)))
    (call $flush))

(func $show_shared (param $at i32) (param $length i32)
    (call $clear)
    (call $put (local.get $at) (local.get $length))
    (call $result (call $get_shared_data
        (local.get $at) (local.get $length) (i32.const 16) (i32.const 20) (i32.const 24))))

(func $show_metric (param $id i32) (local $status i32)
    (call $clear)
    (local.set $status (call $get_metric (local.get $id) (i32.const 24)))
    (call $put @"metric: ")
    (call $put_status (local.get $status))
    (call $char (i32.const 32))
    (call $put_long (i64.load (i32.const 24)))
    (call $flush))

;; Whether the value of a request header is a text.
(func $header_is (param $name i32) (param $name_length i32) (param $at i32) (param $length i32)
        (result i32) (local $value i32)
    (call $clear)
    (drop (call $get_header (i32.const 0)
        (local.get $name) (local.get $name_length) (i32.const 16) (i32.const 20)))
    (local.set $value (i32.load (i32.const 16)))
    (if (i32.ne (i32.load (i32.const 20)) (local.get $length)) (then (return (i32.const 0))))
    (block $differs
        (loop $next
            (if (i32.eqz (local.get $length)) (then (return (i32.const 1))))
            (br_if $differs
                (i32.ne (i32.load8_u (local.get $at)) (i32.load8_u (local.get $value))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (local.set $value (i32.add (local.get $value) (i32.const 1)))
            (local.set $length (i32.sub (local.get $length) (i32.const 1)))
            (br $next)))
    (i32.const 0))

(func $path_is (param $at i32) (param $length i32) (result i32)
    (call $header_is @":path" (local.get $at) (local.get $length)))

;; What calls want.

(func $metric (param $type i32) (param $at i32) (param $length i32) (result i32)
    (drop (call $define_metric (local.get $type)
        (local.get $at) (local.get $length) (i32.const 24)))
    (i32.load (i32.const 24)))

(func $reply (param $code i32) (param $at i32) (param $length i32)
    (call $status @"reply" (call $send_local_response (local.get $code)
        @"by the guest" (local.get $at) (local.get $length)
        (i32.const 0) (i32.const 0) (i32.const -1))))

;; GET /call with a timeout of milliseconds; says the status.
(func $get (param $at i32) (param $length i32) (param $timeout i32)
    (call $status @"call" (call $http_call (local.get $at) (local.get $length)
        @"\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\05\00\00\00\0a\00\00\00\06\00\00\00:method\00GET\00:path\00/call\00:authority\00callee\00"
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (local.get $timeout) (i32.const 24))))
