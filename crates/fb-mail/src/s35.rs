//! S35: nothing a user chose becomes a header, a recipient, markup or a placeholder.

use mail_parser::MessageParser;
use proptest::prelude::*;

use crate::text::{is_unfit, one_line};
use crate::{Content, Message, Purpose, Sender, Template, Values, is_address};

const ATTACKS: &[&str] = &[
    "x\r\nBcc: eve@example.net",
    "x\nBcc: eve@example.net",
    "x\rBcc: eve@example.net",
    "x\r\n\r\n<script>alert(1)</script>",
    "x\r\n.\r\nMAIL FROM:<eve@example.net>",
    "x\0",
    "x\u{b}y",
    "x\u{85}Bcc: eve@example.net",
    "x\u{2028}Bcc: eve@example.net",
    "x\u{202e}gro.elpmaxe",
];

const HEADERS: [&str; 8] = [
    "From",
    "To",
    "Subject",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Date",
    "Content-Type",
];

fn sender() -> Sender {
    "App <noreply@example.org>".parse().unwrap()
}

fn content(subject: &str) -> Content {
    Content {
        subject: subject.to_owned(),
        text: "text".to_owned(),
        html: Some("<p>html</p>".to_owned()),
    }
}

/// The header block of `message`: that all of it is made of whole lines, and has exactly the headers it should.
fn check_headers(message: &Message) {
    let (envelope, bytes) = message.encode().unwrap();
    assert_eq!(envelope.to().len(), 1);
    let text = String::from_utf8(bytes).unwrap();
    let head = &text[..text.find("\r\n\r\n").unwrap()];
    let mut names = Vec::new();
    for line in head.split("\r\n") {
        assert!(!line.contains(|c: char| c.is_control() && c != '\t'), "{line:?}");
        // A folded line goes on with a space and has something on it.
        if line.starts_with(' ') {
            assert!(!line.trim().is_empty(), "{head}");
        } else {
            names.push(line.split_once(": ").unwrap().0.to_owned());
        }
    }
    let mut expected = HEADERS.to_vec();
    if message.html().is_none() {
        expected.push("Content-Transfer-Encoding");
    }
    expected.sort_unstable();
    names.sort_unstable();
    assert_eq!(names, expected, "{head}");

    // The same, as somebody else reads it.
    let parsed = MessageParser::default().parse(text.as_bytes()).unwrap();
    let mut names: Vec<_> = parsed.headers().iter().map(|header| header.name().to_owned()).collect();
    names.sort_unstable();
    assert_eq!(names.len(), expected.len(), "{names:?}");
    assert_eq!(parsed.to().unwrap().iter().count(), 1);
    assert_eq!(parsed.from().unwrap().iter().count(), 1);
    assert_eq!(parsed.text_body_count(), 1);
    assert_eq!(parsed.attachment_count(), 0);
}

#[test]
fn s35_line_breaks_in_addresses_names_and_subjects_are_refused() {
    for attack in ATTACKS {
        assert!(
            Message::new("todo", sender(), "bob@example.com", content(attack)).is_err(),
            "{attack:?}"
        );
        assert!(
            Message::new(*attack, sender(), "bob@example.com", content("s")).is_err(),
            "{attack:?}"
        );
        assert!(Sender::new(Some(attack), "a@example.org").is_err(), "{attack:?}");
        for address in [
            (*attack).to_owned(),
            format!("{attack}@example.com"),
            format!("bob@{attack}"),
            format!("bob@example.com{}", &attack[1..]),
            format!("\"{attack}\"@example.com"),
        ] {
            assert!(!is_address(&address), "{address:?}");
            assert!(
                Message::new("todo", sender(), &address, content("s")).is_err(),
                "{address:?}"
            );
            assert!(Sender::new(None, &address).is_err(), "{address:?}");
        }
    }
}

#[test]
fn s35_one_address_stays_one_recipient() {
    for attack in [
        "bob@example.com,eve@example.net",
        "bob@example.com, eve@example.net",
        "bob@example.com eve@example.net",
        "bob@example.com>, <eve@example.net",
        "bob@example.com> RCPT TO:<eve@example.net",
        "eve@example.net,bob@example.com",
        "eve@example.net>,bob@example.com",
        "group:bob@example.com;",
        "bob(eve@example.net)@example.com",
    ] {
        assert!(
            Message::new("todo", sender(), attack, content("s")).is_err(),
            "{attack:?}"
        );
    }
}

