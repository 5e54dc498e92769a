//! The OpenAPI 3.1 document, made from the route table.

use serde_json::{Map, Value, json};

use crate::codes::CODES;
use crate::route::{Access, Route};

/// The document of these routes.
pub fn document(routes: &[Route]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let path = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Freshbase app API",
            "version": "1",
            "description": "The API of one app: schema, objects, queries, users. Errors have a JSON body with className, \
                message, reason and requestId.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [
            { "url": "/v1", "description": "The app of the host name" },
            { "url": "/apps/{app}/v1", "description": "An app by name", "variables": { "app": { "default": "main" } } },
        ],
        "security": [{}, { "token": [] }, { "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "BAT, a blank, and the token that login and registration give in the header \
                        baqend-authorization-token",
                },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
            "responses": { "Error": {
                "description": errors_text(),
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
            } },
            "schemas": schemas(),
        },
    })
}

fn errors_text() -> String {
    let rows = CODES
        .iter()
        .map(|code| format!("{} {}: {}", code.status, code.name, code.meaning));
    rows.collect::<Vec<_>>().join("\n\n")
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = path_parameters(route.path)
        .map(|name| {
            let description = match name {
                "bucket" if route.path.starts_with("/file") => "Name of the bucket",
                "oid" if route.path.starts_with("/file") => "Name of the file, each segment percent-encoded",
                "bucket" => "Class name without /db/",
                "oid" => "Last part of the object's id, percent-encoded",
                "ip" => "An IPv4 or IPv6 address; of the latter the first 64 bits count",
                _ => name,
            };
            let schema = json!({ "type": "string" });
            json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
        })
        .collect();
    for (name, description) in route.query {
        let kind = if matches!(*name, "start" | "count") && !route.path.starts_with("/file") {
            "integer"
        } else {
            "string"
        };
        let schema = json!({ "type": kind });
        parameters.push(json!({ "name": name, "in": "query", "description": description, "schema": schema }));
    }
    let mut responses = Map::new();
    for (status, schema) in route.answers {
        let mut answer = json!({ "description": reason(*status) });
        if let Some(schema) = schema {
            answer["content"] = content(schema);
        }
        responses.insert(status.to_string(), answer);
    }
    responses.insert("default".into(), json!({ "$ref": "#/components/responses/Error" }));
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "tags": [tag(route.path)],
        "responses": responses,
        "x-access": access(route.access),
    });
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = route.body {
        operation["requestBody"] = json!({ "required": body != "Filter", "content": body_content(body) });
    }
    operation
}

fn access(access: Access) -> String {
    match access {
        Access::Public => "everybody".into(),
        Access::LoggedIn => "logged-in users".into(),
        Access::Class(permissions) => format!("class permission {}, then object rules", permissions.join(" or ")),
        Access::Bucket(permissions) => {
            format!("bucket permission {}, then rules of the file", permissions.join(" or "))
        }
        Access::Admin => "administrators".into(),
    }
}

/// Names of the parameters of a path template, in order.
pub(crate) fn path_parameters(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        // The rest of a path, however many segments it has.
        .map(|name| name.trim_start_matches('*'))
}

fn tag(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("db") if path.starts_with("/db/User/") => "users",
        Some("db") if path.starts_with("/db/Device/") => "devices",
        Some("db") if path.ends_with("/query") || path.ends_with("/count") => "queries",
        Some("db") => "objects",
        Some("schema") => "schema",
        Some("index") => "indexes",
        Some("file") => "files",
        _ => "app",
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Part of it",
        201 => "Created",
        202 => "Accepted",
        204 => "Done, no body",
        304 => "Not modified",
        _ => "Answer",
    }
}

fn content(schema: &str) -> Value {
    if schema == "FileContent" {
        return json!({ "*/*": { "schema": { "$ref": "#/components/schemas/FileContent" } } });
    }
    if schema == "Archive" {
        return json!({ "application/zip": { "schema": { "$ref": "#/components/schemas/Archive" } } });
    }
    if schema == "PushKey" {
        return json!({ "text/plain": { "schema": { "$ref": "#/components/schemas/PushKey" } } });
    }
    if schema == "ApnsUpload" {
        return json!({ "multipart/form-data": { "schema": { "$ref": "#/components/schemas/ApnsUpload" } } });
    }
    json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } })
}

fn body_content(schema: &str) -> Value {
    let mut content = content(schema);
    if schema == "Filter" {
        content["text/plain"] = json!({ "schema": { "type": "string", "description": "The filter's JSON" } });
    }
    content
}

