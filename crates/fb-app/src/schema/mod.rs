//! Use cases of the schema: read it, add to it, replace it. A request changes everything it asks for, or nothing.

mod edit;
mod refit;

use std::sync::Arc;

use fb_auth::{Denied, Errand, Principal, authorize_class, close, system};
use fb_store::{Alteration, Batch, IndexDef, Rewrite};
use fb_types::schema::{FieldAcl, FieldDef, OBJECT};
use fb_types::{ClassAcl, ClassDef, ClassName, Permission, Schema, SchemaError};

use serde_json::{Value, json};

use crate::audit::Action;
use crate::{App, AppError, Profile};
use edit::Draft;

/// One step of a schema change.
#[derive(Debug, Clone)]
pub enum SchemaEdit {
    /// Create the class, or add the fields that it does not have yet. Never changes or removes anything.
    Merge(ClassDef),
    /// Create the class, or make it exactly this.
    Replace(ClassDef),
    /// Add one field.
    AddField {
        /// The class.
        class: ClassName,
        /// The field.
        field: FieldDef,
    },
    /// Rename a field, and the data in it.
    RenameField {
        /// The class.
        class: ClassName,
        /// Old name.
        from: String,
        /// New name.
        to: String,
    },
    /// Remove a field, and the data in it.
    RemoveField {
        /// The class.
        class: ClassName,
        /// Its name.
        field: String,
    },
    /// Replace the class-level rules.
    UpdateAcl {
        /// The class.
        class: ClassName,
        /// The new rules.
        acl: ClassAcl,
    },
    /// Replace the rules of one field.
    UpdateFieldAcl {
        /// The class that defines the field.
        class: ClassName,
        /// The field.
        field: String,
        /// The new rules.
        acl: FieldAcl,
    },
    /// Remove the class, and all its objects.
    Delete(ClassName),
}

impl App {
    /// Carries out all edits or none, in an order in which classes that others use exist first.
    pub async fn edit_schema(&self, caller: &Principal, edits: Vec<SchemaEdit>) -> Result<Arc<Schema>, AppError> {
        self.alter(caller, |draft| edits.iter().try_for_each(|edit| draft.apply(edit)))
            .await
    }

    /// Makes the schema exactly these classes. Predefined classes stay; others that are missing go with their objects.
    pub async fn replace_schema(&self, caller: &Principal, classes: Vec<ClassDef>) -> Result<Arc<Schema>, AppError> {
        self.alter(caller, |draft| draft.replace_all(&classes)).await
    }

