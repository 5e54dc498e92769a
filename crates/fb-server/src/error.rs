//! Errors on their way out: the only mapping from what went wrong to a status and a body.

use fb_app::{AppError, OperatorError};
use fb_files::FilesError;
use fb_functions::CallError;
use fb_oauth::OAuthError;
use fb_query::{QueryError, UpdateError};
use fb_store::{NodeError, StoreError};
use fb_types::SchemaError;
use http::header::HeaderName;
use serde_json::{Value, json};

use crate::codes::{self, Code};
use crate::reply::{MFA_HEADER, Reply};

/// What is sent instead of an answer.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) code: &'static Code,
    pub(crate) message: String,
    /// Seconds after which a retry makes sense.
    pub(crate) retry_after: Option<u64>,
    /// Headers that go with it, such as the methods that the endpoint knows.
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// What else there is to say about it, mostly by the app's code. Boxed, for it is rare, and every handler returns this type.
    by_code: Option<Box<ByCode>>,
    /// What the second step of a login has to send along.
    pub(crate) mfa_token: Option<fb_auth::Secret>,
    /// For the log only.
    pub(crate) source: Option<fb_store::BoxError>,
}

/// What is said about an error besides its message, mostly by the app's code.
#[derive(Debug)]
enum ByCode {
    /// What it threw, for those who may know.
    Exception(String),
    /// `data` in the body.
    Data(Value),
}

impl ApiError {
    pub(crate) fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
            headers: Vec::new(),
            by_code: None,
            mfa_token: None,
            source: None,
        }
    }

    /// The same with a header.
    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with what code threw, for those who may know: administrators, and everybody where the app says so.
    pub(crate) fn with_exception(mut self) -> Self {
        if let Some(ByCode::Exception(exception)) = self.by_code.as_deref_mut() {
            self.message = std::mem::take(exception);
            self.by_code = None;
        }
        self
    }

    fn by_code(self, by_code: ByCode) -> Self {
        Self {
            by_code: Some(Box::new(by_code)),
            ..self
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(codes::BAD_REQUEST, message)
    }

    fn internal(source: impl Into<fb_store::BoxError>) -> Self {
        let message = "The server failed. Its log has the details under the request id.";
        Self {
            source: Some(source.into()),
            ..Self::new(codes::INTERNAL, message)
        }
    }

    /// What a call of code came to. Its exceptions are the app's business: they are in the app's log, not in the answer.
    fn from_code(error: CallError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            CallError::Aborted { message, data } => {
                let error = Self::new(codes::ABORTED, message);
                match data.and_then(|data| serde_json::from_str(&data).ok()) {
                    Some(data) => error.by_code(ByCode::Data(data)),
                    None => error,
                }
            }
            CallError::NoCode { .. } | CallError::NoExport { .. } => Self::new(codes::NO_CODE, text),
            CallError::Busy => Self {
                retry_after: Some(1),
                ..Self::new(codes::UNAVAILABLE, text)
            },
            CallError::TooLong(_) | CallError::OutOfMemory => Self::new(codes::CODE_FAILED, text),
            CallError::Failed(exception) => {
                let error = Self::new(
                    codes::CODE_FAILED,
                    "The app's code failed. The app's log has the details.",
                );
                let text = format!("{}: {}", exception.name, exception.message);
                error.by_code(ByCode::Exception(text))
            }
            other => Self::internal(other),
        }
    }

    /// The body of the response. Server errors say no more than their request id.
    pub(crate) fn body(&self, request_id: &str) -> Value {
        let mut body = json!({
            "className": self.code.name,
            "message": self.message,
            "reason": self.code.reason,
            "requestId": request_id,
            "stackTrace": [],
        });
        if let Some(ByCode::Data(data)) = self.by_code.as_deref() {
            body["data"] = data.clone();
        }
        if let Some(token) = &self.mfa_token {
            body["data"] = json!({ "baqend-mfa-auth-token": token.expose() });
        }
        body
    }

    /// The response.
    pub(crate) fn into_reply(self, request_id: &str) -> Reply {
        let body = self.body(request_id);
        let mut reply = Reply::json(self.code.status, &body);
        if let Some(token) = &self.mfa_token {
            reply.set_header(MFA_HEADER, token.expose());
        }
        reply.set_header(HeaderName::from_static("x-request-id"), request_id);
        for (name, value) in self.headers {
            reply.set_header(name, &value);
        }
        if let Some(seconds) = self.retry_after {
            reply.set_header(http::header::RETRY_AFTER, &seconds.to_string());
        }
        reply
    }
}

