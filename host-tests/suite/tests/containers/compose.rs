//! `compose.yaml` at the top of the repository, with what `render envoy` writes.
