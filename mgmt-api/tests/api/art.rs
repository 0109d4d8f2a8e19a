//! Art of programs over the API and on the command line.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::json;

use crate::world::{Got, World, on_each, send};

fn icon(edge: u32, alpha: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, edge, edge);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    let pixels = [255, 255, 255, alpha].repeat((edge * edge) as usize);
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
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
