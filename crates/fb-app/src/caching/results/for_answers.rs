//! Queries whose results are part of answers of modules.

use std::sync::Arc;

use fb_auth::{Operation, Principal, authorize};
use fb_sketch::{KeyHash, Moment};

use super::keep::Public;
use super::{Asked, Entered, ResultForm};
use crate::{App, AppError, QueryRequest};

impl App {
    /// Enters a copy of an answer that is made of the result of a query, as somebody gets it who is nobody in particular. `None` if it
    /// cannot be watched, else until when the copy may live.
    pub(in super::super) async fn try_to_watch_for_answer(
        self: &Arc<Self>,
        element: KeyHash,
        bucket: &str,
        request: &QueryRequest,
        is_counted: bool,
    ) -> Result<Option<Moment>, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let grant = authorize(&Principal::anonymous().as_code(), Operation::Query, class)?;
        if !grant.fields().read_everything() {
            return Ok(None);
        }
        let asked = Public {
            schema: &schema,
            class,
            grant: &grant,
            query: self.checked(&schema, class, &grant, request)?,
        };
        let Some((live, most)) = self.live_form(&asked.query) else {
            return Ok(None);
        };
        // Code may see other objects than everybody.
        let text = format!("code: {}", live.canonical());
        let names = Asked {
            text: &text,
            key: KeyHash::of(&text),
            class: class.name().as_str(),
            element,
            form: if is_counted {
                ResultForm::Ids
            } else {
                ResultForm::Objects
            },
            is_for_answer: true,
        };
        let settings = self.settings();
        let entered = self
            .caching()
            .enter_result(&names, &settings.caching, || self.next_watch());
        match entered {
            Entered::Refused => Ok(None),
            Entered::Watched(until) => Ok(Some(until.end)),
            Entered::New {
                subscriber,
                until,
                displaced,
            } => {
                self.end_watches(displaced);
                let begun = self.begin_watch(&asked, &names, live, most, subscriber, until).await?;
                Ok(begun.map(|(_, until)| until.end))
            }
        }
    }
}
