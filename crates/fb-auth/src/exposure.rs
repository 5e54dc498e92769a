//! What an app's class-level rules leave open to callers whom nobody has given anything: evaluated with the one kernel.

use fb_types::{Bucket, BucketName, Class, ClassName, ObjectId, Permission, Schema};

use crate::{FileOperation, NoRandomness, Principal, Roles, authorize_class, authorize_file, encode_hex, random_bytes};

/// A caller without any role of the app's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Anybody, without a token.
    Anonymous,
    /// Any user that is logged in.
    LoggedIn,
}

/// A permission on a class that everybody in an audience has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The class.
    pub class: ClassName,
    /// What they may do.
    pub permission: Permission,
    /// The widest audience that may.
    pub audience: Audience,
}

/// A permission on the files of a bucket that everybody in an audience has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileExposure {
    /// The bucket.
    pub bucket: BucketName,
    /// What they may do.
    pub permission: Permission,
    /// The widest audience that may.
    pub audience: Audience,
}

/// A logged-in user that no rule names: rules that let it, let any user.
pub fn any_user() -> Result<Principal, NoRandomness> {
    Ok(Principal::user(unnamed_user()?, Roles::default()))
}

/// The id of a user that no rule names.
pub(crate) fn unnamed_user() -> Result<ObjectId, NoRandomness> {
    let id = format!("/db/User/{}", encode_hex(&random_bytes::<16>()?));
    Ok(id.parse().expect("hex digits are a key"))
}

fn audiences() -> Result<[(Audience, Principal); 2], NoRandomness> {
    Ok([
        (Audience::Anonymous, Principal::anonymous()),
        (Audience::LoggedIn, any_user()?),
    ])
}

/// What each permission on files is good for by itself.
pub(crate) const FILE_OPERATIONS: [(Permission, FileOperation); 5] = [
    (Permission::Load, FileOperation::Load),
    (Permission::Insert, FileOperation::Insert),
    (Permission::Update, FileOperation::Update),
    (Permission::Delete, FileOperation::Delete),
    (Permission::Query, FileOperation::List),
];

/// All permissions on files that are open, in the order of `buckets`. Rules of single files may take back some of them.
pub fn file_exposures<'b>(buckets: impl Iterator<Item = &'b Bucket>) -> Result<Vec<FileExposure>, NoRandomness> {
    let audiences = audiences()?;
    let mut found = Vec::new();
    for bucket in buckets {
        for (permission, operation) in FILE_OPERATIONS {
            let may = |caller: &Principal| authorize_file(caller, operation, bucket).is_ok();
            if let Some((audience, _)) = audiences.iter().find(|(_, caller)| may(caller)) {
                found.push(FileExposure {
                    bucket: bucket.name.clone(),
                    permission,
                    audience: *audience,
                });
            }
        }
    }
    Ok(found)
}

/// All permissions that are open, in the order of the classes' names. Rules of single objects and fields may take back
/// some of them.
pub fn exposures(schema: &Schema) -> Result<Vec<Exposure>, NoRandomness> {
    let audiences = audiences()?;
    let mut found = Vec::new();
    for class in schema.classes() {
        for permission in permissions_of(class) {
            let may = |caller: &Principal| authorize_class(caller, permission, class).is_ok();
            let widest = audiences.iter().find(|(_, caller)| may(caller));
            if let Some((audience, _)) = widest {
                found.push(Exposure {
                    class: class.name().clone(),
                    permission,
                    audience: *audience,
                });
            }
        }
    }
    found.sort_by(|a, b| a.class.cmp(&b.class));
    Ok(found)
}

/// The permissions that mean something on a class.
pub(crate) fn permissions_of(class: &Class) -> impl Iterator<Item = Permission> {
    // The root and embedded classes have no objects of their own, but their schema can be changed.
    let has_objects = !class.is_embedded() && class.super_class().is_some();
    Permission::ALL.into_iter().filter(move |permission| {
        if is_of_schema(*permission) {
            !class.is_embedded() || permission.fits_embedded()
        } else {
            has_objects
        }
    })
}

impl Exposure {
    /// True for permissions on the class itself, not on its objects.
    pub fn is_of_schema(&self) -> bool {
        is_of_schema(self.permission)
    }

    /// True for permissions to see objects.
    pub fn is_to_read(&self) -> bool {
        matches!(self.permission, Permission::Load | Permission::Query)
    }

    /// True for permissions to change objects.
    pub fn is_to_write(&self) -> bool {
        !self.is_of_schema() && !self.is_to_read()
    }
}

impl FileExposure {
    /// True for permissions to see files.
    pub fn is_to_read(&self) -> bool {
        matches!(self.permission, Permission::Load | Permission::Query)
    }

    /// True for permissions to say what is in them.
    pub fn is_to_upload(&self) -> bool {
        matches!(self.permission, Permission::Insert | Permission::Update)
    }
}

fn is_of_schema(permission: Permission) -> bool {
    matches!(
        permission,
        Permission::SchemaAdd | Permission::SchemaReplace | Permission::SchemaSubclass
    )
}

#[cfg(test)]
mod tests {
    use fb_types::schema::predefined;
    use fb_types::{ClassAcl, ClassDef};
    use serde_json::{Value, json};

