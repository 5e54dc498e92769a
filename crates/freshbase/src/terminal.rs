//! The terminal of whoever runs a command: questions, passwords that are not shown, progress.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::Context;
use fb_auth::Secret;

use crate::cli::{print, print_note};

/// Standard output and error, and whoever sits there.
#[derive(Debug)]
pub(crate) struct Terminal;

impl fb_cli::Ui for Terminal {
    fn say(&self, text: &str) {
        print(text);
    }

    fn note(&self, text: &str) {
        print_note(text);
    }

    fn progress(&self, what: &str, done: usize, total: usize) {
        let mut out = std::io::stderr().lock();
        if out.is_terminal() {
            let end = if done == total { "\n" } else { "" };
            // Whether somebody sees it makes no difference.
            let _ = write!(out, "\r{what} {done} of {total}{end}");
            let _ = out.flush();
        }
    }

    fn confirm(&self, question: &str) -> Option<bool> {
        let answer = ask(&format!("{question} [y/N] ")).ok()??;
        Some(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}

/// Asks for a line. `None` if nobody is there.
pub(crate) fn ask(question: &str) -> anyhow::Result<Option<String>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    show(question)?;
    read_line().map(Some)
}

/// Asks for a password, without showing what is typed. `None` if nobody is there.
pub(crate) fn ask_password(question: &str) -> anyhow::Result<Option<Secret>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    show(question)?;
    let line = {
        let _hidden = Hidden::begin()?;
        read_line()
    };
    // The line break that was typed was not shown either.
    show("\n")?;
    Ok(Some(Secret::new(line?)))
}

fn show(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stderr().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("asking")
}

fn read_line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("reading what was typed")?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// While it lives, the terminal does not show what is typed.
#[cfg(unix)]
struct Hidden(rustix::termios::Termios);

#[cfg(unix)]
impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).context("looking at the terminal")?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &hidden).context("hiding what is typed")?;
        Ok(Self(before))
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Flush, &self.0);
    }
}

#[cfg(not(unix))]
struct Hidden;

#[cfg(not(unix))]
impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        anyhow::bail!("passwords cannot be hidden on this system; use --password-file")
    }
}
