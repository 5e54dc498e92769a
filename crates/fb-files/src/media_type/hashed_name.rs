//! Names of built assets that carry a hash of their content, so that what has the name never changes.

/// Extensions that builds give to files with hashes and that people do not name by hand. Images are not among them: an
/// avatar with a random id in its name looks the same and is replaced.
const EXTENSIONS: &[&str] = &["js", "mjs", "cjs", "css", "wasm", "woff", "woff2", "ttf", "otf", "eot"];

/// What may stand between the hash and the extension.
const INFIXES: &[&str] = &["min", "chunk", "bundle", "module", "async", "entry", "esm"];

/// Whether a path ends in the name of a built asset with a hash of its content, such as `app.3f2a9c1b.js`,
/// `index-BkXz91_a.js` or `chunk-7D3F2K1A.css`.
///
/// Careful: a wrong yes makes browsers keep a file that was replaced for as long as they like, a wrong no costs a question
/// with a short answer. So about half of the mixed-case hashes of eight characters are not recognised.
pub fn is_hashed_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(".map").unwrap_or(name);
    let Some((mut stem, extension)) = name.rsplit_once('.') else {
        return false;
    };
    if !name.is_ascii() || !EXTENSIONS.contains(&extension) {
        return false;
    }
    while let Some((rest, infix)) = stem.rsplit_once('.')
        && INFIXES.contains(&infix)
    {
        stem = rest;
    }
    if holds_uuid(stem) {
        // A random id and no hash, although its last group looks like one.
        return false;
    }
    ends_in_hex(stem) || ends_in_eight(stem)
}

/// A hash in hex behind a dot, a hyphen or an underscore: `main.3f2a9c1b`.
fn ends_in_hex(stem: &str) -> bool {
    let Some((name, token)) = stem.rsplit_once(['.', '-', '_']) else {
        return false;
    };
    let is_hex = token.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    // Four changes between letters and digits: neither a date nor a number nor a word with one, such as `cafe2024`.
    !name.is_empty() && (8..=64).contains(&token.len()) && is_hex && changes(token) >= 4
}

/// Eight characters as Vite, Rollup and esbuild write them, which may contain a hyphen or an underscore themselves.
fn ends_in_eight(stem: &str) -> bool {
    let Some(at) = stem.len().checked_sub(8) else {
        return false;
    };
    let (name, token) = stem.split_at(at);
    let Some(name) = name.strip_suffix(['-', '.']) else {
        return false;
    };
    let has = |class: fn(&u8) -> bool| token.as_bytes().iter().any(class);
    if name.is_empty() || !has(u8::is_ascii_digit) || !has(u8::is_ascii_uppercase) {
        return false;
    }
    if !token
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    {
        return false;
    }
    match has(u8::is_ascii_lowercase) {
        // Words in camel case with numbers, such as `iOS17Pro`, have fewer.
        true => changes(token) >= 5,
        // esbuild's have few digits, but always the same name before them.
        false => {
            changes(token) >= 5
                || (name == "chunk" && token.bytes().all(|b| b.is_ascii_alphanumeric()) && changes(token) >= 2)
        }
    }
}

/// How often capitals, small letters, digits and signs take turns.
fn changes(token: &str) -> usize {
    let class = |b: &u8| match b {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    token
        .as_bytes()
        .windows(2)
        .filter(|two| class(&two[0]) != class(&two[1]))
        .count()
}

fn holds_uuid(stem: &str) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    let Some(tail) = stem.len().checked_sub(36).and_then(|at| stem.get(at..)) else {
        return false;
    };
    let mut groups = tail.split('-');
    GROUPS
        .iter()
        .all(|len| groups.next().is_some_and(|group| group.len() == *len && is_hex(group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_hashes() {
        for path in [
            "app.3f2a9c1b.js",
            "/www/static/js/main.8d1f4c2e.chunk.js",
            "/www/static/css/2.a1b2c3d4.chunk.css",
            "main.3f2a9c1b.js.map",
            "index-BkXz91_a.js",
            "assets/index-B-Xz9_1a.css",
            "chunk-7D3F2K1A.css",
            "chunk-2ZQWKE3M.js",
            "bundle.d41d8cd98f00b204e9800998ecf8427e.min.js",
            "vendor-0a4d55a8d778e5022fab701977c5d840bbc486d0.js",
            "inter_5f3a9c1b2d.woff2",
            "app_bg-4f6a1c9e.wasm",
        ] {
            assert!(is_hashed_name(path), "{path}");
        }
    }

    #[test]
    fn other_names() {
        for path in [
            "",
            "/",
            "app.js",
            "report-20240131.pdf",
            "report-20240131.js",
            "jquery-3.7.1.min.js",
            "jquery-3.7.1.js",
            "photo-12345678.jpg",
            "feature-branding.js",
            "feature-Branding.js",
            "app-Version2.js",
            "app-iPhone12.js",
            "app-iOS17Pro.js",
            "photo-cafe2024.css",
            "style-2024face.css",
            "app-deadbeef.js",
            "codec-H264X265.js",
            "chunk-VENDORS1.js",
            "chunk-20240131.js",
            "chunk-1.js",
            "3f2a9c1b.js",
            ".3f2a9c1b.js",
            "avatar-5f3a9c1b2d.jpg",
            "photo.3f2a9c1b.png",
            "7c9e6679-7425-40de-944b-e07fc1f90ae7.js",
            "user-7c9e6679-7425-40de-944b-e07fc1f90ae7.css",
            "app-1.2.3-beta.4.js",
            "module-es2015.js",
            "polyfills-es5.0a1b.js",
            "app.3f2a9c1.js",
            "app-background.js",
            "app-ABCDEFGH.js",
            "index-ünï91_a.js",
            "app.3f2a9c1b.html",
            "app.3f2a9c1b",
            "3f2a9c1b/app.js",
            "app.3F2A9C1B.exe",
            "data-20240131T120000.js",
            "lib-v2r3t4.js",
        ] {
            assert!(!is_hashed_name(path), "{path}");
        }
    }
}
