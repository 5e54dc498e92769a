//! The table of checks: one row each. The report, its JSON and `docs/doctor.md` are made from it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fb_app::{Audience, Checkup, Exposure, FileExposure, Profile, Registration, SeenUsers};

use fb_types::Timestamp;

use super::Facts;
use crate::config::HttpsRedirect;
use crate::keys;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Strangers can do or see what they should not, or soon nobody can do anything: exit code 1.
    Problem,
    /// May be meant so.
    Warning,
    /// Finds nothing, and says why that is right.
    Note,
}

impl Severity {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing that is looked at.
pub(super) struct Check {
    /// Stable name, for JSON and docs.
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    /// What is wrong if it finds something.
    pub(super) about: &'static str,
    /// What to do then.
    pub(super) fix: &'static str,
    /// What is right if it finds nothing.
    pub(super) fine: &'static str,
    pub(super) look: Look,
}

/// What a check looks at; gives one text for each thing it finds.
pub(super) enum Look {
    /// The node: configuration, operator, files.
    Node(fn(&Facts) -> Vec<String>),
    /// One app after the other.
    App(fn(&Facts, &Checkup) -> Vec<String>),
}

use Look::{App, Node};
use Severity::{Note, Problem, Warning};

/// All checks, in the order of the report within a severity.
///
/// A feature that opens something new to callers adds a row here, and what the row looks at to [`Checkup`]. The
/// permissions of code modules do not exist yet: with them comes `public-module`.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "default-credentials",
        severity: Problem,
        about: "The operator, or an app's administrator, is `root` with the password `root`, which everybody tries first.",
        fix: "freshbase admin reset --app APP root, or freshbase admin operator-reset",
        fine: "nobody is root with the password root",
        look: Node(default_credentials),
    },
    Check {
        id: "no-tls",
        severity: Problem,
        about: "The server listens on an address that other machines reach, does not send them to HTTPS, and no proxy that ends \
                TLS is configured: passwords and tokens cross the network readable.",
        fix: "set `tls-listen` (docs/tls.md) and leave `https-redirect` on; or let it listen on 127.0.0.1 behind a proxy that \
              speaks HTTPS, or list the proxies in `trusted-proxies`",
        fine: "only this machine, or proxies that are listed, reach the server without TLS, or are sent to HTTPS",
        look: Node(no_tls),
    },
    Check {
        id: "missing-certificate",
        severity: Problem,
        about: "A host has no certificate that works: its clients cannot connect with HTTPS.",
        fix: "for files: give `tls-cert` and `tls-key` a pair that belongs together; for ACME: let the host's name lead to this \
              server, port 443 to `tls-listen` or port 80 to `listen`, and read the server's log",
        fine: "all hosts that should have a certificate have one",
        look: Node(missing_certificate),
    },
    Check {
        id: "expiring-certificate",
        severity: Problem,
        about: "A certificate has run out or soon will: within 14 days where it comes from files, within the last sixth of its \
                lifetime where the server renews it.",
        fix: "for files: renew it and replace the files, the server takes them over by itself; for ACME: start the server and \
              read its log",
        fine: "no certificate runs out soon",
        look: Node(expiring_certificate),
    },
    Check {
        id: "public-writable-class",
        severity: Problem,
        about: "Anybody can insert, update or delete objects of a class without logging in. Rules of single objects may \
                still protect those that have some.",
        fix: "give the class rules for these permissions, such as {\"insert\": {\"/db/Role/3\": \"allow\"}} for logged-in users",
        fine: "nobody changes objects without logging in",
        look: App(|_, app| open_to_anybody(app, Exposure::is_to_write)),
    },
    Check {
        id: "public-writable-bucket",
        severity: Problem,
        about: "Anybody can upload, replace or delete files of a bucket without logging in. Rules of single files may still \
                protect those that have some.",
        fix: "give the bucket rules for insert, update and delete (PUT /file/BUCKET), such as \
              {\"insert\": {\"/db/Role/3\": \"allow\"}} for logged-in users",
        fine: "nobody changes files without logging in",
        look: App(|_, app| open_buckets(app, |e| !e.is_to_read() && e.audience == Audience::Anonymous)),
    },
    Check {
        id: "writable-site",
        severity: Problem,
        about: "Callers who are no administrators can upload files to a bucket that is served as a website: their scripts \
                would run with the app's origin, and could act as any visitor who is logged in.",
        fix: "allow insert and update of that bucket to /db/Role/1 only, and let users upload to a bucket that no site serves",
        fine: "only administrators publish pages",
        look: App(writable_site),
    },
    Check {
        id: "open-schema",
        severity: Problem,
        about: "Callers who are no administrators can change a class: add fields, replace it, or derive others from it.",
        fix: "give the class the rule {\"/db/Role/1\": \"allow\"} for schemaAdd, schemaReplace and schemaSubclass",
        fine: "only administrators change classes",
        look: App(open_schema),
    },
    Check {
        id: "public-users",
        severity: Problem,
        about: "Anybody can load or find user objects without logging in: names, and whatever fields the app gave them.",
        fix: "give User rules for load and query, its fields rules (\"acl\"), or the user objects rules of their own",
        fine: "nobody sees users without logging in",
        look: App(|_, app| seen_users(&app.seen_by_anybody, "anybody")),
    },
    Check {
        id: "no-admin",
        severity: Problem,
        about: "An app has no administrator who could log in, and no setup link with which to become one.",
        fix: "freshbase admin create --app APP USER",
        fine: "every app has an administrator, or a setup link",
        look: App(no_admin),
    },
    Check {
        id: "readable-master-key",
        severity: Problem,
        about: "Others than the owner may read the file with the master key.",
        fix: "chmod 600 on the file `master.key` of the data directory",
        fine: "the master key's file is its owner's alone, or there is none",
        look: Node(readable_master_key),
    },
    Check {
        id: "no-audit-log",
        severity: Problem,
        about: "The class of the audit log is missing: what administrators do leaves no trace.",
        fix: "restore the app from a backup that has the class logs.AuditLog",
        fine: "every app has its audit log",
        look: App(no_audit_log),
    },
    Check {
        id: "unreachable-cache",
        severity: Problem,
        about: "A cache in front of the server cannot be told of changes (docs/cdn.md): it goes on with its copies until their lifetimes \
                end.",
        fix: "see whether it can be reached from here, whether token or secret are the ones it knows, and for Varnish whether it runs the \
              VCL of deploy/varnish and this machine is in its list",
        fine: "every cache that is configured can be told of changes, or there is none",
        look: Node(|facts| facts.untold.clone()),
    },
    Check {
        id: "unreadable-app",
        severity: Problem,
        about: "An app cannot be looked at, so nothing is known of it.",
        fix: "start the server and read its log; restore the app from a backup if its file is damaged",
        fine: "all apps could be looked at",
        look: Node(unreadable_app),
    },
    Check {
        id: "public-class",
        severity: Warning,
        about: "Anybody can load or query objects of a class without logging in. Rules of single objects and fields may still \
                hide some.",
        fix: "if that is not meant, give the class rules for load and query",
        fine: "nobody reads objects without logging in",
        look: App(|_, app| open_to_anybody(app, Exposure::is_to_read)),
    },
    Check {
        id: "public-bucket",
        severity: Warning,
        about: "Anybody can load or list files of a bucket other than `www` without logging in. Rules of single files may still \
                hide some.",
        fix: "if that is not meant, give the bucket rules for load and query (PUT /file/BUCKET)",
        fine: "nobody reads files without logging in, except those of www",
        look: App(public_bucket),
    },
    Check {
        id: "shared-users",
        severity: Warning,
        about: "Every logged-in user can load or find the user objects of others.",
        fix: "give User rules for load and query, its fields rules (\"acl\"), or the user objects rules of their own",
        fine: "users see themselves, as far as no rule says more",
        look: App(shared_users),
    },
    Check {
        id: "compat-profile",
        severity: Warning,
        about: "The app follows the open defaults of the original protocol: a permission without rules is everybody's, also \
                on classes that are made later.",
        fix: "give every class rules; an app that is closed by default is a new one, without --compat",
        fine: "every app is closed by default",
        look: App(compat_profile),
    },
    Check {
        id: "open-registration",
        severity: Warning,
        about: "Anybody can create a user account.",
        fix: "if that is not meant, set `registration` to \"closed\" in the app's configuration (PUT /config)",
        fine: "only administrators create accounts",
        look: App(open_registration),
    },
    Check {
        id: "unverified-registration",
        severity: Warning,
        about: "Anybody can create an account under an address that is somebody else's: registration is open, and \
                addresses are not verified.",
        fix: "set `emailVerification` to true, and `publicUrl` to the URL of the app's API",
        fine: "accounts are verified, or made by administrators",
        look: App(unverified_registration),
    },
    Check {
        id: "weak-passwords",
        severity: Warning,
        about: "The app accepts passwords with fewer than 8 characters, or those that are tried first.",
        fix: "set `passwordPolicy` to {\"minLength\": 8, \"rejectCommon\": true} or more",
        fine: "passwords have 8 characters or more and are no common ones",
        look: App(weak_passwords),
    },
    Check {
        id: "no-lockout",
        severity: Warning,
        about: "Passwords and codes can be guessed without end.",
        fix: "set `lockout`, for example to {\"attempts\": 10, \"seconds\": 900}",
        fine: "guessing passwords ends in a lockout",
        look: App(no_lockout),
    },
    Check {
        id: "no-rate-limit",
        severity: Warning,
        about: "One client may create accounts, send mails and keep the password hasher busy without end.",
        fix: "set `rateLimit`, for example to {\"requests\": 300, \"seconds\": 300}",
        fine: "costly requests are limited",
        look: App(no_rate_limit),
    },
    Check {
        id: "long-sessions",
        severity: Warning,
        about: "Sessions last longer than 90 days: so long a token that was stolen is good for.",
        fix: "set `sessionSeconds` to 7776000 or less; sessions in use are extended anyway",
        fine: "sessions end after 90 days or less without use",
        look: App(long_sessions),
    },
    Check {
        id: "setup-link",
        severity: Warning,
        about: "Whoever has the app's setup link can become its administrator.",
        fix: "use it, or make an administrator with freshbase admin create --app APP USER: the link dies",
        fine: "no setup link waits to be used",
        look: App(setup_link),
    },
    Check {
        id: "no-operator",
        severity: Warning,
        about: "There is no operator: apps are created and deleted at the command line alone.",
        fix: "freshbase admin operator-reset USER",
        fine: "there is an operator",
        look: Node(no_operator),
    },
    Check {
        id: "public-admin",
        severity: Warning,
        about: "The operator's API (/admin/v1) and /metrics answer on the address that other machines reach.",
        fix: "let a proxy, or a firewall, keep /admin/ and /metrics to your own network",
        fine: "the operator's API answers this machine alone, unless a proxy passes it on",
        look: Node(public_admin),
    },
    Check {
        id: "no-backup",
        severity: Warning,
        about: "`freshbase backup` has not copied the app within 7 days. Copies that were made in other ways are not known.",
        fix: "freshbase backup APP, every day; keep the copies on another machine",
        fine: "every app was backed up within 7 days",
        look: App(no_backup),
    },
    Check {
        id: "master-key-beside-data",
        severity: Warning,
        about: "The master key is kept in the data directory alone: whoever takes a copy of the whole directory can read the \
                secrets in it, and without this file they are lost.",
        fix: "keep a copy of `master.key` apart from the backups, or hand it to the server in FRESHBASE_MASTER_KEY_FILE and remove it there",
        fine: "the master key does not lie beside the data",
        look: Node(master_key_beside_data),
    },
    Check {
        id: "default-smtp",
        severity: Warning,
        about: "No mail server is configured: mails about passwords and addresses are caught, and nobody gets them.",
        fix: "set FRESHBASE_SMTP_URL",
        fine: "mails are sent",
        look: Node(default_smtp),
    },
    Check {
        id: "plaintext-smtp",
        severity: Warning,
        about: "Mails, with the links in them, and the login at the mail server cross the network unencrypted.",
        fix: "use smtps://…, or smtp://… without tls=none; fine for a mail server on the same machine",
        fine: "no mail leaves unencrypted",
        look: Node(plaintext_smtp),
    },
    Check {
        id: "default-mail-from",
        severity: Warning,
        about: "Mails come from noreply@localhost, which other servers refuse or take for spam.",
        fix: "set `mail-from` to an address of your domain",
        fine: "mails have a sender of their own, or none are sent",
        look: Node(default_mail_from),
    },
    Check {
        id: "open-cors",
        severity: Note,
        about: "Never found, only said: pages of every origin may call the API, as the protocol wants it. Requests carry tokens \
                that a page has to set itself, not cookies that a browser adds, so a foreign page gains nothing.",
        fix: "nothing",
        fine: "pages of every origin may call the API, as the protocol wants it: requests carry tokens that a page has to set \
               itself, not cookies that a browser adds, so a foreign page gains nothing",
        look: Node(|_| Vec::new()),
    },
];

