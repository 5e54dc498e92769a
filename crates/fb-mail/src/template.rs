//! Texts with placeholders, filled in by one pass.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Content;
use crate::message::MAX_SUBJECT;
use crate::text::{cut, is_unfit, one_line};

/// Longest subject of a template in bytes.
const MAX_TEMPLATE_SUBJECT: usize = 200;
/// Longest text or HTML of a template in bytes.
const MAX_TEMPLATE_BODY: usize = 64 * 1024;
/// Most placeholders in one part, so that long values cannot multiply.
const MAX_PLACEHOLDERS: usize = 200;

/// What a mail says, with `{{name}}` where a value goes. As JSON `{"subject":…,"text":…,"html":…}`, where `html` may be
/// missing or null; other keys are an error.
///
/// Single braces mean nothing, so that style sheets can be written as usual. `{{` and `}}` always belong to a placeholder;
/// where a style sheet ends two blocks at once, a space goes between the braces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    /// One line, at most 200 bytes, not blank.
    pub subject: String,
    /// The plain text, at most 64 KiB, not blank.
    pub text: String,
    /// The same for readers that show HTML, at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The subject.
    Subject,
    /// The plain text.
    Text,
    /// The HTML.
    Html,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subject => "subject",
            Self::Text => "text",
            Self::Html => "html",
        })
    }
}

/// Why a template cannot be used, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}, line {line}, column {column}: {problem}")]
pub struct TemplateError {
    /// The part.
    pub part: Part,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A placeholder that is not on the list.
    #[error("`{name}` is no placeholder; there are {}", known.join(", "))]
    Unknown {
        /// Its name, shortened.
        name: String,
        /// The placeholders there are.
        known: Vec<&'static str>,
    },
    /// `{{` without `}}`.
    #[error("{{{{ without }}}}")]
    Unclosed,
    /// `}}` without `{{`.
    #[error("}}}} without {{{{ (write }} }} where a style sheet ends two blocks)")]
    Unopened,
    /// More bytes than allowed.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// More placeholders than allowed.
    #[error("more than {MAX_PLACEHOLDERS} placeholders")]
    TooMany,
    /// Nothing there.
    #[error("blank")]
    Blank,
    /// A line break or another control character in the subject.
    #[error("a line break or another control character in the subject")]
    Control,
}

impl Template {
    /// Checks everything. `known` are the names a placeholder may have; spaces around a name are ignored.
    pub fn parse(&self, known: &[&'static str]) -> Result<Parsed, TemplateError> {
        let subject = parse(Part::Subject, &self.subject, known)?;
        let text = parse(Part::Text, &self.text, known)?;
        let html = self
            .html
            .as_ref()
            .map(|html| parse(Part::Html, html, known))
            .transpose()?;
        Ok(Parsed { subject, text, html })
    }
}

/// A template that was checked.
#[derive(Debug, Clone)]
pub struct Parsed {
    subject: Vec<Piece>,
    text: Vec<Piece>,
    html: Option<Vec<Piece>>,
}

#[derive(Debug, Clone)]
enum Piece {
    Literal(String),
    Value(&'static str),
}

/// What goes in place of placeholders. `Debug` shows the names alone, because one of the values is a single-use link.
#[derive(Clone, Default)]
pub struct Values(BTreeMap<&'static str, String>);

impl Values {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// These and one more; a value of the same name is replaced. A value for `link` is an http or https URL, which the
    /// caller has made sure of.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.insert(name, value.into());
        self
    }

    fn get(&self, name: &'static str) -> Result<&str, RenderError> {
        self.0.get(name).map(String::as_str).ok_or(RenderError { name })
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// There is no value for a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no value for the placeholder `{name}`")]
pub struct RenderError {
    /// The placeholder.
    pub name: &'static str,
}

impl Parsed {
    /// Fills in `values`, in one pass: what looks like a placeholder in a value stays as it is.
    ///
    /// Values are one line: control characters in them become spaces, so that a name cannot write paragraphs of its own.
    /// In the HTML they are escaped, for element content and quoted attributes. A subject of more than 500 bytes is cut.
    pub fn render(&self, values: &Values) -> Result<Content, RenderError> {
        let subject = fill(&self.subject, values, |value, out| out.push_str(value))?;
        let text = fill(&self.text, values, |value, out| out.push_str(value))?;
        let html = self.html.as_ref().map(|html| fill(html, values, escape)).transpose()?;
        Ok(Content {
            subject: cut(&subject, MAX_SUBJECT).to_owned(),
            text,
            html,
        })
    }
}

fn fill(pieces: &[Piece], values: &Values, put: fn(&str, &mut String)) -> Result<String, RenderError> {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Value(name) => put(&one_line(values.get(name)?), &mut out),
        }
    }
    Ok(out)
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Some readers take it for a quotation mark.
            '`' => out.push_str("&#96;"),
            other => out.push(other),
        }
    }
}

