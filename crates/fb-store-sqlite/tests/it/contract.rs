//! The contract suite on SQLite.

fb_store::contract_tests!(crate::fixture::DataDir::new());
