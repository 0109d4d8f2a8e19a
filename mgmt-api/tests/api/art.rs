//! Art of programs over the API and on the command line.

use axum::http::StatusCode;
use lopdf::{Document, Object, Stream, dictionary};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Got, World, on_each, send};

fn picture((width, height): (u32, u32), pixel: impl Fn(u32, u32) -> [u8; 4]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let pixels: Vec<u8> = places.flat_map(|(x, y)| pixel(x, y)).collect();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    out
}

fn icon(edge: u32, alpha: u8) -> Vec<u8> {
    picture((edge, edge), |_, _| [255, 255, 255, alpha])
}

/// A page of a card's size with its bleed, for the press.
fn page() -> Vec<u8> {
    let mut document = Document::with_version("1.7");
    let tree = document.new_object_id();
    let content = document.add_object(Stream::new(dictionary! {}, b"q\nQ\n".to_vec()));
    let page = dictionary! { "Type" => "Page", "Parent" => tree, "Contents" => content };
    let page = document.add_object(page);
    let media = [0_i64, 0, 270, 181].map(Object::from).to_vec();
    let pages = dictionary! { "Type" => "Pages", "Kids" => vec![Object::from(page)],
    "Count" => 1_i64, "MediaBox" => media };
    document.objects.insert(tree, pages.into());
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => tree });
    document.trailer.set("Root", catalog);
    let mut out = Vec::new();
    document.save_to(&mut out).unwrap();
    out
}

async fn put(world: &World, path: &str, media_type: &str, content: Vec<u8>) -> Got {
    let request = world.nobody.put(world.public_url(path)).bearer_auth(&world.admin_token);
    send(request.header("Content-Type", media_type).body(content)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn art_is_checked_before_it_is_kept() {
    on_each(async |world| {
        let path = "/admin/programs/0019167984/art/mdes-icon";
        let look = async || world.admin(Method::GET, path, None).await;
        look().await.expect_error(404, "ART_NOT_FOUND");
        let got = put(world, path, "image/png", icon(99, 0)).await;
        got.expect_error(422, "INVALID_ART");
        let fields: Vec<_> = got.json()["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| fault["field"].clone())
            .collect();
        assert_eq!(fields, [json!("WRONG_SIZE"), json!("NOT_ON_WHITE")]);
        look().await.expect_error(404, "ART_NOT_FOUND");
        let good = icon(100, 255);
        put(world, path, "image/png", good.clone()).await.expect(StatusCode::OK);
        let kept = look().await;
        assert_eq!(
            (kept.bytes, &kept.headers["content-type"]),
            (good, &"image/png".parse().unwrap())
        );
        let got = put(world, path, "image/svg+xml", b"<svg/>".to_vec()).await;
        got.expect_error(415, "UNSUPPORTED_MEDIA_TYPE");
        let large = vec![0; mgmt_api::art::BYTES_MAX + 2];
        put(world, path, "image/png", large).await.expect_error(413, "BODY_TOO_LARGE");
        let nobodys = "/admin/programs/0019167999/art/mdes-icon";
        let got = put(world, nobodys, "image/png", icon(100, 255)).await;
        got.expect_error(404, "PROGRAM_NOT_FOUND");
        let nothing = "/admin/programs/0019167984/art/icon";
        put(world, nothing, "image/png", icon(100, 255)).await.expect_error(404, "ART_NOT_FOUND");
    })
    .await;
}

/// Requirement #184: what no program can see is named for people to look at, and stops nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_have_to_look_at_comes_along_with_what_was_taken() {
    const ON_PLASTIC: &[&str] =
        &["issuer's logo", "authorised signature", "legal texts", "customer service"];
    const IN_A_WALLET: &[&str] = &["bottom left is clear"];
    const NOTHING: &[&str] = &[];
    on_each(async |world| {
        let blue = |_: u32, _: u32| [10, 20, 200, 255];
        let busy =
            |x: u32, y: u32| if y > 850 && x.is_multiple_of(3) { [255; 4] } else { blue(x, y) };
        let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L9 9"/></svg>"#.to_vec();
        let (png, vector, card) = ("image/png", "image/svg+xml", (1_536, 969));
        for (kind, media_type, content, remarks, warnings) in [
            ("mdes-card", png, picture(card, blue), IN_A_WALLET, 0),
            ("mdes-card", png, picture(card, busy), IN_A_WALLET, 1),
            ("mdes-card-vector", vector, svg.clone(), IN_A_WALLET, 0),
            ("mdes-icon", png, icon(100, 255), NOTHING, 0),
            ("3ds-logo", png, picture((129, 60), blue), NOTHING, 0),
            ("physical-logo", vector, svg, NOTHING, 0),
            ("physical-preview", png, picture((856, 540), blue), ON_PLASTIC, 0),
            ("physical-print", "application/pdf", page(), ON_PLASTIC, 0),
        ] {
            let path = format!("/admin/programs/0019167984/art/{kind}");
            let taken = put(world, &path, media_type, content.clone()).await;
            let taken = taken.expect(StatusCode::OK);
            let told = taken["toLookAt"].as_array().unwrap();
            let is_about = |(told, what): (&Value, &&str)| told.as_str().unwrap().contains(*what);
            assert!(
                told.len() == remarks.len() && told.iter().zip(remarks).all(is_about),
                "{taken}"
            );
            let found = taken["warnings"].as_array().unwrap();
            assert_eq!(found.len(), warnings, "{kind}: {taken}");
            for one in found {
                let said = (&one["code"], &one["fatal"]);
                assert_eq!(said, (&json!("NUMBER_AREA_BUSY"), &json!(false)));
            }
            let kept = world.admin(Method::GET, &path, None).await;
            assert!(kept.bytes == content, "{kind} is kept as it was put");
        }
    })
    .await;
}

#[tokio::test]
async fn the_command_line_says_every_reason() {
    let folder = tempfile::tempdir().unwrap();
    let check_as = async |kind: &str, content: Vec<u8>| {
        let file = folder.path().join("icon.png");
        std::fs::write(&file, content).unwrap();
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mgmt-api"));
        command.args(["art", "check", "--kind", kind]).arg(&file);
        let output = command.output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let check = async |content| check_as("mdes-icon", content).await;
    let (code, said) = check(icon(99, 0)).await;
    assert_eq!(code, Some(1));
    assert!(
        said.contains("must be 100 x 100 pixels, is 99 x 99") && said.contains("white"),
        "{said}"
    );
    assert_eq!(check(icon(100, 255)).await.0, Some(0));
    let (code, said) = check_as("physical-preview", icon(100, 255)).await;
    assert_eq!(code, Some(1), "an icon is no picture of a card");
    for what in ["logo", "authorised signature", "legal texts", "customer service"] {
        assert!(
            said.lines().any(|line| line.starts_with("look at") && line.contains(what)),
            "{what}: {said}"
        );
    }
}