/// Longest lifetime of sessions that goes without saying.
const LONG_SESSION_SECONDS: u32 = 90 * 24 * 3600;
/// Time before its end from which on a certificate that nobody renews automatically is one to look after.
const EXPIRY_MILLIS: i64 = 14 * 24 * 3600 * 1000;
/// Age of a backup from which on it is old.
const OLD_BACKUP_SECONDS: i64 = 7 * 24 * 3600;

fn found(is_found: bool, text: impl Into<String>) -> Vec<String> {
    if is_found { vec![text.into()] } else { Vec::new() }
}

fn default_credentials(facts: &Facts) -> Vec<String> {
    let mut all = found(
        facts.operator.is_some_and(|operator| operator.is_root_root),
        "the operator is root with the password root",
    );
    let apps = facts.apps.iter().filter(|app| app.has_root_root);
    all.extend(apps.map(|app| format!("app {}: its administrator is root with the password root", app.id)));
    all
}

/// True if `listen` is an address of this machine alone. A name is one that others may reach, unless it is `localhost`.
fn is_private(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn no_tls(facts: &Facts) -> Vec<String> {
    let config = &facts.config;
    let is_open = !is_private(&config.listen) && config.trusted_proxies.is_empty();
    let listen = &config.listen;
    match (&config.tls_listen, config.https_redirect) {
        (None, _) => found(
            is_open,
            format!("it listens on {listen}, and `trusted-proxies` is empty"),
        ),
        (Some(_), HttpsRedirect::Off) => found(is_open, format!("it listens on {listen}, and `https-redirect` is off")),
        (Some(_), HttpsRedirect::ToListener | HttpsRedirect::To(_)) => Vec::new(),
    }
}

/// The default certificate's hosts need no other one.
fn has_by_hand(facts: &Facts, host: &str) -> bool {
    matches!(&facts.certificate, Some(Ok(certificate)) if certificate.is_for(host))
}

fn missing_certificate(facts: &Facts) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(Err(why)) = &facts.certificate {
        all.push(format!("the certificate of `tls-cert`: {why}"));
    }
    for (host, report) in &facts.obtained {
        if report.validity.is_none() && !has_by_hand(facts, host) {
            all.push(match &report.failure {
                Some((at, why)) => format!("{host} has none, tried at {at}: {why}"),
                None => format!("{host} has none, and no server has tried yet"),
            });
        }
    }
    all
}

