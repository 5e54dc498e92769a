//! Edits of class definitions, each authorized where it is applied. Nothing here touches the store.

use fb_auth::Principal;
use fb_types::schema::{FieldDef, predefined};
use fb_types::{ClassDef, ClassName, Permission, Schema, SchemaError};

use super::refit::Renames;
use super::{SchemaEdit, close, guard_schema, may, may_create};
use crate::{AppError, Profile};

/// Class definitions on their way to the next schema.
pub(super) struct Draft<'a> {
    caller: &'a Principal,
    old: &'a Schema,
    profile: Profile,
    pub(super) defs: Vec<ClassDef>,
    pub(super) renames: Renames,
}

impl<'a> Draft<'a> {
    pub(super) fn new(caller: &'a Principal, old: &'a Schema, profile: Profile) -> Self {
        Self {
            caller,
            old,
            profile,
            defs: old.defs(),
            renames: Renames::default(),
        }
    }

    pub(super) fn apply(&mut self, edit: &SchemaEdit) -> Result<(), AppError> {
        match edit {
            SchemaEdit::Merge(def) => self.merge(def),
            SchemaEdit::Replace(def) => self.replace(def),
            SchemaEdit::AddField { class, field } => {
                self.check(Permission::SchemaAdd, class)?;
                let def = self.def(class)?;
                if let Some(existing) = def.fields.get(&field.name) {
                    return same_type(&def.class, existing, field);
                }
                add_field(def, field);
                Ok(())
            }
            SchemaEdit::RenameField { class, from, to } => self.rename(class, from, to),
            SchemaEdit::RemoveField { class, field } => {
                self.check(Permission::SchemaReplace, class)?;
                self.check_not_built_in(class, field)?;
                let def = self.def(class)?;
                match def.fields.shift_remove(field) {
                    Some(_) => {
                        self.renames.remove(class, field);
                        Ok(())
                    }
                    None => Err(no_field(class, field)),
                }
            }
            SchemaEdit::UpdateAcl { class, acl } => {
                self.check(Permission::SchemaReplace, class)?;
                let (caller, profile) = (self.caller, self.profile);
                let def = self.def(class)?;
                def.acl = acl.clone();
                guard_schema(def, caller, profile);
                if profile == Profile::Secure {
                    close(def);
                }
                Ok(())
            }
            SchemaEdit::UpdateFieldAcl { class, field, acl } => {
                self.check(Permission::SchemaReplace, class)?;
                let def = self.def(class)?.fields.get_mut(field);
                let def = def.ok_or_else(|| no_field(class, field))?;
                def.acl = Some(acl.clone()).filter(|acl| !acl.is_empty());
                Ok(())
            }
            SchemaEdit::Delete(class) => self.delete(class),
        }
    }

    /// Rights on classes that existed before the request are those before it; on new ones, those they were given.
    fn check(&self, permission: Permission, class: &ClassName) -> Result<(), AppError> {
        if self.old.class(class.as_str()).is_some() {
            return may(self.caller, permission, self.old, class);
        }
        let reference = class.reference();
        match self.defs.iter().find(|def| def.class == reference) {
            Some(_) => Ok(()),
            None => Err(AppError::NoClass(class.to_string())),
        }
    }

    fn def(&mut self, class: &ClassName) -> Result<&mut ClassDef, AppError> {
        let reference = class.reference();
        let found = self.defs.iter_mut().find(|def| def.class == reference);
        found.ok_or_else(|| AppError::NoClass(class.to_string()))
    }

