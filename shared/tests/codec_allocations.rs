//! One authorization on a warm connection takes no memory: parse, the rules of its type, everything
//! that a decision reads, the reply.
//!
//! Invariant: a test binary of its own with one test, since the allocator that counts is the whole
//! program's.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;

use shared::iso8583::{Dialect, Layout, parse, refuse, reply};

#[test]
fn an_authorization_on_a_warm_connection_allocates_nothing() {
    let links: Vec<(&Dialect, Vec<Vec<u8>>)> = [
        ("iso87-ascii", ["0100-purchase", "0100-foreign", "0101-repeat", "0420-partial"]),
        (
            "iso87-bcd",
            ["bcd-0100-purchase", "bcd-0200-with-pin", "bcd-0220-advice", "bcd-0420-partial"],
        ),
        (
            "iso93-ascii",
            ["93-1100-purchase", "93-1200-with-pin", "93-1220-advice", "93-1420-partial"],
        ),
        (
            "iso2003-ascii",
            ["2003-2100-purchase", "2003-2200-with-pin", "2003-2220-advice", "2003-2420-full"],
        ),
    ]
    .into_iter()
    .map(|(dialect, names)| {
        let frames = names.map(golden).to_vec();
        (Dialect::built_in(dialect).unwrap(), frames)
    })
    .collect();
    for (dialect, frames) in links {
        let (mut layout, mut out) = (Layout::new(), Vec::with_capacity(4096));
        for frame in &frames {
            answer(dialect, frame, &mut layout, &mut out);
        }
        let mut answered = 0;
        let memory = allocation_counter::measure(|| {
            for frame in (0..100).flat_map(|_| &frames) {
                answered += answer(dialect, frame, &mut layout, &mut out);
                // A broken one: the same without its last byte.
                answered += answer(dialect, &frame[..frame.len() - 1], &mut layout, &mut out);
            }
        });
        assert_eq!((answered, memory.count_total), (800, 0), "{}", dialect.name());
    }
    let counted = allocation_counter::measure(|| drop(Vec::<u8>::with_capacity(7)));
    assert_eq!(counted.count_total, 1, "what is counted would be seen");
}

fn answer(dialect: &Dialect, frame: &[u8], layout: &mut Layout, out: &mut Vec<u8>) -> usize {
    out.clear();
    let outcome = parse(dialect, frame, layout).and_then(|message| {
        message.validate()?;
        let mut scratch = [0; 64];
        let pan = message.text(2, &mut scratch).map_or(0, <[u8]>::len);
        let mut sum = u64::try_from(pan).unwrap();
        for number in [3, 4, 6, 7, 11, 14, 32, 49, 51] {
            sum = sum.wrapping_add(message.number(number)?.unwrap_or(0));
        }
        for number in [37, 41, 42] {
            sum += u64::from(message.text_array::<8>(number).map_or(0, |text| text[0]));
        }
        assert!(sum > 0);
        let mti = message.mti().response().unwrap();
        let echoed = message.received().only(dialect.echo_of(message.mti()));
        let code = &b"0000"[..usize::from(dialect.field(39).unwrap().length.max())];
        reply(dialect, echoed, mti, &[(38, b"A1B2C3"), (39, code)], out)
    });
    if let Err(error) = outcome {
        let code = &b"9100"[..usize::from(dialect.field(39).unwrap().length.max())];
        let salvage = layout.salvaged(dialect, frame);
        refuse(dialect, salvage, &error, &[(39, code)], out).unwrap().unwrap();
    }
    usize::from(!out.is_empty())
}

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden");
    let text = fs::read_to_string(path.join(name).with_extension("hex")).unwrap();
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}
