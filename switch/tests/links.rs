//! Links of every kind, several at once: whom they let in, in which direction, behind which TLS, and
//! when they are signed on.

mod tls;

use std::net::SocketAddr;

use crate::rig::{
    Client, Home, Issuer, Message, Notation, Processor, Running, balance_id, framed, pan, purchase,
    run,
};

/// A link that listens on a free port.
fn listening(name: &str, id: u16, more: &str) -> String {
    section(name, id, SocketAddr::from(([127, 0, 0, 1], 0)), more)
}

/// A link that connects, and again at once.
fn connecting(name: &str, id: u16, address: SocketAddr, more: &str) -> String {
    let more = format!(
        "direction = \"connect\"\nreconnect_pause_ms_min = 1\nreconnect_pause_ms_max = 20\n{more}"
    );
    section(name, id, address, &more)
}

fn section(name: &str, id: u16, address: SocketAddr, more: &str) -> String {
    format!("[[links]]\nname = {name:?}\nid = {id}\naddress = \"{address}\"\n{more}\n")
}

/// A folder, configured with these links.
fn home(links: &[String]) -> Home {
    let home = Home::new("", "");
    home.configure_links("", &links.concat());
    home
}

/// Card 1, with enough on it.
fn issue(running: &Running) {
    let mut control = running.control();
    Issuer::found(&mut control).issue(&mut control, Issuer::NO_COLLATERAL, 1, 1_000_000);
}

fn served(links: &[String]) -> (Home, Running) {
    let home = home(links);
    let running = home.start();
    issue(&running);
    (home, running)
}

fn held(running: &Running) -> i64 {
    running.control().balance(balance_id(1)).held.0
}

fn network(code: &str) -> Message {
    Message::new("0800", &[(7, "0314092653"), (11, "000001"), (70, code)])
}

/// DE39.
fn code(client: &mut Client, message: &Message) -> String {
    client.ask(message).text(39).to_owned()
}

/// The answer to what the switch asked.
fn answer(asked: &Message, code: &str) -> Message {
    asked.clone().typed("0810").with(39, code)
}

/// The sign-on that the switch sends first.
fn sign_on(client: &mut Client) -> Message {
    let asked = client.receive().expect("a sign-on comes");
    assert_eq!((asked.mti.as_str(), asked.text(70)), ("0800", "001"));
    let fields: Vec<u8> = asked.fields.keys().copied().collect();
    assert_eq!(fields, [7, 11, 70]);
    asked
}

#[test]
fn the_same_number_on_two_links_is_two_transactions_each_with_its_links_codes() {
    let own = "[links.response_codes]\nCARD_NOT_FOUND = \"56\"\n\
               [links.network_codes]\nsign_on = \"061\"\nsign_off = \"062\"\necho = \"270\"";
    let (home, running) = served(&[listening("first", 1, ""), listening("second", 7, own)]);
    let mut first = Client::connect(running.address_of("first"));
    let mut second = Client::connect(running.address_of("second"));
    let request = purchase(&pan(1), 1, 100);
    let answers = [first.ask(&request), second.ask(&request)];
    assert_eq!(held(&running), 200);
    assert_ne!(answers[0].text(38), answers[1].text(38));
    assert_eq!([first.ask(&request), second.ask(&request)], answers, "a repeat on each");
    let unknown = purchase(&pan(9), 2, 100);
    let codes = [&mut first, &mut second].map(|client| code(client, &unknown));
    assert_eq!(codes, ["14", "56"]);
    for (asked, on_first, on_second) in
        [("001", "00", "12"), ("301", "00", "12"), ("061", "12", "00"), ("270", "12", "00")]
    {
        assert_eq!(code(&mut first, &network(asked)), on_first, "{asked}");
        assert_eq!(code(&mut second, &network(asked)), on_second, "{asked}");
    }
    running.stop();
    let running = home.start();
    let mut second = Client::connect(running.address_of("second"));
    assert_eq!(second.ask(&request), answers[1]);
    assert_eq!(held(&running), 200);
}

