use lettre::transport::smtp::client::Certificate;
use mail_parser::MessageParser;

use super::testserver::{CERTIFICATE, Script, ServerTls, TestServer};
use super::*;
use crate::{Content, Sender};

/// Base64 of `\0bob\0hunter2`.
const LOGIN: &str = "AUTH PLAIN AGJvYgBodW50ZXIy";

fn message_to(to: &str) -> Message {
    let content = Content {
        subject: "Grüße aus Köln – 你好".into(),
        text: "Hallo Jürgen,\n.\n..zwei Punkte\nhttps://example.org/a?b=c&d=1 \n".into(),
        html: Some("<p>Grüße &amp; Küsse</p>\n.\n".into()),
    };
    let sender = Sender::new(Some("Fröhliche, \"App\""), "noreply@example.org").unwrap();
    Message::new("todo", sender, to, content).unwrap()
}

fn message() -> Message {
    message_to("bob@example.com")
}

fn plaintext(server: &TestServer) -> Smtp {
    Smtp::from_url(&format!("smtp://127.0.0.1:{}?tls=none", server.port)).unwrap()
}

/// With a login, and trust in the test server's certificate.
fn encrypted(scheme: &str, server: &TestServer) -> Smtp {
    let options: SmtpOptions = format!("{scheme}://bob:hunter2@localhost:{}", server.port)
        .parse()
        .unwrap();
    let tls = TlsParameters::builder("localhost".to_owned())
        .add_root_certificate(Certificate::from_pem(CERTIFICATE).unwrap())
        .build()
        .unwrap();
    Smtp::with_tls(options, Some(tls))
}

fn is_unavailable(outcome: &Result<(), MailError>) -> bool {
    matches!(outcome, Err(MailError::Unavailable { .. }))
}

#[tokio::test]
async fn a_message_arrives_as_it_was_written() {
    let server = TestServer::start(Script::default()).await;
    let sent = message();
    plaintext(&server).send(&sent).await.unwrap();

    let received = server.seen(|seen| seen.messages.clone());
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].from, "MAIL FROM:<noreply@example.org>");
    assert_eq!(received[0].to, "RCPT TO:<bob@example.com>");
    assert!(received[0].data.is_ascii());
    let parsed = MessageParser::default().parse(&received[0].data).unwrap();
    assert_eq!(parsed.subject(), Some(sent.subject()));
    assert_eq!(
        parsed.message_id().map(|id| format!("<{id}>")).as_deref(),
        Some(sent.id())
    );
    let from = parsed.from().unwrap().first().unwrap();
    assert_eq!(from.name(), Some("Fröhliche, \"App\""));
    assert_eq!(from.address(), Some("noreply@example.org"));
    assert_eq!(parsed.to().unwrap().first().unwrap().address(), Some("bob@example.com"));
    assert!(parsed.date().is_some());
    let lf = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    assert_eq!(lf(&parsed.body_text(0).unwrap()), sent.text().trim_end());
    assert_eq!(lf(&parsed.body_html(0).unwrap()), sent.html().unwrap().trim_end());
}

#[tokio::test]
async fn a_refused_message_is_rejected_and_a_postponed_one_is_not() {
    for at in ["MAIL", "RCPT", "DATA", "."] {
        let says = Some((at, "550 5.1.1 <bob@example.com>: bob is unknown"));
        let server = TestServer::start(Script {
            says,
            ..Script::default()
        })
        .await;
        let reason = "550 5.1.1 ***@example.com>: *** is unknown".to_owned();
        assert_eq!(
            plaintext(&server).send(&message()).await,
            Err(MailError::Rejected { reason }),
            "{at}"
        );

        let says = Some((at, "451 come back later"));
        let server = TestServer::start(Script {
            says,
            ..Script::default()
        })
        .await;
        let reason = "451 come back later".to_owned();
        assert_eq!(
            plaintext(&server).send(&message()).await,
            Err(MailError::Unavailable { reason }),
            "{at}"
        );
    }
}

