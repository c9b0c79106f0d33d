;;! title = "A route matches a header by any of its values"
;;! [[route]]
;;! name = "there"
;;! header = "x-to: there"
;;! cluster = "there"
;;! [[route]]
;;! name = "here"
;;! [cluster.there]
;;! [[request]]
;;! headers = ["x-to: there", "x-to: there"]
;;! [[request]]
;;! headers = ["x-to: there", "x-to: other"]
;;! [[request]]
;;! headers = ["x-to: other", "x-to: there"]
;;! [expect]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "there"
;;! request = "GET /"
;;! headers = [
;;!     "x-to: there",
;;!     "x-to: there",
;;! ]
;;! [[expect.upstream]]
;;! cluster = "there"
;;! request = "GET /"
;;! headers = [
;;!     "x-to: there",
;;!     "x-to: other",
;;! ]
;;! [[expect.upstream]]
;;! cluster = "there"
;;! request = "GET /"
;;! headers = [
;;!     "x-to: other",
;;!     "x-to: there",
;;! ]
(module (; prelude ;))
