//! Code that has a say in what is written: checks of fields, and handlers before inserts, updates and deletes.

use std::sync::Arc;

use bytes::Bytes;
use fb_auth::{Errand, Principal};
use fb_functions::{CallError, CallKind, Exception};
use fb_store::{Refusal, StoreError};
use fb_types::{Acl, Class, ObjectId, ObjectKey, Schema, Stored, Version, same_value};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::sources::{CodeType, Sources};
use super::{CodeCaller, request};
use crate::objects::NewAcl;
use crate::{App, AppError};

/// An object that is about to be written.
pub(crate) struct Subject<'a> {
    pub(crate) id: &'a ObjectId,
    /// `None` if it is about to be inserted.
    pub(crate) version: Option<Version>,
    pub(crate) acl: Option<Arc<Acl>>,
    /// All fields in normal form.
    pub(crate) fields: &'a Map<String, Value>,
}

/// What code makes of an object: the fields and rules that it changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prepared {
    fields: Map<String, Value>,
    acl: Option<Option<Arc<Acl>>>,
    /// False if there was nothing to ask.
    was_asked: bool,
}

impl Prepared {
    /// What the write may overwrite: if code was asked, just what it was asked about.
    pub(crate) fn basis(&self, stored: Option<Arc<Stored>>) -> Basis {
        match self.was_asked {
            true => Basis::Object(stored),
            false => Basis::Presence(stored.is_some()),
        }
    }

    /// True if code had a say.
    pub(crate) fn was_asked(&self) -> bool {
        self.was_asked
    }

    /// Lays the changes over fields in normal form.
    pub(crate) fn over(&self, fields: &mut Map<String, Value>) {
        for (name, value) in &self.fields {
            fields.insert(name.clone(), value.clone());
        }
    }

    /// What code changed, for the audit log; `None` if that is nothing.
    pub(crate) fn changes(&self) -> Option<Value> {
        let mut changes = self.fields.clone();
        if let Some(acl) = &self.acl {
            changes.insert("acl".to_owned(), json!(acl));
        }
        (!changes.is_empty()).then_some(Value::Object(changes))
    }

    /// The rules that the object gets.
    pub(crate) fn acl(&self, of_the_caller: NewAcl) -> NewAcl {
        match &self.acl {
            Some(acl) => NewAcl::Set(acl.clone()),
            None => of_the_caller,
        }
    }
}

/// What is there before a write, as far as code's word about it depends on that.
#[derive(Debug, Clone)]
pub(crate) enum Basis {
    /// Exactly this object, or none.
    Object(Option<Arc<Stored>>),
    /// Whether there is one: that decides which code would be asked.
    Presence(bool),
}

impl Basis {
    /// Refuses a write of anything else, which has to be prepared anew.
    pub(crate) fn check(&self, before: Option<&Stored>) -> Result<(), Refusal> {
        let holds = match (self, before) {
            (Self::Presence(was_there), before) => *was_there == before.is_some(),
            (Self::Object(None), None) => true,
            (Self::Object(Some(shown)), Some(before)) => is_same(shown, before),
            (Self::Object(_), _) => false,
        };
        match holds {
            true => Ok(()),
            false => Err(AppError::Contended.refuse()),
        }
    }
}

/// Versions alone do not tell: an object that was deleted and inserted again begins at the first one.
fn is_same(shown: &Stored, before: &Stored) -> bool {
    let head = |object: &Stored| (object.version, object.created_at, object.updated_at);
    // Code is shown objects with the fields that their class has by now, and they are stored without. One that was
    // inserted since has them all.
    head(shown) == head(before) && (shown.shape != before.shape || shown.body == before.body)
}

#[derive(Deserialize)]
struct Validated {
    valid: bool,
    result: Value,
}

#[derive(Deserialize)]
struct Handled {
    object: Map<String, Value>,
}

