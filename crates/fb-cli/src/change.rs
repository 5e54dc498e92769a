//! What a command would change, and who gains access: for people and for programs.

use fb_auth::{Gain, Gained, Gainer};
use serde_json::{Value, json};

use crate::ui::clean;

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// A class.
    Schema,
    /// Permissions of a bucket.
    Bucket,
    /// A module or handler.
    Code,
    /// A file.
    File,
}

/// How it is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is new.
    Add,
    /// It is replaced.
    Change,
    /// It goes.
    Remove,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// What is changed.
    pub(crate) part: Part,
    /// How.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
    /// More, one line each.
    pub(crate) details: Vec<String>,
}

impl Part {
    fn as_str(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Bucket => "buckets",
            Self::Code => "code",
            Self::File => "files",
        }
    }
}

impl Kind {
    fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Change => '~',
            Self::Remove => '-',
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }
}

impl Change {
    pub(crate) fn new(part: Part, kind: Kind, name: impl Into<String>) -> Self {
        Self {
            part,
            kind,
            name: name.into(),
            details: Vec::new(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "part": self.part.as_str(), "change": self.kind.as_str(), "name": self.name, "details": self.details })
    }
}

/// The changes as text: a heading per part, a line per change with its details below it.
pub(crate) fn describe(changes: &[Change]) -> String {
    let mut text = String::new();
    let mut part = None;
    for change in changes {
        if part != Some(change.part) {
            part = Some(change.part);
            text.push_str(&format!("{}\n", change.part.as_str()));
        }
        text.push_str(&format!("  {} {}\n", change.kind.sign(), clean(&change.name)));
        for detail in &change.details {
            text.push_str(&format!("      {}\n", clean(detail)));
        }
    }
    text
}

/// Who gains access, as text, with what the same callers gain on one line; the gains of everybody are marked.
pub(crate) fn describe_gains(gains: &[Gain]) -> String {
    let mut lines: Vec<(bool, Vec<String>, String, String)> = Vec::new();
    for gain in gains {
        let by: Vec<String> = gain.by.iter().map(who).collect();
        let (by, (verb, object)) = (by.join(", "), what(gain));
        let same = |line: &&mut (bool, Vec<String>, String, String)| line.2 == object && line.3 == by;
        match lines.iter_mut().find(same) {
            Some((_, verbs, ..)) => verbs.push(verb),
            None => lines.push((gain.is_public(), vec![verb], object, by)),
        }
    }
    let mut text = String::new();
    for (is_public, verbs, object, by) in lines {
        let sign = if is_public { '!' } else { ' ' };
        text.push_str(&format!("  {sign} {} {object}: {}\n", verbs.join(", "), clean(&by)));
    }
    match text.is_empty() {
        true => text,
        false => format!("access that is gained\n{text}"),
    }
}

fn who(gainer: &Gainer) -> String {
    match gainer {
        Gainer::Anonymous => "everybody, without logging in".into(),
        Gainer::LoggedIn => "every user that is logged in".into(),
        Gainer::Named(id) if id.starts_with("/db/Role/") => format!("members of {id}"),
        Gainer::Named(id) => id.clone(),
        Gainer::Itself => "each user, on its own object".into(),
    }
}

fn what(gain: &Gain) -> (String, String) {
    match &gain.what {
        Gained::Class(class, permission) => (permission.as_str().into(), class.to_string()),
        Gained::Field(class, field, right) => (right.to_string(), format!("the field {class}.{field}")),
        Gained::Bucket(bucket, permission) => (permission.as_str().into(), format!("files of the bucket {bucket}")),
    }
}

pub(crate) fn gain_json(gain: &Gain) -> Value {
    let by = gain.by.iter().map(|gainer| match gainer {
        Gainer::Anonymous => "anonymous".to_owned(),
        Gainer::LoggedIn => "loggedIn".to_owned(),
        Gainer::Named(id) => id.clone(),
        Gainer::Itself => "self".to_owned(),
    });
    let by: Vec<String> = by.collect();
    let (what, name, permission) = match &gain.what {
        Gained::Class(class, permission) => ("class", class.to_string(), permission.as_str().to_owned()),
        Gained::Field(class, field, right) => ("field", format!("{class}.{field}"), right.to_string()),
        Gained::Bucket(bucket, permission) => ("bucket", bucket.to_string(), permission.as_str().to_owned()),
    };
    json!({ "what": what, "name": name, "permission": permission, "by": by, "public": gain.is_public() })
}
