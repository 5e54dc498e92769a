//! The requests that commands make, as the protocol has them.

use bytes::Bytes;
use fb_auth::Secret;
use fb_types::{BucketName, ClassAcl, encode_component};
use http::Method;
use serde_json::{Value, json};

use crate::http::{Answer, Http, Payload, Request};
use crate::ui::clean;
use crate::{CliError, Target};

const TOKEN_HEADER: &str = "baqend-authorization-token";
const JSON: &str = "application/json;charset=utf-8";
const TEXT: &str = "text/plain;charset=utf-8";
/// How often requests that may be done twice are sent again.
const RETRIES: u32 = 4;
/// Longest list of files that the server sends at once.
const LIST_PIECE: usize = 1000;

/// A client of one app.
#[derive(Debug, Clone)]
pub struct Api {
    http: Http,
}

/// How a login went.
#[derive(Debug)]
pub enum LoggedIn {
    /// It is done.
    Done {
        /// The name of the user.
        user: String,
        /// Its token.
        token: Secret,
    },
    /// A code of the second factor is needed, for [`Api::second_step`].
    NeedsCode(Secret),
}

/// What an app does with rules that say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Whoever is logged in may.
    Secure,
    /// Everybody may.
    Open,
    /// The server does not tell this caller, who is no administrator.
    Unknown,
}

/// What the server has under a file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteFile {
    pub(crate) etag: String,
    pub(crate) media_type: String,
}

impl Api {
    /// A client without a login. `authorities` are certificates in PEM of authorities to trust beside those of browsers.
    pub fn new(target: Target, authorities: Option<&[u8]>, user_agent: &str) -> Result<Self, CliError> {
        Ok(Self {
            http: Http::new(target, authorities, user_agent)?,
        })
    }

    /// The same client with a token.
    pub fn with_token(mut self, token: &Secret) -> Result<Self, CliError> {
        self.http.set_token(token.expose())?;
        Ok(self)
    }

    /// The app it talks to.
    pub fn target(&self) -> &Target {
        self.http.target()
    }

    /// Logs in with a password.
    pub async fn login(&self, user: &str, password: &Secret) -> Result<LoggedIn, CliError> {
        let body = json!({ "username": user, "password": password.expose() });
        let answer = self.post("/db/User/login", &body).await?;
        if answer.status == 403
            && let Ok(error) = serde_json::from_slice::<Value>(&answer.body)
            && let Some(token) = error["data"]["baqend-mfa-auth-token"].as_str()
        {
            return Ok(LoggedIn::NeedsCode(Secret::new(token)));
        }
        self.logged_in(&answer)
    }

    /// The second step of a login, with a code of the second factor.
    pub async fn second_step(&self, step: &Secret, code: &str) -> Result<LoggedIn, CliError> {
        let body = json!({ "authToken": step.expose(), "code": code, "global": true });
        self.logged_in(&self.post("/db/User/mfa/token", &body).await?)
    }

    fn logged_in(&self, answer: &Answer) -> Result<LoggedIn, CliError> {
        if matches!(answer.status.as_u16(), 400 | 401 | 460) && is_json(answer) {
            return Err(CliError::Login(message(answer)));
        }
        let user = self.json(answer, "logging in")?;
        match answer.header(TOKEN_HEADER) {
            Some(token) => Ok(LoggedIn::Done {
                user: name_of(&user),
                token: Secret::new(token),
            }),
            None => Err(self.not_an_api("a login without a token")),
        }
    }

    /// The user of the token and a fresh token. `None` if there is no token, or if it is not valid any more.
    pub async fn who_am_i(&self) -> Result<Option<(String, Option<Secret>)>, CliError> {
        if !self.http.has_token() {
            return Ok(None);
        }
        let answer = self.get("/db/User/me").await?;
        if matches!(answer.status.as_u16(), 401 | 404 | 460) && is_json(&answer) {
            return Ok(None);
        }
        let user = self.json(&answer, "asking who is logged in")?;
        if user.get("username").is_none() {
            return Err(self.not_an_api("JSON that is no user"));
        }
        Ok(Some((name_of(&user), answer.header(TOKEN_HEADER).map(Secret::new))))
    }

    /// Tells the server that the session ends.
    pub async fn log_out(&self) -> Result<(), CliError> {
        let answer = self.get("/db/User/logout").await?;
        self.check(&answer, "logging out")
    }

    /// What rules mean in this app that say nothing.
    pub(crate) async fn profile(&self) -> Result<Profile, CliError> {
        let answer = self.get("/config").await?;
        if is_json(&answer) && matches!(answer.status.as_u16(), 401 | 403 | 404 | 466) {
            return Ok(Profile::Unknown);
        }
        let config = self.json(&answer, "reading the app's settings")?;
        Ok(match config["profile"].as_str() {
            Some("secure") => Profile::Secure,
            Some("baqend") => Profile::Open,
            _ => Profile::Unknown,
        })
    }

    /// All classes.
    pub(crate) async fn schema(&self) -> Result<Vec<Value>, CliError> {
        let answer = self.get("/schema").await?;
        self.classes(&answer, "reading the schema")
    }