fn parse(part: Part, source: &str, known: &[&'static str]) -> Result<Vec<Piece>, TemplateError> {
    let error = |at: usize, problem: Problem| {
        let before = &source[..at];
        Err(TemplateError {
            part,
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
            problem,
        })
    };
    let limit = match part {
        Part::Subject => MAX_TEMPLATE_SUBJECT,
        Part::Text | Part::Html => MAX_TEMPLATE_BODY,
    };
    if source.len() > limit {
        return error(0, Problem::TooLong(limit));
    }
    if source.trim().is_empty() {
        return error(0, Problem::Blank);
    }
    if part == Part::Subject
        && let Some(at) = source.find(is_unfit)
    {
        return error(at, Problem::Control);
    }
    let mut pieces = Vec::new();
    let mut n_values = 0;
    // Up to here everything is in `pieces`.
    let mut at = 0;
    loop {
        let rest = &source[at..];
        let open = rest.find("{{");
        if let Some(close) = rest[..open.unwrap_or(rest.len())].find("}}") {
            return error(at + close, Problem::Unopened);
        }
        let Some(open) = open else {
            pieces.push(Piece::Literal(rest.to_owned()));
            return Ok(pieces);
        };
        let inside = &rest[open + 2..];
        let Some(close) = inside.find("}}") else {
            return error(at + open, Problem::Unclosed);
        };
        let given = inside[..close].trim();
        let Some(name) = known.iter().find(|name| **name == given) else {
            if inside[..close].contains("{{") {
                return error(at + open, Problem::Unclosed);
            }
            return error(
                at + open,
                Problem::Unknown {
                    name: one_line(cut(given, 80)),
                    known: known.to_vec(),
                },
            );
        };
        n_values += 1;
        if n_values > MAX_PLACEHOLDERS {
            return error(at + open, Problem::TooMany);
        }
        pieces.push(Piece::Literal(rest[..open].to_owned()));
        pieces.push(Piece::Value(name));
        at += open + 2 + close + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["app", "link"];

    fn template(subject: &str, text: &str, html: &str) -> Template {
        Template {
            subject: subject.into(),
            text: text.into(),
            html: Some(html.into()),
        }
    }

    fn problem(text: &str) -> (usize, usize, Problem) {
        let error = template("s", text, "h").parse(KNOWN).unwrap_err();
        assert_eq!(error.part, Part::Text);
        (error.line, error.column, error.problem)
    }

    #[test]
    fn placeholders_are_filled_in() {
        let parsed = template(
            "Hi {{app}}",
            "{{ link }}{{app}}\n{ } {x} }",
            "<a href=\"{{link}}\">{{app}}</a>",
        )
        .parse(KNOWN)
        .unwrap();
        let values = Values::new().with("app", "A&\"'<b>").with("link", "https://x/?a=1&b=2");
        let content = parsed.render(&values).unwrap();
        assert_eq!(content.subject, "Hi A&\"'<b>");
        assert_eq!(content.text, "https://x/?a=1&b=2A&\"'<b>\n{ } {x} }");
        assert_eq!(
            content.html.unwrap(),
            "<a href=\"https://x/?a=1&amp;b=2\">A&amp;&quot;&#39;&lt;b&gt;</a>"
        );
    }

    #[test]
    fn a_missing_value_is_an_error() {
        let parsed = template("s", "{{app}}", "h").parse(KNOWN).unwrap();
        assert_eq!(parsed.render(&Values::new()).unwrap_err(), RenderError { name: "app" });
    }

    #[test]
    fn errors_say_where_and_what_there_is() {
        let unknown = |name: &str| Problem::Unknown {
            name: name.into(),
            known: KNOWN.to_vec(),
        };
        assert_eq!(problem("ä\nb {{nope}}"), (2, 3, unknown("nope")));
        assert_eq!(problem("{{}}"), (1, 1, unknown("")));
        assert_eq!(problem("{{{app}}"), (1, 1, unknown("{app")));
        assert_eq!(problem("{{App}}"), (1, 1, unknown("App")));
        assert_eq!(problem("é {{app"), (1, 3, Problem::Unclosed));
        assert_eq!(problem("{{app {{app}}"), (1, 1, Problem::Unclosed));
        assert_eq!(problem("{{app}}\n }}"), (2, 2, Problem::Unopened));
        assert_eq!(problem("@media{a{b:c}}"), (1, 13, Problem::Unopened));
        assert_eq!(problem(" \n"), (1, 1, Problem::Blank));
        assert_eq!(problem(&"x".repeat(64 * 1024 + 1)), (1, 1, Problem::TooLong(64 * 1024)));
        assert_eq!(problem(&"{{app}}".repeat(201)), (1, 1401, Problem::TooMany));
        let subject = template("a\nb", "t", "h").parse(KNOWN).unwrap_err();
        assert_eq!((subject.part, subject.problem), (Part::Subject, Problem::Control));
        let error = template("s", "t", "{{x}}").parse(KNOWN).unwrap_err();
        assert_eq!(
            error.to_string(),
            "html, line 1, column 1: `x` is no placeholder; there are app, link"
        );
    }

    #[test]
    fn json_with_unknown_keys_is_refused() {
        let ok: Template = serde_json::from_str(r#"{"subject":"s","text":"t"}"#).unwrap();
        assert_eq!(ok.html, None);
        assert!(serde_json::from_str::<Template>(r#"{"subject":"s","text":"t","body":"b"}"#).is_err());
        assert!(serde_json::from_str::<Template>(r#"{"subject":"s"}"#).is_err());
    }

    #[test]
    fn long_subjects_are_cut() {
        let parsed = template("{{app}}", "t", "h").parse(KNOWN).unwrap();
        let content = parsed.render(&Values::new().with("app", "ä".repeat(1000))).unwrap();
        assert_eq!(content.subject, "ä".repeat(250));
    }

    #[test]
    fn debug_output_shows_no_values() {
        assert_eq!(
            format!("{:?}", Values::new().with("link", "https://secret")),
            "{\"link\"}"
        );
    }
}