fn expiring_certificate(facts: &Facts) -> Vec<String> {
    let mut all = Vec::new();
    let mut check = |what: &str, until: Timestamp, millis: i64, why: &str| {
        let left = until.millis() - facts.now.millis();
        if left < 0 {
            all.push(format!("{what} ran out at {until}{why}"));
        } else if left < millis {
            all.push(format!("{what} runs out at {until}{why}"));
        }
    };
    if let Some(Ok(certificate)) = &facts.certificate {
        let until = certificate.validity().not_after;
        check("the certificate of `tls-cert`", until, EXPIRY_MILLIS, "");
    }
    for (host, report) in &facts.obtained {
        let Some(validity) = report.validity else { continue };
        if !has_by_hand(facts, host) {
            let why = report
                .failure
                .as_ref()
                .map_or_else(String::new, |(at, why)| format!(", tried at {at}: {why}"));
            let what = format!("the certificate of {host}");
            check(&what, validity.not_after, validity.lifetime_millis() / 6, &why);
        }
    }
    all
}

fn public_admin(facts: &Facts) -> Vec<String> {
    let all = [Some(&facts.config.listen), facts.config.tls_listen.as_ref()];
    let public = all.into_iter().flatten().filter(|listen| !is_private(listen));
    public.map(|listen| format!("it listens on {listen}")).collect()
}

