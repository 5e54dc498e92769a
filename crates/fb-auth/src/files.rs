//! Decisions about files: permissions of the bucket, then rules of the file.

use fb_types::{Acl, Bucket, BucketName, Permission};

use crate::grant::Scope;
use crate::kernel::{Admin, Denied};
use crate::principal::Principal;

/// What a caller wants to do with the files of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileOperation {
    /// Load content or metadata.
    Load,
    /// List files.
    List,
    /// Upload a file. Whether it takes the right to insert or the one to update is seen in the commit, when it is known
    /// whether there is such a file; without either nobody need begin.
    Upload,
    /// Upload a file whatever is there, which takes both rights.
    ForceUpload,
    /// Upload a file under a new name that the server chooses.
    Insert,
    /// Change metadata.
    Update,
    /// Delete files.
    Delete,
}

/// What a write does to a file, as far as permissions are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileAction {
    /// Puts content there, whether or not there is such a file.
    Upload,
    /// Changes metadata of a file that is there.
    Update,
    /// Removes it.
    Delete,
}

/// Permission to reach the files of one bucket, limited by their own rules to what the caller may see.
///
/// There is no public constructor: only the kernel makes one.
#[derive(Debug, Clone)]
pub struct FileGrant {
    bucket: BucketName,
    scope: Scope,
    insert: bool,
    update: bool,
    delete: bool,
}

impl FileGrant {
    /// The bucket the grant is for.
    pub fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    /// Which files it reaches.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The permission that is missing to write in this way, if one is; `exists` says whether there is such a file.
    pub fn missing_for(&self, write: FileAction, exists: bool) -> Option<Permission> {
        let (has, permission) = match (write, exists) {
            (FileAction::Delete, _) => (self.delete, Permission::Delete),
            (FileAction::Update, _) | (FileAction::Upload, true) => (self.update, Permission::Update),
            (FileAction::Upload, false) => (self.insert, Permission::Insert),
        };
        (!has).then_some(permission)
    }

    /// True if rules of a file let the caller write it; `None` is public.
    pub fn may_write(&self, acl: Option<&Acl>) -> bool {
        self.scope.may_write(acl)
    }
}

/// Decides whether `principal` may do `operation` in `bucket`. The grant's scope carries the rules of single files on to
/// where the files are. Source: protocol 05, section 4.
pub fn authorize_file(principal: &Principal, operation: FileOperation, bucket: &Bucket) -> Result<FileGrant, Denied> {
    let may = |permission| principal.passes(bucket.rules.rules(permission));
    let need = |permission| match may(permission) {
        true => Ok(()),
        false => Err(Denied::Bucket {
            bucket: bucket.name.clone(),
            permission,
        }),
    };
    let (insert, update) = (may(Permission::Insert), may(Permission::Update));
    match operation {
        FileOperation::Load => need(Permission::Load)?,
        FileOperation::List => need(Permission::Query)?,
        FileOperation::Upload if update => {}
        FileOperation::Upload | FileOperation::Insert => need(Permission::Insert)?,
        FileOperation::ForceUpload => {
            need(Permission::Insert)?;
            need(Permission::Update)?;
        }
        FileOperation::Update => need(Permission::Update)?,
        FileOperation::Delete => need(Permission::Delete)?,
    }
    let scope = if principal.is_admin() {
        Scope::Everything
    } else {
        Scope::Of(principal.clone())
    };
    Ok(FileGrant {
        bucket: bucket.name.clone(),
        scope,
        insert,
        update,
        delete: may(Permission::Delete),
    })
}

impl Admin {
    /// Access to the files of `bucket` for visitors of its website who gave the password of that: it takes the place of the
    /// bucket's `load` permission. Rules of single files count as ever.
    pub fn visit(&self, bucket: &BucketName) -> FileGrant {
        FileGrant {
            bucket: bucket.clone(),
            scope: Scope::Of(Principal::anonymous()),
            insert: false,
            update: false,
            delete: false,
        }
    }

    /// Access to all files of `bucket`.
    pub fn files(&self, bucket: &BucketName) -> FileGrant {
        FileGrant {
            bucket: bucket.clone(),
            scope: Scope::Everything,
            insert: true,
            update: true,
            delete: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use fb_types::{ClassAcl, RuleMap};

    use super::*;
    use crate::Roles;

    fn bucket(open_to: &[(Permission, &str)]) -> Bucket {
        let mut rules = ClassAcl::default();
        for permission in Permission::DATA {
            rules.set(permission, RuleMap::allow("/db/Role/1"));
        }
        for (permission, principal) in open_to {
            rules.set(*permission, RuleMap::allow(*principal));
        }
        Bucket {
            rules,
            ..Bucket::unconfigured(BucketName::www())
        }
    }

    #[test]
    fn s04_each_operation_takes_its_own_permission() {
        use FileOperation::{Delete, ForceUpload, Insert, List, Load, Update, Upload};
        let user = Principal::user("/db/User/7".parse().unwrap(), Roles::default());
        let all = [Load, List, Upload, ForceUpload, Insert, Update, Delete];
        let cases: &[(&[Permission], &[FileOperation])] = &[
            (&[], &[]),
            (&[Permission::Load], &[Load]),
            (&[Permission::Query], &[List]),
            (&[Permission::Insert], &[Upload, Insert]),
            (&[Permission::Update], &[Upload, Update]),
            (
                &[Permission::Insert, Permission::Update],
                &[Upload, ForceUpload, Insert, Update],
            ),
            (&[Permission::Delete], &[Delete]),
        ];
        for (open, expected) in cases {
            let rules: Vec<_> = open.iter().map(|p| (*p, "/db/User/7")).collect();
            let bucket = bucket(&rules);
            for operation in all {
                let allowed = authorize_file(&user, operation, &bucket).is_ok();
                assert_eq!(allowed, expected.contains(&operation), "{open:?} {operation:?}");
                assert!(authorize_file(&Principal::anonymous(), operation, &bucket).is_err());
            }
        }
    }

    #[test]
    fn what_a_write_takes_depends_on_what_is_there() {
        let user = Principal::user("/db/User/7".parse().unwrap(), Roles::default());
        let grant = authorize_file(&user, FileOperation::Upload, &bucket(&[(Permission::Insert, "*")])).unwrap();
        assert_eq!(grant.missing_for(FileAction::Upload, false), None);
        assert_eq!(grant.missing_for(FileAction::Upload, true), Some(Permission::Update));
        assert_eq!(grant.missing_for(FileAction::Delete, true), Some(Permission::Delete));
        let grant = authorize_file(&user, FileOperation::Upload, &bucket(&[(Permission::Update, "*")])).unwrap();
        assert_eq!(grant.missing_for(FileAction::Upload, false), Some(Permission::Insert));
        assert_eq!(grant.missing_for(FileAction::Upload, true), None);
    }
}
