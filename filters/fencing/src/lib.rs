//! The fencing token of a leased write, and what an unreachable holder means.
