//! Origin and version of an eventual write.
