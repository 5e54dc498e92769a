//! Media types of files.