    fn merge(&mut self, new: &ClassDef) -> Result<(), AppError> {
        let class = new.name()?;
        if !self.defs.iter().any(|def| def.class == new.class) {
            return self.create(new);
        }
        self.check(Permission::SchemaAdd, &class)?;
        let is_root = class.as_str() == fb_types::schema::OBJECT;
        let known = self.def(&class)?;
        if known.embedded != new.embedded && !is_root {
            let text = format!(
                "{class} exists already and is {}embedded",
                if known.embedded { "" } else { "not " }
            );
            return Err(SchemaError::Incompatible(text).into());
        }
        if let (Some(old), Some(new)) = (&known.super_class, &new.super_class)
            && old != new
        {
            return Err(
                SchemaError::Incompatible(format!("{class} inherits from {old} already, not from {new}")).into(),
            );
        }
        for (name, field) in &new.fields {
            match known.fields.get(name) {
                Some(existing) => same_type(&known.class, existing, field)?,
                None => add_field(known, field),
            }
        }
        for (name, text) in &new.metadata {
            known.metadata.entry(name.clone()).or_insert_with(|| text.clone());
        }
        Ok(())
    }

    fn create(&mut self, new: &ClassDef) -> Result<(), AppError> {
        if self.old.class(new.name()?.as_str()).is_some() {
            // Objects are removed with classes that are gone in the end; this one would keep them.
            let text = format!(
                "{} is deleted by the same request; create it again with another one",
                new.class
            );
            return Err(SchemaError::Incompatible(text).into());
        }
        may_create(self.caller, &self.defs, new).or_else(|error| match error {
            // The super class may come later in the same request; whether it exists is checked at the end, and only
            // administrators pass without its rules.
            AppError::Schema(SchemaError::MissingClass { .. }) if self.caller.is_admin() => Ok(()),
            error => Err(error),
        })?;
        let mut def = new.clone();
        guard_schema(&mut def, self.caller, self.profile);
        if self.profile == Profile::Secure {
            close(&mut def);
        }
        self.defs.push(def);
        Ok(())
    }

    fn replace(&mut self, new: &ClassDef) -> Result<(), AppError> {
        let class = new.name()?;
        if !self.defs.iter().any(|def| def.class == new.class) {
            return self.create(new);
        }
        self.check(Permission::SchemaReplace, &class)?;
        let (caller, profile) = (self.caller, self.profile);
        let known = self.def(&class)?;
        let mut def = keep_built_in(known, new);
        keep_field_rules(known, &mut def);
        if parent(known) != parent(&def) {
            // Under another super class it is as good as a new class.
            may_create(caller, &self.defs, &def)?;
        }
        guard_schema(&mut def, caller, profile);
        if profile == Profile::Secure {
            close(&mut def);
        }
        *self.def(&class)? = def;
        Ok(())
    }

    fn rename(&mut self, class: &ClassName, from: &str, to: &str) -> Result<(), AppError> {
        self.check(Permission::SchemaReplace, class)?;
        self.check_not_built_in(class, from)?;
        let def = self.def(class)?;
        if def.fields.contains_key(to) {
            return Err(SchemaError::Incompatible(format!("{class} has a field {to} already")).into());
        }
        let index = def.fields.get_index_of(from).ok_or_else(|| no_field(class, from))?;
        let fields = std::mem::take(&mut def.fields);
        for (i, (name, mut field)) in fields.into_iter().enumerate() {
            if i == index {
                to.clone_into(&mut field.name);
                def.fields.insert(to.to_owned(), field);
            } else {
                def.fields.insert(name, field);
            }
        }
        self.renames.add(class, from, to);
        Ok(())
    }

    fn delete(&mut self, class: &ClassName) -> Result<(), AppError> {
        self.check(Permission::SchemaReplace, class)?;
        let reference = class.reference();
        if predefined().iter().any(|def| def.class == reference) {
            return Err(SchemaError::Incompatible(format!("{class} is predefined and cannot be deleted")).into());
        }
        for other in self.defs.iter().filter(|def| def.class != reference) {
            let inherits = other.super_class.as_ref() == Some(&reference);
            if inherits
                || other
                    .fields
                    .values()
                    .any(|field| mentions(&field.type_text, &reference))
            {
                return Err(SchemaError::StillReferenced {
                    class: class.clone(),
                    user: other.name()?,
                }
                .into());
            }
        }
        self.defs.retain(|def| def.class != reference);
        Ok(())
    }

