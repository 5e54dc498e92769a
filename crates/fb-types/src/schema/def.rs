//! Class definitions as they travel and are kept: JSON in, JSON out.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

use super::SchemaError;
use crate::{ClassName, RuleMap, kind_of};

/// What a class-level rule map can permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Permission {
    /// Load an object by id
    Load,
    /// Insert objects
    Insert,
    /// Change objects
    Update,
    /// Delete objects
    Delete,
    /// Query and count objects
    Query,
    /// Add fields to the class
    SchemaAdd,
    /// Change or remove the class and its fields
    SchemaReplace,
    /// Create subclasses of the class
    SchemaSubclass,
}

impl Permission {
    /// All permissions of an entity class, in the order they are listed.
    pub const ALL: [Self; 8] = [
        Self::Load,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Query,
        Self::SchemaAdd,
        Self::SchemaReplace,
        Self::SchemaSubclass,
    ];

    /// The permissions that concern objects and files, and not the schema.
    pub const DATA: [Self; 5] = [Self::Load, Self::Insert, Self::Update, Self::Delete, Self::Query];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Query => "query",
            Self::SchemaAdd => "schemaAdd",
            Self::SchemaReplace => "schemaReplace",
            Self::SchemaSubclass => "schemaSubclass",
        }
    }

    /// True for the permissions that embeddable classes have as well.
    pub fn fits_embedded(self) -> bool {
        matches!(self, Self::SchemaAdd | Self::SchemaReplace)
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == name)
    }
}

/// Class-level rules by permission; a permission without rules is everybody's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct ClassAcl(IndexMap<Permission, RuleMap>);

impl ClassAcl {
    /// The rules of `permission`, `None` if there are none.
    pub fn rules(&self, permission: Permission) -> Option<&RuleMap> {
        self.0.get(&permission)
    }

    /// Replaces the rules of `permission`; empty rules remove it.
    pub fn set(&mut self, permission: Permission, rules: RuleMap) {
        if rules.is_empty() {
            self.0.shift_remove(&permission);
        } else {
            self.0.insert(permission, rules);
        }
    }

    /// All rules that are there.
    pub fn iter(&self) -> impl Iterator<Item = (Permission, &RuleMap)> {
        self.0.iter().map(|(p, r)| (*p, r))
    }

    /// Reads `{"load": {…}, …}`. `null` is empty; empty rule maps vanish; unknown permissions are an error.
    pub fn from_json(value: &Value, class: &str) -> Result<Self, SchemaError> {
        let mut acl = Self::default();
        for (name, rules) in object_or_null(value, || format!("acl of {class}"))? {
            let permission = Permission::parse(name)
                .ok_or_else(|| SchemaError::Invalid(format!("acl of {class}: there is no permission `{name}`")))?;
            let at = format!("acl.{name} of {class}");
            acl.set(
                permission,
                RuleMap::from_json(rules, &at).map_err(|e| SchemaError::Invalid(e.to_string()))?,
            );
        }
        Ok(acl)
    }
}

/// Who may read and who may write one field. A right without rules is everybody's who may read or write the object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct FieldAcl {
    /// Rules for seeing the field's value, and for filtering and sorting by it.
    #[serde(skip_serializing_if = "RuleMap::is_empty")]
    pub read: RuleMap,
    /// Rules for changing the field's value.
    #[serde(skip_serializing_if = "RuleMap::is_empty")]
    pub write: RuleMap,
}

impl FieldAcl {
    /// True if there are no rules.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty() && self.write.is_empty()
    }

    /// Reads `{"read": {…}, "write": {…}}`, whose rules may name `self`; `null` is empty. Other members are an error: a
    /// misspelt one would leave the field open. `field` names the place in errors.
    pub fn from_json(value: &Value, field: &str) -> Result<Self, SchemaError> {
        let mut acl = Self::default();
        for (name, rules) in object_or_null(value, || format!("acl of {field}"))? {
            let part = match name.as_str() {
                "read" => &mut acl.read,
                "write" => &mut acl.write,
                other => {
                    let other: String = other.chars().take(80).collect();
                    return Err(SchemaError::Invalid(format!(
                        "acl of {field}: a field has rules for `read` and `write`, not for `{other}`"
                    )));
                }
            };
            *part = RuleMap::field_rules_from_json(rules, &format!("acl.{name} of {field}"))
                .map_err(|e| SchemaError::Invalid(e.to_string()))?;
        }
        Ok(acl)
    }
}

/// A field as it is defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldDef {
    /// Name, unique in the class and its super classes.
    pub name: String,
    /// Type text, for example `/db/collection.List[/db/String]`.
    #[serde(rename = "type")]
    pub type_text: String,
    /// Position within the class, unique.
    pub order: i64,
    /// Who maintains the field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<FieldFlag>,
    /// Who may read and write the field. From a client `None` means that it says nothing about rules, and empty rules
    /// that there shall be none; in a schema there is no difference, and it is `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<FieldAcl>,
    /// Free for applications.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub metadata: IndexMap<String, String>,
}

/// Marks of fields that clients do not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum FieldFlag {
    /// Maintained by the system, not part of the user's data
    Metadata,
    /// Written by the server alone
    Readonly,
}

/// A class as it is defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassDef {
    /// Full reference, `/db/<bucket>`.
    pub class: String,
    /// Full reference of the super class; `None` on `/db/Object` and on embeddables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub super_class: Option<String>,
    /// True if objects of this class live inside others and have no id.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub embedded: bool,
    /// Class-level rules.
    pub acl: ClassAcl,
    /// Free for applications.
    pub metadata: IndexMap<String, String>,
    /// Own fields by name, in order.
    pub fields: IndexMap<String, FieldDef>,
}

