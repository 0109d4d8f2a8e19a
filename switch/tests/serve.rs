//! What the switch promises on its sockets, end to end.

use std::collections::BTreeMap;
use std::fs;
use std::net::Shutdown;

use shared::card::CardState;
use shared::command::{Change, Command};
use shared::control::{Query, Refusal, Reply, Request, VERSION, View};
use shared::ids::{CardId, CustomerId, PartnerId, Sequence};
use shared::journal_record::{Answer, Record};
use shared::lock_code::{LockCode, LockSource};
use shared::money::{Amount, Currency, Money};

use crate::rig::{
    Client, Control, Home, Issuer, Message, Running, balance_id, pan, purchase, reversal, run,
};

const DURABLE: &str = "mode = \"durable\"";
const WRITE_BEHIND: &str = "mode = \"write-behind\"";

/// A switch with three cards of 100.00 EUR; card 3 stands on the deposit.
fn issued(journal: &str, link: &str) -> (Home, Running) {
    let home = Home::new(journal, link);
    let running = home.start();
    let mut control = running.control();
    let issuer = Issuer::found(&mut control);
    for (card, program) in
        [(1, Issuer::NO_COLLATERAL), (2, Issuer::NO_COLLATERAL), (3, Issuer::DEPOSIT)]
    {
        issuer.issue(&mut control, program, card, 10_000);
    }
    (home, running)
}

fn funds(control: &mut Control, card: u64) -> (i64, i64) {
    let view = control.balance(balance_id(card));
    (view.ledger.0, view.held.0)
}

/// DE39, and whether there is a DE38.
fn outcome(client: &mut Client, message: &Message) -> String {
    let answer = client.ask(message);
    assert_eq!(answer.text(39) == "00" && answer.mti == "0110", answer.fields.contains_key(&38));
    answer.text(39).to_owned()
}

#[test]
fn an_authorization_holds_declines_and_repeats_in_both_modes() {
    for mode in [DURABLE, WRITE_BEHIND] {
        let (home, running) = issued(mode, "");
        let (mut client, mut control) = (running.connect(), running.control());
        let request = purchase(&pan(1), 1, 2_500).with(12, "112653").with(13, "0314");
        let approved = client.ask(&request);
        let mut expected = BTreeMap::new();
        for field in [2, 3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49] {
            expected.insert(field, request.fields[&field].clone());
        }
        expected.insert(38, approved.fields[&38].clone());
        expected.insert(39, b"00".to_vec());
        assert_eq!(approved, Message { mti: "0110".to_owned(), fields: expected });
        assert_eq!(funds(&mut control, 1), (10_000, 2_500));
        for repeat in [request.clone(), request.clone().typed("0101"), request.clone().without(18)]
        {
            assert_eq!(client.ask(&repeat), approved, "an exact repeat");
        }
        assert_eq!(running.connect().ask(&request.clone().typed("0101")), approved);
        for other in [(4, "000000002501"), (2, &pan(2)), (3, "010000"), (42, "MERCHANT0000002")] {
            let conflicting = request.clone().with(other.0, other.1);
            assert_eq!(outcome(&mut client, &conflicting), "94", "{other:?}");
        }
        assert_eq!(outcome(&mut client, &purchase(&pan(1), 2, 7_501)), "51");
        assert_eq!(outcome(&mut client, &purchase(&pan(3), 3, 10_000)), "00");
        assert_eq!(outcome(&mut client, &purchase(&pan(9), 4, 1)), "14");
        assert_eq!(outcome(&mut client, &purchase(&pan(1), 5, 0)), "13");
        assert_eq!(outcome(&mut client, &purchase(&pan(1), 6, 1).with(49, "985")), "57");
        assert_eq!(outcome(&mut client, &purchase(&pan(1), 7, 1).with(3, "500000")), "12");
        assert_eq!(outcome(&mut client, &purchase(&pan(1), 8, 1).with(14, "3001")), "54");
        assert_eq!(outcome(&mut client, &purchase(&pan(1), 9, 0).with(25, "51")), "00");
        assert_eq!(outcome(&mut client, &purchase(&pan(1), 10, 7_500)), "00");
        assert_eq!(funds(&mut control, 1), (10_000, 10_000));
        running.stop();
        let restarted = home.start();
        assert_eq!(restarted.connect().ask(&request.typed("0101")), approved, "{mode}");
        assert_eq!(funds(&mut restarted.control(), 1), (10_000, 10_000));
    }
}

