//! PNG files: size, corners, background.
//!
//! Invariant: the header is looked at before any pixel is made room for.

use super::{Finding, FindingCode};

/// Pixels of a picture at most.
const PIXELS_MAX: u64 = 4_096 * 4_096;
/// The card in a wallet.
const CARD: (u32, u32) = (1536, 969);
/// An ID-1 card is as many times as wide as high, in thousandths, and how much it may be off.
const ASPECT: (u64, u64) = (1_586, 20);
/// Pixels of a preview's width at least.
const PREVIEW_WIDTH_MIN: u32 = 640;
/// Levels of a colour that count as the same.
const NEAR: u8 = 12;
/// Where wallets show the number: this part of the width from the left, of the height from below.
const NUMBER_AREA: (u32, u32) = (40, 15);
/// Of a hundred pixels there so many may differ from the area's first one.
const BUSY_PERCENT: usize = 5;

/// A decoded picture: four bytes a pixel.
struct Picture {
    width: u32,
    height: u32,
    rgba: Vec<u8>,
}

/// The card in a wallet.
pub(super) fn card(content: &[u8]) -> Vec<Finding> {
    with(content, |picture| {
        let mut found = picture.size(CARD);
        if picture.corners().iter().any(|[.., alpha]| *alpha < u8::MAX) {
            let message = "all four corners must be opaque: wallets round them themselves";
            found.push(Finding::fatal(FindingCode::RoundedCorners, message));
        }
        if picture.is_number_area_busy() {
            let message = "bottom left should be one colour: wallets show the last digits there";
            found.push(Finding::warning(FindingCode::NumberAreaBusy, message));
        }
        found
    })
}

/// A picture of a size on white.
pub(super) fn on_white(content: &[u8], size: (u32, u32)) -> Vec<Finding> {
    with(content, |picture| {
        let mut found = picture.size(size);
        let white = |[red, green, blue, alpha]: &[u8; 4]| {
            *alpha == u8::MAX && [red, green, blue].iter().all(|level| **level >= u8::MAX - NEAR)
        };
        if !picture.corners().iter().all(white) {
            let message = "must stand on opaque white";
            found.push(Finding::fatal(FindingCode::NotOnWhite, message));
        }
        found
    })
}

/// A picture of a size.
pub(super) fn of_size(content: &[u8], size: (u32, u32)) -> Vec<Finding> {
    with(content, |picture| picture.size(size))
}

/// How plastic looks: the shape of a card.
pub(super) fn preview(content: &[u8]) -> Vec<Finding> {
    with(content, |picture| {
        let (width, height) = (u64::from(picture.width), u64::from(picture.height));
        let aspect = (width * 1_000).checked_div(height).unwrap_or(0);
        if picture.width >= PREVIEW_WIDTH_MIN && aspect.abs_diff(ASPECT.0) <= ASPECT.1 {
            return Vec::new();
        }
        let message = format!(
            "must be {PREVIEW_WIDTH_MIN} pixels wide at least and have the shape of a card \
             (85.60 x 53.98), is {width} x {height}"
        );
        vec![Finding::fatal(FindingCode::WrongSize, message)]
    })
}

fn with(content: &[u8], check: impl FnOnce(&Picture) -> Vec<Finding>) -> Vec<Finding> {
    match Picture::decode(content) {
        Ok(picture) => check(&picture),
        Err(finding) => vec![finding],
    }
}

impl Picture {
    fn decode(content: &[u8]) -> Result<Self, Finding> {
        let no_png = |_error| Finding::fatal(FindingCode::WrongType, "must be a whole PNG file");
        let mut decoder = png::Decoder::new(std::io::Cursor::new(content));
        decoder.set_transformations(
            png::Transformations::normalize_to_color8() | png::Transformations::ALPHA,
        );
        let mut reader = decoder.read_info().map_err(no_png)?;
        let (width, height) = (reader.info().width, reader.info().height);
        if u64::from(width) * u64::from(height) > PIXELS_MAX {
            let message = format!("must be 4096 x 4096 pixels at most, is {width} x {height}");
            return Err(Finding::fatal(FindingCode::WrongSize, message));
        }
        let bytes = reader.output_buffer_size();
        let bytes = bytes.ok_or_else(|| {
            Finding::fatal(FindingCode::WrongSize, "has more pixels than can be looked at")
        })?;
        let mut buffer = vec![0; bytes];
        let frame = reader.next_frame(&mut buffer).map_err(no_png)?;
        let samples = buffer.get(..frame.buffer_size()).unwrap_or_default();
        Ok(Self { width, height, rgba: to_rgba(frame.color_type, samples) })
    }

    fn size(&self, (width, height): (u32, u32)) -> Vec<Finding> {
        if (self.width, self.height) == (width, height) {
            return Vec::new();
        }
        let message =
            format!("must be {width} x {height} pixels, is {} x {}", self.width, self.height);
        vec![Finding::fatal(FindingCode::WrongSize, message)]
    }

