//! Real Envoys, real policy sets: what the wire must show.
