//! What a source requires and imports: enough reading of JavaScript to tell code from comments and texts.

/// The texts of `require('…')`, `import … from '…'`, `export … from '…'`, `import '…'` and `import('…')`, in order. What is
/// computed at run time is not found.
pub(crate) fn imports(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut before: [Token<'_>; 2] = [Token::Sign('\n'), Token::Sign('\n')];
    let mut reader = Reader { rest: source };
    while let Some(token) = reader.next(before[1]) {
        if let Token::Text(text) = token {
            let is_import = matches!(
                before,
                [Token::Word("require" | "import"), Token::Sign('(')] | [_, Token::Word("from" | "import")]
            );
            if is_import && !text.contains('\\') && !found.iter().any(|known| known == text) {
                found.push(text.to_owned());
            }
        }
        before = [before[1], token];
    }
    found
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    /// A string in quotes, without them.
    Text(&'a str),
    /// Anything that is no word: also a whole template or regular expression.
    Sign(char),
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> &'a str {
        let (token, rest) = self.rest.split_at(n);
        self.rest = rest;
        token
    }

    fn next(&mut self, before: Token<'_>) -> Option<Token<'a>> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with("//") {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.take(self.rest.find("*/").map_or(self.rest.len(), |end| end + 2));
            } else {
                break;
            }
        }
        let first = self.rest.chars().next()?;
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        Some(match first {
            '\'' | '"' => {
                let whole = self.quoted(first);
                Token::Text(whole[1..].strip_suffix(first).unwrap_or(&whole[1..]))
            }
            // What templates compute is not looked into.
            '`' => {
                self.quoted('`');
                Token::Sign('`')
            }
            '/' if begins_regex(before) => {
                self.regex();
                Token::Sign(')')
            }
            c if is_word(c) => {
                let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
                Token::Word(self.take(end))
            }
            c => {
                self.take(c.len_utf8());
                Token::Sign(c)
            }
        })
    }

    /// Up to the quote that ends what one begins, or to the end.
    fn quoted(&mut self, quote: char) -> &'a str {
        let mut is_escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                c if c == quote => return self.take(at + 1),
                // Only templates go on.
                '\n' if quote != '`' => return self.take(at),
                _ => {}
            }
        }
        self.take(self.rest.len())
    }

    fn regex(&mut self) -> &'a str {
        let (mut is_escaped, mut in_set) = (false, false);
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '[' => in_set = true,
                ']' => in_set = false,
                '/' if !in_set => return self.take(at + 1),
                '\n' => return self.take(at),
                _ => {}
            }
        }
        self.take(self.rest.len())
    }
}

/// True where `/` cannot be a division.
fn begins_regex(before: Token<'_>) -> bool {
    match before {
        Token::Word(word) => matches!(
            word,
            "return" | "typeof" | "case" | "in" | "of" | "delete" | "void" | "throw" | "await"
        ),
        Token::Text(_) => false,
        Token::Sign(sign) => !matches!(sign, ')' | ']' | '}' | '`'),
    }
}

#[cfg(test)]
mod tests {
    use super::imports;

    #[test]
    fn all_forms_are_found() {
        let source = r#"
            const a = require('a'), b = require ( "b/c" );
            import d from 'd'; import { e } from "./e"; import * as f from 'f';
            import 'g'; export { h } from 'h'; const i = await import('i');
            export * from '../j'; const again = require('a');
        "#;
        assert_eq!(imports(source), ["a", "b/c", "d", "./e", "f", "g", "h", "i", "../j"]);
    }

    #[test]
    fn comments_texts_templates_and_regular_expressions_are_none() {
        let source = r#"
            // require('a')
            /* import 'b' */
            const c = "require('c')", d = `${1} require('d')`, e = /require('e')['/]/.test(x), f = 1 / 2; g = require('g') / 3;
            const h = 'it\'s require("h")';
            log("from", 'i'); const require_ = 1; require(variable); const from = { import: 'k' };
        "#;
        assert_eq!(imports(source), ["g"]);
    }

    #[test]
    fn broken_sources_end() {
        for source in ["'", "`${", "/*", "require('x", "/[", "import", "'\\", "ü'"] {
            let _ = imports(source);
        }
        assert!(imports("require('a'").contains(&"a".to_owned()));
    }
}
