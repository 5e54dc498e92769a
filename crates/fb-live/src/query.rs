//! Queries in the form in which they are kept up to date.

use std::sync::Arc;

use fb_query::{Filter, Order, Query};
use fb_types::ClassName;

/// Greatest offset plus limit of a window.
pub const MAX_WINDOW: u64 = 500;

/// A query that can be kept up to date.
#[derive(Debug, Clone)]
pub struct LiveQuery {
    class: ClassName,
    filter: Filter,
    filter_text: Arc<str>,
    form: Form,
    form_text: String,
}

/// The query cannot be kept up to date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its window lies too deep.
    #[error("offset + limit may not exceed {MAX_WINDOW}, but offset already was {0}")]
    TooDeep(u64),
}

/// Which part of what passes the filter is the result.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// All of it, in no order.
    All,
    /// A part of an order.
    Part(Part),
}

/// A window onto an order.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) order: Order,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
    /// Objects that are known behind the window.
    pub(crate) slack: usize,
    /// True if the query names an order, so that places are told.
    pub(crate) is_sorted: bool,
}

impl Part {
    /// The fields that the order looks at.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let mut fields = match &self.order {
            Order::Natural => Vec::new(),
            Order::By(keys) => keys.iter().map(|key| key.path.field()).collect(),
            Order::Distance(path, _) => vec![path.field()],
        };
        // It ends ties.
        fields.push("id");
        fields
    }

    /// The end of the window in the order.
    pub(crate) fn end(&self) -> usize {
        self.offset + self.limit
    }

    /// How many objects are known at most.
    pub(crate) fn known(&self) -> usize {
        self.end() + self.slack
    }
}

/// Least and greatest number of objects that are known behind a window when it is new. Each renewal doubles it up to the
/// greatest: most windows need none, and for some nothing else helps.
const SLACK: (u64, u64) = (16, 128);

impl LiveQuery {
    /// Prepares a query. No limit is `u64::MAX`. With an order, an offset or a limit the result is a window: the limit is at
    /// most what [`MAX_WINDOW`] leaves beside the offset, and without an order it is that of ids.
    ///
    /// Errors: `TooDeep` if the offset leaves nothing.
    pub fn new(query: Query) -> Result<Self, Unfit> {
        let is_sorted = !matches!(query.order, Order::Natural);
        let is_part = is_sorted || query.offset > 0 || query.limit < u64::MAX;
        let filter_text = query.filter.canonical().into();
        let form = if is_part {
            if query.offset >= MAX_WINDOW {
                return Err(Unfit::TooDeep(query.offset));
            }
            let limit = query.limit.min(MAX_WINDOW - query.offset);
            let to_usize = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            Form::Part(Part {
                order: query.order.clone(),
                offset: to_usize(query.offset),
                limit: to_usize(limit),
                slack: to_usize(limit.clamp(SLACK.0, SLACK.1)),
                is_sorted,
            })
        } else {
            Form::All
        };
        let form_text = match &form {
            Form::All => String::new(),
            Form::Part(part) => {
                let shape = Query {
                    class: query.class.clone(),
                    filter: Filter::ALL,
                    order: query.order,
                    offset: query.offset,
                    limit: part.limit as u64,
                };
                shape.canonical()
            }
        };
        Ok(Self {
            class: query.class,
            filter: query.filter,
            filter_text,
            form,
            form_text,
        })
    }

    /// The same with another number of objects known behind the window. Without effect if it has none.
    #[must_use]
    pub fn with_slack(mut self, slack: usize) -> Self {
        if let Form::Part(part) = &mut self.form {
            part.slack = slack;
        }
        self
    }

    /// The same with twice the number of objects known behind the window; `None` if it has none, or enough.
    pub(crate) fn with_more_slack(&self) -> Option<Self> {
        match &self.form {
            Form::Part(part) if part.slack < SLACK.1 as usize && part.slack > 0 => {
                Some(self.clone().with_slack(part.slack * 2))
            }
            Form::Part(_) | Form::All => None,
        }
    }

    /// The class whose objects are asked for.
    pub fn class(&self) -> &ClassName {
        &self.class
    }

    /// Which objects.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The query to read first and renewed results with; its rows are what registration takes. The first result for a
    /// subscriber is the part of these that [`Self::window`] gives.
    pub fn bootstrap(&self) -> Query {
        let (order, limit) = match &self.form {
            Form::All => (Order::Natural, u64::MAX),
            Form::Part(part) => (part.order.clone(), part.known() as u64),
        };
        Query {
            class: self.class.clone(),
            filter: self.filter.clone(),
            order,
            offset: 0,
            limit,
        }
    }

    /// True if the result is a window, which keeps its objects in memory. Else their numbers are kept.
    pub fn is_window(&self) -> bool {
        matches!(self.form, Form::Part(_))
    }

    /// True if the rows of [`Self::bootstrap`] must come in the order of ids, which [`Order::Natural`] does not promise.
    pub fn is_by_id(&self) -> bool {
        matches!(&self.form, Form::Part(part) if !part.is_sorted)
    }

    /// The part of the rows of [`Self::bootstrap`] that is the result: the first of them, and the one behind the last.
    pub fn window(&self, n_rows: usize) -> (usize, usize) {
        match &self.form {
            Form::All => (0, n_rows),
            Form::Part(part) => (part.offset.min(n_rows), part.end().min(n_rows)),
        }
    }

    /// A text that is equal for queries with equal results.
    pub fn canonical(&self) -> String {
        format!("{}|{}|{}", self.class, self.filter_text, self.form_text)
    }

    pub(crate) fn filter_text(&self) -> &Arc<str> {
        &self.filter_text
    }

    pub(crate) fn form(&self) -> &Form {
        &self.form
    }

    pub(crate) fn form_text(&self) -> &str {
        &self.form_text
    }
}