/// One line per class with its permissions.
fn by_class<'a>(exposures: impl Iterator<Item = &'a Exposure>) -> BTreeMap<&'a str, Vec<&'static str>> {
    let mut classes: BTreeMap<&str, Vec<&'static str>> = BTreeMap::new();
    for exposure in exposures {
        let permissions = classes.entry(exposure.class.as_str()).or_default();
        permissions.push(exposure.permission.as_str());
    }
    classes
}

fn open_to_anybody(app: &Checkup, wanted: impl Fn(&Exposure) -> bool) -> Vec<String> {
    let of_anybody = |e: &&Exposure| e.audience == Audience::Anonymous && wanted(e);
    let classes = by_class(app.exposures.iter().filter(of_anybody));
    let line = |(class, permissions): (&str, Vec<&str>)| format!("class {class}: {}", permissions.join(", "));
    classes.into_iter().map(line).collect()
}

/// One line per bucket with its permissions.
fn open_buckets(app: &Checkup, wanted: impl Fn(&FileExposure) -> bool) -> Vec<String> {
    let mut buckets: BTreeMap<&str, Vec<&'static str>> = BTreeMap::new();
    for exposure in app.file_exposures.iter().filter(|e| wanted(e)) {
        let permissions = buckets.entry(exposure.bucket.as_str()).or_default();
        permissions.push(exposure.permission.as_str());
    }
    let line = |(bucket, permissions): (&str, Vec<&str>)| format!("bucket {bucket}: {}", permissions.join(", "));
    buckets.into_iter().map(line).collect()
}

