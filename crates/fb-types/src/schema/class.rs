//! Resolved classes: references checked, inherited fields collected.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::types::{BASIC, ParseError};
use super::{
    ClassAcl, ClassDef, FieldAcl, FieldDef, FieldFlag, FieldType, ItemType, MAX_CLASSES, MAX_FIELDS, OBJECT, USER,
};
use super::{Permission, Schema, SchemaError};
use crate::document::METADATA;
use crate::{ClassName, PRINCIPAL_SELF};

/// A field of a class, its type resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    name: String,
    ty: FieldType,
    read_only: bool,
    acl: FieldAcl,
}

impl Field {
    /// The field's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field's type.
    pub fn ty(&self) -> &FieldType {
        &self.ty
    }

    /// True if only the server writes it.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Rules about the field; mostly none.
    pub fn acl(&self) -> &FieldAcl {
        &self.acl
    }
}

/// A class, resolved: its definition, and all fields it has by itself and by inheritance.
#[derive(Debug, Clone)]
pub struct Class {
    name: ClassName,
    super_class: Option<ClassName>,
    def: ClassDef,
    fields: Vec<Arc<Field>>,
    by_name: HashMap<String, usize>,
    has_field_rules: bool,
    has_read_rules: bool,
    signature: String,
    shape: u32,
    floor: u32,
}

impl Class {
    /// The class's name.
    pub fn name(&self) -> &ClassName {
        &self.name
    }

    /// The class it inherits from; `None` on the root class and on embeddables.
    pub fn super_class(&self) -> Option<&ClassName> {
        self.super_class.as_ref()
    }

    /// True if its objects live inside others and have no id.
    pub fn is_embedded(&self) -> bool {
        self.def.embedded
    }

    /// Class-level rules.
    pub fn acl(&self) -> &ClassAcl {
        &self.def.acl
    }

    /// The definition as clients see it.
    pub fn def(&self) -> &ClassDef {
        &self.def
    }

    /// All user fields, inherited ones first; without `id`, `version`, `acl`, `createdAt` and `updatedAt`.
    pub fn fields(&self) -> &[Arc<Field>] {
        &self.fields
    }

    /// The user field of this name.
    pub fn field(&self, name: &str) -> Option<&Arc<Field>> {
        self.by_name.get(name).map(|i| &self.fields[*i])
    }

    /// True if a field has rules, its own or inherited ones.
    pub fn has_field_rules(&self) -> bool {
        self.has_field_rules
    }

    /// True if a field has rules for reading, so that what a caller sees of an object depends on the caller.
    pub fn has_read_rules(&self) -> bool {
        self.has_read_rules
    }

    /// The type of a metadata field, which every entity has.
    pub fn metadata_type(&self, name: &str) -> Option<ItemType> {
        if self.is_embedded() {
            return None;
        }
        match name {
            "id" => Some(ItemType::String),
            "version" => Some(ItemType::Integer),
            "acl" => Some(ItemType::JsonObject),
            "createdAt" | "updatedAt" => Some(ItemType::DateTime),
            _ => None,
        }
    }

    /// Schema revision at which the set of fields last changed. Objects written under an older one may lack fields.
    pub fn shape(&self) -> u32 {
        self.shape
    }

    /// Schema revision at which fields were last removed, renamed or retyped (or the class created). A write that was
    /// checked under an older revision must be checked again.
    pub fn floor(&self) -> u32 {
        self.floor
    }

    pub(super) fn with_shape(&self, shape: u32, floor: u32) -> Self {
        Self {
            shape,
            floor,
            ..self.clone()
        }
    }
}

/// Field names: letters, digits and `_`, not beginning with a digit, at most 128 bytes.
fn check_field_name(class: &ClassName, name: &str) -> Result<(), SchemaError> {
    let ok = name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    // The object root is handled as plain data by JavaScript clients and code; these three would change its meaning.
    let hostile = matches!(name, "__proto__" | "constructor" | "prototype");
    if ok && !hostile {
        return Ok(());
    }
    let name: String = name.chars().take(80).collect();
    Err(SchemaError::Invalid(format!(
        "{class}: `{name}` is no field name: use letters, digits and _, not beginning with a digit"
    )))
}

struct Draft {
    def: ClassDef,
    name: ClassName,
    super_class: Option<ClassName>,
}

