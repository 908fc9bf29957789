//! What goes to stdout: JSON lines or text. A reader that hangs up (`| head`) is no error.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Stdout, in the form that was asked for.
pub struct Output {
    json: bool,
    out: Box<dyn Write>,
}

impl Output {
    /// Lines are flushed one by one, so that a program reading them can follow a long job.
    pub fn stdout(json: bool) -> Self {
        Self { json, out: Box::new(io::LineWriter::new(io::stdout())) }
    }

    /// Prints one line: `value` with `--json`, else the text.
    pub fn line(&mut self, value: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> io::Result<()> {
        if self.json { writeln!(self.out, "{}", value()) } else { writeln!(self.out, "{}", text()) }
    }

    /// A heading or a sentence that has no place among JSON lines.
    pub fn text(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        if self.json { Ok(()) } else { writeln!(self.out, "{}", text.as_ref()) }
    }

    /// Whether JSON lines were asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }
}

/// `object` with the path put first, and `path_bytes` where the path is not UTF-8.
pub fn with_path(path: &Path, object: Value) -> Value {
    let mut fields = path_fields("path", path);
    if let Value::Object(rest) = object {
        fields.extend(rest);
    }
    Value::Object(fields)
}

/// The path under `name`, lossy where it has to be, and then its bytes under `path_bytes`.
pub fn path_fields(name: &str, path: &Path) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert(name.to_owned(), json!(path.to_string_lossy()));
    if path.to_str().is_none() {
        fields.insert("path_bytes".to_owned(), json!(base64(path.as_os_str().as_encoded_bytes())));
    }
    fields
}

/// The absolute path as the file system has it; a path that is not there is only made absolute.
pub fn absolute(path: &Path) -> PathBuf {
    let whole = || std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    // Windows answers with a `\\?\` path that few programs accept.
    if cfg!(windows) { whole() } else { path.canonicalize().unwrap_or_else(|_| whole()) }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().enumerate().fold(0u32, |bits, (i, &b)| bits | u32::from(b) << (16 - 8 * i));
        for digit in 0..4 {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(if digit <= chunk.len() { char::from(DIGITS[index as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_rfc_4648_has_it() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (plain, coded) in cases {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(b"\xff\xfe"), "//4=");
    }

    #[test]
    #[cfg(unix)]
    fn a_path_that_is_not_utf8_carries_its_bytes() {
        use std::os::unix::ffi::OsStrExt as _;
        let odd = Path::new(std::ffi::OsStr::from_bytes(b"/p/\xff.jpg"));
        let value = with_path(odd, json!({ "score": 1 }));
        assert_eq!(value["path"], "/p/\u{FFFD}.jpg");
        assert_eq!(value["path_bytes"], base64(b"/p/\xff.jpg"));
        assert_eq!(value["score"], 1);
        assert!(with_path(Path::new("/p/a.jpg"), json!({})).get("path_bytes").is_none());
    }
}
