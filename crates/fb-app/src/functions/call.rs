//! Calling code.

use std::sync::Arc;

use bytes::Bytes;
use fb_auth::Principal;
use fb_functions::{Call, CallError, CallKind, Exception, HttpResponse, Outcome};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::host::CallHost;
use super::sources::{CodeType, Sources, no_code};
use super::{CodeCaller, MAX_DEPTH, Reads};
use crate::app_log::Level;
use crate::{App, AppError};

/// A call of a module by a request.
#[derive(Debug, Clone)]
pub struct ModuleCall<'a> {
    /// The module's name.
    pub name: &'a str,
    /// What code is told about the request: see `fb-functions`' `docs/calls.md`.
    pub request: Value,
    /// The request's body.
    pub body: Bytes,
    /// How many calls stand in each other so far.
    pub depth: u8,
}

/// The head of an answer, as code gives it.
#[derive(Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

impl App {
    /// Answers a request with a module. Everybody may; what the module may do is what its caller may.
    pub async fn call_module(&self, caller: &Principal, call: ModuleCall<'_>) -> Result<HttpResponse, AppError> {
        self.call_module_and_note(caller, call, None).await
    }

    /// The same; `reads` takes down what the module reads.
    pub(crate) async fn call_module_and_note(
        &self,
        caller: &Principal,
        call: ModuleCall<'_>,
        reads: Option<Arc<Reads>>,
    ) -> Result<HttpResponse, AppError> {
        let sources = self.code().sources.load_full();
        if !sources.has(call.name, CodeType::Module) {
            return Err(no_code(call.name, CodeType::Module));
        }
        if call.depth >= MAX_DEPTH {
            return Err(AppError::Invalid(format!(
                "more than {MAX_DEPTH} modules call each other"
            )));
        }
        let code_caller = CodeCaller {
            principal: caller.as_code(),
            depth: call.depth + 1,
            reads,
        };
        let input = Map::from_iter([("request".to_owned(), call.request)]);
        let outcome = self
            .run(
                &sources,
                code_caller,
                CallKind::Request,
                (call.name, CodeType::Module),
                input,
                call.body,
            )
            .await?;
        let head: Head =
            serde_json::from_str(&outcome.json).map_err(|e| AppError::internal("reading an answer of code", e))?;
        // 1xx is no answer, and what lies above is not HTTP's: both are for the connection, not for code.
        if !(200..=599).contains(&head.status) {
            let exception = Exception {
                name: "RangeError".to_owned(),
                message: format!(
                    "an answer cannot have the status {}, only one from 200 to 599",
                    head.status
                ),
                stack: String::new(),
            };
            let code = (call.name, CodeType::Module);
            return Err(self.code_failed(code, CallError::Failed(Box::new(exception)), caller.user_id()));
        }
        Ok(HttpResponse {
            status: head.status,
            headers: head.headers,
            body: outcome.body,
        })
    }

    /// Runs one of `sources`. What goes wrong in it is in the app's log then.
    pub(crate) async fn run(
        &self,
        sources: &Sources,
        caller: CodeCaller,
        kind: CallKind,
        (bucket, code_type): (&str, CodeType),
        mut input: Map<String, Value>,
        body: Bytes,
    ) -> Result<Outcome, AppError> {
        let app = self
            .handle()
            .ok_or_else(|| AppError::internal("running code", "the app is asleep"))?;
        let user = caller.principal.user_id().cloned();
        // Some code is for a user who has not shown to be the caller.
        input
            .entry("me")
            .or_insert_with(|| json!(user.as_ref().map(ToString::to_string)));
        let call = Call {
            kind,
            bucket: bucket.to_owned(),
            code_type: code_type.as_str().to_owned(),
            input: Value::Object(input).to_string(),
            body,
        };
        let depth = caller.depth;
        let host = Arc::new(CallHost::new(app, caller));
        let work = async {
            let _place = self.code().gate.enter(depth).await?;
            self.code().pool.call(sources.code(), call, host).await
        };
        match work.await {
            Ok(outcome) => Ok(outcome),
            Err(error) => Err(self.code_failed((bucket, code_type), error, user.as_ref())),
        }
    }

    /// Takes down that code failed.
    pub(super) fn code_failed(
        &self,
        (bucket, code_type): (&str, CodeType),
        error: CallError,
        user: Option<&fb_types::ObjectId>,
    ) -> AppError {
        let name = format!("/code/{bucket}/{}", code_type.as_str());
        self.log_failure(&name, &error, user);
        AppError::Code(Box::new(error))
    }

    fn log_failure(&self, name: &str, error: &CallError, user: Option<&fb_types::ObjectId>) {
        let data = match error {
            // What code says on purpose is between it and its caller.
            CallError::Aborted { .. } | CallError::NoCode { .. } | CallError::NoExport { .. } => return,
            // That is nobody's failure, and whoever calls in vain may come many times a second.
            CallError::Busy => return,
            CallError::Failed(exception) => json!({
                "code": name,
                "name": exception.name,
                "message": exception.message,
                "stack": exception.stack,
            }),
            _ => json!({ "code": name }),
        };
        if let CallError::Internal(reason) = error {
            tracing::error!(app = %self.id(), code = name, "code could not be run: {reason}");
        }
        self.log_line(Level::Error, &format!("{name}: {error}"), data, user);
    }
}
