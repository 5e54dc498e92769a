//! Mail: messages, templates, and ways to send them. Knows nothing of users, HTTP or storage.
//!
//! A [`Message`] is checked when it is made, so that nothing a user typed can become a header or a second recipient. A
//! [`Mailer`] sends one message once; an [`Outbox`] queues messages in memory, sends them in the background and retries.
//! [`Template`] texts are filled in by one pass in which values are never expanded again.
//!
//! ```
//! use fb_mail::{Message, Purpose, Sender};
//! let purpose = Purpose::ResetPassword;
//! let template = purpose.default_template().parse(purpose.placeholders())?;
//! let content = template.render(&purpose.sample("todo"))?;
//! let sender: Sender = "Todo <noreply@example.org>".parse()?;
//! let message = Message::new("todo", sender, "bob@example.com", content)?;
//! assert_eq!(message.subject(), "Reset your password for todo");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod catcher;
mod mailer;
mod message;
mod outbox;
mod purpose;
#[cfg(test)]
mod s35;
mod smtp;
mod template;
mod text;

pub use address::{AddressError, Sender, is_address};
pub use catcher::{Catcher, Caught};
pub use mailer::{BoxFuture, MailError, Mailer};
pub use message::{Content, Message, MessageError};
pub use outbox::{Counters, Full, Outbox, OutboxOptions};
pub use purpose::Purpose;
pub use smtp::{Smtp, SmtpError, SmtpOptions};
pub use template::{Parsed, Part, Problem, RenderError, Template, TemplateError, Values};