pub(super) fn resolve(
    defs: Vec<ClassDef>,
    rev: u32,
    previous: Option<&Schema>,
    destroyed: &[ClassName],
) -> Result<Schema, SchemaError> {
    if defs.len() > MAX_CLASSES {
        return Err(SchemaError::TooLarge(format!(
            "an app may have at most {MAX_CLASSES} classes, found {}",
            defs.len()
        )));
    }
    let drafts = draft(defs)?;
    let by_name: HashMap<ClassName, usize> = drafts.iter().enumerate().map(|(i, d)| (d.name.clone(), i)).collect();
    if by_name.len() < drafts.len() {
        let mut seen = HashSet::new();
        let twice = drafts
            .iter()
            .find(|d| !seen.insert(&d.name))
            .map(|d| d.name.to_string())
            .unwrap_or_default();
        return Err(SchemaError::Invalid(format!("{twice} is defined twice")));
    }
    check_inheritance(&drafts, &by_name)?;

    let embedded = |name: &ClassName| by_name.get(name).map(|i| drafts[*i].def.embedded);
    let mut own: Vec<Vec<Arc<Field>>> = Vec::with_capacity(drafts.len());
    for draft in &drafts {
        own.push(own_fields(draft, &embedded)?);
    }
    let mut classes = Vec::with_capacity(drafts.len());
    for (i, draft) in drafts.iter().enumerate() {
        let fields = all_fields(i, &drafts, &by_name, &own)?;
        let by_field: HashMap<String, usize> = fields.iter().enumerate().map(|(i, f)| (f.name.clone(), i)).collect();
        classes.push(Class {
            name: draft.name.clone(),
            super_class: draft.super_class.clone(),
            def: draft.def.clone(),
            has_field_rules: fields.iter().any(|f| !f.acl.is_empty()),
            has_read_rules: fields.iter().any(|f| !f.acl.read.is_empty()),
            fields,
            by_name: by_field,
            signature: String::new(),
            shape: rev,
            floor: rev,
        });
    }
    for i in 0..classes.len() {
        let signature = signature(i, &classes, &by_name, &mut HashSet::new());
        classes[i].signature = signature;
    }
    if let Some(previous) = previous {
        for class in classes.iter_mut().filter(|c| !destroyed.contains(&c.name)) {
            if let Some(old) = previous.class(class.name.as_str()) {
                class.floor = old.floor;
                if old.signature == class.signature {
                    class.shape = old.shape;
                }
            }
        }
    }
    Ok(Schema {
        rev,
        classes: classes.into_iter().map(Arc::new).collect(),
        by_name,
    })
}

/// Names and kinds are right; super classes are filled in.
fn draft(defs: Vec<ClassDef>) -> Result<Vec<Draft>, SchemaError> {
    let mut drafts = Vec::with_capacity(defs.len());
    for mut def in defs {
        let name = def.name()?;
        if BASIC.iter().any(|(basic, _)| *basic == name.as_str()) || name.as_str().starts_with("collection.") {
            return Err(SchemaError::Invalid(format!("{name} is the name of a built-in type")));
        }
        let super_class = match (&def.super_class, def.embedded) {
            (_, false) if name.as_str() == OBJECT => None,
            (Some(_), true) => {
                return Err(SchemaError::Invalid(format!(
                    "{name} is embedded and cannot have a super class"
                )));
            }
            (None, true) => None,
            (Some(reference), false) => Some(
                ClassName::from_reference(reference)
                    .map_err(|e| SchemaError::Invalid(format!("superClass of {name}: {e}")))?,
            ),
            (None, false) => Some(ClassName::new(OBJECT).map_err(|e| SchemaError::Invalid(e.to_string()))?),
        };
        def.super_class = super_class.as_ref().map(ClassName::reference);
        if let Some((permission, _)) = def.acl.iter().find(|(p, _)| def.embedded && !p.fits_embedded()) {
            let permission = permission.as_str();
            return Err(SchemaError::Invalid(format!(
                "{name} is embedded and has no permission `{permission}`"
            )));
        }
        for field in def.fields.values_mut() {
            field.acl.take_if(|acl| acl.is_empty());
        }
        order_fields(&mut def.fields);
        drafts.push(Draft { def, name, super_class });
    }
    Ok(drafts)
}

/// Sorts by `order` and makes the orders unique by moving later fields back.
fn order_fields(fields: &mut IndexMap<String, FieldDef>) {
    fields.sort_by(|_, a, _, b| a.order.cmp(&b.order));
    let mut next = i64::MIN;
    for field in fields.values_mut() {
        field.order = field.order.max(next);
        next = field.order.saturating_add(1);
    }
}

fn check_inheritance(drafts: &[Draft], by_name: &HashMap<ClassName, usize>) -> Result<(), SchemaError> {
    if !by_name.contains_key(OBJECT) {
        return Err(SchemaError::Invalid("the root class /db/Object is missing".into()));
    }
    for draft in drafts {
        let mut seen = HashSet::from([&draft.name]);
        let mut current = draft;
        while let Some(parent) = &current.super_class {
            let missing = || SchemaError::MissingClass {
                class: current.name.to_string(),
                missing: parent.reference(),
            };
            let next = &drafts[*by_name.get(parent).ok_or_else(missing)?];
            if next.def.embedded {
                return Err(SchemaError::Invalid(format!(
                    "{} cannot inherit from embedded {parent}",
                    current.name
                )));
            }
            if !seen.insert(parent) {
                return Err(SchemaError::Invalid(format!("{} inherits from itself", draft.name)));
            }
            current = next;
        }
    }
    Ok(())
}

