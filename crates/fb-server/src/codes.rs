//! The table of error codes: one row each. Everything that says what an error means is made from it.

/// A row of the error table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Stable name, `className` in the body.
    pub name: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Short reason, `reason` in the body.
    pub reason: &'static str,
    /// Who can do what about it.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $constant:ident = ($name:literal, $status:literal, $reason:literal, $meaning:literal);)*) => {
        $(
            #[doc = $meaning]
            pub(crate) const $constant: &Code =
                &Code { name: $name, status: $status, reason: $reason, meaning: $meaning };
        )*
        /// All rows, by status.
        pub const CODES: &[&Code] = &[$($constant),*];
    };
}

codes! {
    BAD_REQUEST = ("BadRequest", 400, "Bad Request", "The request makes no sense as it is; the message says what to change.");
    BAD_JSON = ("MalformedJson", 400, "Bad Request", "The body or a parameter is not JSON, or nests deeper than 128 levels.");
    BAD_ARCHIVE = ("BadArchive", 400, "Bad Request", "The body is no zip archive, is damaged, or has an entry that is refused; the message says which. Nothing was written.");
    BAD_UPDATE = ("UnsupportedUpdate", 400, "Bad Request", "A partial update has an unknown operator, or one that does not fit the field.");
    QUERY_TOO_COMPLEX = ("QueryTooComplex", 400, "Bad Request", "A filter or update exceeds a limit (depth, branches, values, lengths); make it smaller.");
    UNKNOWN_FIELD = ("UnknownField", 400, "Bad Request", "A filter, sort order or update names a field that the class does not have.");
    NOT_FOUND = ("ObjectNotFound", 404, "Object Not Found", "There is no such object, or the caller may not see it.");
    NO_FILE = ("FileNotFound", 404, "File Not Found", "There is no such file, or the caller may not see it.");
    NO_ENDPOINT = ("EndpointNotFound", 404, "Not Found", "There is no such endpoint; GET /v1/spec lists all.");
    NO_APP = ("AppNotFound", 404, "Not Found", "The host name or path names an app that does not exist on this server.");
    METHOD_NOT_ALLOWED = ("MethodNotAllowed", 405, "Method Not Allowed", "The endpoint does not know this method; the Allow header lists those it does.");
    TIMEOUT = ("RequestTimeout", 408, "Request Timeout", "The body did not arrive in time.");
    NO_CODE = ("CodeNotFound", 404, "Code Not Found", "There is no such code, or the module does not export what was called.");
    EXISTS = ("ObjectExists", 409, "Object Exists", "An object with this id, a user with this name, or another object with the same value in a unique index exists.");
    CONFLICT = ("Conflict", 409, "Conflict", "The request contradicts what exists, such as an app name or host name that is taken.");
    OUT_OF_DATE = ("ObjectOutOfDate", 412, "Object Out Of Date", "The condition on the object's version does not hold; load it again and retry.");
    TOO_LARGE = ("TooLarge", 413, "Payload Too Large", "The body or the object exceeds a limit; send less at once.");
    URI_TOO_LONG = ("UriTooLong", 414, "URI Too Long", "The URL exceeds the limit; send long filters with POST.");
    BAD_RANGE = ("RangeNotSatisfiable", 416, "Range Not Satisfiable", "The range lies behind the end of the file; the Content-Range header has its size.");
    MFA_REQUIRED = ("MfaRequired", 403, "MFA Required", "The password was right; send a code of the second factor with `data`'s token to POST /db/User/mfa/token.");
    BAD_CODE = ("InvalidCode", 400, "Bad Request", "The code of the second factor is wrong, was used already, or is too old.");
    BAD_IMAGE = ("ImageNotTransformable", 422, "Unprocessable Content", "No variant can be made of the file: it is no image that is read, is damaged, or is too large.");
    UPGRADE_REQUIRED = ("UpgradeRequired", 426, "Upgrade Required", "The endpoint speaks WebSocket only; the message says what is missing.");
    TOO_MANY_SUBSCRIPTIONS = ("TooManySubscriptions", 429, "Too Many Requests", "Too many live queries on one connection or app, or too many connections from one address; end some of them.");
    TOO_MANY = ("TooManyRequests", 429, "Too Many Requests", "Too many attempts from one address or on one account; the Retry-After header says when to come back.");
    BANNED = ("AddressBanned", 429, "Too Many Requests", "Too many requests came from the caller's address; `data.until` and the Retry-After header say when the ban ends. An administrator can lift it with DELETE /v1/banned.");
    NOT_GENUINE = ("LoginNotGenuine", 400, "Bad Request", "What came back from a login provider does not belong to a login that began here; begin again.");
    REFUSED_BY_PROVIDER = ("LoginRefused", 460, "Bad Credentials", "The login provider refused, or the user did.");
    PROVIDER_FAILED = ("LoginProviderFailed", 502, "Bad Gateway", "The login provider cannot be reached, or answers in a way that makes no sense.");
    PASSWORD_REQUIRED = ("PasswordRequired", 401, "Password Required", "The site asks for a name and a password (HTTP basic authentication).");
    UNAUTHORIZED = ("Unauthorized", 401, "Unauthorized", "The admin API needs an operator's token; log in at POST /admin/v1/login.");
    BAD_CREDENTIALS = ("BadCredentials", 460, "Bad Credentials", "User name, password or token is wrong or has expired; log in again.");
    NO_CLASS = ("BucketNotFound", 461, "Bucket Not Found", "There is no such class, which the schema would have to create, or no such bucket of files.");
    BAD_VALUE = ("InvalidTypeValue", 463, "Invalid Type Value", "A value does not fit its field; the message names class, field, expected and found.");
    DENIED = ("PermissionDenied", 466, "Permission Denied", "The caller lacks a permission; the message names it.");
    UNSUPPORTED_QUERY = ("QueryNotSupported", 468, "Query Not Supported", "A filter has an operator that does not exist or is not offered, or the query cannot be kept up to date.");
    BAD_SCHEMA = ("SchemaNotCompatible", 469, "Schema Not Compatible", "The schema change contradicts the schema; replace the class, or change something else.");
    SYNTAX = ("SyntaxError", 471, "Syntax Error", "A filter or sort order cannot be parsed.");
    REFERENCED = ("TypeStillReferenced", 474, "Type Still Referenced", "The class is used by another one; change that first.");
    ABORTED = ("ScriptAborted", 475, "Script Aborted", "The app's code refused on purpose, or the checks of the class did; message and data are the app's.");
    CODE_FAILED = ("CodeFailed", 500, "Code Failed", "The app's code failed, or took more time or memory than it may; the app's log has the details.");
    INTERNAL = ("InternalError", 500, "Internal Server Error", "The server failed; its log has the details under the request id.");
    NOT_IMPLEMENTED = ("NotImplemented", 501, "Not Implemented", "This server does not offer the endpoint.");
    STORAGE_FULL = ("StorageFull", 507, "Insufficient Storage", "The storage of files is full; delete some, or ask the operator for more.");
    UNAVAILABLE = ("Unavailable", 503, "Service Unavailable", "The server is overloaded, shutting down or out of disk; try again later.");
    TOO_SLOW = ("QueryTooSlow", 503, "Query Too Slow", "The query exceeded its time limit; add an index or narrow the filter.");
}
