//! The natives by themselves.
