//! PDF files for the press: one page of a card's size with bleed, fonts inside, images fine enough.
//!
//! Invariant: what a page draws counts wherever it stands, and is looked at within bounds.

mod drawing;

use lopdf::{Dictionary, Document, Object, ObjectId};

use super::{Finding, FindingCode};

/// The card in points, 85.37 x 53.97 mm. Source: requirements #183.
const CARD: (f32, f32) = (242.0, 153.0);
/// 5 mm in points.
const BLEED: f32 = 14.17;
/// How much a box may be off.
const TOLERANCE: f32 = 1.0;
/// Levels of the tree of pages at most.
const LEVELS_MAX: usize = 256;

/// Checks a file for the press.
pub(super) fn check(content: &[u8]) -> Vec<Finding> {
    let no_pdf = || vec![Finding::fatal(FindingCode::WrongType, "must be a whole PDF file")];
    let Ok(document) = Document::load_mem(content) else { return no_pdf() };
    if document.is_encrypted() {
        return vec![Finding::fatal(FindingCode::WrongType, "must not be encrypted")];
    }
    let pages: Vec<ObjectId> = document.get_pages().into_values().collect();
    let [page] = *pages.as_slice() else {
        let message = format!("must have one page for each side, has {}", pages.len());
        return vec![Finding::fatal(FindingCode::WrongPageCount, message)];
    };
    let Ok(dictionary) = document.get_dictionary(page) else { return no_pdf() };
    let mut found = boxes(&document, dictionary);
    found.extend(drawing::check(&document, page));
    found
}

#[expect(clippy::float_arithmetic, reason = "lengths on paper, no money")]
fn boxes(document: &Document, page: &Dictionary) -> Vec<Finding> {
    let media = box_of(document, page, b"MediaBox");
    let trim = box_of(document, page, b"TrimBox").or(media);
    let Some((trim, media)) = trim.zip(media) else {
        return vec![Finding::fatal(FindingCode::WrongPageSize, "must have a page box")];
    };
    let near = |one: f32, two: f32| (one - two).abs() <= TOLERANCE;
    let is_card = |[left, below, right, above]: [f32; 4]| {
        near(right - left, CARD.0) && near(above - below, CARD.1)
    };
    let with_bleed = |[left, below, right, above]: [f32; 4]| {
        near(right - left, CARD.0 + 2.0 * BLEED) && near(above - below, CARD.1 + 2.0 * BLEED)
    };
    if !is_card(trim) {
        // Without a trim box the page may be the card and its bleed.
        if with_bleed(trim) {
            return Vec::new();
        }
        let [left, below, right, above] = trim;
        let message = format!(
            "the card must be 242 x 153 points, is {:.1} x {:.1}",
            right - left,
            above - below
        );
        return vec![Finding::fatal(FindingCode::WrongPageSize, message)];
    }
    let bleed = box_of(document, page, b"BleedBox").unwrap_or(media);
    let room = [trim[0] - bleed[0], trim[1] - bleed[1], bleed[2] - trim[2], bleed[3] - trim[3]];
    if room.iter().all(|room| *room >= BLEED - TOLERANCE) {
        return Vec::new();
    }
    let message = "must have 5 mm (14.17 points) of bleed on every side";
    vec![Finding::fatal(FindingCode::NoBleed, message)]
}

/// A box of a page, or of the tree above it.
fn box_of(document: &Document, page: &Dictionary, name: &[u8]) -> Option<[f32; 4]> {
    let mut node = page.clone();
    for _level in 0..LEVELS_MAX {
        if let Ok(found) = node.get(name) {
            let (_, found) = document.dereference(found).ok()?;
            return numbers(document, found.as_array().ok()?);
        }
        let parent = node.get(b"Parent").and_then(Object::as_reference).ok()?;
        node = document.get_dictionary(parent).ok()?.clone();
    }
    None
}

