//! What a page draws: the fonts and images of its content, of the forms it draws, of its patterns'
//! tiles and of its soft masks. Glyphs of Type 3 fonts and appearances of annotations are left out.
//!
//! Invariant: content is interpreted only as far as it places images and forms; where a bound or
//! what cannot be read ends the look, that is a reason of its own.

use std::collections::HashSet;

use lopdf::content::{Content, Operation};
use lopdf::{DecompressError, Dictionary, Document, Error, Object, ObjectId, Stream, dictionary};

use super::numbers;
use crate::art::{Finding, FindingCode};

/// Dots an inch of an image at least. Source: requirements #183.
const DPI_MIN: f32 = 300.0;
const POINTS_AN_INCH: f32 = 72.0;
/// Steps of the page's content and its forms' at most, a form's each time that it is drawn.
const STEPS_MAX: usize = 1_000_000;
/// Bytes of them at most, packed and unpacked, counted like the steps.
const UNPACKED_MAX: usize = 64 * 1024 * 1024;
/// Graphics states on top of each other at most.
const SAVED_MAX: usize = 256;
/// Forms inside each other at most.
const INSIDE_MAX: usize = 16;
/// Reasons at most.
const FOUND_MAX: usize = 64;
/// A step of our own behind the last one: who comes to it has read everything.
const END: &str = "EndOfContent";

/// The part of a transformation that scales: where one to the right and one up lead.
type Scale = [f32; 4];
const SAME: Scale = [1.0, 0.0, 0.0, 1.0];

/// Checks what a page draws.
pub(super) fn check(document: &Document, page: ObjectId) -> Vec<Finding> {
    Drawing::of(document, page).map_or_else(|| vec![unreadable()], |drawing| drawing.look_at(page))
}

/// A look at a page, and what it may still cost.
struct Drawing<'a> {
    document: &'a Document,
    /// The page's resources, the nearest first.
    page: Vec<&'a Dictionary>,
    steps_left: usize,
    bytes_left: usize,
    /// The forms that are being drawn, each inside the one before.
    inside: Vec<&'a Stream>,
    /// Dictionaries of fonts that were looked at.
    fonts: HashSet<*const Dictionary>,
    found: Vec<Finding>,
}

impl<'a> Drawing<'a> {
    fn of(document: &'a Document, page: ObjectId) -> Option<Self> {
        let (own, inherited) = document.get_page_resources(page).ok()?;
        let inherited = inherited.into_iter().filter_map(|id| document.get_dictionary(id).ok());
        Some(Self {
            document,
            page: own.into_iter().chain(inherited).collect(),
            steps_left: STEPS_MAX,
            bytes_left: UNPACKED_MAX,
            inside: Vec::new(),
            fonts: HashSet::new(),
            found: Vec::new(),
        })
    }

    fn look_at(mut self, page: ObjectId) -> Vec<Finding> {
        if let Err(end) = self.draw_page(page) {
            self.found.push(end);
        }
        self.found
    }

    fn draw_page(&mut self, page: ObjectId) -> Result<(), Finding> {
        let (document, resources) = (self.document, self.page.clone());
        self.look_at_fonts(&resources);
        let mut content = Vec::new();
        for id in document.get_page_contents(page) {
            if let Ok(part) = document.get_object(id).and_then(Object::as_stream) {
                content.extend(self.unpacked(part)?);
                content.push(b'\n');
            }
        }
        self.draw(content, &resources, SAME)
    }

