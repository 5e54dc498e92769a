//! `/schema`: the classes of the app.

use fb_app::schema::SchemaEdit;
use fb_app::{App, AppError};
use fb_types::schema::{FieldAcl, FieldDef};
use fb_types::{Class, ClassAcl, ClassDef, ClassName, Schema, SchemaError};
use http::header;
use serde_json::{Value, json};

use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/schema" get_all_schemas, "Read the schema", Access::Public, answers: &[(200, Some("Schema"))]),
        route!(POST "/schema" update_all_schemas, "Add classes and fields, or carry out schema operations",
            Access::Class(&["schemaAdd", "schemaReplace", "schemaSubclass"]), body: "SchemaEdits",
            answers: &[(200, Some("Schema"))]),
        route!(PUT "/schema" replace_all_schemas, "Replace the whole schema; data that does not fit is removed",
            Access::Class(&["schemaReplace", "schemaSubclass"]), body: "Schema", answers: &[(200, Some("Schema"))]),
        route!(GET "/schema/{bucket}" get_schema, "Read one class", Access::Public, answers: &[(200, Some("Class"))]),
        route!(POST "/schema/{bucket}" update_schema, "Create a class, or add fields to it",
            Access::Class(&["schemaAdd", "schemaSubclass"]), body: "Class", answers: &[(200, Some("Class"))]),
        route!(PUT "/schema/{bucket}" replace_schema, "Replace a class; data that does not fit is removed",
            Access::Class(&["schemaReplace", "schemaSubclass"]), body: "Class", answers: &[(200, Some("Class"))]),
        route!(DELETE "/schema/{bucket}" delete_schema, "Delete a class and its objects",
            Access::Class(&["schemaReplace"]), answers: &[(204, None)]),
    ]
}

/// The JSON of all classes.
pub(crate) fn schema_json(app: &App, schema: &Schema) -> Value {
    schema.classes().map(|class| class_json(app, class)).collect()
}

/// A class as clients see it: its definition, and its checks, which clients run as well. They are written under `/code`; here they are
/// ignored, so that clients can send back what they got.
fn class_json(app: &App, class: &Class) -> Value {
    let mut json = json!(class.def());
    if let Some(code) = app.validation_code(class.name().as_str()) {
        json["validationCode"] = json!(&*code);
    }
    json
}

fn answer(app: &App, schema: &Schema) -> Reply {
    Reply::json(200, &schema_json(app, schema)).header(header::CACHE_CONTROL, "no-cache")
}

async fn get_all_schemas(ctx: Ctx) -> Result<Reply, ApiError> {
    ctx.caller()?;
    Ok(answer(&ctx.app, &ctx.app.schema()))
}

async fn update_all_schemas(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let edits = match ctx.json().await? {
        Value::Array(edits) => edits.iter().map(edit).collect::<Result<_, _>>()?,
        one => vec![edit(&one)?],
    };
    Ok(answer(&ctx.app, &*ctx.app.edit_schema(&caller, edits).await?))
}

async fn replace_all_schemas(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let classes = match ctx.json().await? {
        Value::Array(classes) => classes.iter().map(ClassDef::from_json).collect::<Result<_, _>>()?,
        _ => return Err(ApiError::bad_request("The body must be an array of classes.")),
    };
    Ok(answer(&ctx.app, &*ctx.app.replace_schema(&caller, classes).await?))
}

async fn get_schema(ctx: Ctx) -> Result<Reply, ApiError> {
    ctx.caller()?;
    one_class(&ctx.app, &ctx.app.schema(), &ctx.bucket()?)
}

fn one_class(app: &App, schema: &Schema, bucket: &str) -> Result<Reply, ApiError> {
    let class = schema
        .class(bucket)
        .ok_or_else(|| AppError::NoClass(bucket.chars().take(80).collect()))?;
    Ok(Reply::json(200, &class_json(app, class)).header(header::CACHE_CONTROL, "no-cache"))
}