    /// Changes the schema, all of it or nothing; answers with all classes.
    pub(crate) async fn edit_schema(&self, edits: &[Value]) -> Result<Vec<Value>, CliError> {
        let answer = self.post("/schema", &json!(edits)).await?;
        self.classes(&answer, "changing the schema")
    }

    fn classes(&self, answer: &Answer, what: &str) -> Result<Vec<Value>, CliError> {
        match self.json(answer, what)? {
            Value::Array(classes) => Ok(classes),
            _ => Err(self.not_an_api("JSON that is no schema")),
        }
    }

    /// Permissions of a bucket; `None` if it does not exist.
    pub(crate) async fn bucket(&self, name: &BucketName) -> Result<Option<ClassAcl>, CliError> {
        let answer = self.get(&format!("/file/{name}")).await?;
        if matches!(answer.status.as_u16(), 404 | 461) && is_json(&answer) {
            return Ok(None);
        }
        let rules = self.json(&answer, &format!("reading the permissions of the bucket {name}"))?;
        ClassAcl::from_json(&rules, name.as_str())
            .map(Some)
            .map_err(|_| self.not_an_api("JSON that is no permissions"))
    }

    pub(crate) async fn set_bucket(&self, name: &BucketName, rules: &ClassAcl) -> Result<(), CliError> {
        let request = json_request(Method::PUT, format!("/file/{name}"), &json!(rules), RETRIES);
        let answer = self.http.send(&request).await?;
        self.check(&answer, &format!("setting the permissions of the bucket {name}"))
    }

    /// The names of all files in a bucket.
    pub(crate) async fn files(&self, bucket: &BucketName) -> Result<Vec<String>, CliError> {
        let prefix = format!("/file/{bucket}/");
        let mut names: Vec<String> = Vec::new();
        loop {
            let start = names.last().map_or("", String::as_str);
            let path = format!(
                "/file/{bucket}/ids?path=&deep=true&count={LIST_PIECE}&start={}",
                encode_component(start)
            );
            let answer = self.get(&path).await?;
            if matches!(answer.status.as_u16(), 404 | 461) && is_json(&answer) {
                return Ok(names);
            }
            let ids = self.json(&answer, &format!("listing the files of the bucket {bucket}"))?;
            let ids = ids
                .as_array()
                .ok_or_else(|| self.not_an_api("JSON that is no list of files"))?;
            let before = names.len();
            for id in ids {
                let name = id.as_str().and_then(|id| id.strip_prefix(&prefix));
                names.push(name.ok_or_else(|| self.not_an_api("names of other files"))?.to_owned());
            }
            // A server that repeats itself would keep this going for ever.
            if ids.len() < LIST_PIECE || names[before..].first() <= names[..before].last() && before > 0 {
                return Ok(names);
            }
        }
    }

    /// What is known of a file; `None` if there is none.
    pub(crate) async fn file(&self, bucket: &BucketName, name: &str) -> Result<Option<RemoteFile>, CliError> {
        let mut request = Request::new(Method::HEAD, file_path(bucket, name));
        request.retries = RETRIES;
        let answer = self.http.send(&request).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        // An answer to HEAD has no body that could say more.
        if !answer.status.is_success() {
            return Err(self.refused(&answer, &format!("looking at the file {name}")));
        }
        let etag = answer.header("etag").unwrap_or_default().trim_matches('"');
        let media_type = answer.header("content-type").unwrap_or_default();
        Ok(Some(RemoteFile {
            etag: etag.to_owned(),
            // In its normal form for metadata there is a blank before parameters.
            media_type: media_type.split(';').map(str::trim).collect::<Vec<_>>().join("; "),
        }))
    }

    pub(crate) async fn upload(&self, bucket: &BucketName, name: &str, payload: Payload) -> Result<(), CliError> {
        let mut request = Request::new(Method::PUT, file_path(bucket, name));
        request.payload = payload;
        request.retries = RETRIES;
        let answer = self.http.send(&request).await?;
        self.json(&answer, &format!("uploading {name}")).map(|_| ())
    }

    pub(crate) async fn delete_file(&self, bucket: &BucketName, name: &str) -> Result<(), CliError> {
        let mut request = Request::new(Method::DELETE, file_path(bucket, name));
        request.retries = RETRIES;
        let answer = self.http.send(&request).await?;
        self.check(&answer, &format!("removing {name}"))
    }

    /// All code with its source; `None` if the server has no code.
    pub(crate) async fn all_code(&self) -> Result<Option<Vec<Value>>, CliError> {
        let answer = self.get("/code-content").await?;
        if matches!(answer.status.as_u16(), 404 | 501) && is_json(&answer) {
            return Ok(None);
        }
        match self.json(&answer, "reading the code")? {
            Value::Array(code) => Ok(Some(code)),
            _ => Err(self.not_an_api("JSON that is no list of code")),
        }
    }