impl From<AppError> for ApiError {
    fn from(error: AppError) -> Self {
        let code = match &error {
            AppError::NoObject(_) => codes::NOT_FOUND,
            AppError::NoFile(_) | AppError::NoVariant(_) => codes::NO_FILE,
            AppError::UnsignedVariant => codes::DENIED,
            AppError::Variant(_) => codes::BAD_REQUEST,
            AppError::Render(_) => codes::BAD_IMAGE,
            AppError::Code(_) => {
                return match error {
                    AppError::Code(code) => Self::from_code(*code),
                    other => Self::internal(other),
                };
            }
            AppError::NotValid(_) => {
                return match error {
                    AppError::NotValid(result) => {
                        Self::new(codes::ABORTED, "Object is not valid").by_code(ByCode::Data(result))
                    }
                    other => Self::internal(other),
                };
            }
            AppError::NoClass(_) => codes::NO_CLASS,
            AppError::NoBucket(_) => codes::NO_CLASS,
            AppError::BucketClosing(_) => codes::CONFLICT,
            AppError::FileExists(_) | AppError::FileOutOfDate(_) => codes::OUT_OF_DATE,
            AppError::Archive(fb_app::ArchiveError::TooLarge { .. }) => codes::TOO_LARGE,
            AppError::Archive(_) => codes::BAD_ARCHIVE,
            AppError::InArchive { .. } => {
                return match error {
                    AppError::InArchive { id, written, error } => {
                        let inner = Self::from(*error);
                        let others = match written {
                            1 => "One other file of the archive was written".to_owned(),
                            n => format!("{n} other files of the archive were written"),
                        };
                        let message = format!("{id}: {} ({others}.)", inner.message);
                        Self { message, ..inner }
                    }
                    other => Self::internal(other),
                };
            }
            AppError::Files(_) => {
                return match error {
                    AppError::Files(files) => files.into(),
                    other => Self::internal(other),
                };
            }
            AppError::NotInstantiable(_) | AppError::Invalid(_) => codes::BAD_REQUEST,
            AppError::Exists(_) | AppError::Duplicate { .. } | AppError::NameTaken => codes::EXISTS,
            AppError::OutOfDate { .. } => codes::OUT_OF_DATE,
            AppError::Denied(_) | AppError::RegistrationClosed => codes::DENIED,
            AppError::BadCredentials | AppError::BadToken | AppError::BadLink => codes::BAD_CREDENTIALS,
            AppError::NoProvider(_) | AppError::NoDeadLetter(_) => codes::NOT_FOUND,
            AppError::AddressTaken => codes::EXISTS,
            AppError::OAuth(_) => {
                return match error {
                    AppError::OAuth(oauth) => oauth.into(),
                    other => Self::internal(other),
                };
            }
            AppError::BadCode => codes::BAD_CODE,
            AppError::VerificationOff => codes::BAD_REQUEST,
            AppError::SecondFactorRequired { token } => {
                return Self {
                    mfa_token: Some(token.clone()),
                    ..Self::new(codes::MFA_REQUIRED, error.to_string())
                };
            }
            AppError::TooManyAttempts(refused) => {
                return Self {
                    retry_after: Some(refused.retry_after),
                    ..Self::new(codes::TOO_MANY, sentence(&error.to_string()))
                };
            }
            AppError::Banned(banned) => {
                let data = json!({ "until": banned.until.to_string(), "retryAfter": banned.retry_after });
                let refused = Self {
                    retry_after: Some(banned.retry_after),
                    ..Self::new(codes::BANNED, sentence(&error.to_string()))
                };
                return refused.by_code(ByCode::Data(data));
            }
            AppError::Busy { retry_after } => {
                return Self {
                    retry_after: Some(*retry_after),
                    ..Self::new(codes::UNAVAILABLE, sentence(&error.to_string()))
                };
            }
            AppError::Contended => {
                return Self {
                    retry_after: Some(1),
                    ..Self::new(codes::UNAVAILABLE, sentence(&error.to_string()))
                };
            }
            AppError::Resumed => codes::CONFLICT,
            AppError::NotLive(_) => codes::UNSUPPORTED_QUERY,
            AppError::TooManySubscriptions(_) => codes::TOO_MANY_SUBSCRIPTIONS,
            AppError::TooLarge(_) => codes::TOO_LARGE,
            AppError::Value(_) => codes::BAD_VALUE,
            AppError::Query(query) => query_code(query),
            AppError::Update(update) => update_code(update),
            AppError::Schema(schema) => schema_code(schema),
            AppError::Store(_) => {
                return match error {
                    AppError::Store(store) => store.into(),
                    other => Self::internal(other),
                };
            }
            AppError::Node(_) => {
                return match error {
                    AppError::Node(node) => node.into(),
                    other => Self::internal(other),
                };
            }
            _ => return Self::internal(error),
        };
        let text = error.to_string();
        let begins_with_name = match &error {
            AppError::Value(_) | AppError::NotInstantiable(_) => true,
            AppError::Query(query) => {
                matches!(query, QueryError::WrongOperand { .. } | QueryError::UnknownField { .. })
            }
            AppError::Update(update) => !matches!(
                update,
                UpdateError::Syntax(_) | UpdateError::Conflict { .. } | UpdateError::TooComplex(_)
            ),
            _ => false,
        };
        Self::new(code, if begins_with_name { text } else { sentence(&text) })
    }
}