    /// Goes through a content from where its own space lies.
    fn draw(
        &mut self,
        mut content: Vec<u8>,
        resources: &[&'a Dictionary],
        base: Scale,
    ) -> Result<(), Finding> {
        if content.windows(END.len()).any(|part| part == END.as_bytes()) {
            return Err(unreadable());
        }
        content.extend(format!("\n{END}\n").into_bytes());
        let (mut scale, mut saved, mut whole) = (base, Vec::new(), false);
        for step in Content::decode_iter(&content) {
            let step = step.map_err(|_error| unreadable())?;
            self.steps_left = self.steps_left.checked_sub(1).ok_or_else(too_much)?;
            match (step.operator.as_str(), self.named_by(&step, resources)) {
                ("q", _) if saved.len() == SAVED_MAX => return Err(too_much()),
                ("q", _) => saved.push(scale),
                ("Q", _) => scale = saved.pop().unwrap_or(scale),
                ("cm", _) => {
                    let six = step.operands.last_chunk::<6>();
                    let matrix = six.and_then(|six| numbers(self.document, six));
                    scale = matrix.map_or(scale, |matrix| moved(scale, matrix));
                }
                ("Do", Some(object)) => self.draw_object(object, resources, scale)?,
                ("gs", Some(mask)) => self.draw_form(mask, resources, scale)?,
                ("scn" | "SCN", Some(tile)) => self.draw_form(tile, resources, base)?,
                ("BI", _) => {
                    let message =
                        "images inside the page's content cannot be checked: put them beside";
                    self.put(Finding::warning(FindingCode::LowResolution, message));
                }
                (END, _) => whole = true,
                _ => {}
            }
        }
        if whole { Ok(()) } else { Err(unreadable()) }
    }

    /// What a step draws that stands elsewhere: an image or a form, a pattern's tile, a soft mask.
    fn named_by(&self, step: &Operation, resources: &[&'a Dictionary]) -> Option<&'a Stream> {
        let document = self.document;
        let kind: &[u8] = match step.operator.as_str() {
            "Do" => b"XObject",
            "gs" => b"ExtGState",
            "scn" | "SCN" => b"Pattern",
            _ => return None,
        };
        let name = step.operands.last()?.as_name().ok()?;
        let named = resources.iter().find_map(|one| {
            let all = one.get_deref(kind, document).and_then(Object::as_dict).ok()?;
            all.get_deref(name, document).ok()
        })?;
        let Ok(state) = named.as_dict() else { return named.as_stream().ok() };
        let mask = state.get_deref(b"SMask", document).and_then(Object::as_dict).ok()?;
        mask.get_deref(b"G", document).and_then(Object::as_stream).ok()
    }

    fn draw_object(
        &mut self,
        object: &'a Stream,
        resources: &[&'a Dictionary],
        scale: Scale,
    ) -> Result<(), Finding> {
        let document = self.document;
        let of = |key: &[u8]| object.dict.get_deref(key, document);
        match of(b"Subtype").and_then(Object::as_name).unwrap_or_default() {
            b"Form" => return self.draw_form(object, resources, scale),
            b"Image" => {
                let number = |key: &[u8]| of(key).and_then(Object::as_float).ok();
                let size = number(b"Width").zip(number(b"Height"));
                if let Some(finding) = size.and_then(|size| too_coarse(size, scale)) {
                    self.put(finding);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A content with a space and resources of its own; without any it has those around it (PDF
    /// 1.7, 7.8.3: the page's).
    fn draw_form(
        &mut self,
        form: &'a Stream,
        around: &[&'a Dictionary],
        scale: Scale,
    ) -> Result<(), Finding> {
        if self.inside.iter().any(|one| core::ptr::eq(*one, form)) {
            self.put(Finding::fatal(FindingCode::WrongType, "a form must not draw itself"));
            return Ok(());
        }
        if self.inside.len() == INSIDE_MAX {
            let message = format!("must have {INSIDE_MAX} forms inside each other at most");
            self.put(Finding::fatal(FindingCode::TooLarge, message));
            return Ok(());
        }
        let document = self.document;
        let own = form.dict.get_deref(b"Resources", document).and_then(Object::as_dict);
        let all_around = || match around.starts_with(&self.page) {
            true => around.to_vec(),
            false => [self.page.as_slice(), around].concat(),
        };
        let resources = own.map_or_else(|_none| all_around(), |own| vec![own]);
        self.look_at_fonts(&resources);
        let matrix = form.dict.get_deref(b"Matrix", document).and_then(Object::as_array).ok();
        let matrix = matrix.and_then(|matrix| numbers(document, matrix));
        let base = matrix.map_or(scale, |matrix| moved(scale, matrix));
        let content = self.unpacked(form)?;
        self.inside.push(form);
        self.draw(content, &resources, base)?;
        self.inside.pop();
        Ok(())
    }

    /// What a stream holds, out of the bytes that are left. Only the last filter may make more of
    /// its bytes and no predictor may make less of them again: what is paid for is what it costs.
    fn unpacked(&mut self, stream: &Stream) -> Result<Vec<u8>, Finding> {
        let left = self.bytes_left.checked_sub(stream.content.len()).ok_or_else(too_much)?;
        self.bytes_left = left;
        // The library takes a list that it cannot read for none.
        let filters = if stream.dict.has(b"Filter") { stream.filters() } else { Ok(Vec::new()) };
        let filters = filters.map_err(|_error| unreadable())?;
        let Some((_last, before)) = filters.split_last() else {
            return Ok(stream.content.clone());
        };
        if !before.iter().all(|filter| filter.starts_with(b"ASCII")) {
            return Err(unreadable());
        }
        let filters: Vec<Object> =
            filters.iter().map(|filter| Object::Name(filter.to_vec())).collect();
        let bare = Stream::new(dictionary! { "Filter" => filters }, stream.content.clone());
        let content = bare.decompressed_content_with_limit(left).map_err(|error| {
            let too_large =
                matches!(error, Error::Decompress(DecompressError::MemoryLimitExceeded { .. }));
            if too_large { too_much() } else { unreadable() }
        })?;
        self.bytes_left = left.saturating_sub(content.len());
        Ok(content)
    }

    fn look_at_fonts(&mut self, resources: &[&'a Dictionary]) {
        let document = self.document;
        let mut names = HashSet::new();
        for one in resources {
            let fonts = one.get_deref(b"Font", document).and_then(Object::as_dict);
            let fonts = fonts.ok().filter(|fonts| self.fonts.insert(core::ptr::from_ref(*fonts)));
            for (name, font) in fonts.into_iter().flatten() {
                let font = document.dereference(font).and_then(|(_, font)| font.as_dict());
                if let Ok(font) = font
                    && names.insert(name)
                    && !is_embedded(document, font)
                {
                    self.put(not_embedded(font));
                }
            }
        }
    }

    /// Each reason once.
    fn put(&mut self, finding: Finding) {
        if self.found.len() < FOUND_MAX && !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }
}

fn unreadable() -> Finding {
    Finding::fatal(FindingCode::WrongType, "its content cannot be read to the end")
}

fn too_much() -> Finding {
    let message = format!(
        "must draw {STEPS_MAX} steps, {UNPACKED_MAX} bytes and {SAVED_MAX} saved states at most"
    );
    Finding::fatal(FindingCode::TooLarge, message)
}

fn not_embedded(font: &Dictionary) -> Finding {
    let name = font.get(b"BaseFont").and_then(Object::as_name).unwrap_or_default();
    let name = String::from_utf8_lossy(name);
    let message = format!("font {name} must be inside, or its text turned into curves");
    Finding::fatal(FindingCode::FontNotEmbedded, message)
}

fn is_embedded(document: &Document, font: &Dictionary) -> bool {
    match font.get(b"Subtype").and_then(Object::as_name).unwrap_or_default() {
        b"Type3" => true,
        b"Type0" => {
            let list = font.get_deref(b"DescendantFonts", document).and_then(Object::as_array);
            let [one] = list.map(Vec::as_slice).unwrap_or_default() else { return false };
            let font = document.dereference(one).and_then(|(_, one)| one.as_dict());
            font.is_ok_and(|font| has_file(document, font))
        }
        _ => has_file(document, font),
    }
}

fn has_file(document: &Document, font: &Dictionary) -> bool {
    let descriptor = font.get_deref(b"FontDescriptor", document).and_then(Object::as_dict);
    let files: [&[u8]; 3] = [b"FontFile", b"FontFile2", b"FontFile3"];
    descriptor.is_ok_and(|one| files.iter().any(|file| one.has(file)))
}

#[expect(clippy::float_arithmetic, reason = "lengths on paper, no money")]
fn moved([a, b, c, d]: Scale, [e, f, g, h, ..]: [f32; 6]) -> Scale {
    [e * a + f * c, e * b + f * d, g * a + h * c, g * b + h * d]
}

#[expect(clippy::float_arithmetic, reason = "lengths on paper, no money")]
fn too_coarse((width, height): (f32, f32), [a, b, c, d]: Scale) -> Option<Finding> {
    let dpi = |pixels: f32, x: f32, y: f32| pixels * POINTS_AN_INCH / (x * x + y * y).sqrt();
    let least = dpi(width, a, b).min(dpi(height, c, d));
    if least >= DPI_MIN - 0.5 {
        return None;
    }
    let message = format!("an image must have {DPI_MIN} dots an inch at least, has {least:.0}");
    Some(Finding::fatal(FindingCode::LowResolution, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A form with one font, `Inside` or `Missing`; without any it has no resources.
    #[derive(Clone, Copy)]
    struct Form<'a> {
        matrix: [f32; 6],
        font: &'a str,
        content: &'a str,
    }

    /// Draws the image, 300 dots wide and high, as large as its space.
    const PLAIN: Form<'static> =
        Form { matrix: [1.0, 0.0, 0.0, 1.0, 0.0, 0.0], font: "Inside", content: "/Im Do" };
    /// The image is an inch wide.
    const AN_INCH: &str = "72 0 0 72 0 0 cm ";

    /// A document with a page, and all that it may draw: `Im`, and the forms `F0`, `F1` and so on,
    /// as patterns too, and `F0` as a mask.
    fn document(page: &str, forms: &[Form<'_>]) -> (Document, ObjectId) {
        let mut document = Document::with_version("1.7");
        let file = document.add_object(Stream::new(dictionary! {}, vec![0; 8]));
        let fonts = dictionary! {
            "Inside" => dictionary! { "Subtype" => "TrueType", "BaseFont" => "Card",
                "FontDescriptor" => dictionary! { "FontFile2" => file } },
            "Missing" => dictionary! { "Subtype" => "Type1", "BaseFont" => "Helvetica" },
        };
        let image = dictionary! { "Subtype" => "Image", "Width" => 300, "Height" => 300 };
        let image = document.add_object(Stream::new(image, vec![0; 4]));
        let mut objects = dictionary! { "Im" => image };
        let ids: Vec<ObjectId> = forms.iter().map(|_form| document.new_object_id()).collect();
        for (place, id) in ids.iter().enumerate() {
            objects.set(format!("F{place}"), *id);
        }
        let objects = document.add_object(objects);
        let mask = dictionary! { "S" => "Luminosity", "G" => ids.first().copied().unwrap_or(file) };
        let states = dictionary! { "Masked" => dictionary! { "SMask" => mask } };
        let states = document.add_object(states);
        let resources =
            dictionary! { "XObject" => objects, "Pattern" => objects, "ExtGState" => states };
        for (form, id) in forms.iter().zip(&ids) {
            let matrix = form.matrix.map(Object::from).to_vec();
            let mut own = dictionary! { "Subtype" => "Form", "Matrix" => matrix };
            if let Ok(font) = fonts.get(form.font.as_bytes()) {
                let mut resources = resources.clone();
                resources.set("Font", dictionary! { "T" => font.clone() });
                own.set("Resources", resources);
            }
            let mut stream = Stream::new(own, form.content.as_bytes().to_vec());
            stream.compress().unwrap();
            document.objects.insert(*id, stream.into());
        }
        let content = document.add_object(Stream::new(dictionary! {}, page.as_bytes().to_vec()));
        let page = dictionary! { "Type" => "Page", "Contents" => content,
        "Resources" => resources };
        let page = document.add_object(page);
        (document, page)
    }

    fn codes(page: &str, forms: &[Form<'_>]) -> Vec<FindingCode> {
        let (document, page) = document(page, forms);
        check(&document, page).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn what_a_form_draws_is_checked_where_it_comes_to_lie() {
        let good = Form { content: "q 72 0 0 72 0 0 cm /Im Do Q", ..PLAIN };
        let coarse = Form { content: "73 0 0 72 0 0 cm /Im Do", ..PLAIN };
        let packed = format!("{}{}", coarse.content, " ".repeat(500));
        let packed = Form { content: &packed, ..PLAIN };
        let half = Form { matrix: [0.5, 0.0, 0.0, 0.5, 9.0, 9.0], ..PLAIN };
        let outer = Form { content: "36 0 0 36 0 0 cm /F1 Do", ..PLAIN };
        let twice = Form { matrix: [2.0, 0.0, 0.0, 2.0, 0.0, 0.0], ..outer };
        let thrice = Form { matrix: [3.0, 0.0, 0.0, 3.0, 0.0, 0.0], ..outer };
        let bare = Form { font: "", ..coarse };
        let untidy = Form { content: "9 0 0 9 0 0 cm q Q Q", ..PLAIN };
        let inch = format!("{AN_INCH}/F0 Do");
        let after = format!("/F0 Do {AN_INCH}/Im Do");
        let none: &[FindingCode] = &[];
        let low: &[FindingCode] = &[FindingCode::LowResolution];
        for (page, forms, expected) in [
            (inch.as_str(), [PLAIN, PLAIN], none),
            ("144 0 0 144 0 0 cm /F0 Do", [half, PLAIN], none),
            ("145 0 0 144 0 0 cm /F0 Do", [half, PLAIN], low),
            ("/F0 Do", [good, PLAIN], none),
            ("2 0 0 2 0 0 cm /F0 Do", [good, PLAIN], low),
            ("9 9 9 2 0 0 2 0 0 cm /F0 Do", [good, PLAIN], low),
            ("/F0 Do", [coarse, PLAIN], low),
            ("/F0 Do /F0 Do", [packed, PLAIN], low),
            ("/F0 Do", [bare, PLAIN], low),
            ("/F0 Do", [twice, PLAIN], none),
            ("/F0 Do", [thrice, PLAIN], low),
            ("/F0 Do", [twice, Form { font: "", ..half }], none),
            ("/F0 Do", [twice, coarse], low),
            (after.as_str(), [untidy, PLAIN], none),
            ("9 0 0 9 0 0 cm /Pattern cs /F0 scn", [good, PLAIN], none),
            ("/Pattern cs /F0 scn", [coarse, PLAIN], low),
            ("/Masked gs", [coarse, PLAIN], low),
            ("/Nothing Do /Nothing gs /F0 Tj", [coarse, PLAIN], none),
        ] {
            assert_eq!(codes(page, &forms), expected, "{page}: {}", forms[0].content);
        }
    }

    #[test]
    fn a_font_that_is_not_inside_is_found_in_whatever_form_it_hides() {
        let missing = Form { font: "Missing", content: "BT /T 9 Tf (Ada) Tj ET", ..PLAIN };
        let nested = Form { content: "q /F1 Do Q /F1 Do", ..PLAIN };
        for (page, forms) in [
            ("/F0 Do", vec![missing]),
            ("/F0 Do", vec![nested, missing]),
            ("/F0 SCN", vec![missing]),
            ("/Masked gs", vec![nested, missing]),
        ] {
            assert_eq!(codes(page, &forms), [FindingCode::FontNotEmbedded], "{page}");
        }
        assert_eq!(codes("/F1 Do", &[missing, Form { font: "Inside", ..missing }]), []);
    }

    #[test]
    fn a_form_that_draws_itself_is_not_followed_for_ever() {
        let (first, second) =
            (Form { content: "/F0 Do", ..PLAIN }, Form { content: "/F1 Do", ..PLAIN });
        for forms in [[first, first], [second, first]] {
            let (document, page) = document("/F0 Do", &forms);
            let found = check(&document, page);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].message, "a form must not draw itself");
            assert!(found[0].fatal);
        }
    }

    #[test]
    fn forms_are_followed_as_deep_and_as_long_as_the_bounds() {
        let look = |deep: usize, times: usize, left: Option<(usize, usize)>| {
            let next = |place: usize| format!("/F{place} Do ").repeat(times);
            let last = "73 0 0 72 0 0 cm /Im Do".to_owned();
            let contents: Vec<String> = (1..deep).map(next).chain([last]).collect();
            let of = |content| Form { content, ..PLAIN };
            let forms: Vec<Form<'_>> = contents.iter().map(String::as_str).map(of).collect();
            let (document, page) = document("/F0 Do", &forms);
            let mut drawing = Drawing::of(&document, page).unwrap();
            if let Some(left) = left {
                (drawing.steps_left, drawing.bytes_left) = left;
            }
            drawing.look_at(page).iter().map(|finding| finding.code).collect::<Vec<_>>()
        };
        let (low, large) = (FindingCode::LowResolution, FindingCode::TooLarge);
        assert_eq!(look(INSIDE_MAX, 1, None), [low]);
        assert_eq!(look(INSIDE_MAX + 1, 1, None), [large]);
        assert_eq!(look(INSIDE_MAX, 10, Some((1_000, UNPACKED_MAX))), [low, large]);
        assert_eq!(look(INSIDE_MAX, 10, Some((STEPS_MAX, 100))), [large]);
        let saving = "q ".repeat(SAVED_MAX + 1);
        assert_eq!(codes("/F0 Do", &[Form { content: &saving, ..PLAIN }]), [large]);
    }

    #[test]
    fn what_cannot_be_read_to_the_end_hides_nothing() {
        for content in ["1 0 0 ) /Im Do", "(Ada Tj /Im Do", "BI /W 1", "EndOfContent ) /Im Do"] {
            let forms = [Form { content, ..PLAIN }];
            assert_eq!(codes("/F0 Do", &forms), [FindingCode::WrongType], "{content}");
            assert_eq!(codes(content, &[]), [FindingCode::WrongType], "{content}");
        }
        let (document, page) = document("", &[]);
        let mut drawing = Drawing::of(&document, page).unwrap();
        let list =
            |names: &[&str]| names.iter().map(|name| Object::from(*name)).collect::<Vec<_>>();
        for (filter, expected) in [
            (Object::Array(list(&[])), Some("6f>")),
            (Object::Array(list(&["ASCIIHexDecode"])), Some("o")),
            (Object::Array(list(&["RunLengthDecode", "ASCIIHexDecode"])), None),
            (Object::from("DCTDecode"), None),
            (Object::Reference((99, 0)), None),
        ] {
            let stream = Stream::new(dictionary! { "Filter" => filter }, b"6f>".to_vec());
            let expected = expected.map(str::as_bytes).map(<[u8]>::to_vec).ok_or_else(unreadable);
            assert_eq!(drawing.unpacked(&stream), expected);
        }
    }
}
