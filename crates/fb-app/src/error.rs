//! Why a use case was not carried out. Nothing was changed then.

use fb_auth::Denied;
use fb_query::{QueryError, UpdateError};
use fb_store::{NodeError, Refusal, StoreError};
use fb_types::{AclError, BucketName, FileId, IdError, SchemaError, ValueError, Version};

/// Why a use case was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// There is no such object, or the caller may not see it.
    #[error("there is no object {0}")]
    NoObject(String),
    /// There is no such file, or the caller may not see it.
    #[error("there is no file {0}")]
    NoFile(FileId),
    /// There is no such bucket of files.
    #[error("there is no bucket {0}")]
    NoBucket(BucketName),
    /// The bucket is being deleted.
    #[error("the bucket {0} is being deleted")]
    BucketClosing(BucketName),
    /// A file of this name exists. The wording is the protocol's, of both generations of its clients.
    #[error(
        "Unique index violation. Another object already exists with the same value of the newly created/modified object FileRef: {0}. The file exists already."
    )]
    FileExists(FileId),
    /// The caller's condition on the file does not hold. The wording is the protocol's.
    #[error("The file {0} is out of date.")]
    FileOutOfDate(FileId),
    /// The app declares no such variant of images.
    #[error("there is no variant of images `{0}` in the app's settings")]
    NoVariant(String),
    /// Nobody permitted this variant.
    #[error(
        "this variant of the image is neither declared in the app's settings (variant=<name>) nor signed (signature=<…>)"
    )]
    UnsignedVariant,
    /// The options for a variant of an image make no sense.
    #[error(transparent)]
    Variant(#[from] fb_images::VariantError),
    /// The image cannot be transformed.
    #[error(transparent)]
    Render(fb_images::RenderError),
    /// An archive cannot be taken.
    #[error(transparent)]
    Archive(fb_archive::ArchiveError),
    /// One file of an archive cannot be written. Those before it have been.
    #[error("{id}: {error} ({written} other files of the archive were written)")]
    InArchive {
        /// The file.
        id: FileId,
        /// How many others were written.
        written: usize,
        /// Why.
        error: Box<AppError>,
    },
    /// The storage of files failed.
    #[error(transparent)]
    Files(#[from] fb_files::FilesError),
    /// Code aborted, failed, or is not there.
    #[error(transparent)]
    Code(Box<fb_functions::CallError>),
    /// The checks of the class refuse the object. What they say of each field, as JSON.
    #[error("Object is not valid")]
    NotValid(serde_json::Value),
    /// There is no such class.
    #[error("there is no class {0}")]
    NoClass(String),
    /// There are no objects of such a class: it is abstract or embedded.
    #[error("{0} has no objects of its own")]
    NotInstantiable(String),
    /// An object with this id exists.
    #[error("the object {0} exists already")]
    Exists(String),
    /// Another object has the same value in a unique index.
    #[error("another {class} has the same {fields}")]
    Duplicate {
        /// The class.
        class: String,
        /// The fields of the index.
        fields: String,
    },
    /// The caller's condition on the object's version does not hold.
    #[error("{id} is out of date: {}", match found { Some(v) => format!("its version is {v}"), None => "it does not exist".to_owned() })]
    OutOfDate {
        /// The object.
        id: String,
        /// Its version; `None` if it does not exist.
        found: Option<Version>,
    },
    /// The caller may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// User name or password is wrong. Deliberately says no more.
    #[error("User name or password is incorrect.")]
    BadCredentials,
    /// The token is no valid token of this app.
    #[error("the token is not valid or has expired; log in again")]
    BadToken,
    /// The link of a mail was used, has expired, or is none.
    #[error("the link is not valid any more; ask for a new one")]
    BadLink,
    /// The app knows no such login provider.
    #[error("there is no login provider {0} in this app")]
    NoProvider(String),
    /// There is no such dead letter.
    #[error("there is no dead letter {0}")]
    NoDeadLetter(String),
    /// A login through a provider failed.
    #[error(transparent)]
    OAuth(#[from] fb_oauth::OAuthError),
    /// Another account has this address, and has not shown that it is its own.
    #[error(
        "an account with this e-mail address exists; log in to it with its password, or reset that, before logging in here"
    )]
    AddressTaken,
    /// A code of the second factor is wrong.
    #[error("MFA code invalid")]
    BadCode,
    /// The password was right; the second factor is missing.
    #[error("MFA Required")]
    SecondFactorRequired {
        /// What the second step has to send along with the code.
        token: fb_auth::Secret,
    },
    /// The app does not verify addresses.
    #[error("Email verification not enabled")]
    VerificationOff,
    /// Too many attempts from one source, or on one account.
    #[error(transparent)]
    TooManyAttempts(#[from] fb_auth::TooManyAttempts),
    /// Too many requests from one source.
    #[error(transparent)]
    Banned(#[from] fb_auth::Banned),
    /// More is waiting than the server can do soon.
    #[error("the server is busy; try again in {retry_after} s")]
    Busy {
        /// Seconds.
        retry_after: u64,
    },
    /// Others changed the same thing again and again.
    #[error("others change the same thing; try again")]
    Contended,
    /// The user name is taken.
    #[error("the user name is taken already")]
    NameTaken,
    /// The app does not let strangers register.
    #[error("registration is closed in this app; an administrator can open it in the app's configuration")]
    RegistrationClosed,
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Too much of something.
    #[error("{0}")]
    TooLarge(String),
    /// A value does not fit its field.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A query cannot be understood.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A query cannot be kept up to date.
    #[error("{0}")]
    NotLive(String),
    /// A live query goes on elsewhere.
    #[error("this live query was resumed over another connection")]
    Resumed,
    /// Too many live queries.
    #[error("{0}")]
    TooManySubscriptions(String),
    /// A partial update cannot be carried out.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// A change of the schema is not possible.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The store refused or failed.
    #[error(transparent)]
    Store(StoreError),
    /// The set of apps refused or failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A bug, a damaged store, or a machine without randomness.
    #[error("internal error while {during}")]
    Internal {
        /// What was being done.
        during: &'static str,
        /// The cause.
        #[source]
        source: fb_store::BoxError,
    },
}

impl AppError {
    /// Wraps an unexpected error.
    pub fn internal(during: &'static str, source: impl Into<fb_store::BoxError>) -> Self {
        Self::Internal {
            during,
            source: source.into(),
        }
    }

    /// As a refusal inside of a commit; [`Self::from_commit`] takes it out again.
    pub(crate) fn refuse(self) -> Refusal {
        Refusal::Invalid(Box::new(self))
    }

    /// What a failed commit means for the one object that was to be written. `id` is for messages.
    pub(crate) fn from_commit(error: StoreError, id: &str) -> Self {
        match error {
            StoreError::Refused { refusal, .. } => Self::from_refusal(refusal, id),
            other => other.into(),
        }
    }

    /// What a refusal means for the one object that was to be written.
    pub(crate) fn from_refusal(refusal: Refusal, id: &str) -> Self {
        match refusal {
            Refusal::Exists => Self::Exists(id.to_owned()),
            Refusal::Missing => Self::OutOfDate {
                id: id.to_owned(),
                found: None,
            },
            Refusal::VersionMismatch { found } => Self::OutOfDate {
                id: id.to_owned(),
                found: Some(found),
            },
            Refusal::Denied => Self::Denied(Denied::Object(id.to_owned())),
            Refusal::Invalid(source) => match source.downcast::<Self>() {
                Ok(error) => *error,
                Err(source) => Self::internal("writing", source),
            },
            Refusal::Record { .. } | Refusal::ContentLost => Self::Contended,
            other @ (Refusal::Bucket(_) | Refusal::NoBucket | Refusal::NotEmpty) => Self::internal("writing", other),
        }
    }
}

impl From<fb_images::RenderError> for AppError {
    fn from(error: fb_images::RenderError) -> Self {
        match error {
            error @ fb_images::RenderError::Encode { .. } => Self::internal("writing an image", error),
            fb_images::RenderError::Variant(error) => Self::Variant(error),
            error => Self::Render(error),
        }
    }
}

impl From<fb_archive::ArchiveError> for AppError {
    fn from(error: fb_archive::ArchiveError) -> Self {
        match error {
            // Archives lie in the storage of files while they are read.
            fb_archive::ArchiveError::Io(error) => match error.downcast::<fb_files::FilesError>() {
                Ok(error) => Self::Files(error),
                Err(error) => Self::internal("reading or writing an archive", error),
            },
            error => Self::Archive(error),
        }
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate { class, index } => Self::Duplicate { class, fields: index },
            other => Self::Store(other),
        }
    }
}

impl From<fb_auth::PasswordError> for AppError {
    fn from(error: fb_auth::PasswordError) -> Self {
        match error {
            fb_auth::PasswordError::Hash => Self::internal("hashing a password", error),
            refused => Self::Invalid(refused.to_string()),
        }
    }
}

impl From<IdError> for AppError {
    fn from(error: IdError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<AclError> for AppError {
    fn from(error: AclError) -> Self {
        Self::Invalid(error.to_string())
    }
}
