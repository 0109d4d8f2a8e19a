//! Links behind TLS, in both directions: who gets in, who does not, and that every bound of a
//! connection holds.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::ClientConfig;

use super::{
    answer, check_refused, code, connecting, held, home, issue, listening, network, sign_on,
};
use crate::rig::{
    Authority, Client, Home, Identity, Processor, Running, WAIT, framed, pan, purchase,
};

/// A switch with one link that demands certificates, and the authority of both sides.
struct World {
    home: Home,
    running: Running,
    authority: Authority,
    /// A peer that is let in.
    sound: Arc<ClientConfig>,
}

impl World {
    /// `link` are lines of the link's section, `tls` of its TLS.
    fn new(link: &str, tls: &str) -> Self {
        let authority = Authority::new("authority");
        let home = home(&[]);
        let files = authority.server("switch.example").write(home.path("").as_path());
        let client_ca = authority.write(&home.path(""));
        let tls = format!("{link}\n[links.tls]\n{files}client_ca = {client_ca:?}\n{tls}");
        home.configure_links("", &listening("net", 1, &tls));
        let running = home.start();
        issue(&running);
        let sound = authority.client_config(Some(&authority.client("peer.example")));
        Self { home, running, authority, sound }
    }

    fn connect(&self) -> Client {
        Client::connect_tls(self.running.link, &self.sound).unwrap()
    }

    /// A peer is not let in: it is told at the handshake, or closed before its first answer.
    fn check_kept_out(&self, config: &Arc<ClientConfig>, who: &str) {
        if let Ok(mut client) = Client::connect_tls(self.running.link, config) {
            client.send(&purchase(&pan(1), 9, 100).frame());
            assert_eq!(client.receive_body(), None, "{who}");
        }
    }
}

#[test]
fn a_peer_with_a_certificate_of_the_authority_is_served_by_either_version_of_tls() {
    let world = World::new("", "");
    let identity = world.authority.client("old.example");
    let mut held_by = 0;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = world.authority.client_config_of(Some(&identity), &[version]);
        let mut client = Client::connect_tls(world.running.link, &config).unwrap();
        let count = 3_000;
        let first = held_by + 1;
        let load: Vec<u8> =
            (first..first + count).flat_map(|stan| purchase(&pan(1), stan, 1).frame()).collect();
        // More than one record, more than one read, and the end without a word behind it.
        assert!(client.send(&load));
        client.finish();
        for stan in first..first + count {
            let answer = client.receive().expect("an answer comes");
            let got = (answer.text(11), answer.text(39));
            assert_eq!(got, (&*format!("{stan:06}"), "00"), "{version:?}");
        }
        assert_eq!(client.receive_body(), None);
        held_by += count;
    }
    assert_eq!(held(&world.running), i64::from(held_by));
    assert_eq!(world.running.metric("switch_handshakes_failed_total"), 0.0);
    world.running.stop();
}

#[test]
fn a_peer_without_a_fitting_certificate_never_gets_to_its_first_message() {
    let world = World::new("", "peer_names = [\"peer.example\"]");
    let (own, foreign) = (&world.authority, Authority::new("foreign"));
    let shown = |identity: Identity| own.client_config(Some(&identity));
    world.check_kept_out(&own.client_config(None), "no certificate");
    world.check_kept_out(&shown(foreign.client("peer.example")), "of another authority");
    world.check_kept_out(&shown(own.server("peer.example")), "made for a server");
    world.check_kept_out(&shown(own.client("other.example")), "another name");
    world.check_kept_out(&foreign.client_config(None), "that does not trust us");
    let mut plain = Client::connect(world.running.link);
    plain.send(&purchase(&pan(1), 9, 100).frame());
    while plain.receive_body().is_some() {}
    world.running.wait_for_metric("switch_handshakes_failed_total", "net", 6);
    let mut client = world.connect();
    assert_eq!(code(&mut client, &purchase(&pan(1), 1, 1)), "00");
    assert_eq!(held(&world.running), 1, "nobody else was heard");
}

#[test]
fn a_peer_may_be_pinned_by_its_key() {
    let authority = Authority::new("peers");
    let pinned = authority.client("pinned.example");
    let world = World::new("", &format!("peer_names = [{:?}]", pinned.pin()));
    world.check_kept_out(&world.sound, "another key");
    // The same key, signed by the authority of the link.
    let signed = world.authority.sign_again(&pinned);
    let config = world.authority.client_config(Some(&signed));
    let mut client = Client::connect_tls(world.running.link, &config).unwrap();
    assert_eq!(code(&mut client, &purchase(&pan(1), 1, 1)), "00");
}

