//! JSON with comments and trailing commas, which survive when values are changed.

use serde_json::Value;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 64;

/// A value with the comments around it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Object(Vec<Member>, Comments),
    Array(Vec<Item>, Comments),
    Scalar(Value),
}

/// Comments as they were written, with their marks.
type Comments = Vec<String>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    key: String,
    item: Item,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// On lines of their own before it.
    before: Comments,
    node: Node,
    /// Behind it on its line.
    after: Comments,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    before: Comments,
    root: Node,
    after: Comments,
}

impl Document {
    /// Reads a file; errors say the line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
            at: 0,
        };
        let read = parser.document();
        let line = parser.text[..parser.at.min(parser.text.len())].matches('\n').count() + 1;
        read.map_err(|what| format!("line {line}: {what}"))
    }

    pub(crate) fn of(value: &Value) -> Self {
        Self {
            before: Vec::new(),
            root: Node::of(value),
            after: Vec::new(),
        }
    }

    /// The value without comments.
    pub(crate) fn value(&self) -> Value {
        self.root.value()
    }

    /// Takes over `value`; comments and the order of keys stay, new keys go behind the others.
    pub(crate) fn update(&mut self, value: &Value) {
        self.root.update(value);
    }
}

impl std::fmt::Display for Document {
    /// With two blanks per level, as `JSON.stringify(…, null, 2)` writes what has no comments, and a line break at the end.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for comment in &self.before {
            writeln!(f, "{comment}")?;
        }
        let mut text = String::new();
        self.root.print(0, &mut text);
        writeln!(f, "{text}")?;
        for comment in &self.after {
            writeln!(f, "{comment}")?;
        }
        Ok(())
    }
}

impl Node {
    fn of(value: &Value) -> Self {
        let item = |value| Item {
            before: Vec::new(),
            node: Self::of(value),
            after: Vec::new(),
        };
        match value {
            Value::Object(members) => {
                let member = |(key, value): (&String, _)| Member {
                    key: key.clone(),
                    item: item(value),
                };
                Self::Object(members.iter().map(member).collect(), Vec::new())
            }
            Value::Array(items) => Self::Array(items.iter().map(item).collect(), Vec::new()),
            scalar => Self::Scalar(scalar.clone()),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Object(members, _) => members.iter().map(|m| (m.key.clone(), m.item.node.value())).collect(),
            Self::Array(items, _) => items.iter().map(|item| item.node.value()).collect(),
            Self::Scalar(value) => value.clone(),
        }
    }

    fn update(&mut self, value: &Value) {
        match (&mut *self, value) {
            (Self::Object(members, _), Value::Object(new)) => {
                members.retain(|member| new.contains_key(&member.key));
                for (key, value) in new {
                    match members.iter_mut().find(|member| member.key == *key) {
                        Some(member) => member.item.node.update(value),
                        None => members.push(Member {
                            key: key.clone(),
                            item: Item {
                                before: Vec::new(),
                                node: Self::of(value),
                                after: Vec::new(),
                            },
                        }),
                    }
                }
            }
            (node, value) => {
                if node.value() != *value {
                    *node = Self::of(value);
                }
            }
        }
    }