impl ClassDef {
    /// The class's name.
    pub fn name(&self) -> Result<ClassName, SchemaError> {
        ClassName::from_reference(&self.class).map_err(|e| SchemaError::Invalid(e.to_string()))
    }

    /// Reads a class definition. Members that are not part of one are ignored. Names and types are checked later, by
    /// [`Schema::build`](super::Schema::build).
    pub fn from_json(value: &Value) -> Result<Self, SchemaError> {
        let members = value
            .as_object()
            .ok_or_else(|| wrong("a class definition", "an object", value))?;
        let class = match members.get("class") {
            Some(Value::String(class)) => class.clone(),
            Some(other) => return Err(wrong("class", "a reference like /db/Todo", other)),
            None => {
                return Err(SchemaError::Invalid(
                    "a class definition needs the member `class`".into(),
                ));
            }
        };
        let super_class = match members.get("superClass") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => return Err(wrong(&format!("superClass of {class}"), "a reference", other)),
        };
        let embedded = match members.get("embedded") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(embedded)) => *embedded,
            Some(other) => return Err(wrong(&format!("embedded of {class}"), "a boolean", other)),
        };
        let absent = Value::Null;
        let acl = ClassAcl::from_json(members.get("acl").unwrap_or(&absent), &class)?;
        let metadata = metadata(members.get("metadata").unwrap_or(&absent), &class)?;
        let mut fields = IndexMap::new();
        let listed = object_or_null(members.get("fields").unwrap_or(&absent), || {
            format!("fields of {class}")
        })?;
        for (position, (name, field)) in listed.iter().enumerate() {
            fields.insert(name.clone(), FieldDef::from_json(field, Some(name), position, &class)?);
        }
        Ok(Self {
            class,
            super_class,
            embedded,
            acl,
            metadata,
            fields,
        })
    }
}

impl FieldDef {
    /// The order of a field that goes behind all others.
    pub const LAST: i64 = i64::MAX;

    /// Reads a field definition of `class`. `name` is the key it stands under, if any; `position` is its order if it
    /// has none.
    pub fn from_json(value: &Value, name: Option<&str>, position: usize, class: &str) -> Result<Self, SchemaError> {
        let at = |what: &str| format!("{what} of {class}.{}", name.unwrap_or("?"));
        let members = value
            .as_object()
            .ok_or_else(|| wrong(&at("definition"), "an object", value))?;
        let name = match (members.get("name"), name) {
            (Some(Value::String(own)), Some(key)) if own != key => {
                return Err(SchemaError::Invalid(format!(
                    "{class}: the field `{key}` calls itself `{own}`"
                )));
            }
            (Some(Value::String(own)), _) => own.clone(),
            (None | Some(Value::Null), Some(key)) => key.to_owned(),
            (None | Some(Value::Null), None) => {
                return Err(SchemaError::Invalid(format!(
                    "{class}: a field needs the member `name`"
                )));
            }
            (Some(other), _) => return Err(wrong(&at("name"), "a string", other)),
        };
        let type_text = match members.get("type") {
            Some(Value::String(text)) => text.clone(),
            Some(other) => return Err(wrong(&at("type"), "a string", other)),
            None => return Err(SchemaError::Invalid(format!("{class}.{name} needs the member `type`"))),
        };
        let order = match members.get("order") {
            None | Some(Value::Null) => i64::try_from(position).unwrap_or(i64::MAX),
            // The bound keeps sums of orders from overflowing.
            Some(order) => order
                .as_i64()
                .filter(|order| order.abs() <= i64::from(i32::MAX))
                .ok_or_else(|| wrong(&at("order"), "an integer of at most 31 bits", order))?,
        };
        let flags = match members.get("flags") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(flags)) => flags.iter().map(|f| flag(f, &at("flags"))).collect::<Result<_, _>>()?,
            Some(other) => return Err(wrong(&at("flags"), "an array", other)),
        };
        let place = format!("{class}.{name}");
        let acl = match members.get("acl") {
            None => None,
            Some(acl) => Some(FieldAcl::from_json(acl, &place)?),
        };
        let metadata = metadata(members.get("metadata").unwrap_or(&Value::Null), &place)?;
        Ok(Self {
            name,
            type_text,
            order,
            flags,
            acl,
            metadata,
        })
    }
}

fn flag(value: &Value, at: &str) -> Result<FieldFlag, SchemaError> {
    match value.as_str() {
        Some("METADATA") => Ok(FieldFlag::Metadata),
        Some("READONLY") => Ok(FieldFlag::Readonly),
        _ => Err(wrong(at, "METADATA or READONLY", value)),
    }
}

fn metadata(value: &Value, of: &str) -> Result<IndexMap<String, String>, SchemaError> {
    let mut metadata = IndexMap::new();
    for (name, text) in object_or_null(value, || format!("metadata of {of}"))? {
        match text {
            Value::String(text) => metadata.insert(name.clone(), text.clone()),
            other => return Err(wrong(&format!("metadata.{name} of {of}"), "a string", other)),
        };
    }
    Ok(metadata)
}

fn object_or_null(value: &Value, at: impl Fn() -> String) -> Result<&Map<String, Value>, SchemaError> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    match value {
        Value::Null => Ok(&EMPTY),
        Value::Object(members) => Ok(members),
        other => Err(wrong(&at(), "an object", other)),
    }
}

fn wrong(at: &str, expected: &str, found: &Value) -> SchemaError {
    SchemaError::Invalid(format!("{at} must be {expected}, found {}", kind_of(found)))
}
