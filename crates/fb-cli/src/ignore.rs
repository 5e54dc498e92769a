//! Which files of a folder are left out: patterns as in `.gitignore`.

use regex::Regex;

use crate::CliError;

/// What is never meant to be published: hidden files (`.env`, `.git`), except those that the web knows, and leftovers.
const DEFAULTS: &[&str] = &[
    ".*",
    "!.well-known",
    "node_modules",
    "Thumbs.db",
    "desktop.ini",
    "*~",
    "*.swp",
    "*.tmp",
];

/// Patterns; the last one that fits decides.
#[derive(Debug)]
pub(crate) struct Ignore(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    regex: Regex,
    ignores: bool,
    folders_only: bool,
}

impl Ignore {
    /// The defaults and these. `!` takes back what an earlier one left out; a pattern with `/` counts from the folder itself,
    /// others at any depth; `/` at the end fits folders only; `*` and `?` stay within a name, `**` does not.
    pub(crate) fn new(patterns: &[String]) -> Result<Self, CliError> {
        let all = DEFAULTS.iter().copied().chain(patterns.iter().map(String::as_str));
        all.map(Pattern::new).collect::<Result<_, _>>().map(Self)
    }

    /// True for a file, or a folder with all that is in it, with this name relative to the folder.
    pub(crate) fn leaves_out(&self, name: &str, is_folder: bool) -> bool {
        let fits = |p: &&Pattern| (is_folder || !p.folders_only) && p.regex.is_match(name);
        self.0.iter().rev().find(fits).is_some_and(|p| p.ignores)
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, CliError> {
        let (ignores, rest) = match text.strip_prefix('!') {
            Some(rest) => (false, rest),
            None => (true, text),
        };
        let folders_only = rest.ends_with('/');
        let rest = rest.trim_end_matches('/');
        let anchored = rest.contains('/');
        let rest = rest.trim_start_matches('/');
        let mut regex = String::from(if anchored { "^" } else { "^(?:.*/)?" });
        let mut chars = rest.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' if chars.peek() == Some(&'*') => {
                    chars.next();
                    match chars.next_if_eq(&'/') {
                        Some(_) => regex.push_str("(?:.*/)?"),
                        None => regex.push_str(".*"),
                    }
                }
                '*' => regex.push_str("[^/]*"),
                '?' => regex.push_str("[^/]"),
                c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        regex.push('$');
        let wrong = || CliError::Project(format!("ignore: `{text}` is no pattern"));
        if rest.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            regex: Regex::new(&regex).map_err(|_| wrong())?,
            ignores,
            folders_only,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_gitignore() {
        let patterns = ["*.map", "!keep.map", "/drafts/", "img/*.psd", "docs/**/x.txt", "a?c"];
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let ignore = Ignore::new(&patterns).unwrap();
        for (name, is_folder, expected) in [
            ("app.map", false, true),
            ("js/app.map", false, true),
            ("js/keep.map", false, false),
            ("drafts", true, true),
            ("drafts", false, false),
            ("old/drafts", true, false),
            ("img/a.psd", false, true),
            ("img/deep/a.psd", false, false),
            ("docs/x.txt", false, true),
            ("docs/a/b/x.txt", false, true),
            ("abc", false, true),
            ("abbc", false, false),
            ("app.mapx", false, false),
            ("index.html", false, false),
        ] {
            assert_eq!(ignore.leaves_out(name, is_folder), expected, "{name}");
        }
    }

    #[test]
    fn hidden_files_are_not_published_unless_the_web_knows_them() {
        let ignore = Ignore::new(&[]).unwrap();
        for name in [
            ".env",
            ".git",
            "sub/.env.local",
            ".htpasswd",
            "node_modules",
            "a/node_modules",
        ] {
            assert!(ignore.leaves_out(name, true), "{name}");
        }
        assert!(!ignore.leaves_out(".well-known", true) && !ignore.leaves_out(".well-known/security.txt", false));
        let ignore = Ignore::new(&["!.nojekyll".into()]).unwrap();
        assert!(!ignore.leaves_out(".nojekyll", false) && ignore.leaves_out(".env", false));
    }

    #[test]
    fn empty_patterns_are_refused() {
        for pattern in ["", "!", "/"] {
            assert!(Ignore::new(&[pattern.into()]).is_err(), "{pattern}");
        }
    }
}