/// Rules are for fields of objects that can be asked for by themselves.
fn check_rules(draft: &Draft, field: &FieldDef) -> Result<(), SchemaError> {
    let Some(acl) = &field.acl else { return Ok(()) };
    let (class, name) = (&draft.name, &field.name);
    let problem = if draft.def.embedded {
        "fields of embedded classes have no rules; give them to the field that holds the object"
    } else if METADATA.contains(&name.as_str()) {
        "metadata has no rules"
    } else if class.as_str() != USER && [&acl.read, &acl.write].iter().any(|r| r.get(PRINCIPAL_SELF).is_some()) {
        "`self` is known in rules of User's own fields only"
    } else {
        return Ok(());
    };
    Err(SchemaError::Invalid(format!("{class}.{name}: {problem}")))
}

fn own_fields(draft: &Draft, embedded: &dyn Fn(&ClassName) -> Option<bool>) -> Result<Vec<Arc<Field>>, SchemaError> {
    let class = &draft.name;
    let is_root = class.as_str() == OBJECT;
    let mut fields = Vec::with_capacity(draft.def.fields.len());
    for def in draft.def.fields.values() {
        check_field_name(class, &def.name)?;
        check_rules(draft, def)?;
        if METADATA.contains(&def.name.as_str()) {
            // Embeddables have no metadata of their own, so these names are free there, except for `id`, by which
            // clients tell an entity.
            if is_root {
                continue;
            }
            if !draft.def.embedded || def.name == "id" {
                return Err(SchemaError::Invalid(format!(
                    "{class}.{}: the name is taken by metadata",
                    def.name
                )));
            }
        }
        let ty = FieldType::parse(&def.type_text, embedded).map_err(|error| match error {
            ParseError::Syntax(text) => SchemaError::Invalid(format!("{class}.{}: {text}", def.name)),
            ParseError::Missing(missing) => SchemaError::MissingClass {
                class: format!("{class}.{}", def.name),
                missing,
            },
        })?;
        let read_only = !def.flags.is_empty();
        debug_assert!(
            def.flags
                .iter()
                .all(|f| matches!(f, FieldFlag::Metadata | FieldFlag::Readonly))
        );
        fields.push(Arc::new(Field {
            name: def.name.clone(),
            ty,
            read_only,
            acl: def.acl.clone().unwrap_or_default(),
        }));
    }
    Ok(fields)
}

fn all_fields(
    index: usize,
    drafts: &[Draft],
    by_name: &HashMap<ClassName, usize>,
    own: &[Vec<Arc<Field>>],
) -> Result<Vec<Arc<Field>>, SchemaError> {
    let mut line = vec![index];
    let mut current = &drafts[index];
    while let Some(parent) = &current.super_class {
        let i = by_name[parent];
        line.push(i);
        current = &drafts[i];
    }
    let mut fields: Vec<Arc<Field>> = Vec::new();
    let mut names = HashSet::new();
    for i in line.into_iter().rev() {
        for field in &own[i] {
            if !names.insert(field.name.clone()) {
                let class = &drafts[i].name;
                return Err(SchemaError::Invalid(format!(
                    "{class}.{} is inherited already",
                    field.name
                )));
            }
            fields.push(field.clone());
        }
    }
    if fields.len() > MAX_FIELDS {
        let class = &drafts[index].name;
        return Err(SchemaError::TooLarge(format!(
            "{class} has {} fields, at most {MAX_FIELDS} are allowed",
            fields.len()
        )));
    }
    Ok(fields)
}

/// Everything about the fields that decides whether a stored object is complete, embedded classes included.
fn signature(
    index: usize,
    classes: &[Class],
    by_name: &HashMap<ClassName, usize>,
    seen: &mut HashSet<usize>,
) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    if !seen.insert(index) {
        return text;
    }
    for field in &classes[index].fields {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}:{};", field.name, field.ty);
        if let Some(inner) = field.ty.item().embedded().and_then(|name| by_name.get(name)) {
            let _ = write!(text, "{{{}}}", signature(*inner, classes, by_name, seen));
        }
    }
    text
}

impl ClassAcl {
    /// True if nobody is restricted in `permission`.
    pub fn is_public(&self, permission: Permission) -> bool {
        self.rules(permission).is_none_or(crate::RuleMap::is_empty)
    }
}
