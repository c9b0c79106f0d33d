//! The version stamp of an eventual write and the hybrid logical clock that issues it.
