//! What has to change so that an app has the classes of a folder, what that costs, and who gains access by it. The outcome
//! is computed with the rules that the server itself applies, and checked as a whole before anything is sent.

use fb_auth::{Gain, close, guard_schema, schema_gains};
use fb_types::schema::{FieldDef, predefined};
use fb_types::{ClassDef, Schema};
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::local::LocalClass;
use crate::CliError;
use crate::api::Profile;
use crate::change::{Change, Kind, Part};
use crate::ui::clean;

/// A schema change.
#[derive(Debug, Default)]
pub(crate) struct SchemaPlan {
    /// The body of `POST /schema`; empty if nothing changes.
    pub(crate) edits: Vec<Value>,
    pub(crate) changes: Vec<Change>,
    /// Data that goes.
    pub(crate) losses: Vec<String>,
    pub(crate) gains: Vec<Gain>,
    /// Classes of the app that have no file, and stay.
    pub(crate) only_remote: Vec<String>,
}

/// Compares. With `prune` classes without a file go.
pub(crate) fn plan(
    local: &[LocalClass],
    remote: &[Value],
    profile: Profile,
    prune: bool,
) -> Result<SchemaPlan, CliError> {
    let strange = |error: fb_types::SchemaError| CliError::NotAnApi {
        url: "the app".into(),
        found: format!("a schema that is none: {}", clean(&error.to_string())),
    };
    let before: Vec<ClassDef> = remote
        .iter()
        .map(ClassDef::from_json)
        .collect::<Result<_, _>>()
        .map_err(strange)?;
    let mut plan = SchemaPlan::default();
    let mut after = before.clone();
    let mut creations = Vec::new();
    for class in local {
        match before.iter().find(|known| known.class == class.def.class) {
            None => {
                let def = completed(class.def.clone(), profile);
                creations.push(created(&class.def));
                plan.changes.push(change_of_new(&def));
                after.push(def);
            }
            Some(known) => {
                let wanted = wanted(class, known, profile);
                if let Some(slot) = after.iter_mut().find(|def| def.class == known.class) {
                    *slot = wanted.clone();
                }
                compare(known, &wanted, &mut plan);
            }
        }
    }
    // Others may need new classes, so these come first.
    plan.edits.splice(0..0, creations);
    let built_in = predefined();
    let has_file = |def: &ClassDef| local.iter().any(|class| class.def.class == def.class);
    let gone: Vec<ClassDef> = before
        .iter()
        .filter(|def| !has_file(def) && !built_in.iter().any(|b| b.class == def.class))
        .cloned()
        .collect();
    if prune {
        after.retain(|def| !gone.iter().any(|g| g.class == def.class));
        plan.remove(gone)?;
    } else {
        plan.only_remote = gone.iter().map(|def| bucket(def).to_owned()).collect();
    }
    let invalid = |error: fb_types::SchemaError| CliError::Project(format!("the schema is not valid: {error}"));
    let old = Schema::build(before, 1, None, &[]).map_err(strange)?;
    let new = Schema::build(after, 2, None, &[]).map_err(invalid)?;
    plan.gains = schema_gains(&old, &new)?;
    Ok(plan)
}

impl SchemaPlan {
    /// Classes go in an order in which none is used any more.
    fn remove(&mut self, mut gone: Vec<ClassDef>) -> Result<(), CliError> {
        while !gone.is_empty() {
            let is_used = |def: &ClassDef| {
                gone.iter()
                    .any(|other| other.class != def.class && uses(other, &def.class))
            };
            let Some(free) = gone.iter().position(|def| !is_used(def)) else {
                let names: Vec<&str> = gone.iter().map(bucket).collect();
                return Err(CliError::Project(format!(
                    "the classes {} use each other, so none of them can be removed; remove their fields first",
                    names.join(", ")
                )));
            };
            let def = gone.remove(free);
            self.edits
                .push(json!({ "operation": "deleteClass", "bucket": def.class }));
            self.changes.push(Change::new(Part::Schema, Kind::Remove, bucket(&def)));
            self.losses.push(match def.embedded {
                true => format!("{}: the class", bucket(&def)),
                false => format!("{}: the class with all its objects", bucket(&def)),
            });
        }
        Ok(())
    }
}

