//! How much a worker lets in at once, least important work first out.