fn public_bucket(_: &Facts, app: &Checkup) -> Vec<String> {
    open_buckets(app, |e| {
        e.is_to_read() && e.audience == Audience::Anonymous && e.bucket.as_str() != "www"
    })
}

fn writable_site(_: &Facts, app: &Checkup) -> Vec<String> {
    let served = app.settings.hosting.served_buckets();
    open_buckets(app, |e| e.is_to_upload() && served.contains(e.bucket.as_str()))
}

fn open_schema(_: &Facts, app: &Checkup) -> Vec<String> {
    let mut lines = Vec::new();
    for (audience, who) in [
        (Audience::Anonymous, "anybody"),
        (Audience::LoggedIn, "every logged-in user"),
    ] {
        let open = app
            .exposures
            .iter()
            .filter(|e| e.is_of_schema() && e.audience == audience);
        for (class, permissions) in by_class(open) {
            lines.push(format!("class {class}: {} ({who})", permissions.join(", ")));
        }
    }
    lines
}

fn seen_users(users: &SeenUsers, who: &str) -> Vec<String> {
    let SeenUsers { count, fields } = users;
    let fields = fields.join(", ");
    match count {
        0 => Vec::new(),
        1 => vec![format!("1 user is seen by {who}: {fields}")],
        n => vec![format!("{n} users are seen by {who}: {fields}")],
    }
}

fn shared_users(_: &Facts, app: &Checkup) -> Vec<String> {
    // Said once, by the check for anybody.
    if app.seen_by_anybody.count >= app.seen_by_users.count {
        return Vec::new();
    }
    seen_users(&app.seen_by_users, "every logged-in user")
}

fn no_admin(_: &Facts, app: &Checkup) -> Vec<String> {
    found(app.n_admins == 0 && !app.has_setup_link, "nobody can administrate it")
}

fn setup_link(_: &Facts, app: &Checkup) -> Vec<String> {
    found(app.has_setup_link, "its setup link was not used yet")
}

fn readable_master_key(facts: &Facts) -> Vec<String> {
    let is_shared = facts.key_file.as_ref().is_some_and(|file| file.is_shared);
    found(is_shared, "others may read master.key")
}

fn master_key_beside_data(facts: &Facts) -> Vec<String> {
    found(
        facts.key_file.is_some(),
        "the key is in master.key of the data directory",
    )
}

