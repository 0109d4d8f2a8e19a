//! SVG files: vectors only, whole in themselves.
//!
//! Invariant: entities are not expanded, nothing is fetched.

use roxmltree::{Document, Node, ParsingOptions};

use super::{Finding, FindingCode};

const SVG: &str = "http://www.w3.org/2000/svg";
/// Elements of a file at most.
const NODES_MAX: u32 = 200_000;

/// Checks a vector file.
pub(super) fn check(content: &[u8]) -> Vec<Finding> {
    let no_svg = || vec![Finding::fatal(FindingCode::WrongType, "must be a well-formed SVG file")];
    let Ok(text) = core::str::from_utf8(content) else { return no_svg() };
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..Default::default() };
    let Ok(document) = Document::parse_with_options(text, options) else { return no_svg() };
    let root = document.root_element();
    if root.tag_name().name() != "svg" || root.tag_name().namespace() != Some(SVG) {
        return no_svg();
    }
    let mut found = Vec::new();
    for node in root.descendants().filter(Node::is_element) {
        look_at(node, &mut found);
    }
    found.dedup();
    found
}

fn look_at(node: Node<'_, '_>, found: &mut Vec<Finding>) {
    let name = node.tag_name().name();
    let mut put = |code, message: String| found.push(Finding::fatal(code, message));
    match name {
        "image" | "feImage" => {
            put(FindingCode::EmbeddedRaster, format!("must be vectors only, has <{name}>"));
        }
        "script" => put(FindingCode::Script, "must not have a script".to_owned()),
        "foreignObject" | "iframe" => {
            put(FindingCode::ExternalReference, format!("must not have <{name}>"));
        }
        "text" | "tspan" => {
            let message = "text must be turned into curves: its font may not be there";
            put(FindingCode::FontNotEmbedded, message.to_owned());
        }
        _ => {}
    }
    for attribute in node.attributes() {
        let (name, value) = (attribute.name(), attribute.value().trim());
        if name.starts_with("on") {
            put(FindingCode::Script, format!("must not have a script in {name}"));
        }
        let leads_out = name == "href" && !value.starts_with('#')
            || value.contains("url(") && !value.replace(' ', "").contains("url(#")
            || value.contains("@import");
        if leads_out {
            put(FindingCode::ExternalReference, format!("{name} must not lead elsewhere"));
        }
    }
    if name == "style"
        && node.text().is_some_and(|text| text.contains("@import") || text.contains("url("))
    {
        put(FindingCode::ExternalReference, "a style must not lead elsewhere".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(inside: &str) -> Vec<FindingCode> {
        let text = format!(
            "<svg xmlns=\"{SVG}\" xmlns:xlink=\"http://www.w3.org/1999/xlink\">{inside}</svg>"
        );
        check(text.as_bytes()).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn vectors_alone_are_good() {
        assert_eq!(codes("<path d='M0 0L9 9'/><use xlink:href='#a' fill='url(#g)'/>"), []);
        for (inside, code) in [
            ("<image href='#a'/>", FindingCode::EmbeddedRaster),
            ("<script>1</script>", FindingCode::Script),
            ("<path onclick='x()'/>", FindingCode::Script),
            ("<use xlink:href='https://example.com/a'/>", FindingCode::ExternalReference),
            ("<path fill='url(https://example.com)'/>", FindingCode::ExternalReference),
            ("<style>@import 'x'</style>", FindingCode::ExternalReference),
            ("<text>Ada</text>", FindingCode::FontNotEmbedded),
        ] {
            assert_eq!(codes(inside), [code], "{inside}");
        }
    }

    #[test]
    fn what_is_no_svg_or_grows_by_itself_is_refused() {
        let bomb = "<!DOCTYPE svg [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><svg>&b;</svg>";
        let deep = format!("{}{}", "<g>".repeat(100_000), "</g>".repeat(100_000));
        for bad in ["", "<svg>", "<html/>", "<svg xmlns='x'/>", bomb, &deep] {
            assert_eq!(check(bad.as_bytes())[0].code, FindingCode::WrongType);
        }
    }
}