fn config() -> Value {
    let seconds = |min: u32, max: u32| json!({ "type": "integer", "minimum": min, "maximum": max });
    let count = json!({ "type": "integer", "minimum": 0 });
    let text = json!({ "type": ["string", "null"] });
    json!({
        "type": "object",
        "properties": {
            "profile": { "enum": ["secure", "baqend"] },
            "name": text,
            "registration": { "enum": ["open", "closed"] },
            "sessionSeconds": seconds(60, 31_536_000),
            "shortSessionSeconds": seconds(60, 31_536_000),
            "passwordPolicy": {
                "type": "object",
                "properties": { "minLength": seconds(1, 64), "rejectCommon": { "type": "boolean" }, "rejectBreached": { "type": "boolean" } },
            },
            "lockout": { "type": "object", "properties": { "attempts": count, "seconds": seconds(1, 86_400) } },
            "rateLimit": { "type": "object", "properties": { "requests": count, "seconds": seconds(1, 86_400) } },
            "requestLimit": {
                "type": ["object", "null"],
                "description": "Requests of any kind from one address; null is the profile's default",
                "properties": { "requests": count, "seconds": seconds(1, 86_400), "banSeconds": seconds(1, 604_800) },
            },
            "logs": {
                "type": "object",
                "properties": {
                    "retention": {
                        "type": "object",
                        "description": "Days; 0 is for ever",
                        "properties": {
                            "AppLog": seconds(0, 36_500), "AuditLog": seconds(0, 36_500), "jobs.Status": seconds(0, 36_500),
                        },
                    },
                    "maxLines": count, "maxRuns": count,
                },
            },
            "emailVerification": { "type": "boolean" },
            "publicUrl": text,
            "mail": {
                "type": "object",
                "properties": {
                    "from": text, "resetUrl": text, "verifiedUrl": text, "failedUrl": text, "perHour": { "type": ["integer", "null"], "minimum": 0 },
                    "templates": { "type": "object", "additionalProperties": { "type": "object" } },
                },
            },
            "oauth": {
                "type": "object",
                "properties": {
                    "providers": { "type": "object", "additionalProperties": { "type": "object" } },
                    "authorizedDomains": { "type": "array", "items": { "type": "string" } },
                    "clientStarted": { "type": "boolean" },
                },
            },
            "images": {
                "type": "object",
                "properties": {
                    "variants": { "type": "object", "additionalProperties": { "type": "object" } },
                    "signingKey": text,
                },
            },
            "hosting": {
                "type": "object",
                "properties": { "sites": { "type": "object", "additionalProperties": { "type": "object", "properties": {
                    "enabled": { "type": "boolean", "default": true },
                    "bucket": { "type": "string", "default": "www" },
                    "index": { "type": "string", "default": "index.html" },
                    "notFound": { "type": "string", "default": "404.html" },
                    "singlePage": { "type": "boolean", "default": false },
                    "cleanUrls": { "type": "boolean", "default": false },
                    "basicAuth": { "type": ["object", "null"], "properties": { "username": text, "password": text } },
                } } } },
            },
        },
    })
}

