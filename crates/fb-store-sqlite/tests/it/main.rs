//! Tests of the embedded store through its public interface.

mod contract;