    use super::*;
    use crate::defaults::close_predefined;

    /// What is open on the classes of a schema, one line each: `Class anonymous: load, query`.
    fn open(defs: Vec<ClassDef>) -> Vec<String> {
        let schema = Schema::build(defs, 1, None, &[]).unwrap();
        let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
        for exposure in exposures(&schema).unwrap() {
            let head = format!("{} {:?}", exposure.class, exposure.audience);
            match lines.iter_mut().find(|(known, _)| *known == head) {
                Some((_, permissions)) => permissions.push(exposure.permission.as_str()),
                None => lines.push((head, vec![exposure.permission.as_str()])),
            }
        }
        lines
            .into_iter()
            .map(|(head, p)| format!("{head}: {}", p.join(", ")))
            .collect()
    }

    fn secure() -> Vec<ClassDef> {
        let mut defs = predefined();
        defs.iter_mut().for_each(close_predefined);
        defs
    }

    fn item(acl: &Value, embedded: bool) -> ClassDef {
        let class = json!({ "class": "/db/Item", "fields": {}, "embedded": embedded });
        let mut def = ClassDef::from_json(&class).unwrap();
        def.super_class = (!embedded).then(|| "/db/Object".to_owned());
        def.acl = ClassAcl::from_json(acl, "Item").unwrap();
        def
    }

    #[test]
    fn s01_a_new_app_gives_anonymous_callers_nothing() {
        let open = open(secure());
        assert!(!open.iter().any(|line| line.contains("Anonymous")), "{open:#?}");
        assert_eq!(
            open,
            [
                "Device LoggedIn: load, insert, update, delete, query",
                "Role LoggedIn: load, query",
                "User LoggedIn: load, update, delete, query",
                "logs.AppLog LoggedIn: insert",
            ]
        );
    }

    #[test]
    fn the_open_profile_gives_them_what_it_always_did() {
        assert_eq!(
            open(predefined()),
            [
                "Device Anonymous: load, insert, update, delete, query",
                "Role Anonymous: load, insert, update, delete, query",
                "User Anonymous: load, update, delete, query",
                "logs.AppLog Anonymous: insert",
            ]
        );
    }

    #[test]
    fn rules_decide_as_they_do_for_requests() {
        let schema_closed = json!({ "schemaAdd": { "/db/Role/1": "allow" }, "schemaReplace": { "/db/Role/1": "allow" },
            "schemaSubclass": { "/db/Role/1": "allow" }, "insert": { "/db/Role/1": "allow" },
            "update": { "*": "deny" }, "delete": { "/db/Role/9": "allow" } });
        for (load, query, expected) in [
            (
                json!({ "*": "allow" }),
                json!({ "*": "allow" }),
                "Item Anonymous: load, query",
            ),
            (
                json!({ "/db/Role/3": "allow" }),
                json!({ "/db/Role/9": "allow" }),
                "Item LoggedIn: load",
            ),
            (
                json!({ "/db/User/7": "deny" }),
                json!({ "*": "deny" }),
                "Item Anonymous: load",
            ),
        ] {
            let mut acl = schema_closed.clone();
            acl["load"] = load;
            acl["query"] = query;
            let mut defs = secure();
            defs.push(item(&acl, false));
            let lines = open(defs);
            let of_item: Vec<_> = lines.iter().filter(|line| line.starts_with("Item")).collect();
            assert_eq!(of_item, [expected]);
        }
    }

    #[test]
    fn buckets_are_looked_at_like_classes() {
        let open = |buckets: &[Bucket]| -> Vec<String> {
            let found = file_exposures(buckets.iter()).unwrap();
            let line = |e: &FileExposure| format!("{} {:?} {}", e.bucket, e.audience, e.permission.as_str());
            found.iter().map(line).collect()
        };
        let www = Bucket::unconfigured(BucketName::www());
        let other = Bucket::unconfigured(BucketName::new("other").unwrap());
        assert_eq!(open(&[www, other.clone()]), ["www Anonymous load"]);
        let rules = json!({ "load": { "/db/Role/3": "allow" }, "insert": { "*": "deny" }, "update": {},
            "delete": { "/db/Role/1": "allow" }, "query": { "/db/User/7": "deny" } });
        let bucket = Bucket {
            rules: ClassAcl::from_json(&rules, "other").unwrap(),
            ..other
        };
        assert_eq!(
            open(&[bucket]),
            ["other LoggedIn load", "other Anonymous update", "other Anonymous query"]
        );
    }

    #[test]
    fn a_class_whose_schema_anybody_may_change_is_found() {
        let mut defs = secure();
        defs.push(item(&json!({}), false));
        let lines = open(defs);
        let all = "Item Anonymous: load, insert, update, delete, query, schemaAdd, schemaReplace, schemaSubclass";
        assert!(lines.contains(&all.to_owned()), "{lines:#?}");
        let mut defs = secure();
        defs.push(item(&json!({}), true));
        let lines = open(defs);
        let some = lines.iter().find(|line| line.starts_with("Item")).unwrap();
        assert!(
            some.starts_with("Item Anonymous: schema") && !some.contains("load"),
            "{some}"
        );
    }
}