#[test]
fn a_reversal_takes_back_once_whatever_its_type_and_order() {
    let (_home, running) = issued(DURABLE, "");
    let (mut client, mut control) = (running.connect(), running.control());
    let mut stan = 100;
    let mut next = || {
        stan += 1;
        stan
    };
    for (request, repeat, answer, unknown) in
        [("0400", "0401", "0410", "25"), ("0420", "0421", "0430", "00")]
    {
        let original = purchase(&pan(1), next(), 1_000);
        let approved = client.ask(&original);
        let taken_back = reversal(request, next(), &original);
        let done = client.ask(&taken_back);
        assert_eq!((done.mti.as_str(), done.text(39), funds(&mut control, 1).1), (answer, "00", 0));
        assert_eq!(client.ask(&taken_back.clone().typed(repeat)), done);
        let again = client.ask(&reversal(request, next(), &original));
        assert_eq!((again.text(39), funds(&mut control, 1).1), ("00", 0), "a second one");
        assert_eq!(approved.text(39), "00");
        assert_eq!(outcome(&mut client, &original), "05", "reversed before");

        let partial = purchase(&pan(1), next(), 1_000);
        client.ask(&partial);
        let amounts = format!("{:012}{:030}", 400, 0);
        let part = reversal(request, next(), &partial).with(95, &amounts);
        assert_eq!((client.ask(&part).text(39), funds(&mut control, 1).1), ("00", 400));
        client.ask(&reversal(request, next(), &partial));
        assert_eq!(funds(&mut control, 1).1, 0);

        // Without a word on the original, the reversal's own STAN and time are the original's.
        let same = purchase(&pan(1), next(), 1_000);
        client.ask(&same);
        assert_eq!(client.ask(&same.clone().typed(request)).text(39), "00");
        assert_eq!((outcome(&mut client, &same), funds(&mut control, 1).1), ("05".to_owned(), 0));

        let late = purchase(&pan(1), next(), 1_000);
        assert_eq!(client.ask(&reversal(request, next(), &late)).text(39), unknown);
        assert_eq!(outcome(&mut client, &late), "05", "reversed before it came");
        assert_eq!(funds(&mut control, 1).1, 0);
    }
}

#[test]
fn network_management_is_answered_and_a_link_may_ask_for_a_sign_on() {
    let (_home, running) = issued(DURABLE, "sign_on = \"required\"");
    let network =
        |code: &str| Message::new("0800", &[(7, "0314092653"), (11, "000001"), (70, code)]);
    let mut client = running.connect();
    let request = purchase(&pan(1), 1, 100);
    assert_eq!(outcome(&mut client, &request), "91");
    assert_eq!(outcome(&mut client, &reversal("0420", 2, &request)), "91");
    let echo = client.ask(&network("301"));
    assert_eq!((echo.mti.as_str(), echo.text(39), echo.text(70)), ("0810", "00", "301"));
    assert_eq!(outcome(&mut client, &request), "91", "an echo is no sign-on");
    assert_eq!(client.ask(&network("001")).text(39), "00");
    assert_eq!(outcome(&mut client, &request), "00");
    let mut other = running.connect();
    assert_eq!(outcome(&mut other, &purchase(&pan(1), 3, 100)), "00", "the link is signed on");
    assert_eq!(other.ask(&network("002")).text(39), "00");
    assert_eq!(outcome(&mut client, &request), "91");
    for unknown in [network("999"), network("001").without(70)] {
        assert_eq!(client.ask(&unknown).text(39), "12");
    }
}

#[test]
fn a_broken_message_is_told_which_field_and_gets_back_what_was_read() {
    let (_home, running) = issued(DURABLE, "unreadable_frames_max = 100");
    let mut client = running.connect();
    let sound = purchase(&pan(1), 1, 100);
    for field in [2, 3, 4, 7, 11, 49] {
        let refused = client.ask(&sound.clone().without(field));
        assert_eq!(
            (refused.mti.as_str(), refused.text(39), refused.text(44)),
            ("0110", "30", &*format!("{field:03}"))
        );
        assert_eq!(refused.text(37), sound.text(37));
    }
    let amount = sound.clone().with(6, "000000000100");
    assert_eq!(client.ask(&amount).text(44), "051", "billing without its currency");
    assert_eq!(client.ask(&sound.clone().with(2, "9999991")).text(44), "002");
    assert_eq!(client.ask(&sound.clone().with(14, "9913")).text(44), "014", "month 13");
    for reversal in [sound.clone().typed("0400"), sound.clone().typed("0421")] {
        let refused = client.ask(&reversal.without(11));
        assert_eq!((refused.text(39), refused.text(44)), ("30", "011"));
    }
    // Bytes that no encoder writes.
    let body = sound.body();
    let place = body.windows(12).position(|bytes| bytes == b"000000000100").unwrap();
    let mut letter = body.clone();
    letter[place] = b'x';
    for (broken, field, echoed) in [
        (letter, "004", &[2, 3, 39, 44][..]),
        (body[..place + 3].to_vec(), "004", &[2, 3, 39, 44]),
        ([&body[..], b"more"].concat(), "000", &[2, 3, 4, 7, 11, 32, 37, 39, 41, 42, 44, 49]),
        (b"0100".to_vec(), "001", &[39, 44]),
    ] {
        assert!(client.send(&crate::rig::framed(&broken)));
        let refused = client.receive().unwrap();
        let fields: Vec<u8> = refused.fields.keys().copied().collect();
        assert_eq!((refused.text(39), &*fields), ("30", echoed), "{refused:?}");
        if field != "000" {
            assert_eq!(refused.text(44), field);
        }
    }
    assert_eq!(outcome(&mut client, &sound), "00", "the connection goes on");
    assert_eq!(running.metric("switch_refused_total"), 15.0);
}