fn no_audit_log(_: &Facts, app: &Checkup) -> Vec<String> {
    found(!app.has_audit_log, "class logs.AuditLog is missing")
}

fn unreadable_app(facts: &Facts) -> Vec<String> {
    let all = facts.unreadable.iter();
    all.map(|(id, why)| format!("app {id}: {why}")).collect()
}

fn compat_profile(_: &Facts, app: &Checkup) -> Vec<String> {
    found(app.settings.profile == Profile::Baqend, "its profile is baqend")
}

fn open_registration(_: &Facts, app: &Checkup) -> Vec<String> {
    found(app.settings.registration == Registration::Open, "anybody may register")
}

fn unverified_registration(_: &Facts, app: &Checkup) -> Vec<String> {
    let settings = &app.settings;
    let is_open = settings.registration == Registration::Open && !settings.email_verification;
    found(is_open, "addresses of new accounts are not verified")
}

fn weak_passwords(_: &Facts, app: &Checkup) -> Vec<String> {
    let policy = app.settings.password_policy;
    let mut weak = Vec::new();
    if policy.min_length < 8 {
        weak.push(format!("{} characters are enough", policy.min_length));
    }
    if !policy.reject_common {
        weak.push("common passwords are accepted".to_owned());
    }
    found(!weak.is_empty(), weak.join(", "))
}

fn no_lockout(_: &Facts, app: &Checkup) -> Vec<String> {
    found(app.settings.lockout.attempts == 0, "lockout.attempts is 0")
}

fn no_rate_limit(_: &Facts, app: &Checkup) -> Vec<String> {
    found(app.settings.rate_limit.requests == 0, "rateLimit.requests is 0")
}

fn long_sessions(_: &Facts, app: &Checkup) -> Vec<String> {
    let days = app.settings.session_seconds / (24 * 3600);
    let is_long = app.settings.session_seconds > LONG_SESSION_SECONDS;
    found(is_long, format!("sessions last {days} days"))
}

fn no_operator(facts: &Facts) -> Vec<String> {
    found(facts.operator.is_none(), "nobody can log in to the operator's API")
}

fn no_backup(facts: &Facts, app: &Checkup) -> Vec<String> {
    match app.backup_at {
        None => vec!["there is no backup".to_owned()],
        Some(at) => {
            let age = facts.now.seconds() - at.seconds();
            let days = age / (24 * 3600);
            found(age > OLD_BACKUP_SECONDS, format!("the last backup is {days} days old"))
        }
    }
}

fn default_smtp(facts: &Facts) -> Vec<String> {
    found(facts.config.smtp.is_none(), "FRESHBASE_SMTP_URL is not set")
}

fn plaintext_smtp(facts: &Facts) -> Vec<String> {
    let smtp = facts.config.smtp.as_ref();
    found(
        smtp.is_some_and(fb_mail::SmtpOptions::is_plaintext),
        "the mail server's URL says tls=none",
    )
}

fn default_mail_from(facts: &Facts) -> Vec<String> {
    let config = &facts.config;
    let is_default = keys::sender(keys::MAIL_FROM).is_ok_and(|default| default == config.mail_from);
    // Without a mail server there are no mails that could be refused.
    found(
        is_default && config.smtp.is_some(),
        format!("mail-from is {}", keys::MAIL_FROM),
    )
}

