//! The mails an app sends by itself, and what they say unless the app has texts of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Template, Values};

/// What a mail is for. As JSON `"verifyEmail"`, `"resetPassword"`, `"changeUsername"` or `"passwordChanged"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// Somebody registered with this address; the link confirms it.
    VerifyEmail,
    /// Somebody forgot the password; the link leads to a new one.
    ResetPassword,
    /// A user wants this address as user name; the link confirms it.
    ChangeUsername,
    /// The password is another one now. There is no link.
    PasswordChanged,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::VerifyEmail,
        Self::ResetPassword,
        Self::ChangeUsername,
        Self::PasswordChanged,
    ];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verifyEmail",
            Self::ResetPassword => "resetPassword",
            Self::ChangeUsername => "changeUsername",
            Self::PasswordChanged => "passwordChanged",
        }
    }

    /// What a template for it may contain: `app` (the app's name), `username`, `link` (an http or https URL), `expires`
    /// (until when the link is good, in words) and `newUsername`, as far as there is such a thing.
    pub fn placeholders(self) -> &'static [&'static str] {
        match self {
            Self::VerifyEmail | Self::ResetPassword => &["app", "username", "link", "expires"],
            Self::ChangeUsername => &["app", "username", "newUsername", "link", "expires"],
            Self::PasswordChanged => &["app", "username"],
        }
    }

    /// Made-up values for all placeholders, for previews.
    pub fn sample(self, app: &str) -> Values {
        let values = Values::new().with("app", app).with("username", "alex@example.com");
        match self {
            Self::VerifyEmail | Self::ResetPassword => with_link(values),
            Self::ChangeUsername => with_link(values).with("newUsername", "alex@example.org"),
            Self::PasswordChanged => values,
        }
    }

    /// What is sent unless the app has a template of its own. English, without external resources.
    pub fn default_template(self) -> Template {
        let wording = match self {
            Self::VerifyEmail => Wording {
                subject: "Confirm your e-mail address for {{app}}",
                title: "Confirm your e-mail address",
                says: "somebody, hopefully you, signed up for {{app}} with this address as {{username}}. To confirm that \
                       the address is yours, open this link:",
                button: Some("Confirm address"),
                ends: "If it was not you, you can ignore this message. The address will not be confirmed.",
            },
            Self::ResetPassword => Wording {
                subject: "Reset your password for {{app}}",
                title: "Reset your password",
                says: "we were asked to reset the password of {{username}} for {{app}}. To choose a new one, open this \
                       link:",
                button: Some("Choose a new password"),
                ends: "If you did not ask for this, you can ignore this message. Your password stays as it is.",
            },
            Self::ChangeUsername => Wording {
                subject: "Confirm your new user name for {{app}}",
                title: "Confirm your new user name",
                says: "we were asked to change the user name {{username}} for {{app}} to {{newUsername}}. To confirm the \
                       change, open this link:",
                button: Some("Confirm the change"),
                ends: "If you did not ask for this, you can ignore this message. The user name stays as it is.",
            },
            Self::PasswordChanged => Wording {
                subject: "Your password for {{app}} was changed",
                title: "Your password was changed",
                says: "the password of {{username}} for {{app}} was changed just now.",
                button: None,
                ends: "If that was you, there is nothing to do. If not, somebody else may have access to your account: \
                       reset your password at once, and tell the people who run {{app}}.",
            },
        };
        wording.template()
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn with_link(values: Values) -> Values {
    values
        .with("link", "https://example.com/confirm?token=0123456789abcdef")
        .with("expires", "Monday, 2 March 2026, 12:00 UTC")
}

/// One mail in words, from which both forms are made.
struct Wording {
    subject: &'static str,
    title: &'static str,
    /// Follows "Hello,".
    says: &'static str,
    /// What the button with the link is called; without it there is no link.
    button: Option<&'static str>,
    ends: &'static str,
}

const EXPIRES: &str = "The link can be used once, until {{expires}}.";

impl Wording {
    fn template(&self) -> Template {
        let Self {
            subject,
            title,
            says,
            button,
            ends,
        } = self;
        let (link, button) = match button {
            None => (String::new(), String::new()),
            Some(label) => (
                format!("{{{{link}}}}\n\n{EXPIRES}\n\n"),
                include_str!("button.html")
                    .replace("[label]", label)
                    .replace("[expires]", EXPIRES),
            ),
        };
        let html = include_str!("page.html")
            .replace("[title]", title)
            .replace("[says]", says)
            .replace("[button]", &button)
            .replace("[ends]", ends);
        Template {
            subject: (*subject).to_owned(),
            text: format!("Hello,\n\n{says}\n\n{link}{ends}\n\n{{{{app}}}}\n"),
            html: Some(html),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_uses_exactly_its_placeholders() {
        for purpose in Purpose::ALL {
            let template = purpose.default_template();
            template.parse(purpose.placeholders()).unwrap();
            for name in purpose.placeholders() {
                let placeholder = format!("{{{{{name}}}}}");
                assert!(template.text.contains(&placeholder), "{purpose} {name}");
                assert!(
                    template.html.as_ref().unwrap().contains(&placeholder),
                    "{purpose} {name}"
                );
            }
        }
    }

    #[test]
    fn every_default_has_a_preview_without_leftovers() {
        for purpose in Purpose::ALL {
            let parsed = purpose.default_template().parse(purpose.placeholders()).unwrap();
            let content = parsed.render(&purpose.sample("todo")).unwrap();
            let html = content.html.unwrap();
            for text in [&content.subject, &content.text, &html] {
                assert!(text.contains("todo"), "{purpose}: {text}");
                assert!(!text.contains("{{") && !text.contains('['), "{purpose}: {text}");
            }
            // Nothing is loaded from elsewhere: the only address in it is the link.
            let with_link = purpose.placeholders().contains(&"link");
            assert_eq!(
                html.matches("http").count(),
                if with_link { 2 } else { 0 },
                "{purpose}: {html}"
            );
            assert!(!html.contains("src=") && !html.contains("url("), "{purpose}");
        }
    }

    #[test]
    fn names_are_those_of_json() {
        for purpose in Purpose::ALL {
            assert_eq!(serde_json::to_value(purpose).unwrap(), purpose.as_str());
        }
    }
}