#[test]
fn a_sign_on_counts_for_all_connections_of_its_link_until_the_last_one_ends() {
    let signed = "sign_on = \"required\"";
    let links = [listening("first", 1, signed), listening("second", 2, signed)];
    let (_home, running) = served(&links);
    let connect = |link| Client::connect(running.address_of(link));
    let [mut one, mut two] = ["first", "first"].map(connect);
    let mut other = connect("second");
    let request = |stan| purchase(&pan(1), stan, 1);
    assert_eq!(code(&mut one, &request(1)), "91");
    assert_eq!(code(&mut one, &network("001")), "00");
    running.wait_for_metric("switch_signed_on", "first", 1);
    assert_eq!([code(&mut one, &request(2)), code(&mut two, &request(3))], ["00", "00"]);
    assert_eq!(code(&mut other, &request(4)), "91", "another link");
    one.hang_up();
    running.wait_for_metric("switch_connections", "first", 1);
    assert_eq!(code(&mut two, &request(5)), "00", "one connection is left");
    two.hang_up();
    running.wait_for_metric("switch_connections", "first", 0);
    running.wait_for_metric("switch_signed_on", "first", 0);
    let mut again = connect("first");
    assert_eq!(code(&mut again, &request(6)), "91", "it must sign on again");
    assert_eq!(code(&mut again, &network("001")), "00");
    assert_eq!(code(&mut connect("first"), &network("002")), "00", "off, on any connection");
    assert_eq!(code(&mut again, &request(7)), "91");
}

#[test]
fn a_link_may_drop_what_comes_before_the_sign_on() {
    let rules = "sign_on = \"required\"\nunsigned = \"drop\"";
    let (_home, running) = served(&[listening("net", 1, rules)]);
    let mut client = running.connect();
    for stan in 1..=3 {
        assert!(client.send(&purchase(&pan(1), stan, 1).frame()));
    }
    let echo = client.ask(&network("301"));
    assert_eq!((echo.mti.as_str(), echo.text(39)), ("0810", "00"), "the first answer of all");
    running.wait_for_metric("switch_unsigned_dropped_total", "net", 3);
    assert_eq!(code(&mut client, &network("001")), "00");
    assert_eq!(code(&mut client, &purchase(&pan(1), 1, 1)), "00");
    assert_eq!(held(&running), 1);
}

#[test]
fn a_peer_that_is_not_on_the_list_is_closed_at_once_and_counted() {
    let elsewhere = "allow = [\"10.0.0.0/8\", \"2001:db8::/32\"]";
    let here = "allow = [\"192.0.2.0/24\", \"127.0.0.0/8\"]";
    let links = [listening("elsewhere", 1, elsewhere), listening("here", 2, here)];
    let (_home, running) = served(&links);
    for _ in 0..3 {
        let mut refused = Client::connect(running.address_of("elsewhere"));
        refused.send(&purchase(&pan(1), 1, 100).frame());
        assert_eq!(refused.receive_body(), None);
    }
    let mut allowed = Client::connect(running.address_of("here"));
    assert_eq!(code(&mut allowed, &purchase(&pan(1), 1, 1)), "00");
    running.wait_for_metric("switch_peers_refused_total", "elsewhere", 3);
    running.wait_for_metric("switch_peers_refused_total", "here", 0);
    assert_eq!(held(&running), 1, "nothing was read from them");
}