fn schemas() -> Value {
    let rules = json!({
        "type": "object",
        "description": "Rules by user id, role id or *",
        "additionalProperties": { "enum": ["allow", "deny"] },
    });
    let text = json!({ "type": "string" });
    let permissions: Map<String, Value> = fb_types::Permission::DATA
        .iter()
        .map(|p| (p.as_str().to_owned(), json!({ "$ref": "#/components/schemas/Rules" })))
        .collect();
    json!({
        "Anything": {},
        "FileContent": { "description": "The content of a file, of any type" },
        "Ban": {
            "type": "object",
            "properties": {
                "until": { "type": "string", "format": "date-time" },
                "retryAfter": { "type": "integer", "minimum": 1, "description": "Seconds" },
            },
        },
        "Letter": {
            "type": "object",
            "required": ["to", "subject", "text"],
            "additionalProperties": false,
            "properties": {
                "to": { "oneOf": [text, { "type": "array", "items": text, "minItems": 1, "maxItems": 50 }] },
                "subject": text, "text": text, "html": text, "fromName": text, "replyTo": text,
                "from": { "type": "string", "description": "The app's own sender; nothing else is accepted" },
            },
        },
        "SentLetter": {
            "type": "object",
            "properties": {
                "id": { "type": "string", "description": "Message-ID of the first message" },
                "ids": { "type": "array", "items": text, "description": "One per recipient, in their order" },
            },
        },
        "Archive": { "description": "A zip archive, names relative to the bucket or the folder" },
        "BucketAcl": {
            "type": "object",
            "description": "Rules by permission: load, insert, update, delete, query",
            "properties": permissions,
            "additionalProperties": false,
        },
        "FileMetadata": {
            "type": "object",
            "properties": {
                "id": { "type": "string", "examples": ["/file/www/logo.png"] },
                "mimeType": text,
                "eTag": text,
                "acl": { "$ref": "#/components/schemas/Acl" },
                "size": { "type": "integer", "minimum": 0 },
                "contentLength": { "type": "integer", "minimum": 0 },
                "lastModified": { "type": "string", "format": "date-time" },
                "createdAt": { "type": "string", "format": "date-time" },
                "headers": { "type": "object", "additionalProperties": text },
            },
        },
        "DeviceRegistration": {
            "type": "object",
            "required": ["devicetype", "subscription"],
            "properties": {
                "devicetype": { "enum": ["Android", "IOS", "WebPush"] },
                "subscription": {
                    "type": "object",
                    "description": "{\"token\": …}, or the JSON form of a browser's PushSubscription",
                },
                "device": { "type": ["object", "null"], "description": "Fields and rules of the device's object" },
            },
        },
        "PushMessage": {
            "type": "object",
            "required": ["devices"],
            "properties": {
                "devices": { "type": "array", "items": text, "minItems": 1, "maxItems": 5000 },
                "message": text, "subject": text, "sound": text, "badge": { "type": ["string", "integer"] }, "data": {},
                "icon": text, "image": text, "actions": {}, "dir": text, "tag": text, "webBadge": text,
                "vibrate": { "type": "array", "items": { "type": "number" } },
                "renotify": { "type": "boolean" }, "requireInteraction": { "type": "boolean" },
                "silent": { "type": "boolean" }, "nativeBadge": { "type": "integer", "minimum": 0 },
                "ttl": { "type": "integer", "minimum": 0, "description": "Seconds that services keep it; at most 4 weeks" },
            },
        },
        "VapidPublicKey": {
            "type": "object",
            "properties": { "publicKey": { "type": "string", "description": "base64url, as pushManager.subscribe takes it" } },
        },
        "PushKey": { "type": "string", "description": "The JSON file of a service account" },
        "ApnsUpload": {
            "type": "object",
            "required": ["key", "teamId", "topic"],
            "properties": {
                "key": { "type": "string", "format": "binary", "description": "The .p8 file" },
                "keyId": { "type": "string", "description": "Taken from the file's name if it is absent" },
                "teamId": text,
                "topic": { "type": "string", "description": "The app's bundle id" },
                "environment": { "enum": ["production", "development"], "default": "production" },
            },
        },
        "StringList": { "type": "array", "items": text },
        "Count": { "type": "object", "required": ["count"], "properties": { "count": { "type": "integer" } } },
        "Rules": rules,
        "Acl": {
            "type": ["object", "null"],
            "properties": { "read": { "$ref": "#/components/schemas/Rules" }, "write": { "$ref": "#/components/schemas/Rules" } },
        },
        "Object": {
            "type": "object",
            "description": "Metadata and the fields of the class",
            "properties": {
                "id": { "type": "string", "examples": ["/db/Todo/7b8d9f0e-5a0c-4a1e-9f41-2f3d0c9f6a11"] },
                "version": { "type": "integer", "minimum": 1 },
                "acl": { "$ref": "#/components/schemas/Acl" },
                "createdAt": { "type": "string", "format": "date-time" },
                "updatedAt": { "type": "string", "format": "date-time" },
            },
            "additionalProperties": true,
        },
        "ObjectList": { "type": "array", "items": { "$ref": "#/components/schemas/Object" } },
        "PartialUpdate": {
            "type": "object",
            "description": "Operators, each with the paths it applies to",
            "examples": [{ "$inc": { "prio": -1 }, "$push": { "history": "edited" } }],
            "additionalProperties": { "type": "object" },
        },
        "Filter": { "type": "object", "examples": [{ "age": { "$gt": 5 } }], "additionalProperties": true },
        "ImportReport": {
            "type": "object",
            "required": ["count", "failed"],
            "properties": { "count": { "type": "integer" }, "failed": { "type": "array", "items": { "type": "object" } } },
        },
        "Field": {
            "type": "object",
            "required": ["type"],
            "properties": {
                "name": text,
                "type": { "type": "string", "examples": ["/db/String", "/db/collection.List[/db/Todo]"] },
                "order": { "type": "integer" },
                "flags": { "type": "array", "items": { "enum": ["METADATA", "READONLY"] } },
                "acl": { "$ref": "#/components/schemas/FieldAcl" },
                "metadata": { "type": "object", "additionalProperties": text },
            },
        },
        "FieldAcl": {
            "type": ["object", "null"],
            "description": "Who may read (see, filter and sort by) and who may write a field. Fields of User also know \
                the principal self: the user that the object is. In a replaced class, a field without this member keeps \
                its rules; null removes them.",
            "properties": { "read": { "$ref": "#/components/schemas/Rules" }, "write": { "$ref": "#/components/schemas/Rules" } },
            "additionalProperties": false,
        },
        "Class": {
            "type": "object",
            "properties": {
                "class": { "type": "string", "examples": ["/db/Todo"] },
                "superClass": text,
                "embedded": { "type": "boolean" },
                "acl": { "type": "object", "additionalProperties": { "$ref": "#/components/schemas/Rules" } },
                "metadata": { "type": "object", "additionalProperties": text },
                "fields": { "type": "object", "additionalProperties": { "$ref": "#/components/schemas/Field" } },
            },
        },
        "Schema": { "type": "array", "items": { "$ref": "#/components/schemas/Class" } },
        "SchemaEdits": {
            "description": "Classes to add or extend, and operations: addField, renameField, removeField, \
                updateClassAcl, updateFieldAcl, replaceClass, deleteClass",
            "oneOf": [{ "type": "object" }, { "type": "array", "items": { "type": "object" } }],
        },
        "Index": {
            "type": "object",
            "required": ["keys"],
            "properties": {
                "unique": { "type": "boolean" },
                "keys": { "type": "array", "items": { "type": "object", "additionalProperties": { "enum": ["asc", "desc", "geo"] } } },
                "drop": { "type": "boolean" },
            },
        },
        "IndexList": { "type": "array", "items": { "$ref": "#/components/schemas/Index" } },
        "Config": config(),
        "Registration": {
            "type": "object",
            "required": ["user", "password"],
            "properties": {
                "user": { "type": "object", "required": ["username"], "properties": { "username": text } },
                "password": text,
                "login": { "type": "boolean", "default": true },
                "global": { "type": "boolean", "default": true, "description": "false: the short session of a shared computer" },
                "passwordHash": { "type": "string", "description": "An Argon2 or bcrypt hash in place of the password, for administrators who import users" },
            },
        },
        "NewPassword": {
            "type": "object",
            "required": ["newPassword"],
            "properties": { "username": text, "password": text, "token": text, "newPassword": text },
        },
        "Username": { "type": "object", "required": ["username"], "properties": { "username": text } },
        "ChangeUsername": {
            "type": "object",
            "required": ["username", "newUsername", "password"],
            "properties": { "username": text, "newUsername": text, "password": text },
        },
        "Code": { "type": "object", "required": ["code"], "properties": { "code": text } },
        "SecondStep": {
            "type": "object",
            "required": ["authToken", "code"],
            "properties": { "authToken": text, "code": text, "global": { "type": "boolean" } },
        },
        "NewFactor": {
            "type": "object",
            "required": ["qrCode", "keyUri"],
            "properties": {
                "qrCode": { "type": "string", "description": "PNG in a data: URI" },
                "keyUri": { "type": "string", "description": "otpauth: URI" },
            },
        },
        "RecoveryCodes": {
            "type": "object",
            "properties": { "recoveryCodes": { "type": "array", "items": text } },
        },
        "Token": { "type": "object", "required": ["token"], "properties": { "token": text } },
        "Flag": { "type": "boolean" },
        "Overlap": {
            "type": "object",
            "properties": { "overlapSeconds": { "type": "integer", "minimum": 0, "maximum": 31_536_000 } },
        },
        "MailPreview": {
            "type": "object",
            "required": ["purpose"],
            "properties": {
                "purpose": { "enum": ["verifyEmail", "resetPassword", "changeUsername", "passwordChanged"] },
                "template": { "type": "object", "properties": { "subject": text, "text": text, "html": text } },
            },
        },
        "MailContent": {
            "type": "object",
            "properties": { "subject": text, "text": text, "html": { "type": ["string", "null"] } },
        },
        "Login": {
            "type": "object",
            "required": ["username", "password"],
            "properties": { "username": text, "password": text, "global": { "type": "boolean", "default": true } },
        },
        "BloomFilter": {
            "type": "object",
            "required": ["m", "h", "b"],
            "properties": { "m": { "type": "integer" }, "h": { "type": "integer" }, "b": text },
        },
        "Connect": {
            "type": "object",
            "required": ["schema", "token"],
            "properties": {
                "schema": { "$ref": "#/components/schemas/Schema" },
                "token": { "type": ["string", "null"] },
                "user": { "$ref": "#/components/schemas/Object" },
                "bloomFilter": { "$ref": "#/components/schemas/BloomFilter" },
                "bloomFilterRefresh": { "type": "integer" },
            },
        },
        "Error": {
            "type": "object",
            "required": ["className", "message", "reason"],
            "properties": {
                "className": { "enum": CODES.iter().map(|code| code.name).collect::<Vec<_>>() },
                "message": text,
                "reason": text,
                "requestId": text,
                "stackTrace": { "type": "array", "items": { "type": "object" } },
            },
        },
    })
}
