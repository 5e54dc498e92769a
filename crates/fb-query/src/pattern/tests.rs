use proptest::prelude::*;

use super::*;

fn pattern(source: &str) -> Pattern {
    Pattern::parse(source, "", &Limits::default()).unwrap_or_else(|error| panic!("{source}: {error}"))
}

#[test]
fn javascript_meaning_is_kept() {
    for (source, text, matches) in [
        ("^ab", "abc", true),
        ("^ab", "xab", false),
        ("^ab$", "ab\n", false),
        ("^a|^b", "b", true),
        (r"^a\/b", "a/b", true),
        (r"^\d$", "٣", false),
        (r"^\d$", "3", true),
        (r"^\w+$", "straße", false),
        (r"^\s$", "\u{a0}", true),
        (r"^a.c", "a\rc", false),
        (r"^a.c", "aüc", true),
        (r"^[^]$", "\n", true),
        ("^[]", "a", false),
        (r"^[\w-x]+$", "a-x", true),
        ("^[a-c&&b]+$", "a&b", true),
        ("^[[:alpha:]", "[", true),
        (r"^[\]]$", "]", true),
        (r"^[\b]$", "\u{8}", true),
        (r"^a\b.", "a b", true),
        (r"^a\Bb", "ab", true),
        (r"^ü\B", "ü", true),
        (r"^\u00fc\x41\u{1F600}$", "üA😀", true),
        (r"^\ud83d\ude00$", "😀", true),
        (r"^\cA\0\t\v\f\r\n$", "\u{1}\0\t\u{b}\u{c}\r\n", true),
        ("^(?<year>[0-9]{4})-(?:0[1-9]|1[0-2])$", "2024-11", true),
        ("^a{2,3}?$", "aaa", true),
        ("^a{,2}$", "a{,2}", true),
        ("^a{b}]$", "a{b}]", true),
        (r"^\p{Lu}\P{L}$", "Ü1", true),
        ("^a b#c$", "a b#c", true),
        ("^$", "", true),
        ("^", "anything", true),
    ] {
        assert_eq!(pattern(source).is_match(text), matches, "{source} on {text:?}");
    }
}

#[test]
fn lines_count_in_multi_line_mode_only() {
    let multi = Pattern::parse("^b$", "m", &Limits::default()).unwrap();
    assert!(multi.is_match("a\nb\nc") && multi.multi_line() && multi.literal_prefix().is_none());
    assert!(!pattern("^b$").is_match("a\nb\nc"));
}

#[test]
fn what_is_not_offered_is_refused_without_engine_text() {
    for (source, options, text) in [
        ("a", "", "must begin with ^"),
        ("", "", "must begin with ^"),
        ("^a|b", "", "each of its alternatives"),
        ("(^a)", "", "must begin with ^"),
        ("^a", "i", "case-sensitive"),
        ("^a", "x", "only `m` is"),
        ("^a", "s", "only `m` is"),
        ("^(?=a)", "", "look-ahead"),
        ("^(?<!a)", "", "look-behind"),
        (r"^(a)\1", "", "back-reference"),
        (r"^(?<x>a)\k<x>", "", "back-reference"),
        ("^(?i)a", "", "inline flags"),
        ("^(?P<x>a)", "", "inline flags"),
        (r"^\Aa", "", r"\A"),
        ("^(a", "", "`)` is missing"),
        ("^a)", "", "too many"),
        ("^[a", "", "`]` is missing"),
        ("^[z-a]", "", "out of order"),
        ("^a{3,2}", "", "out of order"),
        ("^*", "", "nothing to repeat"),
        ("^a**", "", "nothing to repeat"),
        ("^a++", "", "nothing to repeat"),
        ("^{2}", "", "nothing to repeat"),
        ("^a{1001}", "", "1000 times"),
        ("^a{4294967296}", "", "1000 times"),
        ("^(?:(?:a{500}){500}){500}", "", "too large"),
        (r"^\p{Nope}", "", "no valid"),
        (r"^\ud83d", "", "code point"),
        (r"^\u{110000}", "", "code point"),
        (r"^a\", "", "backslash"),
    ] {
        let error = Pattern::parse(source, options, &Limits::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(text) && !error.contains('\n'), "{source}: {error}");
    }
    let long = format!("^{}", "a".repeat(500));
    assert!(matches!(
        Pattern::parse(&long, "", &Limits::default()),
        Err(QueryError::TooComplex(_))
    ));
    let deep = format!("^{}{}", "(".repeat(240), ")".repeat(240));
    assert!(matches!(
        Pattern::parse(&deep, "", &Limits::default()),
        Err(QueryError::TooComplex(_))
    ));
}

#[test]
fn literal_prefixes() {
    for (source, prefix) in [
        ("^abc", Some("abc")),
        ("^abc*", Some("ab")),
        ("^abc+d", Some("abc")),
        ("^abc{2}", Some("abc")),
        ("^abc{0,2}", Some("ab")),
        (r"^a\.b\/", Some("a.b/")),
        ("^ab(?:c)", Some("ab")),
        ("^ab$", Some("ab")),
        ("^ab|^ac", Some("a")),
        ("^ab|^c", None),
        ("^a|^", None),
        ("^.a", None),
        ("^a?b", None),
        ("^a^b", Some("a")),
        ("^", None),
    ] {
        assert_eq!(pattern(source).literal_prefix().as_deref(), prefix, "{source}");
    }
}

/// Evil patterns of other engines finish at once here; the budget is generous for slow machines.
#[test]
fn s15_no_super_linear_time() {
    let text = "a".repeat(50_000) + "!";
    let start = std::time::Instant::now();
    for source in [
        "^(a+)+$",
        "^(a|aa)+$",
        "^(a*)*b",
        "^(.*a){12}x",
        r"^(\w+\s?)*$",
        "^(a?){500}a{500}$",
    ] {
        if let Ok(pattern) = Pattern::parse(source, "", &Limits::default()) {
            pattern.is_match(&text);
        }
    }
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn any_text_as_pattern_is_parsed_or_refused(source in "\\^?[ab^$|()\\[\\]{}*+?.\\\\,0-3:<>=!dwsDWSbBux-]{0,24}") {
        let _ = Pattern::parse(&source, "", &Limits::default());
    }

    #[test]
    fn matches_begin_with_the_literal_prefix(
        source in "\\^[ab]{0,2}(b[*+?]|b\\{0,2\\}|b\\{1\\}|[ab]|\\(a\\|b\\)|\\[ab\\]|\\.|\\$|\\|\\^a|\\|\\^){0,4}",
        text in "[ab]{0,6}",
    ) {
        if let Ok(pattern) = Pattern::parse(&source, "", &Limits::default())
            && pattern.is_match(&text) && let Some(prefix) = pattern.literal_prefix() {
            prop_assert!(text.starts_with(&prefix), "{source} {text} {prefix}");
        }
    }
}

#[test]
fn ordinary_repetitions_are_not_too_large() {
    for source in [
        "^.{0,200}$",
        r"^[^\s@]{1,64}@[^\s@]{1,200}$",
        r"^\p{L}{1,20}$",
        r"^\S+(?: \S+){0,20}$",
    ] {
        assert!(Pattern::parse(source, "", &Limits::default()).is_ok(), "{source}");
    }
}
