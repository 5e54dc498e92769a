//! One message, checked when it is made.

use std::fmt;

use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use crate::address::Address;
use crate::text::{crlf, is_unfit};
use crate::{AddressError, MailError, Sender};

/// Longest subject in bytes.
pub(crate) const MAX_SUBJECT: usize = 500;
/// Longest text or HTML body in bytes.
const MAX_BODY: usize = 128 * 1024;
/// Longest origin in bytes.
const MAX_ORIGIN: usize = 100;

/// What a message says. Made by hand or by [`Parsed::render`](crate::Parsed::render); not checked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// One line.
    pub subject: String,
    /// The plain text. Any line ends.
    pub text: String,
    /// The same for readers that show HTML.
    pub html: Option<String>,
}

impl fmt::Debug for Content {
    /// Without the texts: they may hold single-use links.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").finish_non_exhaustive()
    }
}

/// Why a message cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The recipient is no address.
    #[error("the recipient is {0}")]
    Recipient(#[from] AddressError),
    /// The address for answers is none.
    #[error("the address for answers is {0}")]
    ReplyTo(AddressError),
    /// Line breaks or other control characters where there is one line.
    #[error("the {0} holds a line break or another control character")]
    Control(&'static str),
    /// Too long.
    #[error("the {0} has more than {1} bytes")]
    TooLong(&'static str, usize),
}

/// A message from one sender to one recipient, with at most 500 bytes of subject and 128 KiB each of text and HTML.
///
/// Whatever it was made of, it has exactly one `From`, `To` and `Subject`, and no headers beside those this crate writes.
#[derive(Clone)]
pub struct Message {
    id: String,
    origin: String,
    sender: Sender,
    to: Address,
    reply_to: Option<Address>,
    content: Content,
}

impl Message {
    /// Checks and takes everything. `origin` is the name of the app that sends, for logs and limits; it is not part of
    /// what is sent.
    pub fn new(origin: impl Into<String>, sender: Sender, to: &str, content: Content) -> Result<Self, MessageError> {
        let origin = origin.into();
        for (what, text, limit) in [
            ("origin", &origin, MAX_ORIGIN),
            ("subject", &content.subject, MAX_SUBJECT),
        ] {
            if text.contains(is_unfit) {
                return Err(MessageError::Control(what));
            }
            if text.len() > limit {
                return Err(MessageError::TooLong(what, limit));
            }
        }
        if content.text.len() > MAX_BODY {
            return Err(MessageError::TooLong("text", MAX_BODY));
        }
        if content.html.as_ref().is_some_and(|html| html.len() > MAX_BODY) {
            return Err(MessageError::TooLong("HTML", MAX_BODY));
        }
        // Made here and not when sending: a try that was cut off and repeated is recognised as the same message.
        let id = format!("<{}@{}>", uuid::Uuid::new_v4(), sender.wire().domain());
        Ok(Self {
            id,
            origin,
            sender,
            to: Address::parse(to)?,
            reply_to: None,
            content,
        })
    }

    /// The same with an address that answers go to.
    pub fn with_reply_to(mut self, address: &str) -> Result<Self, MessageError> {
        self.reply_to = Some(Address::parse(address).map_err(MessageError::ReplyTo)?);
        Ok(self)
    }

    /// Where answers go, if not to the sender.
    pub fn reply_to(&self) -> Option<&str> {
        self.reply_to.as_ref().map(Address::as_str)
    }

    /// The `Message-ID`, with its angle brackets. The same in every try to send it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The app that sends it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Who it is from.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// The recipient's address as it was given.
    pub fn to(&self) -> &str {
        self.to.as_str()
    }

    /// The subject.
    pub fn subject(&self) -> &str {
        &self.content.subject
    }

    /// The plain text.
    pub fn text(&self) -> &str {
        &self.content.text
    }

    /// The HTML body.
    pub fn html(&self) -> Option<&str> {
        self.content.html.as_deref()
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let texts = [&self.id, &self.origin, &self.content.subject, &self.content.text];
        let html = self.content.html.as_ref().map_or(0, String::len);
        size_of::<Self>() + 512 + html + texts.iter().map(|text| text.len()).sum::<usize>()
    }

    pub(crate) fn recipient(&self) -> &Address {
        &self.to
    }

    /// Whether both addresses are ASCII once their domains are. If not, the server has to speak SMTPUTF8.
    pub(crate) fn has_ascii_addresses(&self) -> bool {
        let reply_to = self.reply_to.as_ref().map(Address::wire);
        [self.sender.wire(), self.to.wire()]
            .into_iter()
            .chain(reply_to)
            .all(|address| AsRef::<str>::as_ref(address).is_ascii())
    }

    /// Envelope and bytes for SMTP, before dots are doubled. The `Date` is that of this call.
    pub(crate) fn encode(&self) -> Result<(lettre::address::Envelope, Vec<u8>), MailError> {
        let mailbox = Mailbox::new(self.sender.name().map(single_spaced), self.sender.wire().clone());
        let builder = lettre::Message::builder()
            .from(mailbox)
            .to(Mailbox::new(None, self.to.wire().clone()))
            .subject(single_spaced(self.subject()))
            .message_id(Some(self.id.clone()))
            // Asks for no out-of-office replies (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        let builder = match &self.reply_to {
            Some(address) => builder.reply_to(Mailbox::new(None, address.wire().clone())),
            None => builder,
        };
        let text = part(ContentType::TEXT_PLAIN, self.text());
        let message = match self.html() {
            None => builder.singlepart(text),
            Some(html) => builder.multipart(
                MultiPart::alternative()
                    .singlepart(text)
                    .singlepart(part(ContentType::TEXT_HTML, html)),
            ),
        };
        let message = message.map_err(|error| MailError::Rejected {
            reason: error.to_string(),
        })?;
        Ok((message.envelope().clone(), message.formatted()))
    }
}

/// With one space for several. Between words outside of ASCII lettre would write them in a way that readers drop.
fn single_spaced(text: &str) -> String {
    text.split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Always quoted-printable: it leaves no long lines, no control characters, and nothing on the way has to be 8-bit clean.
fn part(kind: ContentType, body: &str) -> SinglePart {
    SinglePart::builder()
        .header(kind)
        .header(ContentTransferEncoding::QuotedPrintable)
        // lettre would do this too, but in quadratic time.
        .body(crlf(body))
}

impl fmt::Debug for Message {
    /// Without the texts, which may hold single-use links, and without the recipient's local part.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("origin", &self.origin)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(origin: &str, to: &str, subject: &str, text: &str) -> Result<Message, MessageError> {
        let content = Content {
            subject: subject.into(),
            text: text.into(),
            html: None,
        };
        Message::new(origin, Sender::new(None, "a@example.org").unwrap(), to, content)
    }

    #[test]
    fn limits_hold() {
        assert!(make("todo", "b@example.org", &"s".repeat(500), &"t".repeat(MAX_BODY)).is_ok());
        for (message, error) in [
            (
                make("todo", "b", "s", "t"),
                MessageError::Recipient(AddressError::Syntax),
            ),
            (
                make("to\ndo", "b@example.org", "s", "t"),
                MessageError::Control("origin"),
            ),
            (
                make("todo", "b@example.org", "s\n", "t"),
                MessageError::Control("subject"),
            ),
            (
                make("todo", "b@example.org", &"s".repeat(501), "t"),
                MessageError::TooLong("subject", 500),
            ),
            (
                make("todo", "b@example.org", "s", &"t".repeat(MAX_BODY + 1)),
                MessageError::TooLong("text", MAX_BODY),
            ),
        ] {
            assert_eq!(message.unwrap_err(), error);
        }
    }

    #[test]
    fn spaces_between_words_outside_of_ascii_survive() {
        let message = make("todo", "b@example.org", "ß  ß   ß x", "t").unwrap();
        let bytes = message.encode().unwrap().1;
        let parsed = mail_parser::MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(parsed.subject(), Some("ß ß ß x"));
    }

    #[test]
    fn many_line_ends_are_encoded_in_linear_time() {
        let message = make("todo", "b@example.org", "s", &"\n".repeat(MAX_BODY)).unwrap();
        let started = std::time::Instant::now();
        message.encode().unwrap();
        assert!(started.elapsed() < std::time::Duration::from_secs(1));
    }

    #[test]
    fn debug_output_shows_no_text_and_no_recipient() {
        let message = make("todo", "bob@example.org", "the-subject", "the-link").unwrap();
        let shown = format!("{message:?} {:?}", message.content);
        for hidden in ["bob", "the-subject", "the-link"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
        assert!(shown.contains("***@example.org"), "{shown}");
    }
}