/// The reference page of all checks, as it stands in `docs/doctor.md`.
#[cfg(test)]
pub(super) fn reference() -> String {
    use std::fmt::Write;
    let mut text = String::from(
        "# What `freshbase doctor` looks for\n\nGenerated from the table of checks in `crates/freshbase/src/commands/doctor/checks.rs`.\n\n\
         It looks at the configuration and at every app, while the server runs or not, and only reads. Run it as the user \
         and with the flags and the environment that the server gets. The exit code is 1 if there is a problem, or if it could not \
         look; warnings may be meant so. `--json` prints an object with `problems` and `warnings` (numbers), `findings` (each \
         with `check`, `severity`, `app` or `null`, `message`, `fix`) and `ok` (checks that found nothing).\n\n\
         | check | severity | what it means | what to do |\n| --- | --- | --- | --- |\n",
    );
    let mut checks: Vec<&Check> = CHECKS.iter().collect();
    checks.sort_by_key(|check| check.severity);
    for check in checks {
        let fix = check.fix.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {fix} |",
            check.id,
            check.severity.as_str(),
            check.about
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_alone_are_private() {
        for private in [
            "127.0.0.1:8080",
            "[::1]:80",
            "localhost:0",
            "LOCALHOST:1",
            "127.1.2.3:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is_private(private), "{private}");
        }
        for public in [
            "0.0.0.0:80",
            "[::]:80",
            "192.0.2.1:80",
            "backend.internal:80",
            "localhost.example:80",
        ] {
            assert!(!is_private(public), "{public}");
        }
    }

    #[test]
    fn certificates_that_are_missing_or_run_out_are_found() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let validity = fb_tls::Validity {
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at("2026-04-01T00:00:00Z"),
        };
        let report = |validity, why: Option<&str>| fb_tls::HostReport {
            validity,
            failure: why.map(|why| (at("2026-01-01T00:00:00Z"), why.to_owned())),
        };
        let mut facts = facts(at("2026-03-10T00:00:00Z"));
        facts.obtained = vec![
            ("a.test".to_owned(), report(Some(validity), None)),
            ("b.test".to_owned(), report(None, Some("no such name"))),
            ("c.test".to_owned(), report(None, None)),
            ("d.test".to_owned(), report(Some(validity), Some("no such name"))),
        ];
        assert_eq!(
            missing_certificate(&facts),
            [
                "b.test has none, tried at 2026-01-01T00:00:00Z: no such name",
                "c.test has none, and no server has tried yet"
            ]
        );
        assert_eq!(expiring_certificate(&facts), [""; 0]);
        facts.now = at("2026-03-20T00:00:00Z");
        assert_eq!(
            expiring_certificate(&facts),
            [
                "the certificate of a.test runs out at 2026-04-01T00:00:00Z",
                "the certificate of d.test runs out at 2026-04-01T00:00:00Z, tried at 2026-01-01T00:00:00Z: no such name"
            ]
        );
        facts.now = at("2026-04-02T00:00:00Z");
        assert!(expiring_certificate(&facts)[0].contains("ran out"));
        facts.certificate = Some(Err("it is broken".to_owned()));
        assert!(missing_certificate(&facts)[0].ends_with("it is broken"));
    }

    fn facts(now: Timestamp) -> Facts {
        Facts {
            config: crate::config::Config::default(),
            now,
            operator: None,
            key_file: None,
            certificate: None,
            obtained: Vec::new(),
            apps: Vec::new(),
            untold: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    /// What no server lets anybody bring about.
    #[test]
    fn a_missing_audit_log_is_found() {
        let mut app = Checkup {
            id: fb_types::AppId::new("shop").unwrap(),
            settings: fb_app::Settings::new(Profile::Secure),
            exposures: Vec::new(),
            file_exposures: Vec::new(),
            seen_by_anybody: SeenUsers::default(),
            seen_by_users: SeenUsers::default(),
            n_admins: 1,
            has_root_root: false,
            has_setup_link: false,
            has_audit_log: true,
            backup_at: None,
        };
        let facts = facts(Timestamp::from_millis(0));
        assert_eq!(no_audit_log(&facts, &app), [""; 0]);
        app.has_audit_log = false;
        assert_eq!(no_audit_log(&facts, &app), ["class logs.AuditLog is missing"]);
    }

    #[test]
    fn ids_are_unique_and_for_machines() {
        let mut ids: Vec<_> = CHECKS.iter().map(|check| check.id).collect();
        assert!(
            ids.iter()
                .all(|id| id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        );
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), CHECKS.len());
    }

    #[test]
    fn the_reference_page_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/doctor.md");
        #[expect(clippy::disallowed_methods, reason = "a switch for whoever regenerates the page")]
        if std::env::var("REGENERATE_DOCS").is_ok() {
            std::fs::write(path, reference()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == reference(),
            "docs/doctor.md is stale: run REGENERATE_DOCS=1 cargo test -p freshbase"
        );
    }
}
