//! Attempts to get out, to stay, or to take too much: `tests/escapes/*.js`. The first line of a file says what may come of it: texts of
//! an answer, names of exceptions, or kinds of errors.

use std::time::Duration;

use fb_functions::{CallError, Limits};

use crate::kit::{App, app_with, code, get, limits};

fn tight() -> Limits {
    with_time(1)
}

fn with_time(factor: u32) -> Limits {
    Limits {
        memory_bytes: 16 << 20,
        cpu_time: Duration::from_millis(200) * factor,
        wall_time: Duration::from_secs(3) * factor,
        answer_bytes: 2 << 20,
        ..limits()
    }
}

async fn what_comes(app: &App) -> Vec<String> {
    match app.run(get("")).await {
        Ok(outcome) => vec![String::from_utf8_lossy(&outcome.body).into_owned()],
        Err(CallError::Failed(exception)) => vec!["Failed".to_owned(), exception.name],
        Err(CallError::OutOfMemory) => vec!["OutOfMemory".to_owned()],
        Err(CallError::TooLong(_)) => vec!["TooLong".to_owned()],
        Err(CallError::Aborted { .. }) => vec!["Aborted".to_owned()],
        Err(CallError::NoExport { .. }) => vec!["NoExport".to_owned()],
        Err(other) => vec![format!("{other:?}")],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s46_no_attempt_gets_anywhere() {
    let (mut wrong, mut stuck) = (Vec::new(), Vec::new());
    let mut files: Vec<_> = std::fs::read_dir("tests/escapes")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 80, "{} files", files.len());
    for path in files {
        let source = std::fs::read_to_string(&path).unwrap();
        let expected = source.lines().next().unwrap().strip_prefix("// expect: ").unwrap();
        let expected: Vec<&str> = expected.split('|').collect();
        let modules = [("m", source.as_str()), ("after", "exports.call = () => 'after';")];
        let mut app = app_with(&modules, tight());
        // Twice: what the first call left must not show.
        for n in 1..=2 {
            let mut came = what_comes(&app).await;
            // On a busy machine honest work is stopped, too.
            if came[0] == "TooLong" && !expected.contains(&"TooLong") {
                app = app_with(&modules, with_time(10));
                came = what_comes(&app).await;
            }
            let stopped = came[0] == "TooLong" || came[0] == "OutOfMemory";
            if !came.iter().any(|one| expected.contains(&one.as_str())) {
                let short: Vec<_> = came
                    .iter()
                    .map(|one| one.chars().take(300).collect::<String>())
                    .collect();
                wrong.push(format!("{} ({n}): {short:?}, not {expected:?}", path.display()));
            }
            if stopped {
                break;
            }
        }
        // Neighbours are not hurt, not even by what cannot be stopped.
        let neighbour = app.engine.pool("neighbour", tight());
        let source = code(&[("m", "exports.call = () => 'after';")]);
        let after = neighbour.call(&source, get(""), app.host.clone()).await;
        assert_eq!(&*after.unwrap().body, b"after", "{}", path.display());
        if app.engine.stats().lost_threads > 0 {
            stuck.push(path.display().to_string());
        }
    }
    println!("not to be stopped: {stuck:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