#[test]
fn a_link_connects_signs_on_and_comes_back_when_the_peer_does() {
    let processor = Processor::listen();
    let address = processor.address();
    let rules = "sign_on = \"required\"";
    let (_home, running) = served(&[connecting("out", 3, address, rules)]);
    let mut client = processor.accept();
    let first = sign_on(&mut client);
    assert_eq!(code(&mut client, &purchase(&pan(1), 1, 100)), "91", "not signed on yet");
    let foreign = answer(&first, "00").with(11, "999999");
    let foreign = if first.text(11) == "999999" { foreign.with(11, "000001") } else { foreign };
    assert!(client.send(&foreign.frame()));
    assert_eq!(code(&mut client, &purchase(&pan(1), 2, 100)), "91", "an answer to another");
    assert!(client.send(&answer(&first, "00").frame()));
    assert_eq!(code(&mut client, &purchase(&pan(1), 3, 100)), "00");
    assert_eq!(code(&mut client, &network("301")), "00");
    drop((client, processor));
    running.wait_for_metric("switch_connections", "out", 0);
    while running.metric("switch_connects_failed_total") < 2.0 {}
    let processor = Processor::listen_again(address);
    let mut client = processor.accept();
    let second = sign_on(&mut client);
    assert_ne!(first.text(11), second.text(11));
    assert_eq!(code(&mut client, &purchase(&pan(1), 4, 100)), "91", "signed off meanwhile");
    assert!(client.send(&answer(&second, "96").frame()));
    assert_eq!(client.receive_body(), None, "a refusal ends the connection");
    let mut client = processor.accept();
    let third = sign_on(&mut client);
    assert!(client.send(&answer(&third, "00").frame()));
    assert_eq!(code(&mut client, &purchase(&pan(1), 5, 100)), "00");
    assert_eq!(held(&running), 200);
    client.reset();
    sign_on(&mut processor.accept());
    running.stop();
}

#[test]
fn a_sign_on_that_is_not_answered_ends_the_connection_and_is_tried_again() {
    let processor = Processor::listen();
    let rules = "sign_on = \"required\"\nreply_deadline_ms = 50";
    let (_home, running) = served(&[connecting("out", 3, processor.address(), rules)]);
    for _ in 0..3 {
        let mut client = processor.accept();
        sign_on(&mut client);
        assert_eq!(client.receive_body(), None);
    }
    drop(processor);
    running.stop();
}

#[test]
fn as_many_connections_as_asked_are_kept_and_one_sign_on_is_enough() {
    let processor = Processor::listen();
    let rules = "sign_on = \"required\"\nconnections = 3";
    let (_home, running) = served(&[connecting("out", 3, processor.address(), rules)]);
    let mut clients: Vec<Client> = (0..3).map(|_| processor.accept()).collect();
    let asked = clients.iter_mut().map(sign_on).collect::<Vec<_>>();
    assert!(clients[1].send(&answer(&asked[1], "00").frame()));
    assert_eq!(code(&mut clients[1], &purchase(&pan(1), 1, 1)), "00");
    for (stan, client) in (2..).zip(&mut clients) {
        assert_eq!(code(client, &purchase(&pan(1), stan, 1)), "00");
    }
    clients.remove(2).hang_up();
    // The new one finds the link signed on.
    let mut new = processor.accept();
    assert_eq!(code(&mut new, &purchase(&pan(1), 9, 1)), "00");
    running.wait_for_metric("switch_connections", "out", 3);
    running.stop();
    assert!(clients.iter_mut().all(|client| client.receive_body().is_none()));
}

#[test]
fn a_silent_connection_is_asked_for_an_echo_and_ends_without_one() {
    let processor = Processor::listen();
    let rules =
        "keep_alive = \"echo\"\nkeep_alive_interval_ms = 20\nreply_deadline_ms = 60000".to_owned();
    let unanswered = rules.replace("60000", "50");
    let silent = Processor::listen();
    let (_home, running) = served(&[
        connecting("out", 3, processor.address(), &rules),
        connecting("silent", 4, silent.address(), &unanswered),
        listening("in", 5, &rules),
    ]);
    for mut client in [processor.accept(), Client::connect(running.address_of("in"))] {
        let mut stans = Vec::new();
        for _ in 0..3 {
            let echo = client.receive().expect("an echo is asked for");
            assert_eq!((echo.mti.as_str(), echo.text(70)), ("0800", "301"));
            stans.push(echo.text(11).to_owned());
            assert!(client.send(&answer(&echo, "00").frame()));
        }
        stans.dedup();
        assert_eq!(stans.len(), 3);
    }
    let mut client = silent.accept();
    while client.receive_body().is_some() {}
    // It comes again.
    silent.accept();
    assert_eq!(running.metric("switch_ignored_total"), 0.0);
}

