//! Whom commands talk to.

/// Where commands write and ask. All texts are free of control characters that others have sent.
pub trait Ui: Sync {
    /// A line of what the command produces.
    fn say(&self, text: &str);
    /// Something that should be known although all is well.
    fn note(&self, text: &str);
    /// How far something is; shown on terminals only. `done == total` ends it.
    fn progress(&self, what: &str, done: usize, total: usize);
    /// Asks for a yes. `None` if there is nobody to ask.
    fn confirm(&self, question: &str) -> Option<bool>;
}

/// `text` without control characters, which could do things to a terminal. Line breaks and tabs stay.
pub fn clean(text: &str) -> String {
    let is_harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    // Marks that change the direction of writing make a text look like another one.
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| if is_harmless(c) && !turns(c) { c } else { '\u{fffd}' })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn terminals_get_no_control_characters_from_servers() {
        assert_eq!(
            super::clean("a\u{1b}[2Jb\r\u{202e}c\n\td"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\n\td"
        );
    }
}