fn query_code(error: &QueryError) -> &'static Code {
    match error {
        QueryError::Syntax(_) => codes::SYNTAX,
        QueryError::UnknownOperator { .. } | QueryError::Unsupported(_) => codes::UNSUPPORTED_QUERY,
        QueryError::UnknownField { .. } => codes::UNKNOWN_FIELD,
        QueryError::WrongOperand { .. } => codes::BAD_REQUEST,
        QueryError::TooComplex(_) => codes::QUERY_TOO_COMPLEX,
    }
}

fn update_code(error: &UpdateError) -> &'static Code {
    match error {
        UpdateError::Value(_) => codes::BAD_VALUE,
        UpdateError::UnknownField { .. } => codes::UNKNOWN_FIELD,
        UpdateError::TooComplex(_) => codes::QUERY_TOO_COMPLEX,
        _ => codes::BAD_UPDATE,
    }
}

fn schema_code(error: &SchemaError) -> &'static Code {
    match error {
        SchemaError::Invalid(_) | SchemaError::TooLarge(_) => codes::BAD_REQUEST,
        SchemaError::MissingClass { .. } | SchemaError::Incompatible(_) => codes::BAD_SCHEMA,
        SchemaError::StillReferenced { .. } => codes::REFERENCED,
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded { retry_after } => Self {
                retry_after: Some(retry_after.as_secs().max(1)),
                ..Self::new(codes::UNAVAILABLE, "Too many writes are waiting; try again shortly.")
            },
            StoreError::TooSlow { .. } => {
                let text = sentence(&error.to_string());
                Self::new(codes::TOO_SLOW, text + " Add an index or narrow the filter.")
            }
            StoreError::SchemaChanged => Self {
                retry_after: Some(1),
                ..Self::new(codes::UNAVAILABLE, "The schema keeps changing; try again shortly.")
            },
            StoreError::Unavailable { source } => Self {
                retry_after: Some(1),
                source: Some(source),
                ..Self::new(
                    codes::UNAVAILABLE,
                    "The store is not available; nothing was written. Try again shortly.",
                )
            },
            StoreError::Duplicate { .. } | StoreError::NotUnique { .. } => {
                Self::new(codes::EXISTS, sentence(&error.to_string()))
            }
            other => Self::internal(other),
        }
    }
}

impl From<FilesError> for ApiError {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::Full { source } => Self {
                source: Some(source),
                ..Self::new(
                    codes::STORAGE_FULL,
                    "The storage of files is full; nothing was written.",
                )
            },
            FilesError::Unavailable { source, .. } | FilesError::Denied { source, .. } => Self {
                retry_after: Some(1),
                source: Some(source),
                ..Self::new(
                    codes::UNAVAILABLE,
                    "The storage of files is not available; try again shortly.",
                )
            },
            FilesError::TooLarge { .. } => Self::new(codes::TOO_LARGE, sentence(&error.to_string())),
            other => Self::internal(other),
        }
    }
}

impl From<NodeError> for ApiError {
    fn from(error: NodeError) -> Self {
        let code = match error {
            NodeError::Exists(_) | NodeError::HostTaken { .. } => codes::CONFLICT,
            NodeError::Missing(_) => codes::NO_APP,
            NodeError::BadBackup { .. } => codes::BAD_REQUEST,
            NodeError::Store(store) => return store.into(),
            other => return Self::internal(other),
        };
        Self::new(code, sentence(&error.to_string()))
    }
}

impl From<OAuthError> for ApiError {
    fn from(error: OAuthError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            OAuthError::Config(_) => {
                // Its details are for the administrators, who see them when they change the settings.
                let text = "This login provider is not set up correctly.";
                Self {
                    source: Some(error.into()),
                    ..Self::new(codes::PROVIDER_FAILED, text)
                }
            }
            OAuthError::Denied { .. } => Self::new(codes::REFUSED_BY_PROVIDER, text),
            OAuthError::Forged(_) => Self::new(codes::NOT_GENUINE, text),
            other => Self {
                source: Some(other.into()),
                ..Self::new(codes::PROVIDER_FAILED, "The login provider failed; try again shortly.")
            },
        }
    }
}

impl From<OperatorError> for ApiError {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::App(error) => error.into(),
            OperatorError::BadCredentials | OperatorError::BadToken => {
                Self::new(codes::UNAUTHORIZED, sentence(&error.to_string()))
            }
        }
    }
}

impl From<fb_types::IdError> for ApiError {
    fn from(error: fb_types::IdError) -> Self {
        Self::bad_request(sentence(&error.to_string()))
    }
}

impl From<SchemaError> for ApiError {
    fn from(error: SchemaError) -> Self {
        AppError::from(error).into()
    }
}

/// Errors are phrased in lower case without a full stop; what people read begins with a capital. Texts that clients
/// compare exactly begin with one already and stay as they are.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if first.is_ascii_lowercase() => format!("{}{}.", first.to_ascii_uppercase(), chars.as_str()),
        _ => text.to_owned(),
    }
}
