//! `switch decode`: golden messages of every dialect, broken ones, and what is no message.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::{ended, squeezed};
use crate::rig::{feed, folder, run};

/// What is expected of a golden message, by hand from its `.toml` and the tables of its dialect.
struct Expected {
    golden: &'static str,
    dialect: &'static str,
    head: &'static str,
    /// Lines that are shown, squeezed.
    shown: &'static [&'static str],
    /// Number, name and characters of what is hidden.
    hidden: &'static [(u8, &'static str, usize)],
    lines: usize,
    secrets: &'static [&'static str],
}

const PIN_BLOCK: &str = "Personal identification number (PIN) data";
const CHIP: &str = "Integrated circuit card (ICC) data";
const MONTH: &str = "Date, expiration (YYMM)";
const SECURITY: &str = "Security related control information";
const CHIP_DATA: &str = "9F2608A1B2C3D4E5";

const MESSAGES: [Expected; 5] = [
    Expected {
        golden: "0100-cash-with-pin",
        dialect: "iso87-ascii",
        head: "0100, 265 bytes, iso87-ascii",
        shown: &[
            "2 at 12 Primary account number (PAN) 999999*********0009",
            "3 at 33 Processing code \"011000\"",
            "4 at 39 Amount, transaction \"000000020000\"",
            "64 at 257 Message authentication code 8899AABBCCDDEEFF",
        ],
        hidden: &[
            (14, MONTH, 4),
            (35, "Track 2 data", 27),
            (52, PIN_BLOCK, 8),
            (53, SECURITY, 16),
            (55, CHIP, 9),
            (60, "Reserved for private use", 8),
        ],
        lines: 25,
        secrets: &["9999992748615300009", "2805", "00FF80017F0A0D20", "9F2701809F36", "ATM 00/7"],
    },
    Expected {
        golden: "bcd-0200-with-pin",
        dialect: "iso87-bcd",
        head: "0200, 251 bytes, iso87-bcd",
        shown: &[
            "2 at 18 Primary account number (PAN) 999999******0013",
            "3 at 27 Processing code \"000000\"",
            "28 at 56 Amount, transaction fee \"C00000025\"",
            "32 at 61 Acquiring institution identification code \"990001\"",
            "97 at 242 Amount, net settlement \"D0000000000001234\"",
        ],
        hidden: &[(14, MONTH, 4), (35, "Track 2 data", 37), (52, PIN_BLOCK, 8), (55, CHIP, 70)],
        lines: 22,
        secrets: &["9999992748610013", "2912", "0123456789ABCDEF", CHIP_DATA],
    },
    Expected {
        golden: "93-1200-with-pin",
        dialect: "iso93-ascii",
        head: "1200, 352 bytes, iso93-ascii",
        shown: &[
            "2 at 12 Primary account number (PAN) 999999*********0009",
            "12 at 67 Date and time, local transaction (YYMMDDhhmmss) \"260314112653\"",
            "54 at 256 Additional amounts \"0040978C000000000200\"",
        ],
        hidden: &[
            (14, MONTH, 4),
            (35, "Track 2 data", 37),
            (52, PIN_BLOCK, 8),
            (53, SECURITY, 9),
            (55, CHIP, 70),
        ],
        lines: 23,
        secrets: &["9999992748615300009", "2912", "0123456789ABCDEF", "0001020304", CHIP_DATA],
    },
    Expected {
        golden: "2003-2200-with-pin",
        dialect: "iso2003-ascii",
        head: "2200, 345 bytes, iso2003-ascii",
        shown: &[
            "2 at 12 Primary account number (PAN) 999999*********0009",
            "11 at 61 System trace audit number (STAN) \"000000000002\"",
            "12 at 73 Date and time, local transaction (CCYYMMDDhhmmss) \"20260314112653\"",
        ],
        hidden: &[(14, MONTH, 4), (35, "Track 2 data", 37), (52, PIN_BLOCK, 8), (55, CHIP, 70)],
        lines: 21,
        secrets: &["9999992748615300009", "2912", "0123456789ABCDEF", CHIP_DATA],
    },
    Expected {
        golden: "ebcdic-0100-purchase",
        dialect: concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/dialects/iso87-ebcdic.toml"),
        head: "0100, 304 bytes, iso87-ebcdic",
        shown: &[
            "2 at 20 Primary account number (PAN) 999999******0013",
            "3 at 38 Processing code \"000000\"",
            "44 at 217 Additional response data \"a~[]^!|{}\"",
            "49 at 228 Currency code, transaction \"978\"",
        ],
        hidden: &[(14, MONTH, 4), (35, "Track 2 data", 37), (55, CHIP, 70)],
        lines: 20,
        secrets: &["9999992748610013", "2912", CHIP_DATA],
    },
];

impl Expected {
    fn check(&self, text: &str) {
        let lines = squeezed(text);
        assert_eq!(lines[0], self.head);
        assert_eq!(lines.last().unwrap(), "sound");
        assert_eq!(lines.len(), 1 + self.lines + 1, "{text}");
        for line in self.shown {
            assert!(lines.contains(&(*line).to_owned()), "{line}\n{text}");
        }
        let hidden: Vec<&String> = lines.iter().filter(|line| line.contains("hidden]")).collect();
        assert_eq!(hidden.len(), self.hidden.len(), "{text}");
        for (line, (number, name, length)) in hidden.into_iter().zip(self.hidden) {
            assert!(line.starts_with(&format!("{number} at ")), "{line}");
            assert!(line.ends_with(&format!(" {name} [{length} bytes hidden]")), "{line}");
        }
        let at = |line: &String| line.split(' ').nth(2).unwrap().parse::<usize>().unwrap();
        let offsets: Vec<usize> = lines[1..=self.lines].iter().map(at).collect();
        assert!(offsets.is_sorted(), "{text}");
        for secret in self.secrets {
            assert!(!text.to_uppercase().contains(&secret.to_uppercase()), "{secret}\n{text}");
        }
    }
}