fn uses(def: &ClassDef, reference: &str) -> bool {
    let mentions = |text: &str| text.split(['[', ']', ',']).any(|part| part.trim() == reference);
    def.super_class.as_deref() == Some(reference) || def.fields.values().any(|field| mentions(&field.type_text))
}

fn bucket(def: &ClassDef) -> &str {
    def.class.strip_prefix("/db/").unwrap_or(&def.class)
}

/// What the server makes of a definition: rules that say nothing mean what they mean in the app's profile. Where that is not
/// known they stay as they are, which is everybody.
fn completed(mut def: ClassDef, profile: Profile) -> ClassDef {
    let is_secure = profile == Profile::Secure;
    guard_schema(&mut def, is_secure, profile != Profile::Unknown);
    if is_secure {
        close(&mut def);
    }
    if !def.embedded && def.super_class.is_none() && def.class != "/db/Object" {
        def.super_class = Some("/db/Object".into());
    }
    for field in def.fields.values_mut() {
        field.acl.take_if(|acl| acl.is_empty());
    }
    def
}

/// The class as it shall be: what the file says, and what it says nothing about as it is.
fn wanted(class: &LocalClass, known: &ClassDef, profile: Profile) -> ClassDef {
    let mut def = class.def.clone();
    let built_in = predefined().into_iter().find(|b| b.class == known.class);
    if let Some(built_in) = &built_in {
        // Fields that every app has stay, whatever the file says of them but their rules.
        let mut fields: IndexMap<String, FieldDef> = IndexMap::new();
        for (name, field) in &known.fields {
            if built_in.fields.contains_key(name) {
                let acl = def.fields.get(name).and_then(|field| field.acl.clone());
                let mut field = field.clone();
                field.acl = acl.or(field.acl);
                fields.insert(name.clone(), field);
            }
        }
        // The app's own come behind them, in their order.
        let first = fields.values().map(|field| field.order + 1).max().unwrap_or(0);
        let own = in_order(&def)
            .into_iter()
            .filter(|own| !built_in.fields.contains_key(&own.name));
        for (order, field) in (first..).zip(own) {
            let name = field.name.clone();
            fields.insert(name, FieldDef { order, ..field.clone() });
        }
        def.fields = fields;
        def.super_class.clone_from(&known.super_class);
        def.embedded = known.embedded;
    }
    // Published clients send predefined classes with empty rules and mean nothing by it.
    let says_acl = class.says_acl && (built_in.is_none() || def.acl.iter().next().is_some());
    if !class.says_metadata {
        def.metadata.clone_from(&known.metadata);
    }
    if !class.says_super {
        def.super_class.clone_from(&known.super_class);
    }
    for (name, field) in &mut def.fields {
        if field.acl.is_none() {
            field.acl = known.fields.get(name).and_then(|known| known.acl.clone());
        }
    }
    let mut def = completed(def, profile);
    if !says_acl {
        def.acl = known.acl.clone();
    }
    def
}