#[test]
fn a_type_that_is_not_served_is_answered_and_one_that_takes_no_answer_is_counted() {
    let (_home, running) = issued(DURABLE, "");
    let mut client = running.connect();
    let request = purchase(&pan(1), 1, 100);
    let file_action = request.clone().with(91, "1");
    for (asked, answered) in [
        (request.clone().typed("0500"), "0510"),
        (request.clone().typed("0520"), "0530"),
        (request.clone().typed("0700"), "0710"),
        (request.clone().typed("0322"), "0332"),
        (file_action.typed("0302"), "0312"),
    ] {
        let answer = client.ask(&asked);
        assert_eq!((answer.mti.as_str(), answer.text(39)), (answered, "12"), "{asked:?}");
    }
    for silent in ["0110", "0410", "0810", "0820", "0180", "0280", "0644"] {
        assert!(client.send(&request.clone().typed(silent).frame()));
    }
    assert_eq!(outcome(&mut client, &request), "00");
    assert_eq!(running.metric("switch_ignored_total"), 7.0);
    assert_eq!(funds(&mut running.control(), 1).1, 100);
}

#[test]
fn a_lock_that_is_acknowledged_counts_for_the_very_next_message() {
    for mode in [DURABLE, WRITE_BEHIND] {
        let (_home, running) = issued(mode, "");
        let (mut client, mut control) = (running.connect(), running.control());
        let card = CardId(1);
        let mut id = 1_u128 << 80;
        for round in 0..20 {
            let code = LockCode::SuspectedFraud;
            let lock = Change::LockCard { card, code, source: LockSource::Partner };
            for (change, expected) in [(lock, "59"), (Change::UnlockCard(card), "00")] {
                id += 1;
                assert_eq!(control.change(id, change).result, Ok(()));
                let stan = 10 + 2 * round + u32::from(expected == "00");
                assert_eq!(outcome(&mut client, &purchase(&pan(1), stan, 10)), expected);
            }
        }
        let aml =
            |aml_locked| Change::PutCustomer { id: CustomerId(1), verified: true, aml_locked };
        control.change(id + 1, aml(true));
        assert_eq!(outcome(&mut client, &purchase(&pan(1), 90, 10)), "05");
        control.change(id + 2, aml(false));
        let removed = Change::SetCardState { card, state: CardState::Removed };
        control.change(id + 3, removed);
        assert_eq!(outcome(&mut client, &purchase(&pan(1), 91, 10)), "14");
    }
}

#[test]
fn a_change_sent_again_gets_its_first_outcome_and_after_a_restart_too() {
    let (home, running) = issued(DURABLE, "");
    let mut control = running.control();
    let top_up = Change::TopUp { balance: balance_id(1), money: Money::new(50, Currency(978)) };
    let refused = Change::UnlockCard(CardId(77));
    let first = control.change(1 << 90, top_up.clone());
    let second = control.change(2 << 90, refused.clone());
    assert_eq!((first.result, second.result), (Ok(()), Err(Refusal::CardNotFound)));
    let again = |control: &mut Control| {
        assert_eq!(control.change(1 << 90, top_up.clone()), first);
        assert_eq!(control.change(2 << 90, refused.clone()), second);
        assert_eq!(funds(control, 1), (10_050, 0));
    };
    again(&mut control);
    again(&mut running.control());
    running.kill();
    let running = home.start();
    again(&mut running.control());
    running.stop();
    again(&mut home.start().control());
}

