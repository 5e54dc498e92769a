//! What a call of code may do: requests to its app's API and to the outside, images, lines of the log.

use std::sync::Arc;

use bytes::Bytes;
use fb_auth::Principal;
use fb_functions::{Host, HostError, HttpRequest, HttpResponse, LogLine, Operation};
use fb_images::{ImageQuery, Limits, Wanted};
use fb_outbound::Request;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::{CodeCaller, CodeRequest};
use crate::App;

/// One call's access to its surroundings.
pub(super) struct CallHost {
    app: Arc<App>,
    caller: CodeCaller,
}

impl CallHost {
    pub(super) fn new(app: Arc<App>, caller: CodeCaller) -> Self {
        Self { app, caller }
    }

    /// As whom a request is made that begins now.
    fn caller_now(&self) -> CodeCaller {
        let mut caller = self.caller.clone();
        let is_shared = caller.reads.as_ref().is_some_and(|reads| reads.request());
        match is_shared {
            true => caller.principal = Principal::anonymous().as_code(),
            false => caller.reads = None,
        }
        caller
    }

    fn spoil(&self) {
        if let Some(reads) = &self.caller.reads {
            reads.spoil();
        }
    }
}

impl Host for CallHost {
    fn operate(&self, operation: Operation) -> BoxFuture<'static, Result<HttpResponse, HostError>> {
        let app = self.app.clone();
        match operation {
            Operation::Api(request) => match app.functions().api.get().cloned() {
                Some(api) => {
                    let caller = self.caller_now();
                    api.answer(app, CodeRequest { caller, request })
                }
                None => Box::pin(async { Err(HostError("this process does not serve the app's API".into())) }),
            },
            Operation::Fetch(request) => Box::pin(async move { fetch(&app, request).await.map_err(HostError) }),
            // What names of variants mean is in the settings.
            Operation::Image(request) => {
                self.spoil();
                Box::pin(async move { image(&app, request).await.map_err(HostError) })
            }
        }
    }

    fn share(&self, knows_caller: bool) {
        if let Some(reads) = &self.caller.reads {
            reads.share(knows_caller);
        }
    }

    fn log(&self, line: LogLine) {
        let user = self.caller.principal.user_id();
        self.app.log_line(line.level, &line.message, Value::Null, user);
    }

    fn schema(&self) -> (u64, Arc<str>) {
        let schema = self.app.schema();
        let rev = schema.rev();
        let cell = &self.app.code().schema;
        let known = cell.load();
        if known.0 == rev {
            return (u64::from(rev), known.1.clone());
        }
        let text: Arc<str> = json!(schema.classes().map(|class| class.def()).collect::<Vec<_>>())
            .to_string()
            .into();
        cell.store(Arc::new((rev, text.clone())));
        (u64::from(rev), text)
    }
}

/// A request to the outside. Redirects are answers like others: code follows them itself, each with a request that is checked.
async fn fetch(app: &App, request: HttpRequest) -> Result<HttpResponse, String> {
    let method: Method = request
        .method
        .parse()
        .map_err(|_| "the method is not valid".to_owned())?;
    let mut outgoing = Request::new(method, request.url);
    outgoing.body = request.body;
    for (name, value) in request.headers {
        match name.as_str() {
            // The client sets these itself.
            "host" | "content-length" | "connection" | "transfer-encoding" | "accept-encoding" | "upgrade" | "te"
            | "trailer" | "expect" => {}
            _ => {
                let value =
                    HeaderValue::from_str(&value).map_err(|_| format!("the header {name} has no valid value"))?;
                let name = HeaderName::try_from(&name).map_err(|_| format!("{name} is no name of a header"))?;
                outgoing.headers.append(name, value);
            }
        }
    }
    let sent = app.functions().outbound.send(outgoing).await;
    let answer = sent.map_err(|e| describe(&e))?;
    let headers = answer
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        })
        .collect();
    Ok(HttpResponse {
        status: answer.status.as_u16(),
        headers,
        body: answer.body,
    })
}

/// The error with its causes.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// A variant of an image. It is code that asks, which needs no signature.
async fn image(app: &App, request: HttpRequest) -> Result<HttpResponse, String> {
    let limits = Limits::default();
    // In URLs this parameter says that a variant is wanted; here nothing else can be.
    let query = format!("bqoptimize=1&{}", request.url.trim_start_matches('?'));
    let parsed = ImageQuery::parse(&query, &[], &limits).map_err(|e| e.to_string())?;
    let variant = match parsed.map(|query| query.wanted) {
        Some(Wanted::Described(variant)) => variant,
        Some(Wanted::Named(name)) => {
            let settings = app.settings();
            let declared = settings.images.variants.get(&name).copied();
            declared.ok_or_else(|| format!("there is no variant of images `{name}` in the app's settings"))?
        }
        None => return Err("say what to make of the image, for example { width: 200 }".to_owned()),
    };
    let source = request.body;
    let read = async { Ok(source) };
    let render = move |source: Bytes| fb_images::render(&source, &variant, &limits);
    let made = app
        .heavy("making an image", read, render)
        .await
        .map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())?;
    let bytes = Bytes::from(made.bytes);
    let media_type = fb_files::media_type::guess("", &bytes[..bytes.len().min(64)]);
    Ok(HttpResponse {
        status: 200,
        headers: vec![("content-type".to_owned(), media_type.to_string())],
        body: bytes,
    })
}
