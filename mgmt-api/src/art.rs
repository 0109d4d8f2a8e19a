//! Art of cards and wallets, checked before anybody prints or digitises it. Source: requirements
//! #180-#184.
//!
//! Invariants: every reason names what is wrong and what it must be; a file is looked at within
//! bounds, whatever it claims; nothing in it is executed or fetched.

mod picture;
mod print;
mod vector;

use core::fmt;
use core::str::FromStr;

use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

/// Bytes of a file at most.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The card in a wallet, 1536 x 969.
    MdesCard,
    /// The same as vectors, for checking.
    MdesCardVector,
    /// The issuer's logo in a wallet, 1372 x 293, on white.
    MdesLogo,
    /// The issuer's icon in a wallet, 100 x 100, on white.
    MdesIcon,
    /// The logo on the page of a 3-D Secure challenge, 129 x 60.
    ThreeDsLogo,
    /// How plastic looks, for a screen.
    PhysicalPreview,
    /// Plastic, for the press: 242 x 153 points with 5 mm bleed.
    PhysicalPrint,
    /// A logo on plastic, as vectors.
    PhysicalLogo,
}

/// What is wrong with a file, or worth a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// What.
    pub code: FindingCode,
    /// What it must be, and what it is.
    pub message: String,
    /// The file cannot be used like this.
    pub fatal: bool,
}

/// What can be wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FindingCode {
    /// Too many bytes, or too much to draw.
    TooLarge,
    /// Not a file of this kind, or damaged.
    WrongType,
    /// Not as many pixels as it must have.
    WrongSize,
    /// See-through corners: wallets round them themselves.
    RoundedCorners,
    /// Something stands where wallets show the number.
    NumberAreaBusy,
    /// The background is not white.
    NotOnWhite,
    /// A raster image inside a vector file.
    EmbeddedRaster,
    /// Something from another place.
    ExternalReference,
    /// A script.
    Script,
    /// Text that depends on a font which is not there.
    FontNotEmbedded,
    /// Another page size.
    WrongPageSize,
    /// No bleed around the card.
    NoBleed,
    /// An image of too few dots an inch.
    LowResolution,
    /// Not one page.
    WrongPageCount,
}

impl FindingCode {
    /// Its name in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "TOO_LARGE",
            Self::WrongType => "WRONG_TYPE",
            Self::WrongSize => "WRONG_SIZE",
            Self::RoundedCorners => "ROUNDED_CORNERS",
            Self::NumberAreaBusy => "NUMBER_AREA_BUSY",
            Self::NotOnWhite => "NOT_ON_WHITE",
            Self::EmbeddedRaster => "EMBEDDED_RASTER",
            Self::ExternalReference => "EXTERNAL_REFERENCE",
            Self::Script => "SCRIPT",
            Self::FontNotEmbedded => "FONT_NOT_EMBEDDED",
            Self::WrongPageSize => "WRONG_PAGE_SIZE",
            Self::NoBleed => "NO_BLEED",
            Self::LowResolution => "LOW_RESOLUTION",
            Self::WrongPageCount => "WRONG_PAGE_COUNT",
        }
    }
}

/// Not the name of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("kinds are {}", Kind::NAMES.map(|(_, name)| name).join(", "))]
pub struct UnknownKind;

impl Kind {
    const NAMES: [(Self, &'static str); 8] = [
        (Self::MdesCard, "mdes-card"),
        (Self::MdesCardVector, "mdes-card-vector"),
        (Self::MdesLogo, "mdes-logo"),
        (Self::MdesIcon, "mdes-icon"),
        (Self::ThreeDsLogo, "3ds-logo"),
        (Self::PhysicalPreview, "physical-preview"),
        (Self::PhysicalPrint, "physical-print"),
        (Self::PhysicalLogo, "physical-logo"),
    ];

    /// The media type of its files.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::MdesCard
            | Self::MdesLogo
            | Self::MdesIcon
            | Self::ThreeDsLogo
            | Self::PhysicalPreview => "image/png",
            Self::MdesCardVector | Self::PhysicalLogo => "image/svg+xml",
            Self::PhysicalPrint => "application/pdf",
        }
    }

    /// What no program can see: somebody has to look. Source: requirements #180, #184.
    #[must_use]
    pub const fn to_look_at(self) -> &'static [&'static str] {
        match self {
            Self::PhysicalPrint | Self::PhysicalPreview => &[
                "the issuer's logo is on the card",
                "\"authorised signature\" stands at the signature panel",
                "the legal texts of the issuer are there",
                "customer service has a telephone number or an address",
            ],
            Self::MdesCard | Self::MdesCardVector => {
                &["bottom left is clear: wallets show the last digits there"]
            }
            Self::MdesLogo | Self::MdesIcon | Self::ThreeDsLogo | Self::PhysicalLogo => &[],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::NAMES.iter().find(|(kind, _)| kind == self);
        f.write_str(known.map_or("", |(_, name)| name))
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let known = Self::NAMES.iter().find(|(_, name)| *name == text);
        known.map(|(kind, _)| *kind).ok_or(UnknownKind)
    }
}

impl Finding {
    fn fatal(code: FindingCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fatal: true }
    }

    fn warning(code: FindingCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fatal: false }
    }
}

/// Checks a file; nothing found is good.
#[must_use]
pub fn check(kind: Kind, content: &[u8]) -> Vec<Finding> {
    if content.len() > BYTES_MAX {
        let message = format!("must be {BYTES_MAX} bytes at most, is {}", content.len());
        return vec![Finding::fatal(FindingCode::TooLarge, message)];
    }
    match kind {
        Kind::MdesCard => picture::card(content),
        Kind::MdesLogo => picture::on_white(content, (1372, 293)),
        Kind::MdesIcon => picture::on_white(content, (100, 100)),
        Kind::ThreeDsLogo => picture::of_size(content, (129, 60)),
        Kind::PhysicalPreview => picture::preview(content),
        Kind::MdesCardVector | Kind::PhysicalLogo => vector::check(content),
        Kind::PhysicalPrint => print::check(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        for (kind, name) in Kind::NAMES {
            assert_eq!(name.parse(), Ok(kind));
            assert_eq!(kind.to_string(), name);
        }
        assert_eq!("logo".parse::<Kind>(), Err(UnknownKind));
        assert!(UnknownKind.to_string().contains("mdes-card, "));
    }

    #[test]
    fn nothing_is_looked_at_beyond_its_bound() {
        let found = check(Kind::MdesCard, &vec![0; BYTES_MAX + 1]);
        assert_eq!(found[0].code, FindingCode::TooLarge);
        for (kind, _) in Kind::NAMES {
            for content in [b"".as_slice(), b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"<svg", b"\xff\xd8"]
            {
                assert!(check(kind, content).iter().any(|finding| finding.fatal), "{kind}");
            }
        }
    }
}