#[test]
fn the_event_stream_goes_on_without_a_gap_across_restarts_of_both_sides() {
    let (home, mut running) = issued(DURABLE, "");
    let mut seen: Vec<Record> = Vec::new();
    let mut stan = 1;
    for round in 0..4 {
        let mut client = running.connect();
        let after = seen.last().map_or(Sequence(0), |record| record.sequence);
        let mut events = running.control();
        events.subscribe(after);
        for _ in 0..300 {
            client.ask(&purchase(&pan(1), stan, 1));
            stan += 1;
        }
        let last = running.control().status().last_sequence;
        // The listener goes away somewhere in the middle, and all of it comes again.
        let until = if round == 1 { after.0 + 100 } else { last.0 };
        while seen.last().is_none_or(|record| record.sequence.0 < until) {
            seen.push(events.event().unwrap());
        }
        if round == 2 {
            running.kill()
        } else {
            running.stop()
        }
        running = home.start();
    }
    let numbers: Vec<u64> = seen.iter().map(|record| record.sequence.0).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let authorized =
        seen.iter().filter(|record| matches!(record.command, Command::Authorize(_))).count();
    assert_eq!(authorized, 1_200);
}

#[test]
fn sigterm_answers_what_was_accepted_and_closes_the_journal() {
    for mode in [DURABLE, WRITE_BEHIND] {
        let (home, running) = issued(mode, "");
        let mut client = running.connect();
        let count = 2_000_u32;
        let load: Vec<u8> =
            (1..=count).flat_map(|stan| purchase(&pan(1), stan, 1).frame()).collect();
        assert!(client.send(&load));
        let mut answers = vec![client.receive().unwrap()];
        running.ask_to_stop();
        answers.extend(std::iter::from_fn(|| client.receive()));
        let (status, log) = running.ended();
        assert!(status.success(), "{status}: {log}");
        let (outcome, last, _) = home.verify();
        assert_eq!(outcome, "clean");
        // Every command in the journal but the set-up is a message of the client's.
        let set_up = 6 + 3 * 3;
        assert_eq!(answers.len() as u64, last.0 - set_up, "{mode}");
        let restarted = home.start();
        let held = funds(&mut restarted.control(), 1).1;
        assert_eq!(held, i64::try_from(answers.len()).unwrap(), "{mode}");
        assert!(restarted.connect().stream().shutdown(Shutdown::Both).is_ok());
    }
}

#[test]
fn the_pages_tell_health_counts_and_the_state_that_verify_finds() {
    let (home, running) = issued(DURABLE, "");
    let mut client = running.connect();
    for stan in 1..=5 {
        client.ask(&purchase(&pan(1), stan, 3_000));
    }
    assert_eq!(running.page("/livez").0, "HTTP/1.1 200 OK");
    assert_eq!(running.page("/readyz").0, "HTTP/1.1 200 OK");
    assert_eq!(running.page("/nothing").0, "HTTP/1.1 404 Not Found");
    let (_, page) = running.page("/metrics");
    for line in page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(page.contains(&format!("# HELP {name} ")), "{name} has a sentence");
    }
    assert!(page.contains("switch_answers_total{reason=\"APPROVED\",code=\"0000\"} 3"), "{page}");
    assert_eq!(running.metric("switch_answers_total"), 5.0);
    let (_, last, hash) = home.verify();
    let stated = format!("switch_state_hash{{lastSequence=\"{last}\",stateHash=\"{hash}\"}} 1");
    assert!(page.contains(&stated), "{page}");
    let status = running.control().status();
    assert_eq!((status.last_sequence, format!("{:032x}", status.state_hash)), (last, hash.clone()));
    running.stop();
    assert_eq!(home.verify(), ("clean".to_owned(), last, hash));
}

