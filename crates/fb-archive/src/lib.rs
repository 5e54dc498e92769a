//! Zip archives: written as a stream, and read as what an enemy may have sent. Knows no async, no HTTP, no rights, and no file system.
//!
//! [`Writer`] takes entries and pieces of their contents, and gives bytes as they become ready; it never seeks and holds no
//! content. [`Archive`] reads what strangers made: the whole directory is checked before the first entry is given, and a
//! content never gives more bytes than its entry announced.
//!
//! Writing is the `zip` crate's. Reading is this crate's own, because it has to be bounded before anything is allocated, and
//! has to have one meaning: that crate reads a directory of any size, searches for another one when the first makes no sense,
//! takes the last of two entries of one name, and does not compare the two headers of an entry.
//!
//! Source of the format: PKWARE APPNOTE.TXT 6.3.10.

mod directory;
mod end;
mod error;
mod limits;
mod name;
mod reader;
mod writer;

pub use error::ArchiveError;
pub use limits::Limits;
pub use name::normal_name;
pub use reader::{Archive, Content, Entry};
pub use writer::{NewEntry, Writer};
