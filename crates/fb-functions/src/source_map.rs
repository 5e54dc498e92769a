//! Inline source maps: where a position of bundled code comes from.
//! Source: the format "Source Map", ECMA-426, without index maps and names.

use serde::Deserialize;

const MARK: &str = "//# sourceMappingURL=data:application/json";

/// Longest name of a source with its root, in bytes. Each frame of a stack has one.
const LONGEST_NAME: usize = 1 << 10;

/// Sources of one map.
const MOST_SOURCES: usize = 10_000;

#[derive(Deserialize)]
struct Json {
    #[serde(default, rename = "sourceRoot")]
    root: Option<String>,
    sources: Vec<Option<String>>,
    mappings: String,
}

/// A decoded map.
#[derive(Debug)]
pub(crate) struct SourceMap {
    /// In front of the name of each source.
    root: String,
    sources: Vec<String>,
    /// In the order of generated positions.
    segments: Vec<Segment>,
}

/// All numbers count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    line: u32,
    column: u32,
    source: u32,
    source_line: u32,
    source_column: u32,
}

impl SourceMap {
    /// The map at the end of `text`; `None` if there is none, it cannot be read, or names in it are longer or more than any author's. It
    /// takes a few times as much memory as its text.
    pub(crate) fn inline(text: &str) -> Option<Self> {
        let rest = &text[text.rfind(MARK)? + MARK.len()..];
        let (parameters, data) = rest.lines().next()?.split_once(',')?;
        if !parameters.ends_with(";base64") {
            return None;
        }
        let json = data_encoding::BASE64.decode(data.trim_end().as_bytes()).ok()?;
        let json: Json = serde_json::from_slice(&json).ok()?;
        let root = json.root.unwrap_or_default();
        let sources: Vec<String> = json.sources.into_iter().map(Option::unwrap_or_default).collect();
        let is_long = |source: &String| source.len().saturating_add(root.len()) > LONGEST_NAME;
        if sources.len() > MOST_SOURCES || sources.iter().any(is_long) {
            return None;
        }
        Some(Self {
            root,
            sources,
            segments: segments(&json.mappings)?,
        })
    }

    /// File, line and column of the author, for a line and column of the code; all count from 1.
    pub(crate) fn origin(&self, line: u32, column: u32) -> Option<(String, u32, u32)> {
        let at = (line.checked_sub(1)?, column.saturating_sub(1));
        let after = self
            .segments
            .partition_point(|segment| (segment.line, segment.column) <= at);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        if segment.line != at.0 {
            return None;
        }
        let source = self.sources.get(usize::try_from(segment.source).ok()?)?;
        Some((
            format!("{}{source}", self.root),
            segment.source_line.checked_add(1)?,
            segment.source_column.checked_add(1)?,
        ))
    }
}

fn segments(mappings: &str) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    let (mut source, mut source_line, mut source_column) = (0, 0, 0);
    for (line, text) in mappings.split(';').enumerate() {
        let line = u32::try_from(line).ok()?;
        let mut column = 0;
        let start = segments.len();
        for text in text.split(',').filter(|text| !text.is_empty()) {
            let mut numbers = text.bytes();
            column = add(column, vlq(&mut numbers)?)?;
            if numbers.len() == 0 {
                continue;
            }
            source = add(source, vlq(&mut numbers)?)?;
            source_line = add(source_line, vlq(&mut numbers)?)?;
            source_column = add(source_column, vlq(&mut numbers)?)?;
            segments.push(Segment {
                line,
                column,
                source,
                source_line,
                source_column,
            });
        }
        segments[start..].sort_by_key(|segment| segment.column);
    }
    Some(segments)
}

fn add(to: u32, difference: i64) -> Option<u32> {
    u32::try_from(i64::from(to).checked_add(difference)?).ok()
}

/// One number: groups of five bits, lowest first, as Base64; the lowest bit of all is the sign.
fn vlq(digits: &mut std::str::Bytes) -> Option<i64> {
    let (mut value, mut shift) = (0_i64, 0_u32);
    loop {
        let digit = match digits.next()? {
            letter @ b'A'..=b'Z' => letter - b'A',
            letter @ b'a'..=b'z' => letter - b'a' + 26,
            digit @ b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        if shift > 40 {
            return None;
        }
        value |= i64::from(digit & 31) << shift;
        shift += 5;
        if digit & 32 == 0 {
            return Some(if value & 1 == 1 { -(value >> 1) } else { value >> 1 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(mappings: &str) -> SourceMap {
        let json =
            serde_json::json!({"version": 3, "sourceRoot": "src/", "sources": ["a.ts", "b.ts"], "mappings": mappings});
        let data = data_encoding::BASE64.encode(json.to_string().as_bytes());
        SourceMap::inline(&format!("code\n{MARK};charset=utf-8;base64,{data}\n")).unwrap()
    }

    #[test]
    fn positions_come_from_the_last_segment_before_them() {
        // Line 1: column 0 → a.ts 1:1, column 8 → b.ts 3:5; line 2: nothing; line 3: column 0 → b.ts 2:3.
        let map = map("AAAA,QCEI;;AADF");
        assert_eq!(map.origin(1, 1), Some(("src/a.ts".to_owned(), 1, 1)));
        assert_eq!(map.origin(1, 8), Some(("src/a.ts".to_owned(), 1, 1)));
        assert_eq!(map.origin(1, 9), Some(("src/b.ts".to_owned(), 3, 5)));
        assert_eq!(map.origin(2, 1), None);
        assert_eq!(map.origin(9, 1), None);
    }

    #[test]
    fn a_small_map_does_not_grow() {
        let map = |root: &str, sources: &[&str]| {
            let json = serde_json::json!({"sourceRoot": root, "sources": sources, "mappings": "AAAA"}).to_string();
            SourceMap::inline(&format!(
                "{MARK};base64,{}",
                data_encoding::BASE64.encode(json.as_bytes())
            ))
        };
        let fine = map(&"r".repeat(1000), &[""; 10_000]).unwrap();
        assert_eq!(fine.sources.iter().map(String::len).sum::<usize>(), 0);
        assert_eq!(fine.origin(1, 1).unwrap().0.len(), 1000);
        assert!(map(&"r".repeat(100_000), &[""; 4000]).is_none());
        assert!(map("", &["s".repeat(2000).as_str()]).is_none());
        assert!(map("", &[""; 10_001]).is_none());
    }

    #[test]
    fn what_is_no_map_is_none() {
        for text in [
            "",
            "code",
            "//# sourceMappingURL=data:application/json,{}",
            "//# sourceMappingURL=data:application/json;base64,e30=",
        ] {
            assert!(SourceMap::inline(text).is_none(), "{text}");
        }
        let json = data_encoding::BASE64.encode(br#"{"sources":[],"mappings":"gggggggggggggggggggggg"}"#);
        assert!(SourceMap::inline(&format!("{MARK};base64,{json}")).is_none());
    }
}