impl App {
    /// True if code has a say in such writes of this caller. Writes of code call no code.
    pub(crate) fn has_code_before(&self, caller: &Principal, bucket: &str, kind: CodeType) -> bool {
        let sources = self.code().sources.load();
        if !sources.has_handlers() || caller.is_code() {
            return false;
        }
        let is_validated = kind != CodeType::Delete && sources.has(bucket, CodeType::Validate);
        is_validated || sources.has(bucket, kind)
    }

    /// The object as it is, for code that has a say in what becomes of it.
    pub(crate) async fn before_image(&self, bucket: &str, key: &ObjectKey) -> Result<Option<Arc<Stored>>, AppError> {
        self.fetch_for(Errand::RunCode, bucket, key).await
    }

    /// Runs what the class has: its checks, then its handler. `kind` is that of the handler.
    pub(crate) async fn prepare(
        &self,
        caller: &Principal,
        schema: &Schema,
        class: &Class,
        kind: CodeType,
        object: Subject<'_>,
    ) -> Result<Prepared, AppError> {
        let bucket = class.name().as_str();
        let sources = self.code().sources.load_full();
        let is_validated = sources.has(bucket, CodeType::Validate);
        if is_validated {
            self.validate(&sources, caller, class, &object).await?;
        }
        if !sources.has(bucket, kind) {
            return Ok(Prepared {
                was_asked: is_validated,
                ..Prepared::default()
            });
        }
        let mut before = Map::with_capacity(object.fields.len() + 3);
        before.insert("id".to_owned(), json!(object.id.to_string()));
        before.insert("version".to_owned(), json!(object.version.map(|v| v.0)));
        before.insert("acl".to_owned(), json!(object.acl));
        for (name, value) in object.fields {
            before.insert(name.clone(), value.clone());
        }
        let call_kind = match object.version {
            None => CallKind::Insert,
            Some(_) => CallKind::Update,
        };
        let input = Map::from_iter([
            ("object".to_owned(), Value::Object(before)),
            ("request".to_owned(), request()),
        ]);
        let outcome = self
            .run(
                &sources,
                as_code(caller),
                call_kind,
                (bucket, kind),
                input,
                Bytes::new(),
            )
            .await
            .map_err(|error| self.without_export(error, (bucket, kind), caller));
        let outcome = match outcome {
            // It saw another schema than the one it was called for.
            Err(AppError::Code(error))
                if matches!(*error, CallError::Failed(_)) && self.schema().rev() != schema.rev() =>
            {
                return Err(AppError::Store(StoreError::SchemaChanged));
            }
            outcome => outcome?,
        };
        // That it cannot be stored is no fault of the caller's.
        let no_object = |error: String| {
            let exception = Exception {
                name: "TypeError".to_owned(),
                message: format!("the handler made an object that cannot be stored: {error}"),
                stack: String::new(),
            };
            self.code_failed((bucket, kind), CallError::Failed(Box::new(exception)), caller.user_id())
        };
        let after: Handled = serde_json::from_str(&outcome.json).map_err(|e| no_object(e.to_string()))?;
        let after = after.object;
        let acl = Acl::from_json(after.get("acl").unwrap_or(&Value::Null)).map_err(|e| no_object(e.to_string()))?;
        let acl = acl.map(Arc::new);
        let checked = schema
            .check_fields(class, &after, None)
            .map_err(|e| no_object(e.to_string()))?;
        let is_changed = |name: &str, value: &Value| {
            let is_read_only = class.field(name).is_some_and(|field| field.is_read_only());
            !is_read_only && !object.fields.get(name).is_some_and(|before| came_back(before, value))
        };
        for (name, value) in checked.iter().filter(|(name, value)| is_changed(name, value)) {
            if let Some((path, number)) = after.get(name).and_then(|made| rounded(name, made, value)) {
                return Err(no_object(format!("{path}: an integer is expected, found {number}")));
            }
        }
        Ok(Prepared {
            fields: checked
                .into_iter()
                .filter(|(name, value)| is_changed(name, value))
                .collect(),
            acl: (acl != object.acl).then_some(acl),
            was_asked: true,
        })
    }

