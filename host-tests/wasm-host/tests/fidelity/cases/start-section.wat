;;! title = "A start function of the module itself that calls the host kills Envoy"
;;! [expect]
;;! died = true
(module (; prelude ;)
    (func $go (call $log @"started"))
    (start $go))
