//! The vocabulary of Freshbase: ids, versions, moments, schema, values, access rules, documents and change records.
//!
//! Knows nothing of HTTP, SQL, tokens, configuration or async; it performs no I/O.
//!
//! ```
//! use fb_types::{ClassName, ObjectId};
//! let id: ObjectId = "/db/Todo/a%2Fb".parse()?;
//! assert_eq!(id.class(), &ClassName::new("Todo")?);
//! assert_eq!(id.key().decoded(), "a/b");
//! # Ok::<(), fb_types::IdError>(())
//! ```

mod acl;
mod change;
mod content;
mod document;
mod ids;
pub mod schema;
mod time;
mod value;

pub use acl::{Acl, AclError, Rule, RuleMap};
pub use change::{Change, ChangeKind, Seq};
pub use content::{ContentId, ContentIdError};
pub use document::{Document, FieldsText, Header, Stored, without_members};
pub use ids::{
    AppId, ClassName, IdError, ObjectId, ObjectKey, PRINCIPAL_EVERYBODY, PRINCIPAL_SELF, Version, encode_component,
};
pub use schema::{Class, ClassAcl, ClassDef, Field, FieldType, ItemType, Permission, Schema, SchemaError};
pub use time::{Clock, SystemClock, TimeError, Timestamp, date_normal_form, time_normal_form};
pub use value::{ValueError, ValueKind, kind_of, same_value};
