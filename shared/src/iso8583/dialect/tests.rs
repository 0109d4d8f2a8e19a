//! Tests: the built-in dialects against lists made by hand, and files that are refused.

use super::*;

const TEXT: &str = include_str!("../../../../fixtures/dialects/iso87-ascii.toml");

#[test]
fn the_built_in_dialect_is_the_published_table() {
    let dialect = Dialect::iso87_ascii();
    assert_eq!((dialect.name(), dialect.version()), ("iso87-ascii", Version::V1987));
    assert_eq!(dialect.fields().len(), 128);
    // Number, class, length, by hand: the published 1987 table with the differences that the
    // head of the file lists.
    let table = "2 n ..19    3 n 6        4 n 12      7 n 10      11 n 6      14 n 4     22 n 3
        28 x+n 9     32 n ..11    35 z ..37   36 z ...104 37 anp 12   38 anp 6   39 an 2
        41 ans 8     42 ans 15    43 ans 40   44 ans ..25 45 ans ..76 48 ans ...999
        49 n 3       52 b 8       53 n 16     54 an ...120 55 b ...255 64 b 8    70 n 3
        90 n 42      95 an 42     96 b 8      97 x+n 17   99 n ..11   102 ans ..28
        104 ans ...100 127 ans ...999 128 b 8";
    let words: Vec<&str> = table.split_whitespace().collect();
    for row in words.chunks(3) {
        let field = dialect.field(row[0].parse().unwrap()).unwrap();
        let length = match field.length {
            Length::Fixed(length) => format!("{length}"),
            Length::Ll(max) => format!("..{max}"),
            Length::Lll(max) => format!("...{max}"),
        };
        assert_eq!([field.content.abbreviation(), &length], row[1..], "field {}", row[0]);
    }
}

#[test]
fn card_data_keys_and_undefined_content_are_sensitive() {
    let sensitive: Vec<u8> = Dialect::iso87_ascii()
        .fields()
        .iter()
        .filter(|field| field.sensitive)
        .map(|field| field.number)
        .collect();
    let mut expected = vec![2, 14, 34, 35, 36, 45, 46, 47, 48, 52, 53, 55];
    expected.extend([56, 57, 58, 59, 60, 61, 62, 63, 92, 96, 98, 102, 103, 104]);
    expected.extend(105..=127);
    assert_eq!(sensitive, expected);
}

#[test]
fn no_number_outside_1_to_128_has_a_definition() {
    let dialect = Dialect::iso87_ascii();
    for number in 0..=255 {
        assert_eq!(dialect.field(number).is_some(), (1..=128).contains(&number));
        assert_eq!(dialect.field(number).map_or(number, |field| field.number), number);
    }
}

#[test]
fn a_wrong_definition_is_refused_with_its_field() {
    let check = |from: &str, to: &str, field: &str, reason: &str| {
        assert_eq!(TEXT.matches(from).count(), 1, "{from}");
        let line = 1 + TEXT.lines().position(|line| line.contains(from)).unwrap();
        let error = Dialect::parse(&TEXT.replace(from, to)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("line {line}: field {field}: ")), "{error}");
        assert!(error.contains(reason), "{error}");
    };
    check("number = 3,", "number = 3, padding = 0,", "3", "unknown field `padding`");
    check("number = 3,", "number = 4,", "4", "field 3 is due");
    check("number = 3,", "number = 2,", "2", "field 3 is due");
    check("number = 3,", "number = 300,", "300", "300");
    check("number = 3,", "", "without a number", "missing field `number`");
    check("ll = 19", "ll = 100", "2", "100 is not within 1 to 99");
    check("ll = 19", "ll = 0", "2", "0 is not within 1 to 99");
    check("ll = 37", "ll = 37, lll = 37", "35", "exactly one of");
    check("ll = 37, ", "", "35", "exactly one of");
    check("lll = 104", "lll = 1000", "36", "1000 is not within 1 to 999");
    check("\"z\", ll = 37", "\"track\", ll = 37", "35", "unknown variant `track`");
    check("class = \"x+n\", length = 17", "class = \"x+n\", ll = 17", "97", "fixed length");
    check("Bit map, extended\", class = \"b\"", "X\", class = \"n\"", "65", "is a bit map");
}

#[test]
fn a_wrong_file_is_refused_with_its_line() {
    let check = |from: &str, to: &str, expected: &str| {
        assert!(TEXT.contains(from), "{from}");
        let error = Dialect::parse(&TEXT.replacen(from, to, 1)).unwrap_err().to_string();
        let line = 1 + TEXT[..TEXT.find(from).unwrap()].matches('\n').count();
        assert!(error.starts_with(&format!("line {line}: ")), "{error}");
        assert!(error.contains(expected), "{error}");
    };
    check("1987\n\nencoding", "1991\n\nencoding", "version 1991 is not supported");
    check("1987\n\nencoding", "\"x\"\n\nencoding", "invalid type");
    check("bitmap = \"binary\"", "bitmap = \"octal\"", "unknown variant `octal`");
    check("text = \"ascii\"", "text = \"bcd\"", "unknown variant `bcd`");
    check(
        "encoding = {",
        "padding = { fixed = \"left-0\", variable = \"left-0\", track = \"right-f\" }\nencoding = {",
        "only BCD digits",
    );
    check("\"iso87-ascii\"", "\"\"", "has a name");
    let (_, last) = TEXT.split_once("  { number = 128").unwrap();
    let (last, _) = last.split_once(']').unwrap();
    let last = format!("  {{ number = 128{last}]");
    check(&last, "]", "field 128 and what follows is missing");
    let mut beyond = last.replace(']', "");
    for number in 129..=193 {
        beyond += &format!("  {{ number = {number}, name = \"\", class = \"b\", ll = 1 }},\n");
    }
    let error = Dialect::parse(&TEXT.replace(&last, &(beyond + "]"))).unwrap_err().to_string();
    assert!(error.contains("field 193: is defined beyond 192"), "{error}");
    let error = Dialect::parse(&TEXT.replace("version = 1987", "edition = 1987")).unwrap_err();
    assert!(error.to_string().contains("unknown field `edition`"), "{error}");
}