#[tokio::test]
async fn what_goes_wrong_before_the_message_is_not_its_fault() {
    for at in ["CONNECT", "EHLO"] {
        let says = Some((at, "554 not today"));
        let server = TestServer::start(Script {
            says,
            ..Script::default()
        })
        .await;
        assert!(is_unavailable(&plaintext(&server).send(&message()).await), "{at}");
    }
    for at in ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."] {
        let hangs_up = Some(at);
        let server = TestServer::start(Script {
            hangs_up,
            ..Script::default()
        })
        .await;
        assert!(is_unavailable(&plaintext(&server).send(&message()).await), "{at}");
    }
    let server = TestServer::start(Script::default()).await;
    let closed = Smtp::from_url("smtp://127.0.0.1:1?tls=none").unwrap();
    assert!(is_unavailable(&closed.send(&message()).await));
    assert_eq!(server.verbs(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up() {
    for at in ["CONNECT", "EHLO", "MAIL", "."] {
        let falls_silent = Some(at);
        let server = TestServer::start(Script {
            falls_silent,
            ..Script::default()
        })
        .await;
        assert!(is_unavailable(&plaintext(&server).send(&message()).await), "{at}");
    }
}

#[tokio::test]
async fn the_login_is_sent() {
    let server = TestServer::start(Script::default()).await;
    let url = format!(
        "smtp://bob:hunter2@127.0.0.1:{}?tls=none&hello=app.example.org",
        server.port
    );
    Smtp::from_url(&url).unwrap().send(&message()).await.unwrap();
    server.seen(|seen| {
        assert_eq!(seen.commands[0], "EHLO app.example.org");
        assert_eq!(seen.commands[1], LOGIN);
    });
}

#[tokio::test]
async fn s47_a_refused_login_repeats_no_secret() {
    let says = Some(("AUTH", "535 AGJvYgBodW50ZXIy means hunter2, which is wrong"));
    let server = TestServer::start(Script {
        says,
        ..Script::default()
    })
    .await;
    let url = format!("smtp://bob:hunter2@127.0.0.1:{}?tls=none", server.port);
    let reason = "the login was refused with 535".to_owned();
    assert_eq!(
        Smtp::from_url(&url).unwrap().send(&message()).await,
        Err(MailError::Unavailable { reason })
    );
    assert!(!server.verbs().contains(&"MAIL".to_owned()));
}

#[tokio::test]
async fn without_starttls_nothing_is_sent_in_plaintext() {
    let not_offered = Script::default();
    let refused = Script {
        tls: ServerTls::StartTls,
        says: Some(("STARTTLS", "454 not now")),
        ..Script::default()
    };
    let answered_in_plaintext = Script {
        tls: ServerTls::StartTls,
        says: Some(("STARTTLS", "220 go ahead\r\n250-test\r\n250 AUTH PLAIN")),
        ..Script::default()
    };
    for (script, expected) in [
        (not_offered, "the mail server does not offer STARTTLS"),
        (refused, "STARTTLS: 454 not now"),
        (answered_in_plaintext, "STARTTLS: "),
    ] {
        let server = TestServer::start(script).await;
        let Err(MailError::Unavailable { reason: outcome }) = encrypted("smtp", &server).send(&message()).await else {
            panic!("{expected}");
        };
        assert!(outcome.starts_with(expected), "{outcome}");
        server.seen(|seen| {
            assert_eq!(seen.messages.len(), 0);
            for line in &seen.commands {
                let harmless = ["EHLO", "STARTTLS", "QUIT"].iter().any(|verb| line.starts_with(verb));
                assert!(harmless || line.starts_with('\u{16}'), "{line}");
            }
        });
    }
}

#[tokio::test]
async fn login_and_message_go_through_tls() {
    for (scheme, tls) in [("smtp", ServerTls::StartTls), ("smtps", ServerTls::FromTheStart)] {
        let server = TestServer::start(Script {
            tls,
            ..Script::default()
        })
        .await;
        encrypted(scheme, &server).send(&message()).await.unwrap();
        server.seen(|seen| {
            assert_eq!(seen.messages.len(), 1);
            assert!(seen.commands.contains(&format!("+{LOGIN}")));
            for line in &seen.commands {
                let harmless = ["EHLO", "STARTTLS"].iter().any(|verb| line.starts_with(verb));
                assert!(harmless || line.starts_with('+'), "{line}");
            }
        });
    }
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    for (scheme, tls) in [("smtp", ServerTls::StartTls), ("smtps", ServerTls::FromTheStart)] {
        let server = TestServer::start(Script {
            tls,
            ..Script::default()
        })
        .await;
        let smtp = Smtp::from_url(&format!("{scheme}://bob:hunter2@localhost:{}", server.port)).unwrap();
        let outcome = smtp.send(&message()).await;
        assert!(
            is_unavailable(&outcome) && format!("{outcome:?}").contains("certificate"),
            "{outcome:?}"
        );
        assert!(
            !server
                .verbs()
                .iter()
                .any(|verb| verb.contains("AUTH") || verb.contains("MAIL"))
        );
    }
}

#[tokio::test]
async fn answers_put_in_before_the_handshake_are_not_taken_for_the_servers() {
    let tls = ServerTls::Injected;
    let server = TestServer::start(Script {
        tls,
        ..Script::default()
    })
    .await;
    let outcome = encrypted("smtp", &server).send(&message()).await;
    assert!(is_unavailable(&outcome), "{outcome:?}");
    assert!(
        !server
            .verbs()
            .iter()
            .any(|verb| verb.contains("AUTH") || verb.contains("MAIL"))
    );
}

#[tokio::test]
async fn connections_are_used_again_while_they_work() {
    let server = TestServer::start(Script::default()).await;
    let smtp = plaintext(&server);
    for _ in 0..3 {
        smtp.send(&message()).await.unwrap();
    }
    assert_eq!(server.seen(|seen| (seen.connections, seen.messages.len())), (1, 3));

    // A server that hangs up on idle connections.
    let hangs_up = Some("NOOP");
    let server = TestServer::start(Script {
        hangs_up,
        ..Script::default()
    })
    .await;
    let smtp = plaintext(&server);
    for _ in 0..3 {
        smtp.send(&message()).await.unwrap();
    }
    assert_eq!(server.seen(|seen| (seen.connections, seen.messages.len())), (3, 3));
}

#[tokio::test]
async fn addresses_outside_of_ascii_need_a_server_that_takes_them() {
    let server = TestServer::start(Script::default()).await;
    let outcome = plaintext(&server).send(&message_to("jürgen@example.com")).await;
    assert!(matches!(outcome, Err(MailError::Rejected { .. })), "{outcome:?}");
    plaintext(&server)
        .send(&message_to("bob@bücher.example"))
        .await
        .unwrap();
    assert_eq!(
        server.seen(|seen| seen.messages[0].to.clone()),
        "RCPT TO:<bob@xn--bcher-kva.example>"
    );

    let speaks_utf8 = true;
    let server = TestServer::start(Script {
        speaks_utf8,
        ..Script::default()
    })
    .await;
    plaintext(&server)
        .send(&message_to("jürgen@example.com"))
        .await
        .unwrap();
    assert_eq!(
        server.seen(|seen| seen.messages[0].to.clone()),
        "RCPT TO:<jürgen@example.com>"
    );
}

#[test]
fn reasons_name_no_local_parts() {
    let bob = Address::parse("Bobby@example.org").unwrap();
    let b = Address::parse("b@example.org").unwrap();
    for (text, recipient, expected) in [
        (
            "550 <bobby@example.org>: unknown",
            &bob,
            "550 ***@example.org>: unknown",
        ),
        ("550 user=BOBBY is\r\nunknown", &bob, "550 *** is unknown"),
        ("550 mailbox (b) is b-locked", &b, "550 mailbox *** is b-locked"),
    ] {
        assert_eq!(redact(text, Some(recipient)), expected);
    }
    assert_eq!(redact(&"é ".repeat(500), None).len(), 300);
}