    /// A handler that exports nothing is a mistake of the app's; that something is not found would be a mistake of the caller's.
    fn without_export(&self, error: AppError, code: (&str, CodeType), caller: &Principal) -> AppError {
        match error {
            AppError::Code(error) if matches!(*error, CallError::NoExport { .. }) => {
                let exception = Exception {
                    name: "TypeError".to_owned(),
                    message: error.to_string(),
                    stack: String::new(),
                };
                self.code_failed(code, CallError::Failed(Box::new(exception)), caller.user_id())
            }
            other => other,
        }
    }

    async fn validate(
        &self,
        sources: &Sources,
        caller: &Principal,
        class: &Class,
        object: &Subject<'_>,
    ) -> Result<(), AppError> {
        let of = |ty: &str, value: Value| json!({ "type": ty, "value": value });
        let mut fields = Map::new();
        fields.insert("id".to_owned(), of("String", json!(object.id.to_string())));
        fields.insert("version".to_owned(), of("Integer", json!(object.version.map(|v| v.0))));
        fields.insert("acl".to_owned(), of("JsonObject", json!(object.acl)));
        for field in class.fields() {
            let value = object.fields.get(field.name()).cloned().unwrap_or_default();
            let ty = field.ty().to_string();
            fields.insert(field.name().to_owned(), of(ty.trim_start_matches("/db/"), value));
        }
        let bucket = class.name().as_str();
        let input = Map::from_iter([("fields".to_owned(), Value::Object(fields))]);
        let outcome = self
            .run(
                sources,
                as_code(caller),
                CallKind::Validate,
                (bucket, CodeType::Validate),
                input,
                Bytes::new(),
            )
            .await?;
        let Validated { valid, result } =
            serde_json::from_str(&outcome.json).map_err(|e| AppError::internal("reading a validation", e))?;
        match valid {
            true => Ok(()),
            false => Err(AppError::NotValid(result)),
        }
    }

    /// Runs the handler before a delete.
    pub(crate) async fn before_delete(&self, caller: &Principal, class: &Class, id: &ObjectId) -> Result<(), AppError> {
        let input = Map::from_iter([
            ("object".to_owned(), json!({ "id": id.to_string() })),
            ("request".to_owned(), request()),
        ]);
        let code = (class.name().as_str(), CodeType::Delete);
        let sources = self.code().sources.load_full();
        if !sources.has(code.0, code.1) {
            return Ok(());
        }
        self.run(&sources, as_code(caller), CallKind::Delete, code, input, Bytes::new())
            .await
            .map_err(|error| self.without_export(error, code, caller))?;
        Ok(())
    }
}

/// True if code left a value alone: JavaScript's numbers cannot hold all integers, so some come back rounded.
fn came_back(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| came_back(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| came_back(x, y)))
        }
        _ => before == after,
    }
}

/// A number that lost something in its normal form, and where. Clients' numbers are cut off without a word, as the protocol
/// says; code has made a mistake.
fn rounded<'v>(path: &str, made: &'v Value, normal: &Value) -> Option<(String, &'v Value)> {
    match (made, normal) {
        (Value::Number(_), Value::Number(_)) => (!same_value(made, normal)).then(|| (path.to_owned(), made)),
        (Value::Array(made), Value::Array(normal)) => {
            let mut pairs = made.iter().zip(normal).enumerate();
            pairs.find_map(|(i, (made, normal))| rounded(&format!("{path}.{i}"), made, normal))
        }
        (Value::Object(made), Value::Object(normal)) => {
            let mut pairs = made
                .iter()
                .filter_map(|(name, made)| Some((name, made, normal.get(name)?)));
            pairs.find_map(|(name, made, normal)| rounded(&format!("{path}.{name}"), made, normal))
        }
        _ => None,
    }
}

fn as_code(caller: &Principal) -> CodeCaller {
    CodeCaller {
        principal: caller.as_code(),
        depth: 1,
        reads: None,
    }
}
