//! Clients that hold on to things (uploads that do not end, connections that say nothing) and
//! those that send more than is wanted.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::database;
use crate::world::{World, until};

const SLOW_UPLOADS: usize = 1_000;
const IDLE_CONNECTIONS: usize = 10_000;
/// What the server may grow by, MiB: four uploads of 32 MiB, buffers of what it has accepted.
const GROWTH_MAX: u64 = 512;

pub(crate) fn connector(world: &World) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(world.path("pki/ca.pem")).unwrap()).unwrap();
    let certificate = CertificateDer::from_pem_file(world.path("pki/partner.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(world.path("pki/partner.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)
        .unwrap();
    TlsConnector::from(Arc::new(config))
}

/// An upload whose first 256 KiB came and whose rest does not.
async fn begin_upload(
    connector: TlsConnector,
    address: String,
    path: String,
) -> Option<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.ok()?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.ok()?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\
         Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n\
         Content-Disposition: form-data; name=\"imageFace\"; filename=\"a.jpg\"\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    // Nobody reads it all: whoever holds it back makes this wait.
    let part = stream.write_all(&[0xff; 256 * 1024]);
    tokio::time::timeout(Duration::from_secs(2), part).await.ok();
    Some(stream)
}

fn address(url: &str) -> String {
    url.split("//").nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_uploads_and_idle_connections_take_bounded_memory() {
    let files = getrlimit(Resource::Nofile);
    let allowed = files.maximum.is_none_or(|most| most > 12_000);
    assert!(allowed, "{files:?}: so many connections need more open files");
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).unwrap();
    let mut world = World::new(database::each().await.remove(0)).await;
    let customer = world.customer().await;
    world.stop_server().await;
    world.start_process().await;
    let before = world.resident_mib();
    let path = format!("/secure/customers/{customer}/register");
    let (connector, secure) = (connector(&world), address(&world.secure_url("")));
    let mut uploads = JoinSet::new();
    for _upload in 0..SLOW_UPLOADS {
        uploads.spawn(begin_upload(connector.clone(), secure.clone(), path.clone()));
    }
    let held: Vec<_> = uploads.join_all().await;
    assert!(held.iter().filter(|upload| upload.is_some()).count() > SLOW_UPLOADS / 2);
    let during_uploads = world.resident_mib();
    // Others are served meanwhile: these wait for their turn without a thread or a body in memory.
    let balances = format!("/secure/customers/{customer}/balances");
    until(async || world.get(&balances).await.status == 200).await;
    drop(held);

    let mut idle = Vec::with_capacity(IDLE_CONNECTIONS);
    for number in 0..IDLE_CONNECTIONS {
        let url = if number % 2 == 0 { world.secure_url("") } else { world.public_url("") };
        idle.push(TcpStream::connect(address(&url)).await.expect("each is let in, or closed"));
    }
    let during_idle = world.resident_mib();
    drop(idle);
    until(async || world.get_public("/readyz").await.status == 200).await;
    let most = during_uploads.max(during_idle);
    assert!(most < before + GROWTH_MAX, "{before} MiB, then {during_uploads} and {during_idle}");
    world.stop_server().await;
}

/// Sends a JSON body of `length` bytes to its end, or as far as it goes, and reads only then.
/// What could not be sent, and the answer.
async fn send_then_read(
    connector: TlsConnector,
    address: &str,
    path: &str,
    length: usize,
) -> (usize, String) {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\
         Content-Type: application/json\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let part = vec![b' '; 16 * 1024];
    let mut left = length;
    while left > 0 {
        let part = &part[..left.min(part.len())];
        if stream.write_all(part).await.is_err() || stream.flush().await.is_err() {
            break;
        }
        left -= part.len();
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    (left, String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_much_still_hears_why() {
    let mut world = World::new(database::each().await.remove(0)).await;
    let customer = world.customer().await;
    let (connector, secure) = (connector(&world), address(&world.secure_url("")));
    let at = format!("/secure/customers/{customer}");
    for (path, says) in [
        (format!("{at}/balances"), "413 Payload Too Large"),
        (format!("{at}/cards/physical"), "ENCRYPTION_REQUIRED"),
        ("/nowhere".to_owned(), "ROUTE_NOT_FOUND"),
    ] {
        for length in [200_000, 2_000_000, 4_000_000] {
            let (left, answer) = send_then_read(connector.clone(), &secure, &path, length).await;
            assert!(left == 0 && answer.contains(says), "{path} {length}: {left} left, {answer}");
        }
    }
    // Not for ever: what goes far beyond any bound is cut off.
    let limit = Duration::from_secs(20);
    let endless = send_then_read(connector, &secure, "/nowhere", usize::MAX / 2);
    let (left, _answer) = tokio::time::timeout(limit, endless).await.unwrap();
    assert!(left > 0);
    world.stop_server().await;
}