#[test]
fn a_silent_connection_is_kept_alive_by_empty_frames() {
    let rules = "keep_alive = \"empty-frame\"\nkeep_alive_interval_ms = 20";
    let (_home, running) = served(&[listening("net", 1, rules)]);
    let mut client = running.connect();
    for _ in 0..3 {
        assert_eq!(client.receive_body(), Some(Vec::new()));
    }
    assert!(client.send(&framed(b"")) && client.send(&purchase(&pan(1), 1, 1).frame()));
    let answer = std::iter::from_fn(|| client.receive_body()).find(|body| !body.is_empty());
    assert_eq!(Message::parse(&answer.unwrap()).text(39), "00");
}

#[test]
fn a_peer_that_finishes_sending_gets_every_answer_and_then_the_end() {
    let (_home, running) = served(&[listening("net", 1, "")]);
    let mut client = running.connect();
    let count = 500;
    let load: Vec<u8> = (1..=count).flat_map(|stan| purchase(&pan(1), stan, 1).frame()).collect();
    assert!(client.send(&load));
    client.finish();
    for _ in 0..count {
        assert_eq!(client.receive().expect("an answer comes").text(39), "00");
    }
    assert_eq!(client.receive_body(), None);
    running.wait_for_metric("switch_connections", "net", 0);
    assert_eq!(held(&running), i64::from(count));
    assert_eq!(running.metric("switch_voided_total"), 0.0);
}

#[test]
fn a_link_that_cannot_be_served_is_named_with_its_key_and_value() {
    let listens = |more: &str| listening("net", 1, more);
    let peer = SocketAddr::from(([127, 0, 0, 1], 9));
    let connects = |more: &str| connecting("out", 1, peer, more);
    for (links, named) in [
        (listens("allow = [\"127.0.0.1\", \"10.0.0.0/33\"]"), &["net", "allow", "10.0.0.0/33"][..]),
        (listens("allow = [\"10.0.0.1/8\"]"), &["net", "allow", "10.0.0.1/8", "bits behind"]),
        (connects("allow = [\"10.0.0.0/8\"]"), &["out", "allow", "listens only"]),
        (listens("direction = \"both\""), &["switch.toml", "direction", "both"]),
        (listens("sign_on = true"), &["switch.toml", "sign_on"]),
        (listens("unsigned = \"ignore\""), &["switch.toml", "unsigned", "ignore"]),
        (connects("connections = 0"), &["out", "connections"]),
        (connects("connect_deadline_ms = 0"), &["out", "connect_deadline_ms"]),
        (listens("reconnect_pause_ms_min = 90000"), &["net", "reconnect_pause_ms_min"]),
        (listens("keep_alive_interval_ms = 0"), &["net", "keep_alive_interval_ms"]),
        (listens("[links.network_codes]\necho = \"1\""), &["net", "network_codes", "echo = \"1\""]),
        (listens("[links.network_codes]\necho = \"001\""), &["net", "sign_on and echo"]),
        (listens("[links.network_codes]\nfield = 1"), &["net", "network_codes", "field = 1"]),
        (listens("[links.network_codes]\nhello = \"001\""), &["switch.toml", "hello"]),
        (listens("") + &listening("net", 2, ""), &["links", "name \"net\""]),
        (listens("") + &listening("other", 1, ""), &["links", "id 1"]),
    ] {
        check_refused(&home(&[links]), named);
    }
}

