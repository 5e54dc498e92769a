//! What the kernel hands out, and storage asks for.

use fb_types::{Acl, ClassName};

use crate::fields::FieldRights;
use crate::principal::Principal;

/// Permission to reach the objects of one class, limited by their object-level rules to what the caller may see.
///
/// There is no public constructor: only the kernel makes one.
#[derive(Debug, Clone)]
pub struct Grant {
    class: ClassName,
    scope: Scope,
    fields: FieldRights,
}

/// Which objects of a class a grant reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All: the caller is an admin, or the server itself.
    Everything,
    /// Those whose object-level rules let this caller.
    Of(Principal),
}

impl Grant {
    pub(crate) fn new(class: ClassName, scope: Scope, fields: FieldRights) -> Self {
        Self { class, scope, fields }
    }

    /// The class the grant is for.
    pub fn class(&self) -> &ClassName {
        &self.class
    }

    /// Which objects the grant reaches.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What the caller may do with single fields. Storage needs not know: it holds and searches whole objects.
    pub fn fields(&self) -> &FieldRights {
        &self.fields
    }
}

impl Scope {
    /// True if an object with these rules may be read; `None` is public.
    pub fn may_read(&self, acl: Option<&Acl>) -> bool {
        match self {
            Self::Everything => true,
            Self::Of(principal) => principal.passes(acl.map(|a| &a.read)),
        }
    }

    /// True if an object with these rules may be changed and deleted; `None` is public.
    pub fn may_write(&self, acl: Option<&Acl>) -> bool {
        match self {
            Self::Everything => true,
            Self::Of(principal) => principal.passes(acl.map(|a| &a.write)),
        }
    }
}