    fn print(&self, level: usize, out: &mut String) {
        let (open, close, tail, items): (_, _, _, Vec<(Option<&str>, &Item)>) = match self {
            Self::Scalar(value) => return out.push_str(&value.to_string()),
            Self::Object(members, tail) => {
                let items = members.iter().map(|m| (Some(m.key.as_str()), &m.item)).collect();
                ('{', '}', tail, items)
            }
            Self::Array(items, tail) => ('[', ']', tail, items.iter().map(|item| (None, item)).collect()),
        };
        out.push(open);
        let indent = |level: usize| format!("\n{}", "  ".repeat(level));
        for (n, (key, item)) in items.iter().enumerate() {
            for comment in &item.before {
                out.push_str(&indent(level + 1));
                out.push_str(comment);
            }
            out.push_str(&indent(level + 1));
            if let Some(key) = key {
                out.push_str(&format!("{}: ", Value::from(*key)));
            }
            item.node.print(level + 1, out);
            if n + 1 < items.len() {
                out.push(',');
            }
            for comment in &item.after {
                out.push_str(&format!(" {comment}"));
            }
        }
        for comment in tail {
            out.push_str(&indent(level + 1));
            out.push_str(comment);
        }
        if !items.is_empty() || !tail.is_empty() {
            out.push_str(&indent(level));
        }
        out.push(close);
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<Document, String> {
        let before = self.comments(false)?;
        let root = self.node(0)?;
        let after = self.comments(false)?;
        match self.peek() {
            None => Ok(Document { before, root, after }),
            Some(c) => Err(format!("`{c}` after the end")),
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn takes(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        if is_next {
            self.at += c.len_utf8();
        }
        is_next
    }

    /// Skips blanks and collects comments, of the same line only or up to the next sign.
    fn comments(&mut self, same_line: bool) -> Result<Comments, String> {
        let mut found = Vec::new();
        loop {
            let rest = &self.text[self.at..];
            let blank = |c: char| matches!(c, ' ' | '\t' | '\r') || c == '\n' && !same_line;
            let skipped = rest.len() - rest.trim_start_matches(blank).len();
            self.at += skipped;
            let rest = &self.text[self.at..];
            let end = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").ok_or("a comment does not end")? + 2
            } else {
                return Ok(found);
            };
            found.push(rest[..end].trim_end().to_owned());
            self.at += end;
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} levels"));
        }
        match self.peek() {
            Some('{') => {
                let mut members: Vec<Member> = Vec::new();
                let tail = self.list('}', |parser, before| {
                    let Some('"') = parser.peek() else {
                        return Err("a key in quotes is missing".into());
                    };
                    let Value::String(key) = parser.scalar()? else {
                        return Err("a key in quotes is missing".into());
                    };
                    if members.iter().any(|member| member.key == key) {
                        return Err(format!("`{key}` is there twice"));
                    }
                    let mut before = before;
                    before.extend(parser.comments(false)?);
                    if !parser.takes(':') {
                        return Err(format!("`:` is missing after `{key}`"));
                    }
                    before.extend(parser.comments(false)?);
                    let node = parser.node(depth + 1)?;
                    let item = parser.finish(before, node)?;
                    members.push(Member { key, item });
                    Ok(())
                })?;
                Ok(Node::Object(members, tail))
            }
            Some('[') => {
                let mut items = Vec::new();
                let tail = self.list(']', |parser, before| {
                    let node = parser.node(depth + 1)?;
                    items.push(parser.finish(before, node)?);
                    Ok(())
                })?;
                Ok(Node::Array(items, tail))
            }
            Some(_) => self.scalar().map(Node::Scalar),
            None => Err("it ends too early".into()),
        }
    }

    /// The elements of a list whose opening sign is next, up to its end; answers with the comments before that.
    fn list(
        &mut self,
        close: char,
        mut element: impl FnMut(&mut Self, Comments) -> Result<(), String>,
    ) -> Result<Comments, String> {
        self.at += 1;
        loop {
            let before = self.comments(false)?;
            if self.takes(close) {
                return Ok(before);
            }
            element(self, before)?;
        }
    }

    /// What follows an element: a comma, and comments behind it on its line.
    fn finish(&mut self, before: Comments, node: Node) -> Result<Item, String> {
        let mut after = self.comments(true)?;
        let at_end = self.at;
        let further = self.comments(false)?;
        if self.takes(',') {
            after.extend(further);
            after.extend(self.comments(true)?);
        } else if matches!(self.peek(), Some('}' | ']')) {
            self.at = at_end;
        } else {
            return Err("`,` is missing".into());
        }
        Ok(Item { before, node, after })
    }

    fn scalar(&mut self) -> Result<Value, String> {
        let rest = &self.text[self.at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let value = match values.next() {
            Some(Ok(value)) if !value.is_object() && !value.is_array() => value,
            _ => {
                let word: String = rest.chars().take_while(|c| !c.is_whitespace()).take(20).collect();
                return Err(format!("`{word}` is no value"));
            }
        };
        self.at += values.byte_offset();
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = r#"// Todos of a user.
{
  "class": "/db/Todo",
  // Who may what.
  "acl": {
    "load": {} // everybody
  },
  "fields": {
    /* what is
       to be done */
    "name": {
      "type": "/db/String",
      "order": 0
    },
    "done": {
      "type": "/db/Boolean", // since May
      "order": 1
    }
    // more to come
  }
}
"#;

    #[test]
    fn a_file_that_does_not_change_stays_as_it_is() {
        let mut file = Document::parse(FILE).unwrap();
        let value = file.value();
        file.update(&value);
        assert_eq!(file.to_string(), FILE);
        let plain = "{\n  \"a\": [\n    1.5,\n    {}\n  ],\n  \"b\": []\n}\n";
        assert_eq!(Document::parse(plain).unwrap().to_string(), plain);
    }

    #[test]
    fn comments_and_order_survive_changes() {
        let mut file = Document::parse(FILE).unwrap();
        let mut value = json!({ "fields": {}, "acl": { "load": { "/db/Role/3": "allow" } }, "class": "/db/Todo" });
        value["fields"] = json!({ "due": { "type": "/db/DateTime" }, "done": { "order": 2, "type": "/db/Boolean" } });
        file.update(&value);
        assert_eq!(file.value(), value);
        assert_eq!(
            file.to_string(),
            r#"// Todos of a user.
{
  "class": "/db/Todo",
  // Who may what.
  "acl": {
    "load": {
      "/db/Role/3": "allow"
    } // everybody
  },
  "fields": {
    "done": {
      "type": "/db/Boolean", // since May
      "order": 2
    },
    "due": {
      "type": "/db/DateTime"
    }
    // more to come
  }
}
"#
        );
    }

    #[test]
    fn trailing_commas_are_read() {
        assert_eq!(
            Document::parse("{\"a\": [1, 2, ], }").unwrap().value(),
            json!({ "a": [1, 2] })
        );
    }

    #[test]
    fn what_is_wrong_is_found_with_its_line() {
        for (text, expected) in [
            ("", "line 1: it ends too early"),
            ("{\n\"a\": 1\n\"b\": 2}", "line 3: `,` is missing"),
            ("{\n\n\"a\" 1}", "line 3: `:` is missing after `a`"),
            ("{\"a\": 1, \"a\": 2}", "`a` is there twice"),
            ("{\"a\": nope}", "`nope}` is no value"),
            ("{\"a\": 1", "`,` is missing"),
            ("{a: 1}", "a key in quotes is missing"),
            ("{} x", "`x` after the end"),
            ("/* ", "a comment does not end"),
        ] {
            let error = Document::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(Document::parse(&"[".repeat(100_000)).unwrap_err().contains("levels"));
    }
}