    /// One source; `None` if there is none.
    pub(crate) async fn code(&self, path: &str) -> Result<Option<String>, CliError> {
        let answer = self.get(path).await?;
        if answer.status == 404 && is_json(&answer) {
            return Ok(None);
        }
        self.check(&answer, &format!("reading {path}"))?;
        match String::from_utf8(answer.body.to_vec()) {
            Ok(text) if !is_html(&answer) => Ok(Some(text)),
            _ => Err(self.not_an_api("something that is no code")),
        }
    }

    pub(crate) async fn set_code(&self, path: &str, text: &str) -> Result<(), CliError> {
        let mut request = Request::new(Method::PUT, path);
        request.content_type = Some(TEXT);
        request.payload = Payload::Bytes(Bytes::copy_from_slice(text.as_bytes()));
        request.retries = RETRIES;
        let answer = self.http.send(&request).await?;
        if answer.status == 413 {
            return Err(CliError::Answer {
                what: format!("storing {path}"),
                status: 413,
                message: format!(
                    "{} It has {} KiB. Leave out dependencies that are not needed, or split the module.",
                    message(&answer),
                    text.len().div_ceil(1024)
                ),
            });
        }
        self.check(&answer, &format!("storing {path}"))
    }

    pub(crate) async fn delete_code(&self, path: &str) -> Result<(), CliError> {
        let mut request = Request::new(Method::DELETE, path);
        request.retries = RETRIES;
        let answer = self.http.send(&request).await?;
        self.check(&answer, &format!("removing {path}"))
    }

    /// The entries of a log that fit `filter` and came last, the last one first. That goes by `createdAt`, which is the
    /// server's; `date` is what an entry's author claims, and may be in the future for ever.
    pub(crate) async fn log(&self, filter: &Value, count: usize) -> Result<Vec<Value>, CliError> {
        let path = format!(
            "/db/logs.AppLog/query?q={}&sort={}&count={count}",
            encode_component(&filter.to_string()),
            encode_component(r#"{"createdAt":-1}"#)
        );
        let answer = self.get(&path).await?;
        match self.json(&answer, "reading the log")? {
            Value::Array(entries) => Ok(entries),
            _ => Err(self.not_an_api("JSON that is no list")),
        }
    }

    async fn get(&self, path: &str) -> Result<Answer, CliError> {
        self.http.send(&Request::new(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Answer, CliError> {
        self.http
            .send(&json_request(Method::POST, path.to_owned(), body, 0))
            .await
    }

    fn not_an_api(&self, found: &str) -> CliError {
        CliError::NotAnApi {
            url: self.target().to_string(),
            found: found.to_owned(),
        }
    }

    fn check(&self, answer: &Answer, what: &str) -> Result<(), CliError> {
        if answer.status.is_success() && !is_html(answer) {
            return Ok(());
        }
        Err(self.refused(answer, what))
    }

    fn refused(&self, answer: &Answer, what: &str) -> CliError {
        let status = answer.status.as_u16();
        if answer.status.is_redirection() {
            let to = clean(answer.header("location").unwrap_or("somewhere else"));
            return self.not_an_api(&format!("it redirects to {to}"));
        }
        if is_html(answer) {
            return self.not_an_api(&format!("a web page, status {status}"));
        }
        let message = message(answer);
        match status {
            401 | 460 => CliError::Login(format!("{what}: {message} Log in with `freshbase login`.")),
            466 if !self.http.has_token() => CliError::Login(format!(
                "{what} takes a login: use `freshbase login` or FRESHBASE_TOKEN ({message})"
            )),
            _ => CliError::Answer {
                what: what.to_owned(),
                status,
                message,
            },
        }
    }

    fn json(&self, answer: &Answer, what: &str) -> Result<Value, CliError> {
        self.check(answer, what)?;
        serde_json::from_slice(&answer.body).map_err(|_| {
            let content_type = answer.header("content-type").unwrap_or("no media type");
            self.not_an_api(&format!("{}, status {}", clean(content_type), answer.status.as_u16()))
        })
    }
}

fn json_request(method: Method, path: String, body: &Value, retries: u32) -> Request {
    let mut request = Request::new(method, path);
    request.content_type = Some(JSON);
    request.payload = Payload::Bytes(body.to_string().into());
    request.retries = retries;
    request
}

fn file_path(bucket: &BucketName, name: &str) -> String {
    let segments: Vec<String> = name.split('/').map(encode_component).collect();
    format!("/file/{bucket}/{}", segments.join("/"))
}

fn name_of(user: &Value) -> String {
    clean(user["username"].as_str().unwrap_or("?"))
}

fn is_html(answer: &Answer) -> bool {
    answer
        .header("content-type")
        .is_some_and(|t| t.starts_with("text/html"))
}

fn is_json(answer: &Answer) -> bool {
    answer
        .header("content-type")
        .is_some_and(|t| t.starts_with("application/json"))
}

/// What an error says, on one line and at most some lines long.
fn message(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = match body["message"].as_str() {
        Some(message) => message.to_owned(),
        None => answer.status.canonical_reason().unwrap_or("no reason given").to_owned(),
    };
    clean(&text).replace('\n', " ").chars().take(500).collect()
}