#[test]
fn handshakes_that_never_end_give_way_to_those_that_do() {
    // Longer than the test would wait.
    let world =
        World::new("connections_max = 5", "handshakes_max = 100\nhandshake_deadline_ms = 600000");
    let mut inside = world.connect();
    assert_eq!(code(&mut inside, &purchase(&pan(1), 1, 1)), "00");
    // More than there are places, and some that begin.
    let mut slow: Vec<TcpStream> = (0..12).map(|_| connected(&world.running)).collect();
    for stream in slow.iter_mut().take(6) {
        // It may be over already.
        stream.write_all(&[22, 3, 1, 2, 0, 1]).ok();
    }
    assert_eq!(code(&mut inside, &purchase(&pan(1), 2, 1)), "00", "nobody waits for them");
    let mut honest = world.connect();
    assert_eq!(code(&mut honest, &purchase(&pan(1), 3, 1)), "00");
    // Three places, of which the honest one took one.
    for stream in slow.iter_mut().take(10) {
        end_of(stream);
    }
    world.running.wait_for_metric("switch_handshakes_failed_total", "net", 10);
    world.running.wait_for_metric("switch_connections", "net", 2);
}

#[test]
fn a_handshake_has_a_deadline() {
    let world = World::new("", "handshake_deadline_ms = 200");
    let mut silent = connected(&world.running);
    let mut begun = connected(&world.running);
    begun.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    end_of(&mut silent);
    end_of(&mut begun);
    world.running.wait_for_metric("switch_handshakes_failed_total", "net", 2);
}

/// Until it is closed, or reset.
fn end_of(stream: &mut TcpStream) {
    if let Err(error) = stream.read_to_end(&mut Vec::new()) {
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "it was never closed");
    }
}

fn connected(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(running.link).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream
}

#[test]
fn the_bounds_of_a_connection_hold_behind_tls() {
    let limits = "frame_deadline_ms = 300\nwrite_deadline_ms = 300\nunreadable_frames_max = 3";
    let world = World::new(limits, "");
    let mut half = world.connect();
    let frame = purchase(&pan(1), 1, 1).frame();
    assert!(half.send(&frame[..20]));
    assert_eq!(half.receive_body(), None, "a frame that is not finished");
    let mut deaf = world.connect();
    let flood = purchase(&pan(1), 2, 1).frame().repeat(500);
    while deaf.send(&flood) {}
    let mut long = world.connect();
    long.send(&[0xff; 3_000]);
    assert_eq!(long.receive_body(), None, "a frame beyond the bound");
    let mut noise = world.connect();
    (0..4).for_each(|_| assert!(noise.send(&framed(b"no message"))));
    assert_eq!(noise.receive_body(), None, "nothing readable");
    world.running.wait_for_metric("switch_connections", "net", 0);
    let mut client = world.connect();
    assert_eq!(code(&mut client, &purchase(&pan(1), 3, 1)), "00");
    world.running.stop();
}

#[test]
fn a_stop_answers_and_closes_what_is_behind_tls() {
    let world = World::new("", "handshake_deadline_ms = 60000");
    let mut client = world.connect();
    let count = 2_000_u32;
    let load: Vec<u8> = (1..=count).flat_map(|stan| purchase(&pan(1), stan, 1).frame()).collect();
    // A handshake that does not end must not hold up the stop.
    let _slow = connected(&world.running);
    assert!(client.send(&load));
    let mut answered = u32::from(client.receive().is_some());
    world.running.ask_to_stop();
    answered += u32::try_from(std::iter::from_fn(|| client.receive_body()).count()).unwrap();
    let (status, log) = world.running.ended();
    assert!(status.success() && !log.contains("did not drain"), "{log}");
    let running = world.home.start();
    assert_eq!(held(&running), i64::from(answered));
}

#[test]
fn a_link_connects_through_tls_and_shows_its_certificate() {
    let authority = Authority::new("authority");
    let processor = Processor::listen();
    let home = home(&[]);
    let shown = authority.client("switch.example").write(&home.path(""));
    let server_ca = authority.write(&home.path(""));
    let tls = format!(
        "sign_on = \"required\"\n[links.tls]\n{shown}server_ca = {server_ca:?}\n\
         server_name = \"processor.example\""
    );
    home.configure_links("", &connecting("out", 4, processor.address(), &tls));
    let running = home.start();
    issue(&running);
    let config = authority.server_config(&authority.server("processor.example"));
    for stan in 1..=2 {
        let mut client = processor.accept_tls(&config).unwrap();
        let asked = sign_on(&mut client);
        assert!(client.send(&answer(&asked, "00").frame()));
        assert_eq!(code(&mut client, &purchase(&pan(1), stan, 10)), "00");
        assert_eq!(code(&mut client, &network("301")), "00");
        client.reset();
    }
    assert_eq!(held(&running), 20);
    running.stop();
}