/// The numbers of a list, each of which may stand elsewhere.
fn numbers<const N: usize>(document: &Document, list: &[Object]) -> Option<[f32; N]> {
    let list = list.iter();
    let numbers: Option<Vec<f32>> =
        list.map(|number| document.dereference(number).ok()?.1.as_float().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use lopdf::content::{Content, Operation};
    use lopdf::{Stream, dictionary};

    use super::*;

    struct Wish {
        media: [i64; 4],
        trim: Option<[i64; 4]>,
        image_width: i64,
        embedded: bool,
        pages: usize,
    }

    const GOOD: Wish = Wish {
        media: [0, 0, 271, 182],
        trim: Some([15, 15, 257, 168]),
        image_width: 1_130,
        embedded: true,
        pages: 1,
    };

    fn pdf(wish: &Wish) -> Vec<u8> {
        let mut document = Document::with_version("1.7");
        let tree = document.new_object_id();
        let numbers = |numbers: [i64; 4]| numbers.map(Object::from).to_vec();
        let file = document.add_object(Stream::new(dictionary! {}, vec![0; 8]));
        let mut descriptor = dictionary! { "Type" => "FontDescriptor", "FontName" => "Card" };
        if wish.embedded {
            descriptor.set("FontFile2", file);
        }
        let descriptor = document.add_object(descriptor);
        let font = document.add_object(dictionary! { "Type" => "Font", "Subtype" => "TrueType",
        "BaseFont" => "Card", "FontDescriptor" => descriptor });
        let image = dictionary! { "Type" => "XObject", "Subtype" => "Image",
        "Width" => wish.image_width, "Height" => 760, "ColorSpace" => "DeviceGray",
        "BitsPerComponent" => 8 };
        let image = document.add_object(Stream::new(image, vec![0; 16]));
        let resources = document.add_object(dictionary! {
        "Font" => dictionary! { "F1" => font }, "XObject" => dictionary! { "Im1" => image } });
        let steps = vec![
            Operation::new("q", vec![]),
            Operation::new("cm", [271, 0, 0, 182, 0, 0].map(Object::from).to_vec()),
            Operation::new("Do", vec!["Im1".into()]),
            Operation::new("Q", vec![]),
        ];
        let content = Content { operations: steps }.encode().unwrap();
        let content = document.add_object(Stream::new(dictionary! {}, content));
        let mut kids = Vec::new();
        for _page in 0..wish.pages {
            let mut page = dictionary! { "Type" => "Page", "Parent" => tree,
            "Contents" => content, "Resources" => resources };
            if let Some(trim) = wish.trim {
                page.set("TrimBox", numbers(trim));
            }
            kids.push(Object::from(document.add_object(page)));
        }
        let count = i64::try_from(kids.len()).unwrap();
        let pages = dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count,
        "MediaBox" => numbers(wish.media) };
        document.objects.insert(tree, pages.into());
        let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => tree });
        document.trailer.set("Root", catalog);
        let mut out = Vec::new();
        document.save_to(&mut out).unwrap();
        out
    }

    fn codes(wish: &Wish) -> Vec<FindingCode> {
        check(&pdf(wish)).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_file_for_the_press_is_checked_for_size_bleed_fonts_and_images() {
        assert_eq!(codes(&GOOD), []);
        let page_alone = Wish { trim: None, media: [0, 0, 270, 181], ..GOOD };
        assert_eq!(codes(&page_alone), []);
        for (wish, code) in [
            (Wish { media: [0, 0, 595, 842], trim: None, ..GOOD }, FindingCode::WrongPageSize),
            (Wish { media: [0, 0, 242, 153], trim: None, ..GOOD }, FindingCode::NoBleed),
            (Wish { trim: Some([5, 15, 247, 168]), ..GOOD }, FindingCode::NoBleed),
            (Wish { image_width: 1_100, ..GOOD }, FindingCode::LowResolution),
            (Wish { embedded: false, ..GOOD }, FindingCode::FontNotEmbedded),
            (Wish { pages: 3, ..GOOD }, FindingCode::WrongPageCount),
        ] {
            assert_eq!(codes(&wish), [code]);
        }
    }

    #[test]
    fn a_cut_file_is_no_file() {
        let whole = pdf(&GOOD);
        for end in (0..whole.len() / 2).step_by(7) {
            assert!(check(&whole[..end]).iter().any(|finding| finding.fatal), "{end} bytes");
        }
    }
}