/// Both commands say these words, and end with 2.
fn check_refused(home: &Home, named: &[&str]) {
    let path = home.path("switch.toml");
    for arguments in [&["config", "check", "--config"][..], &["serve", "--config"]] {
        let output = run(&[arguments, &[path.to_str().unwrap()]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{named:?}: {said}");
        for part in named {
            assert!(said.contains(part), "{part:?} is not in {said:?}");
        }
    }
}

#[test]
fn in_every_dialect_we_sign_on_and_ask_whether_the_peer_is_there() {
    for notation in Notation::all() {
        let processor = Processor::listen();
        let more = format!(
            "dialect = {:?}\nsign_on = \"required\"\nkeep_alive = \"echo\"\nkeep_alive_interval_ms = 200",
            notation.named
        );
        let home = home(&[connecting("out", 1, processor.address(), &more)]);
        let running = home.start();
        issue(&running);
        let mut client = processor.accept().speaking(notation.dialect);
        let field = notation.of([70, 24, 24]);
        for code in [["001", "801", "801"], ["301", "831", "831"]] {
            let asked = client.receive().expect("it is asked");
            assert_eq!(asked.text(field), notation.of(code), "{}", notation.link);
            assert_eq!(asked.text(11).len(), notation.of([6, 6, 12]));
            let answer =
                asked.typed(&notation.mti("0810")).with(39, notation.of(["00", "800", "8000"]));
            assert!(client.send(&framed(&answer.body_in(notation.dialect))));
        }
        let request = notation.request("0100", &pan(1), 1, 100);
        assert!(client.send(&framed(&request.body_in(notation.dialect))));
        let approved = std::iter::from_fn(|| client.receive())
            .find(|message| message.mti == notation.mti("0110"));
        assert_eq!(approved.expect("it is answered").text(39), notation.of(["00", "000", "0000"]));
        running.stop();
    }
}

#[test]
fn a_table_that_the_dialect_cannot_write_is_refused() {
    for (more, named) in [
        ("dialect = \"iso93-ascii\"\n[links.response_codes]\nAPPROVED = \"00A\"", "APPROVED"),
        ("[links.network_codes]\nfield = 11", "network_codes"),
        ("[links.network_codes]\nfield = 4", "network_codes"),
        ("[links.markers]\nlife_cycle_field = 35", "life_cycle_field"),
        ("[links.markers]\nlife_cycle_field = 48", "life_cycle_field"),
        ("[links.markers]\nincremental = [{ field = 52, value = \"1\" }]", "incremental"),
        ("[links.markers]\nreplacement_billing_offset = 25", "replacement_billing_offset"),
        ("response_data_field = 39", "response_data_field"),
        ("response_data_field = 49", "response_data.FORMAT_ERROR"),
        ("[links.response_data]\nNO_SUCH = \"x\"", "response_data.NO_SUCH"),
        (
            "[links.response_data]\nAPPROVED = \"twenty-five characters are\"",
            "response_data.APPROVED",
        ),
        ("reply_deadline_ms = 0", "reply_deadline_ms"),
        ("frame_bytes_max = 511", "frame_bytes_max"),
    ] {
        check_refused(&home(&[listening("first", 1, more)]), &["first", named]);
    }
}

#[test]
fn a_link_says_of_each_outcome_what_its_table_has() {
    let own = "response_data_field = 48\n[links.response_data]\nFORMAT_ERROR = \"F{field}\"\n\
               CARD_NOT_FOUND = \"CALL\"";
    let (_home, running) = served(&[listening("first", 1, ""), listening("second", 2, own)]);
    let mut first = Client::connect(running.address_of("first"));
    let mut second = Client::connect(running.address_of("second"));
    let unknown = purchase(&pan(9), 1, 100);
    let broken = purchase(&pan(1), 2, 100).without(49);
    let good = purchase(&pan(1), 3, 100);
    for (message, plain, own) in [(&unknown, "", "CALL"), (&broken, "049", "F049"), (&good, "", "")]
    {
        let answer = first.ask(message);
        assert_eq!((answer.text(44), answer.text(48)), (plain, ""));
        let answer = second.ask(message);
        assert_eq!((answer.text(44), answer.text(48)), ("", own));
    }
    running.stop();
}