#[test]
fn s35_values_are_neither_headers_nor_markup_nor_placeholders() {
    let attacks = ATTACKS.iter().copied().chain([
        "{{link}}",
        "{{{{link}}}}",
        "}}{{link}}{{",
        "{{",
        "<a href=\"https://evil.example\">click</a>",
        "\" onmouseover=\"alert(1)",
        "' style='x",
        "</title><img src=https://evil.example/p.png>",
        "&lt;b&gt;",
        "<!-- ",
    ]);
    for attack in attacks {
        for purpose in Purpose::ALL {
            let parsed = purpose.default_template().parse(purpose.placeholders()).unwrap();
            let plain = parsed.render(&purpose.sample("app")).unwrap();
            let values = ["username", "newUsername"]
                .iter()
                .fold(purpose.sample(attack), |values, name| values.with(name, attack));
            let attacked = parsed.render(&values).unwrap();
            let markup = |content: &Content| content.html.as_ref().unwrap().matches(['<', '>', '"', '\'']).count();
            assert_eq!(markup(&attacked), markup(&plain), "{purpose} {attack:?}");
            let links = |content: &Content| content.text.matches("https://example.com/confirm").count();
            assert_eq!(links(&attacked), links(&plain), "{purpose} {attack:?}");
            assert_eq!(
                attacked.text.lines().count(),
                plain.text.lines().count(),
                "{purpose} {attack:?}"
            );
            check_headers(&Message::new("todo", sender(), "bob@example.com", attacked).unwrap());
        }
    }
}

/// Texts that like to break out of headers, encoded words and templates.
fn nasty() -> impl Strategy<Value = String> {
    let bits = prop_oneof![
        Just("\r\n".to_owned()),
        Just("\n".to_owned()),
        Just("\r".to_owned()),
        Just("\r\n\r\n".to_owned()),
        Just(" ".to_owned()),
        Just("\t".to_owned()),
        Just("Bcc: eve@example.net".to_owned()),
        Just("=?utf-8?b?DQpCY2M6IGV2ZUBleGFtcGxlLm5ldA==?=".to_owned()),
        Just("=?utf-8?q?=0D=0ABcc:?=".to_owned()),
        Just("{{link}}".to_owned()),
        Just("{{".to_owned()),
        Just("\"<>\\,;:@".to_owned()),
        Just("ß你\u{1f600}".to_owned()),
        any::<String>(),
        "[a-z ]{0,90}",
    ];
    proptest::collection::vec(bits, 0..6).prop_map(|bits| bits.concat())
}

/// What a reader may show differently without harm: runs of white space.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

proptest! {
    #[test]
    fn s35_no_made_message_has_other_headers(name in nasty(), subject in nasty(), text in nasty(), html: Option<String>) {
        let Ok(sender) = Sender::new(Some(&name), "noreply@example.org") else {
            prop_assert!(name.trim().contains(is_unfit) || name.len() > 200);
            return Ok(());
        };
        let content = Content { subject: subject.clone(), text, html };
        match Message::new("todo", sender, "bob@example.com", content) {
            Ok(message) => check_headers(&message),
            Err(_) => prop_assert!(subject.contains(is_unfit) || subject.len() > 500),
        }
    }

    #[test]
    fn s35_every_value_can_be_rendered_and_sent(value in nasty()) {
        let template = Template {
            subject: "{{app}}: {{username}}".into(),
            text: "{{username}}\n{{link}}".into(),
            html: Some("<b title=\"{{username}}\">{{link}}</b>".into()),
        };
        let parsed = template.parse(&["app", "username", "link"]).unwrap();
        let values = Values::new().with("app", "A").with("username", &*value).with("link", "https://x/");
        let content = parsed.render(&values).unwrap();
        let shown = one_line(&value);
        prop_assert_eq!(&content.text, &format!("{shown}\nhttps://x/"));
        let html = content.html.clone().unwrap();
        let inside = html.strip_prefix("<b title=\"").unwrap().strip_suffix("\">https://x/</b>").unwrap();
        prop_assert!(!inside.contains(['<', '>', '"', '\'', '`']));
        let read = inside
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&#96;", "`")
            .replace("&amp;", "&");
        prop_assert_eq!(read, shown);

        let message = Message::new("todo", sender(), "bob@example.com", content).unwrap();
        check_headers(&message);
        // An encoded word in a value is a text like any other. Readers that see one in the subject may show what it
        // stands for; that is no longer a header then.
        if !value.contains("=?") {
            let (_, bytes) = message.encode().unwrap();
            let parsed = MessageParser::default().parse(&bytes).unwrap();
            prop_assert_eq!(words(parsed.subject().unwrap_or_default()), words(message.subject()));
        }
    }
}
