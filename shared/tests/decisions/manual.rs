//! Tables of the manual that are made from the code: a test compares them, `UPDATE_MANUAL=1`
//! rewrites them.

use std::fs;
use std::path::Path;

/// The chapter `file` ends with `table`, its first table behind `heading`.
pub(crate) fn compare(file: &str, heading: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual").join(file);
    let text = fs::read_to_string(&path).unwrap();
    let (front, section) = text.split_once(heading).expect("the chapter has its heading");
    let intro = section.split("\n|").next().unwrap().trim_end();
    let written = format!("{front}{heading}{intro}\n\n{table}");
    if std::env::var_os("UPDATE_MANUAL").is_some() {
        fs::write(&path, &written).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == written, "{file} differs: UPDATE_MANUAL=1");
}