#[test]
fn a_link_says_nothing_to_a_peer_that_is_not_the_processor() {
    let (authority, foreign) = (Authority::new("authority"), Authority::new("foreign"));
    let other = authority.server("other.example");
    let sound = authority.server("processor.example");
    for (shown, demanded, pinned, who) in [
        (&foreign.server("processor.example"), &authority, "[]".to_owned(), "another authority"),
        (&other, &authority, "[]".to_owned(), "another name"),
        (&authority.client("processor.example"), &authority, "[]".to_owned(), "no server"),
        (&sound, &authority, format!("[{:?}]", other.pin()), "another key"),
        (&sound, &foreign, "[]".to_owned(), "one that does not trust us"),
    ] {
        let processor = Processor::listen();
        let home = home(&[]);
        let own = authority.client("switch.example").write(&home.path(""));
        let server_ca = authority.write(&home.path(""));
        let tls = format!(
            "sign_on = \"required\"\n[links.tls]\n{own}server_ca = {server_ca:?}\n\
             server_name = \"processor.example\"\npeer_names = {pinned}"
        );
        home.configure_links("", &connecting("out", 4, processor.address(), &tls));
        let running = home.start();
        let config = demanded.server_config(shown);
        for _ in 0..2 {
            // It is we who may think that the handshake has succeeded.
            if let Ok(mut client) = processor.accept_tls(&config) {
                assert_eq!(client.receive_body(), None, "{who}");
            }
        }
        running.wait_for_metric("switch_signed_on", "out", 0);
        drop(processor);
        running.stop();
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_link() {
    let authority = Authority::new("authority");
    let home = home(&[]);
    let folder = home.path("");
    let own = authority.server("switch.example").write(&folder);
    let ca = authority.write(&folder);
    let other = authority.server("other.example").write(&folder);
    let mixed =
        format!("{}{}", own.lines().next().unwrap(), "\n") + other.lines().nth(1).unwrap() + "\n";
    std::fs::write(home.path("empty.pem"), "").unwrap();
    std::fs::write(home.path("open.key"), "").unwrap();
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let listens = |tls: &str| listening("net", 1, &format!("[links.tls]\n{tls}"));
    let connects = |tls: &str| connecting("out", 1, peer, &format!("[links.tls]\n{tls}"));
    let with = |more: &str| format!("{own}{more}");
    let ca = format!("client_ca = {ca:?}");
    for (links, named) in [
        (listens(""), &["net", "tls", "certificate"][..]),
        (listens("certificate = \"nowhere.pem\""), &["net", "tls", "key"]),
        (listens(&own.replace(".crt", ".none")), &["net", "tls", "switch.example.none"]),
        (listens(&own.replace("switch.example.crt", "empty.pem")), &["net", "empty.pem"]),
        (
            listens(&own.replace("switch.example.key", "open.key")),
            &["net", "open.key", "chmod 600"],
        ),
        (listens(&mixed), &["net", "switch.example.crt", "other.example.key"]),
        (listens(&with("client_ca = \"empty.pem\"")), &["net", "empty.pem", "no certificate"]),
        (listens(&with("client_ca = \"gone.pem\"")), &["net", "gone.pem"]),
        (listens(&with("peer_names = [\"a.example\"]")), &["net", "peer_names", "client_ca"]),
        (
            listens(&with(&format!("{ca}\npeer_names = [\"sha256:12\"]"))),
            &["net", "peer_names", "sha256:12"],
        ),
        (listens(&with("server_name = \"a\"")), &["net", "server_name"]),
        (listens(&with("handshakes_max = 0")), &["net", "handshakes_max"]),
        (listens(&with("handshake_deadline_ms = 0")), &["net", "handshake_deadline_ms"]),
        (connects(""), &["out", "server_ca"]),
        (connects(&ca), &["out", "server_ca"]),
        (
            connects("server_ca = \"authority.pem\"\nserver_name = \"a b\""),
            &["out", "server_name", "a b"],
        ),
        (connects("server_ca = \"authority.pem\"\ncipher = \"none\""), &["switch.toml", "cipher"]),
    ] {
        home.configure_links("", &links);
        check_refused(&home, named);
    }
    home.configure_links("", &connects("server_ca = \"authority.pem\""));
    let path = home.path("switch.toml");
    let checked = crate::rig::run(&["config", "check", "--config", path.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