    fn pixel(&self, x: u32, y: u32) -> [u8; 4] {
        let place = (u64::from(y) * u64::from(self.width) + u64::from(x)) * 4;
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let bytes = place.checked_add(4).and_then(|end| self.rgba.get(place..end));
        bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
    }

    fn corners(&self) -> [[u8; 4]; 4] {
        let (right, below) = (self.width.saturating_sub(1), self.height.saturating_sub(1));
        [(0, 0), (right, 0), (0, below), (right, below)].map(|(x, y)| self.pixel(x, y))
    }

    fn is_number_area_busy(&self) -> bool {
        let right = self.width * NUMBER_AREA.0 / 100;
        let top = self.height - self.height * NUMBER_AREA.1 / 100;
        let first = self.pixel(0, top);
        let area = (top..self.height).flat_map(|y| (0..right).map(move |x| (x, y)));
        let (mut all, mut other) = (0_usize, 0_usize);
        for (x, y) in area {
            all += 1;
            let near =
                self.pixel(x, y).iter().zip(first).all(|(one, two)| one.abs_diff(two) <= NEAR);
            other += usize::from(!near);
        }
        other * 100 > all * BUSY_PERCENT
    }
}

/// Samples of any colour type as four bytes a pixel.
fn to_rgba(color: png::ColorType, samples: &[u8]) -> Vec<u8> {
    match color {
        png::ColorType::Rgba => samples.to_vec(),
        png::ColorType::GrayscaleAlpha => {
            let pixels = samples.chunks_exact(2);
            pixels
                .flat_map(|pixel| match *pixel {
                    [grey, alpha] => [grey, grey, grey, alpha],
                    _ => [0; 4],
                })
                .collect()
        }
        png::ColorType::Rgb => {
            let pixels = samples.chunks_exact(3);
            pixels
                .flat_map(|pixel| match *pixel {
                    [red, green, blue] => [red, green, blue, u8::MAX],
                    _ => [0; 4],
                })
                .collect()
        }
        png::ColorType::Grayscale | png::ColorType::Indexed => {
            samples.iter().flat_map(|grey| [*grey, *grey, *grey, u8::MAX]).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::art::{Kind, check};

    fn png_of(size: (u32, u32), pixel: impl Fn(u32, u32) -> [u8; 4]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, size.0, size.1);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().unwrap();
        let places = (0..size.1).flat_map(|y| (0..size.0).map(move |x| (x, y)));
        let data: Vec<u8> = places.flat_map(|(x, y)| pixel(x, y)).collect();
        writer.write_image_data(&data).unwrap();
        writer.finish().unwrap();
        out
    }

    fn codes(kind: Kind, content: &[u8]) -> Vec<FindingCode> {
        check(kind, content).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_card_is_whole_has_corners_and_room_for_the_number() {
        let blue = [10, 20, 200, 255];
        assert_eq!(codes(Kind::MdesCard, &png_of(CARD, |_, _| blue)), []);
        let small = png_of((1535, 969), |_, _| blue);
        assert_eq!(codes(Kind::MdesCard, &small), [FindingCode::WrongSize]);
        let round = png_of(CARD, |x, y| if x + y < 20 { [0; 4] } else { blue });
        assert_eq!(codes(Kind::MdesCard, &round), [FindingCode::RoundedCorners]);
        let busy = png_of(CARD, |x, y| if y > 850 && x % 3 == 0 { [255; 4] } else { blue });
        assert_eq!(codes(Kind::MdesCard, &busy), [FindingCode::NumberAreaBusy]);
        assert!(!check(Kind::MdesCard, &busy)[0].fatal, "a person decides");
    }

    #[test]
    fn logos_and_icons_stand_on_white() {
        let white = png_of((1372, 293), |_, _| [255; 4]);
        assert_eq!(codes(Kind::MdesLogo, &white), []);
        let clear = png_of((100, 100), |_, _| [255, 255, 255, 0]);
        assert_eq!(codes(Kind::MdesIcon, &clear), [FindingCode::NotOnWhite]);
        assert_eq!(codes(Kind::ThreeDsLogo, &png_of((129, 60), |_, _| [0; 4])), []);
        assert_eq!(codes(Kind::ThreeDsLogo, &white), [FindingCode::WrongSize]);
        assert_eq!(codes(Kind::PhysicalPreview, &png_of((856, 540), |_, _| [9; 4])), []);
        let square = png_of((856, 856), |_, _| [9; 4]);
        assert_eq!(codes(Kind::PhysicalPreview, &square), [FindingCode::WrongSize]);
    }

    #[test]
    fn a_file_that_is_cut_or_lies_about_its_size_is_refused() {
        let whole = png_of((129, 60), |_, _| [1, 2, 3, 255]);
        for end in 0..whole.len() - 12 {
            assert_eq!(codes(Kind::ThreeDsLogo, &whole[..end]), [FindingCode::WrongType], "{end}");
        }
        let mut huge = whole.clone();
        huge[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert!(check(Kind::ThreeDsLogo, &huge)[0].fatal);
    }
}