async fn update_schema(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let body = ctx.json().await?;
    let bucket = ctx.bucket()?;
    let def = class_for(&bucket, body)?;
    let schema = ctx
        .app
        .edit_schema(&ctx.caller()?, vec![SchemaEdit::Merge(def)])
        .await?;
    one_class(&ctx.app, &schema, &bucket)
}

async fn replace_schema(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let body = ctx.json().await?;
    let bucket = ctx.bucket()?;
    let def = class_for(&bucket, body)?;
    let schema = ctx
        .app
        .edit_schema(&ctx.caller()?, vec![SchemaEdit::Replace(def)])
        .await?;
    one_class(&ctx.app, &schema, &bucket)
}

async fn delete_schema(ctx: Ctx) -> Result<Reply, ApiError> {
    let class = ClassName::new(&ctx.bucket()?)?;
    ctx.app
        .edit_schema(&ctx.caller()?, vec![SchemaEdit::Delete(class)])
        .await?;
    Ok(Reply::empty(204))
}

/// A class definition sent to the class's own URL; its `class` member may be left out.
fn class_for(bucket: &str, mut body: Value) -> Result<ClassDef, ApiError> {
    let reference = format!("/db/{bucket}");
    if let Value::Object(members) = &mut body {
        members.entry("class").or_insert_with(|| json!(reference));
    }
    let def = ClassDef::from_json(&body)?;
    if def.class != reference {
        return Err(ApiError::bad_request(format!(
            "The body defines {}, not {reference}.",
            def.class
        )));
    }
    Ok(def)
}

/// One element of the body of `POST /schema`: a class, or an operation.
fn edit(value: &Value) -> Result<SchemaEdit, ApiError> {
    let Some(operation) = value.get("operation") else {
        return Ok(SchemaEdit::Merge(ClassDef::from_json(value)?));
    };
    let class = || {
        let reference = value
            .get("bucket")
            .or_else(|| value.get("class"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        Ok::<_, ApiError>(ClassName::from_reference(reference)?)
    };
    let text = |name: &str| match value.get(name).and_then(Value::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => Err(ApiError::bad_request(format!(
            "The operation needs the member `{name}`, a string."
        ))),
    };
    match operation.as_str() {
        Some("addField") => {
            let class = class()?;
            let field = value.get("field").unwrap_or(&Value::Null);
            let field = FieldDef::from_json(field, None, usize::MAX, class.as_str()).map_err(ApiError::from)?;
            Ok(SchemaEdit::AddField { class, field })
        }
        Some("renameField") => Ok(SchemaEdit::RenameField {
            class: class()?,
            from: text("from")?,
            to: text("to")?,
        }),
        Some("removeField") => Ok(SchemaEdit::RemoveField {
            class: class()?,
            field: text("field")?,
        }),
        Some("updateClassAcl") => {
            let class = class()?;
            let acl = ClassAcl::from_json(value.get("acl").unwrap_or(&Value::Null), class.as_str())?;
            Ok(SchemaEdit::UpdateAcl { class, acl })
        }
        Some("updateFieldAcl") => {
            let (class, field) = (class()?, text("field")?);
            let Some(acl) = value.get("acl") else {
                return Err(ApiError::bad_request("The operation needs the member `acl`."));
            };
            let acl = FieldAcl::from_json(acl, &format!("{class}.{field}"))?;
            Ok(SchemaEdit::UpdateFieldAcl { class, field, acl })
        }
        Some("replaceClass") => Ok(SchemaEdit::Replace(ClassDef::from_json(value)?)),
        Some("deleteClass") => Ok(SchemaEdit::Delete(class()?)),
        _ => Err(ApiError::from(SchemaError::Invalid(
            "operation must be addField, renameField, removeField, updateClassAcl, updateFieldAcl, replaceClass or \
             deleteClass"
                .into(),
        ))),
    }
}