    /// The whole schema becomes these classes, plus the predefined ones.
    pub(super) fn replace_all(&mut self, classes: &[ClassDef]) -> Result<(), AppError> {
        for def in classes {
            self.replace(def)?;
        }
        let built_in = predefined();
        let listed = |def: &ClassDef| classes.iter().any(|c| c.class == def.class);
        for def in self.defs.iter().filter(|def| !listed(def)) {
            if !built_in.iter().any(|b| b.class == def.class) {
                may(self.caller, Permission::SchemaReplace, self.old, &def.name()?)?;
            }
        }
        self.defs
            .retain(|def| listed(def) || built_in.iter().any(|b| b.class == def.class));
        Ok(())
    }

    fn check_not_built_in(&self, class: &ClassName, field: &str) -> Result<(), AppError> {
        let reference = class.reference();
        let built_in = predefined().into_iter().find(|def| def.class == reference);
        if built_in.is_some_and(|def| def.fields.contains_key(field)) {
            return Err(SchemaError::Incompatible(format!("{class}.{field} is predefined and stays as it is")).into());
        }
        Ok(())
    }
}

/// A replacement of a predefined class keeps its built-in fields, whatever the client leaves out; clients never send
/// fields that have flags. Rules that are left out altogether stay as well, because clients send predefined classes
/// with empty ones.
fn keep_built_in(known: &ClassDef, new: &ClassDef) -> ClassDef {
    let mut def = new.clone();
    let Some(built_in) = predefined().into_iter().find(|def| def.class == known.class) else {
        return def;
    };
    let mut fields = indexmap_of(&built_in);
    for (name, field) in &new.fields {
        match fields.get_mut(name) {
            Some(built_in) => built_in.acl.clone_from(&field.acl),
            None => {
                fields.insert(name.clone(), field.clone());
            }
        }
    }
    def.fields = fields;
    def.super_class.clone_from(&known.super_class);
    def.embedded = known.embedded;
    if new.acl.iter().next().is_none() {
        def.acl = known.acl.clone();
    }
    def
}

/// Fields that the client says nothing about rules of keep theirs: published clients know no such rules, and would
/// open what is protected with every schema they send.
fn keep_field_rules(known: &ClassDef, def: &mut ClassDef) {
    for (name, field) in &mut def.fields {
        let acl = field.acl.take().or_else(|| known.fields.get(name)?.acl.clone());
        field.acl = acl.filter(|acl| !acl.is_empty());
    }
}

/// What a class inherits from; `None` for embedded ones.
fn parent(def: &ClassDef) -> Option<&str> {
    (!def.embedded).then(|| def.super_class.as_deref().unwrap_or("/db/Object"))
}

fn indexmap_of(def: &ClassDef) -> indexmap::IndexMap<String, FieldDef> {
    def.fields.clone()
}

/// True if a type text names the class, by itself or inside a collection type.
fn mentions(type_text: &str, reference: &str) -> bool {
    type_text.split(['[', ']', ',']).any(|part| part.trim() == reference)
}

/// Adds a field at its place; one whose place is taken, or that has none, goes behind all others.
fn add_field(def: &mut ClassDef, field: &FieldDef) {
    let mut field = field.clone();
    if field.order == FieldDef::LAST || def.fields.values().any(|f| f.order == field.order) {
        field.order = def.fields.values().map(|f| f.order + 1).max().unwrap_or(0);
    }
    def.fields.insert(field.name.clone(), field);
}

fn same_type(class: &str, existing: &FieldDef, new: &FieldDef) -> Result<(), AppError> {
    let squeezed = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    if squeezed(&existing.type_text) == squeezed(&new.type_text) {
        return Ok(());
    }
    let text = format!(
        "{class}.{} has the type {} already, not {}",
        existing.name, existing.type_text, new.type_text
    );
    Err(SchemaError::Incompatible(text).into())
}

fn no_field(class: &ClassName, field: &str) -> AppError {
    let field: String = field.chars().take(80).collect();
    AppError::Invalid(format!("{class} has no field {field} of its own"))
}