/// A golden message in one line.
fn line(golden: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden");
    let text = fs::read_to_string(folder.join(golden).with_extension("hex")).unwrap();
    text.split_whitespace().collect()
}

#[test]
fn a_message_of_every_dialect_is_shown_by_field_and_offset_with_its_secrets_hidden() {
    for expected in MESSAGES {
        let home = folder();
        let file = home.path().join("messages.hex");
        fs::write(&file, line(expected.golden)).unwrap();
        let arguments = ["decode", "--dialect", expected.dialect, file.to_str().unwrap()];
        let output = run(&arguments);
        let (code, out, err) = ended(&output);
        assert_eq!((code, err), (0, ""), "{}", expected.golden);
        expected.check(out);
        // From standard input, named or not, with spaces between the digits.
        let spaced = line(expected.golden).replace("99", "99 ");
        for place in [&["-"][..], &[]] {
            let output = feed(&[&arguments[..3], place].concat(), &spaced);
            assert_eq!(ended(&output), (0, out, ""), "{}", expected.golden);
        }
    }
}

#[test]
fn programs_are_told_the_same_as_one_object_a_message() {
    for expected in MESSAGES {
        let message = line(expected.golden);
        let arguments = ["decode", "--json", "--dialect", expected.dialect];
        let output = feed(&arguments, &format!("{message}\n\n{}\n", &message[..60]));
        let (code, out, err) = ended(&output);
        assert_eq!((code, err), (0, ""));
        let told: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(told.len(), 2, "an empty line is no message");
        assert_eq!((&told[0]["sound"], &told[0]["error"]), (&Value::Bool(true), &Value::Null));
        let lines = told[0]["description"].as_array().unwrap();
        let lines: Vec<&str> = lines.iter().map(|line| line.as_str().unwrap()).collect();
        expected.check(&format!("{}\nsound", lines.join("\n")));
        assert_eq!(told[1]["sound"], false);
        let error = told[1]["error"].as_str().unwrap();
        assert!(error.contains("the message ends before the field does"), "{error}");
    }
}

#[test]
fn of_a_broken_message_is_told_where_it_broke_and_no_content() {
    let message = line("0100-purchase");
    let cut = &message[..message.len() - 2];
    let in_amount = format!("{}3A{}", &message[..2 * 40], &message[2 * 41..]);
    let surplus = format!("{message}00");
    for (broken, head, salvaged) in [
        (cut, "0100 field 55 at offset 212: the message ends before the field does", 18),
        (&in_amount, "0100 field 4 at offset 40: the content is not n", 2),
        (&surplus, "0100 field 55 at offset 335: bytes follow the last field", 19),
        ("30313030", "0100 bit map at offset 4: the message ends before the field does", 0),
        ("39393939", "message type at offset 0: not a message type of ISO 8583", 0),
    ] {
        let output = feed(&["decode"], broken);
        let (code, out, err) = ended(&output);
        // Taken apart as far as it goes: the verdict is in the last line, not in the code.
        assert_eq!((code, err), (0, ""));
        let lines = squeezed(out);
        assert_eq!(lines[0], format!("{} bytes, iso87-ascii: {head}", broken.len() / 2));
        assert_eq!(lines.last().unwrap(), head);
        assert_eq!(lines.len(), 1 + salvaged + 1, "{out}");
        assert!(lines[1..=salvaged].iter().all(|line| line.ends_with(" bytes hidden]")), "{out}");
        assert!(!out.contains("999999") && !out.contains("TERM0001"), "{out}");
    }
    // Read to its end, and lacking what its type must have.
    let output = feed(&["decode"], "30313030002000000000000030303030 3031");
    let (_, out, _) = ended(&output);
    let lacking = "0100 field 2 at offset 4: the field is mandatory and absent";
    assert_eq!(squeezed(out).last().unwrap(), lacking);
    // The next one is read as if nothing had been.
    let output = feed(&["decode"], &format!("{cut}\n{message}\n"));
    let (_, out, _) = ended(&output);
    let lines = squeezed(out);
    assert_eq!(lines.iter().filter(|line| *line == "sound").count(), 1, "{out}");
    assert_eq!(lines.iter().filter(|line| line.contains(" 999999******")).count(), 1, "{out}");
}

#[test]
fn what_is_no_message_dialect_or_file_ends_with_the_code_of_wrong_arguments() {
    let check = |arguments: &[&str], input: &str, says: &str| {
        let output = feed(&[&["decode"], arguments].concat(), input);
        let (code, out, err) = ended(&output);
        assert_eq!((code, out), (2, ""), "{arguments:?}");
        assert!(err.contains(says), "{err}");
    };
    let message = line("0100-minimal");
    check(&[], "3031303x", "line 1: column 8: not a hexadecimal digit");
    check(&[], &format!("{message}\n303"), "line 2: an odd number of hexadecimal digits");
    let known = "neither a dialect file nor one of iso87-ascii, iso87-bcd, iso93-ascii";
    check(&["--dialect", "iso87"], &message, known);
    check(&["/nowhere/messages.hex"], "", "/nowhere/messages.hex: No such file");
    let home = folder();
    let own = home.path().join("own.toml");
    fs::write(&own, "name = \"own\"\nversion = 87\n").unwrap();
    check(&["--dialect", own.to_str().unwrap()], &message, "own.toml: line ");
}
