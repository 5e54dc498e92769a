//! What the checks found, for people and for programs.

use std::fmt::Write;

use fb_types::AppId;
use serde_json::{Value, json};

use super::Facts;
use super::checks::{CHECKS, Check, Look, Severity};

/// What one check found in one place.
struct Finding<'a> {
    check: &'static Check,
    app: Option<&'a AppId>,
    message: String,
}

/// All that was found.
pub(super) struct Report<'a> {
    n_apps: usize,
    findings: Vec<Finding<'a>>,
    ok: Vec<&'static Check>,
}

impl<'a> Report<'a> {
    pub(super) fn of(facts: &'a Facts) -> Self {
        let mut report = Self {
            n_apps: facts.apps.len() + facts.unreadable.len(),
            findings: Vec::new(),
            ok: Vec::new(),
        };
        for check in CHECKS {
            let before = report.findings.len();
            let mut add = |app, messages: Vec<String>| {
                let findings = messages.into_iter().map(|message| Finding { check, app, message });
                report.findings.extend(findings);
            };
            match check.look {
                Look::Node(look) => add(None, look(facts)),
                Look::App(look) => facts.apps.iter().for_each(|app| add(Some(&app.id), look(facts, app))),
            }
            if report.findings.len() == before {
                report.ok.push(check);
            }
        }
        report
    }

    fn of_severity(&self, severity: Severity) -> impl Iterator<Item = &Finding<'a>> {
        self.findings.iter().filter(move |f| f.check.severity == severity)
    }

    pub(super) fn n_problems(&self) -> usize {
        self.of_severity(Severity::Problem).count()
    }

    /// For people: what is worst comes first.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (severity, title) in [(Severity::Problem, "PROBLEMS"), (Severity::Warning, "WARNINGS")] {
            let mut last = "";
            for finding in self.of_severity(severity) {
                let check = finding.check;
                if last.is_empty() {
                    let _ = writeln!(text, "{title}\n");
                }
                if last != check.id {
                    let _ = writeln!(text, "  {}: {}\n    Fix: {}", check.id, check.about, check.fix);
                    last = check.id;
                }
                let _ = match finding.app {
                    Some(app) => writeln!(text, "    - app {app}: {}", finding.message),
                    None => writeln!(text, "    - {}", finding.message),
                };
            }
            if !last.is_empty() {
                text.push('\n');
            }
        }
        let _ = writeln!(text, "OK\n");
        for check in &self.ok {
            let _ = writeln!(text, "  {}: {}", check.id, check.fine);
        }
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let _ = write!(
            text,
            "\n{} looked at: {}, {}.",
            count(self.n_apps, "app"),
            count(self.n_problems(), "problem"),
            count(self.of_severity(Severity::Warning).count(), "warning"),
        );
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        let finding = |f: &Finding<'_>| {
            json!({
                "check": f.check.id,
                "severity": f.check.severity.as_str(),
                "app": f.app.map(AppId::as_str),
                "message": f.message,
                "fix": f.check.fix,
            })
        };
        let ok = |check: &&Check| json!({ "check": check.id, "message": check.fine });
        let report = json!({
            "apps": self.n_apps,
            "problems": self.n_problems(),
            "warnings": self.of_severity(Severity::Warning).count(),
            "findings": self.findings.iter().map(finding).collect::<Vec<Value>>(),
            "ok": self.ok.iter().map(ok).collect::<Vec<Value>>(),
        });
        format!("{report:#}")
    }
}