    async fn alter(
        &self,
        caller: &Principal,
        edit: impl Fn(&mut Draft<'_>) -> Result<(), AppError>,
    ) -> Result<Arc<Schema>, AppError> {
        let _one_at_a_time = self.schema_edits.lock().await;
        let old = self.schema();
        let mut draft = Draft::new(caller, &old, self.settings().profile);
        edit(&mut draft)?;
        let Draft { defs, renames, .. } = draft;
        let before = old.defs();
        if defs == before {
            return Ok(old);
        }
        let changes = summary(&before, &defs);
        let rev = old.rev() + 1;
        let tentative = Arc::new(Schema::build(defs.clone(), rev, Some(&old), &[])?);
        moved_fields_keep_rules(&old, &tentative)?;
        let refitted = refit::classes_to_refit(&old, &tentative, &renames);
        let new = Arc::new(Schema::build(defs, rev, Some(&old), &refitted)?);
        let mut rewrites = Vec::new();
        for class in refitted {
            if new.class(class.as_str()).is_some_and(|c| !c.is_embedded()) && old.class(class.as_str()).is_some() {
                let apply = refit::refit(new.clone(), class.clone(), renames.clone());
                rewrites.push(Rewrite { class, apply });
            }
        }
        let is_removed = |bucket: &str| old.class(bucket).is_some() && new.class(bucket).is_none();
        let code_to_remove = crate::functions::removal(&self.code().sources.load(), is_removed);
        let has_code_to_remove = !code_to_remove.is_empty();
        // The caller's rights were checked edit by edit; the store only takes the server's word.
        let admin = system(Errand::AlterSchema);
        let alteration = Alteration {
            schema: new.clone(),
            from_rev: old.rev(),
            rewrites,
            indexes: self.renamed_indexes(&new, &renames).await?,
            also: Batch {
                writes: std::iter::once(self.audit(&new, caller, Action::SchemaChanged, "schema", changes)?)
                    .chain(code_to_remove)
                    .chain(self.caching().doubt_with(&old, &new))
                    .collect(),
            },
        };
        self.store().alter(&admin, alteration).await?;
        if has_code_to_remove {
            self.reload_code().await?;
        }
        Ok(new)
    }

    /// Declared indexes follow their fields.
    async fn renamed_indexes(
        &self,
        schema: &Schema,
        renames: &refit::Renames,
    ) -> Result<Vec<(ClassName, Vec<IndexDef>)>, AppError> {
        let mut followed = Vec::new();
        for class in schema
            .classes()
            .filter(|c| !c.is_embedded() && c.super_class().is_some())
        {
            let mut indexes = self.store().indexes(class.name()).await?;
            let mut changed = false;
            for key in indexes.iter_mut().flat_map(|index| &mut index.keys) {
                let (first, rest) = key
                    .path
                    .split_once('.')
                    .map_or((key.path.as_str(), None), |(f, r)| (f, Some(r)));
                if let Some(to) = renames
                    .of_entity(schema, class.name(), first)
                    .filter(|to| *to != refit::REMOVED)
                {
                    key.path = rest.map_or_else(|| to.to_owned(), |rest| format!("{to}.{rest}"));
                    changed = true;
                }
            }
            if changed {
                followed.push((class.name().clone(), indexes));
            }
        }
        Ok(followed)
    }
}

/// Rules of fields that come, go or change: before and after, by field.
fn field_rules(old: &ClassDef, new: &ClassDef) -> serde_json::Map<String, Value> {
    let names = old
        .fields
        .keys()
        .chain(new.fields.keys().filter(|name| !old.fields.contains_key(*name)));
    let of = |def: &ClassDef, name: &str| def.fields.get(name).and_then(|field| field.acl.clone());
    let changes = names.filter_map(|name| {
        let (before, after) = (of(old, name), of(new, name));
        (before != after).then(|| (name.clone(), json!({ "before": before, "after": after })))
    });
    changes.collect()
}

/// What an alteration does, for the audit log: classes that come and go, and rules before and after.
fn summary(before: &[ClassDef], after: &[ClassDef]) -> Value {
    let find = |defs: &'_ [ClassDef], name: &str| defs.iter().find(|def| def.class == name).cloned();
    let mut changes = serde_json::Map::new();
    for old in before {
        let change = match find(after, &old.class) {
            None => json!("deleted"),
            Some(new) if new == *old => continue,
            Some(new) => {
                let mut change = json!({ "changed": true });
                if new.acl != old.acl {
                    change["aclBefore"] = json!(old.acl);
                    change["acl"] = json!(new.acl);
                }
                let rules = field_rules(old, &new);
                if !rules.is_empty() {
                    change["fieldAcl"] = Value::Object(rules);
                }
                change
            }
        };
        changes.insert(old.class.clone(), change);
    }
    for new in after {
        if find(before, &new.class).is_none() {
            changes.insert(new.class.clone(), json!({ "created": true, "acl": new.acl }));
        }
    }
    Value::Object(changes)
}

/// Refuses schemas in which a field with rules continues, with its values, as a field of another class in the line of
/// inheritance that has none: whoever wants that removes the rules first.
fn moved_fields_keep_rules(old: &Schema, new: &Schema) -> Result<(), AppError> {
    for class in old.classes().filter(|class| class.has_field_rules()) {
        let name = class.name();
        let Some(next) = new.class(name.as_str()) else { continue };
        for field in class.fields().iter().filter(|field| !field.acl().is_empty()) {
            let field = field.name();
            let is_open = next.field(field).is_some_and(|f| f.acl().is_empty());
            if is_open && old.definer(name, field) != new.definer(name, field) {
                let text = format!("{name}.{field} has rules; move them with the field, or remove them first");
                return Err(SchemaError::Incompatible(text).into());
            }
        }
    }
    Ok(())
}

/// What rules that are left out mean for a class that `caller` defines.
fn guard_schema(def: &mut ClassDef, caller: &Principal, profile: Profile) {
    fb_auth::guard_schema(def, profile == Profile::Secure, caller.is_admin());
}

fn may(caller: &Principal, permission: Permission, schema: &Schema, class: &ClassName) -> Result<(), AppError> {
    let known = schema
        .class(class.as_str())
        .ok_or_else(|| AppError::NoClass(class.to_string()))?;
    Ok(authorize_class(caller, permission, known)?)
}

/// Creating a class takes the right to subclass its super class; an embeddable takes the right to add to the root.
fn may_create(caller: &Principal, draft: &[ClassDef], def: &ClassDef) -> Result<(), AppError> {
    let (permission, parent) = match (&def.super_class, def.embedded) {
        (_, true) => (Permission::SchemaAdd, format!("/db/{OBJECT}")),
        (Some(parent), false) => (Permission::SchemaSubclass, parent.clone()),
        (None, false) => (Permission::SchemaSubclass, format!("/db/{OBJECT}")),
    };
    let Some(parent_def) = draft.iter().find(|d| d.class == parent) else {
        return Err(SchemaError::MissingClass {
            class: def.class.clone(),
            missing: parent,
        }
        .into());
    };
    if caller.passes(parent_def.acl.rules(permission)) {
        return Ok(());
    }
    let class = parent_def.name()?;
    Err(Denied::Class { class, permission }.into())
}
