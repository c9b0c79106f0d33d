//! The meshfence command.