fn in_order(def: &ClassDef) -> Vec<&FieldDef> {
    let mut fields: Vec<&FieldDef> = def.fields.values().collect();
    fields.sort_by_key(|field| field.order);
    fields
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Adds what it takes to make `known` what is wanted.
fn compare(known: &ClassDef, wanted: &ClassDef, plan: &mut SchemaPlan) {
    let name = bucket(known);
    let mut change = Change::new(Part::Schema, Kind::Change, name);
    let mut edits = Vec::new();
    let mut needs_replacement = false;
    for old in known
        .fields
        .values()
        .filter(|old| !wanted.fields.contains_key(&old.name))
    {
        edits.push(json!({ "operation": "removeField", "bucket": known.class, "field": old.name }));
        change.details.push(format!("- field {} with its data", old.name));
        plan.losses
            .push(format!("{name}.{}: the field with its data", old.name));
    }
    let (old_order, new_order) = (in_order(known), in_order(wanted));
    for field in &new_order {
        match known.fields.get(&field.name) {
            None => {
                let mut json = json!(field);
                // Behind all others, wherever these are.
                json.as_object_mut().map(|members| members.shift_remove("order"));
                edits.push(json!({ "operation": "addField", "bucket": known.class, "field": json }));
                change.details.push(format!(
                    "+ field {} {}{}",
                    field.name,
                    field.type_text,
                    rules_note(field)
                ));
            }
            Some(old) => {
                if squeezed(&old.type_text) != squeezed(&field.type_text) {
                    needs_replacement = true;
                    change.details.push(format!(
                        "~ field {} {} → {}",
                        field.name, old.type_text, field.type_text
                    ));
                    plan.losses
                        .push(format!("{name}.{}: values that are no {}", field.name, field.type_text));
                }
                if old.acl != field.acl {
                    let acl = json!(field.acl.clone().unwrap_or_default());
                    change
                        .details
                        .push(format!("~ rules of field {}: {} → {acl}", field.name, json!(old.acl)));
                    edits.push(json!({ "operation": "updateFieldAcl", "bucket": known.class, "field": field.name, "acl": acl }));
                }
                if old.metadata != field.metadata || old.flags != field.flags && !field.flags.is_empty() {
                    needs_replacement = true;
                    change.details.push(format!("~ metadata of field {}", field.name));
                }
            }
        }
    }
    let kept: Vec<&str> = old_order
        .iter()
        .map(|f| f.name.as_str())
        .filter(|n| wanted.fields.contains_key(*n))
        .collect();
    let added = new_order
        .iter()
        .map(|f| f.name.as_str())
        .filter(|n| !known.fields.contains_key(*n));
    let reached: Vec<&str> = kept.into_iter().chain(added).collect();
    if reached != new_order.iter().map(|f| f.name.as_str()).collect::<Vec<_>>() {
        needs_replacement = true;
        change.details.push("~ order of fields".into());
    }
    if known.acl != wanted.acl {
        for permission in fb_types::Permission::ALL {
            let (old, new) = (known.acl.rules(permission), wanted.acl.rules(permission));
            if old != new {
                let text =
                    |rules: Option<&fb_types::RuleMap>| rules.map_or_else(|| "{}".into(), |r| json!(r).to_string());
                change
                    .details
                    .push(format!("~ {}: {} → {}", permission.as_str(), text(old), text(new)));
            }
        }
        edits.push(json!({ "operation": "updateClassAcl", "bucket": known.class, "acl": wanted.acl }));
    }
    for (is_other, what) in [
        (known.metadata != wanted.metadata, "metadata"),
        (known.super_class != wanted.super_class, "super class"),
        (known.embedded != wanted.embedded, "embedded"),
    ] {
        if is_other {
            needs_replacement = true;
            change.details.push(format!("~ {what}"));
        }
    }
    if known.embedded != wanted.embedded || known.super_class != wanted.super_class {
        plan.losses.push(format!("{name}: what does not fit its new kind"));
    }
    if needs_replacement {
        plan.edits.push(replacement(wanted));
    } else {
        plan.edits.extend(edits);
    }
    if !change.details.is_empty() {
        plan.changes.push(change);
    }
}

fn rules_note(field: &FieldDef) -> String {
    match &field.acl {
        Some(acl) => format!(" with the rules {}", json!(acl)),
        None => String::new(),
    }
}

/// The operation that makes a class exactly this. It says what it means about rules of every field.
fn replacement(def: &ClassDef) -> Value {
    let mut def = def.clone();
    let names: Vec<String> = in_order(&def).iter().map(|field| field.name.clone()).collect();
    for (order, name) in names.iter().enumerate() {
        if let Some(field) = def.fields.get_mut(name) {
            field.order = i64::try_from(order).unwrap_or(i64::MAX);
            field.acl.get_or_insert_default();
        }
    }
    let mut json = json!(def);
    json["operation"] = json!("replaceClass");
    json
}

fn created(def: &ClassDef) -> Value {
    json!(def)
}

fn change_of_new(def: &ClassDef) -> Change {
    let mut change = Change::new(Part::Schema, Kind::Add, bucket(def));
    for field in in_order(def) {
        change.details.push(format!(
            "+ field {} {}{}",
            field.name,
            field.type_text,
            rules_note(field)
        ));
    }
    change
}