#[test]
fn a_wrong_configuration_is_named_by_file_and_key() {
    let home = Home::new(DURABLE, "");
    let path = home.path("switch.toml");
    let name = path.to_str().unwrap();
    let sound = fs::read_to_string(&path).unwrap();
    assert!(run(&["config", "check", "--config", name]).status.success());
    let check = |text: &str, named: &[&str]| {
        fs::write(&path, text).unwrap();
        for arguments in [&["config", "check", "--config", name][..], &["serve", "--config", name]]
        {
            let output = run(arguments);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
            for part in named {
                assert!(said.contains(part), "{part:?} is not in {said:?}");
            }
        }
    };
    let file = "switch.toml";
    check(&format!("{sound}\nspeed = 9\n"), &[file, "speed"]);
    check(&format!("wishes = 1\n{sound}"), &[file, "wishes"]);
    check(&sound.replace("[metrics]", "[metrics]\ncolour = 1"), &[file, "colour"]);
    check(&sound.replace("\"durable\"", "\"volatile\""), &[file, "mode", "volatile"]);
    check(&sound.replace("262144", "1000"), &["segment_bytes"]);
    check(&sound.replace("262144", "\"many\""), &[file, "segment_bytes"]);
    check(&format!("{sound}dialect = \"iso99\"\n"), &["dialect", "iso99"]);
    check(&format!("{sound}[links.response_codes]\nNONSENSE = \"00\"\n"), &["NONSENSE"]);
    check(&format!("{sound}[[links]]\nname = \"twin\"\n"), &["id 1"]);
    check("links = []\n", &["links"]);
    check("[keys]\nfile = \"nowhere.toml\"\n", &["nowhere.toml"]);
    fs::write(home.path("keys.toml"), "pan_token = \"00\"\n").unwrap();
    check(&sound, &["keys.toml", "pan_token"]);
    assert_eq!(run(&["serve", "--config", "/nowhere/switch.toml"]).status.code(), Some(2));
}

#[test]
fn a_control_client_that_speaks_otherwise_is_told_and_closed() {
    let (_home, running) = issued(DURABLE, "");
    let check = |first: &dyn Fn(&mut Control), said: Option<&str>| {
        let mut control = Control::unwelcomed(running.socket());
        first(&mut control);
        if let Some(said) = said {
            match control.receive() {
                Some(Reply::Rejected { detail }) => assert!(detail.contains(said), "{detail}"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(control.receive(), None);
    };
    let later = VERSION + 1;
    let told = format!("version {later}");
    check(&|control| control.send(&Request::Hello { version: later }), Some(&told));
    let query = Request::Query { request: 1, query: Query::Status };
    check(&|control| control.send(&query), Some("hello"));
    check(&|control| control.send_frame(&[0xff; 40]), Some(""));
    check(&|control| control.send_frame(&[]), Some(""));
    check(&|control| control.send_frame(&vec![0; 64 * 1024 + 1]), None);
    let mut control = running.control();
    assert_eq!(control.query(Query::Balance(balance_id(99))), None);
    assert!(matches!(control.query(Query::Card(CardId(1))), Some(View::Card(_))));
    assert_eq!(
        control.change(5 << 90, Change::CloseBalance(balance_id(1))).result,
        Err(Refusal::BalanceNotEmpty)
    );
    assert_eq!(control.change(6 << 90, Change::PutPartner(PartnerId(1))).result, Ok(()));
    assert_eq!(control.balance(balance_id(1)).ledger, Amount(10_000));
}

#[test]
fn a_second_process_and_a_damaged_journal_end_with_exit_code_1_and_the_place() {
    let (home, running) = issued(DURABLE, "");
    let config = home.path("switch.toml");
    let output = run(&["serve", "--config", config.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("in use"), "{said}");
    running.stop();
    home.expect_damage();
    let file = home.journal().join("000000000001.seg");
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 4;
    fs::write(&file, &bytes).unwrap();
    let journal = home.journal();
    for arguments in [
        ["serve", "--config", config.to_str().unwrap()],
        ["verify", "--journal", journal.to_str().unwrap()],
    ] {
        let output = run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in ["REFUSED", "000000000001.seg at offset 80", "sequence 1"] {
            assert!(said.contains(part), "{part:?} is not in {said:?}");
        }
    }
}

#[test]
fn every_answer_on_the_wire_is_the_one_in_the_journal() {
    let (_home, running) = issued(WRITE_BEHIND, "");
    let mut client = running.connect();
    let answers: Vec<Message> =
        (1..=50).map(|stan| client.ask(&purchase(&pan(1), stan, 300))).collect();
    let mut events = running.control();
    let last = events.status().last_sequence;
    events.subscribe(Sequence(0));
    let mut journaled = Vec::new();
    loop {
        let record = events.event().unwrap();
        if let (Command::Authorize(_), Answer::Decision(decision)) =
            (&record.command, record.answer)
        {
            let code = decision
                .approval
                .map_or(String::new(), |code| String::from_utf8(code.wire().to_vec()).unwrap());
            journaled.push((code, decision.reason.wire87().to_vec()));
        }
        if record.sequence == last {
            break;
        }
    }
    let received: Vec<(String, Vec<u8>)> = answers
        .iter()
        .map(|answer| (answer.text(38).to_owned(), answer.fields[&39].clone()))
        .collect();
    assert_eq!(received, journaled);
}