#[test]
fn a_wrong_rule_is_refused_with_its_line_and_type() {
    let check = |from: &str, to: &str, expected: &str| {
        assert_eq!(TEXT.matches(from).count(), 1, "{from}");
        let line = 1 + TEXT.lines().position(|line| line.contains(from)).unwrap();
        let error = Dialect::parse(&TEXT.replace(from, to)).unwrap_err().to_string();
        assert_eq!(error, format!("line {line}: message {expected}"));
    };
    let version = "is of another edition of the standard than the dialect";
    check("\"0100\"", "\"1100\"", &format!("1100: {version}"));
    check("\"0100\"", "\"010\"", "010: is not a message type of ISO 8583");
    check("\"0100\"", "\"0101\"", "0101: is a repeat: it has the rules of the first sending");
    let no_such = "is not defined, or is a bit map";
    check(
        "\"0400\" = { mandatory = [7,",
        "\"0400\" = { mandatory = [65,",
        &format!("0400: field 65 {no_such}"),
    );
    check(
        "\"0400\" = { mandatory = [7,",
        "\"0400\" = { mandatory = [129,",
        &format!("0400: field 129 {no_such}"),
    );
    check(
        "\"0400\" = { mandatory = [7,",
        "\"0400\" = { needed = [7,",
        "0400: unknown field `needed`, expected one of `mandatory`, `conditional`, `echo`",
    );
    let without = TEXT.replace("\necho = [2,", "\n\"0422\" = {} #");
    let error = Dialect::parse(&without).unwrap_err().to_string();
    assert!(error.contains("message echo: is missing"), "{error}");
}

#[test]
fn every_built_in_dialect_compiles_and_has_the_fields_of_the_contract() {
    assert!(Dialect::built_in("iso87").is_none());
    for (name, version) in Dialect::BUILT_IN_NAMES.into_iter().zip([
        Version::V1987,
        Version::V1987,
        Version::V1993,
        Version::V2003,
    ]) {
        let dialect = Dialect::built_in(name).unwrap();
        assert_eq!((dialect.name(), dialect.version()), (name, version));
        let field = |number| {
            let field = dialect.field(number).unwrap();
            (field.content, field.length)
        };
        let (n, b, ans) = (Content::Digits, Content::Binary, Content::Printable);
        assert_eq!(field(4), (n, Length::Fixed(12)), "{name}");
        assert_eq!(field(14), (n, Length::Fixed(4)), "{name}");
        assert_eq!(field(49), (n, Length::Fixed(3)), "{name}");
        assert_eq!(field(54), (Content::LettersDigits, Length::Lll(120)), "{name}");
        assert_eq!(field(91), (Content::LettersDigits, Length::Fixed(1)), "{name}");
        assert_eq!(field(101), (ans, Length::Ll(17)), "{name}");
        assert_eq!(field(52), (b, Length::Fixed(8)), "{name}");
        for number in [64, 128] {
            assert_eq!(field(number), (b, Length::Fixed(8)), "{name}");
        }
        for number in [48, 60, 62, 63, 120] {
            assert_eq!(field(number), (ans, Length::Lll(999)), "{name}");
        }
        let code = field(39).1.max();
        let stan = field(11).1.max();
        assert_eq!(
            (code, stan),
            match version {
                Version::V1987 => (2, 6),
                Version::V1993 => (3, 6),
                Version::V2003 => (4, 12),
            }
        );
    }
}

#[test]
fn every_type_of_the_contract_has_its_rules() {
    // Type without its first digit, mandatory fields, by hand.
    let table = [
        ("100 120 200 220", &[2, 3, 4, 7, 11, 49][..]),
        ("180 190 280 290 400 420 600 620", &[7, 11]),
        ("300 302 304", &[2, 7, 11, 91]),
        ("800 804 820 824", &[11]),
    ];
    let echo = FieldSet::of(&[2, 3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49]);
    for dialect in Dialect::BUILT_IN_NAMES.map(|name| Dialect::built_in(name).unwrap()) {
        let mti = |text: &str| {
            let digits = format!("0{text}").into_bytes().try_into().unwrap();
            Mti::from_ascii(digits).unwrap().in_version(dialect.version())
        };
        for (types, mandatory) in table {
            for text in types.split(' ') {
                let rules = dialect.rules(mti(text)).unwrap();
                assert_eq!(rules.mandatory, FieldSet::of(mandatory), "{} {text}", dialect.name());
                assert_eq!(dialect.rules(mti(text).repeated()), Some(rules));
                let money = mandatory.contains(&49);
                assert_eq!(rules.conditional.len(), usize::from(money));
                assert_eq!(rules.echo.intersection(echo), echo);
                assert_eq!(rules.echo.contains(70), text.starts_with('8'));
                let later = dialect.version() != Version::V1987;
                assert_eq!(rules.echo.contains(24), later && text.starts_with('8'));
            }
        }
        for text in ["110", "102", "422", "500", "810", "700"] {
            assert_eq!(dialect.rules(mti(text)), None, "{text}");
            assert_eq!(dialect.echo_of(mti(text)), echo);
        }
    }
}
