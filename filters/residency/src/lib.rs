//! Who a request is about: verified claims, read as a caller.
