;;! title = "A metric is one for all VMs: here those of the trial, of the main thread, and of two workers"
;;! workers = 2
;;! [expect]
;;! [expect.stats]
;;! "wasmcustom.vms" = 4
(module (; prelude ;)
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $increment_metric (call $metric (i32.const 0) @"vms") (i64.const 1)))
        (i32.const 1)))
