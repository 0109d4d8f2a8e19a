//! The journal against damage: what is refused, what is a torn tail, and that what was written is
//! read, on whatever segments it fell. Source: durability 1 and 4.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shared::ids::Sequence;
use shared::journal_record::Record;
use switch::journal::frame::{self, ChainHash};
use switch::journal::mark::MarkFile;
use switch::journal::reader::Reader;
use switch::journal::scan::{Corruption, ScanError, scan};
use switch::journal::segment::{self, FOOTER_BYTES, HEADER_BYTES, Header};
use switch::recovery::{RecoveryError, recover, verify};

use crate::rig::{Book, copy, folder, refusal, some_command, take_over, wait};

/// Small enough for a few records a segment.
const SEGMENT_BYTES: u64 = 1024;

/// A segment file's frames: where each begins and ends, and its sequence.
fn frames(file: &Path) -> Vec<(usize, usize, Sequence)> {
    let bytes = fs::read(file).unwrap();
    let salt = Header::decode(&bytes).unwrap().salt;
    let mut at = HEADER_BYTES;
    let mut found = Vec::new();
    while let Ok(frame) = frame::read(&bytes[at..], salt) {
        found.push((at, at + frame.length, frame.position.sequence));
        at += frame.length;
    }
    found
}

fn corruption(directory: &Path) -> Corruption {
    let refusal = refusal(directory);
    let RecoveryError::Scan(ScanError::Corrupt(corruption)) = refusal else { panic!("{refusal}") };
    corruption
}

/// What stands in the journal, record by record.
fn records(directory: &Path) -> Vec<Record> {
    let mut found = Vec::new();
    let mark = MarkFile::read(directory).unwrap();
    scan(directory, mark, &mut |frame| {
        found.push(Record::decode(frame.payload).map_err(|error| error.to_string())?);
        Ok(())
    })
    .unwrap();
    found
}

/// Overwrites in place.
fn damage(file: &Path, at: usize, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(bytes, at as u64).unwrap();
}

#[test]
fn every_flipped_bit_of_closed_segments_is_refused_at_its_place() {
    let home = folder();
    let mut book = Book::open(home.path(), SEGMENT_BYTES);
    (0..12).for_each(|_| book.group(1));
    book.close();
    let files: Vec<PathBuf> = segment::list(home.path())
        .unwrap()
        .into_iter()
        .map(|index| segment::path(home.path(), index))
        .collect();
    assert!(files.len() >= 3, "two segments of full length and a short one: {files:?}");
    let mut flips = 0;
    for file in &files {
        let bytes = fs::read(file).unwrap();
        let (frames, footer_at) = (frames(file), bytes.len() - FOOTER_BYTES);
        let used = frames.last().unwrap().1;
        for bit in 0..bytes.len() * 8 {
            let byte = bit / 8;
            damage(file, byte, &[bytes[byte] ^ (1 << (bit % 8))]);
            let expected = if byte < HEADER_BYTES {
                0
            } else if byte < used {
                frames.iter().find(|(_, end, _)| byte < *end).unwrap().0
            } else if byte < footer_at {
                byte
            } else {
                footer_at
            };
            let found = corruption(home.path());
            assert_eq!((&found.file, found.offset), (file, expected as u64), "bit {bit}: {found}");
            damage(file, byte, &bytes[byte..=byte]);
            flips += 1;
        }
    }
    assert!(flips > 2 * 8 * 1024);
    assert_eq!(take_over(home.path()).unwrap().tail.sequence, Sequence(12));
}

#[test]
fn a_clean_stop_recovers_every_record_and_the_epoch_grows() {
    let home = folder();
    let mut expected = None;
    for start in 1..=5_u64 {
        let recovered = take_over(home.path()).unwrap();
        assert_eq!((recovered.torn, recovered.tail.epoch), (0, u32::try_from(start).unwrap()));
        assert_eq!(expected, (start > 1).then(|| recovered.ledger.state_hash()));
        let mut book = Book::on(recovered, home.path(), SEGMENT_BYTES);
        book.group(start);
        book.group(1);
        let ledger = book.close();
        expected = Some(ledger.state_hash());
        let verified = verify(home.path()).unwrap();
        assert_eq!(
            (verified.state_hash, verified.last),
            (ledger.state_hash(), ledger.last().sequence)
        );
    }
    let epochs: Vec<u32> = segment::list(home.path())
        .unwrap()
        .into_iter()
        .map(|index| fs::read(segment::path(home.path(), index)).unwrap())
        .map(|bytes| Header::decode(&bytes).unwrap().epoch)
        .collect();
    assert!(epochs.is_sorted() && epochs.last() == Some(&5), "{epochs:?}");
}

/// A journal that stopped without warning: three groups, of which the mark knows two.
struct Stopped {
    home: tempfile::TempDir,
    file: PathBuf,
    /// The frames of the last segment.
    frames: Vec<(usize, usize, Sequence)>,
    /// How many records stand in front of the last group.
    marked: usize,
}

fn stopped(last_group: u64) -> Stopped {
    let (live, home) = (folder(), folder());
    let mut book = Book::open(live.path(), 8192);
    book.group(2);
    book.group(3);
    book.mark();
    let mark = fs::read(live.path().join("mark")).unwrap();
    book.group(last_group);
    copy(live.path(), home.path());
    fs::write(home.path().join("mark"), mark).unwrap();
    let file = segment::path(home.path(), 1);
    let frames = frames(&file);
    assert_eq!(frames.len() as u64, 5 + last_group);
    Stopped { home, file, frames, marked: 5 }
}

#[test]
fn a_tail_torn_at_any_byte_leaves_exactly_the_whole_records_and_never_comes_back() {
    let stopped = stopped(3);
    let whole = fs::read(&stopped.file).unwrap();
    let (begin, end) = (stopped.frames[stopped.marked].0, stopped.frames.last().unwrap().1);
    let garbage: Vec<u8> = (0..97_u8).map(|byte| byte.wrapping_mul(37) | 1).collect();
    for cut in begin..end {
        for behind in [&[][..], &garbage] {
            let home = folder();
            copy(stopped.home.path(), home.path());
            let mut torn = whole.clone();
            torn[cut..end].fill(0);
            torn[cut..cut + behind.len()].copy_from_slice(behind);
            fs::write(segment::path(home.path(), 1), &torn).unwrap();
            check_torn(home.path(), &torn, cut, &stopped.frames);
        }
    }
}

fn check_torn(home: &Path, torn: &[u8], cut: usize, frames: &[(usize, usize, Sequence)]) {
    // The padding of a frame is zeros, so that a cut in it takes nothing away.
    let survivor = |(start, end, _): &&(usize, usize, Sequence)| {
        let salt = Header::decode(torn).unwrap().salt;
        *end <= cut || (*start < cut && frame::read(&torn[*start..], salt).is_ok())
    };
    let (_, used, last) = *frames.iter().take_while(survivor).last().unwrap();
    let rest = torn[used..].iter().rposition(|byte| *byte != 0).map_or(0, |place| place + 1);
    assert_eq!(verify(home).unwrap().torn, rest as u64, "cut at {cut}");
    let recovered = take_over(home).unwrap();
    assert_eq!((recovered.tail.sequence, recovered.torn), (last, rest as u64), "cut at {cut}");
    let hash = recovered.ledger.state_hash();
    let mut book = Book::on(recovered, home, 8192);
    assert_eq!(book.ledger.state_hash(), hash);
    book.group(1);
    book.close();
    let again = take_over(home).unwrap();
    assert_eq!((again.tail.sequence, again.torn), (last.next(), 0), "cut at {cut}");
    drop(again);
    let found: Vec<Sequence> = records(home).iter().map(|record| record.sequence).collect();
    assert_eq!(found, (1..=last.0 + 1).map(Sequence).collect::<Vec<_>>(), "cut at {cut}");
}

#[test]
fn damage_at_or_below_the_mark_is_refused() {
    let stopped = stopped(1);
    let whole = fs::read(&stopped.file).unwrap();
    for (start, end, sequence) in &stopped.frames[..stopped.marked] {
        for at in [*start, *start + 5, *start + 60, *end - 20] {
            damage(&stopped.file, at, &[whole[at] ^ 0x10]);
            let found = corruption(stopped.home.path());
            assert_eq!((found.offset, found.sequence), (*start as u64, *sequence));
            assert!(found.what.contains("mark"), "{found}");
            damage(&stopped.file, at, &whole[at..=at]);
        }
    }
    // The same as if they had never been written.
    damage(&stopped.file, stopped.frames[1].0, &vec![0; whole.len() - stopped.frames[1].0]);
    assert_eq!(corruption(stopped.home.path()).sequence, Sequence(2));
}

#[test]
fn a_damaged_record_in_front_of_a_later_group_is_refused_and_of_the_same_group_is_torn() {
    let stopped = stopped(3);
    // As if no mark had been written since the start.
    fs::remove_file(stopped.home.path().join("mark")).unwrap();
    let mut marks = MarkFile::open(stopped.home.path()).unwrap();
    marks.write(1, Sequence(0), ChainHash::default()).unwrap();
    let whole = fs::read(&stopped.file).unwrap();
    for (place, (start, _, sequence)) in stopped.frames.iter().enumerate() {
        let home = folder();
        copy(stopped.home.path(), home.path());
        damage(&segment::path(home.path(), 1), start + 70, &[whole[start + 70] ^ 1]);
        if place < stopped.marked {
            let found = corruption(home.path());
            assert_eq!((found.offset, found.sequence), (*start as u64, *sequence), "{found}");
            assert!(found.what.contains("later group"), "{found}");
        } else {
            let recovered = take_over(home.path()).unwrap();
            assert_eq!(recovered.tail.sequence.next(), *sequence);
            assert!(recovered.torn > 0);
        }
    }
}

/// A closed journal of several segments.
fn closed(segments: usize) -> tempfile::TempDir {
    let home = folder();
    let mut book = Book::open(home.path(), SEGMENT_BYTES);
    while segment::list(home.path()).unwrap().len() < segments {
        book.group(1);
    }
    book.close();
    home
}

#[test]
fn a_missing_swapped_or_foreign_segment_is_refused() {
    let check = |change: &dyn Fn(&Path), what: &str| {
        let home = closed(4);
        change(home.path());
        let found = corruption(home.path());
        assert!(found.what.contains(what), "{found}");
        assert!(verify(home.path()).is_err());
    };
    for index in 1..=3 {
        let missing = format!("segment {index} is missing");
        check(&|home| fs::remove_file(segment::path(home, index)).unwrap(), &missing);
    }
    check(&|home| fs::remove_file(home.join("mark")).unwrap(), "no intact mark");
    check(&|home| fs::write(home.join("mark"), [7; 8192]).unwrap(), "no intact mark");
    // Only the mark knows of the last one.
    check(&|home| fs::remove_file(segment::path(home, 4)).unwrap(), "durable and are gone");
    check(
        &|home| {
            let [one, two] = [2, 3].map(|index| segment::path(home, index));
            fs::rename(&one, home.join("aside")).unwrap();
            fs::rename(&two, &one).unwrap();
            fs::rename(home.join("aside"), &two).unwrap();
        },
        "does not follow",
    );
    check(
        &|home| {
            let other = closed(4);
            fs::copy(segment::path(other.path(), 3), segment::path(home, 3)).unwrap();
        },
        "does not follow",
    );
}

#[test]
fn a_stale_frame_of_an_earlier_use_of_the_file_is_no_record() {
    let stopped = stopped(1);
    let (start, end, sequence) = *stopped.frames.last().unwrap();
    let mut bytes = fs::read(&stopped.file).unwrap();
    let salt = Header::decode(&bytes).unwrap().salt;
    let position = frame::read(&bytes[start..], salt).unwrap().position;
    let payload = frame::read(&bytes[start..], salt).unwrap().payload.to_vec();
    let mut stale = Vec::new();
    frame::append(&mut stale, &frame::Position { salt: salt ^ 1, ..position }, &payload);
    bytes[start..end].copy_from_slice(&stale);
    fs::write(&stopped.file, &bytes).unwrap();
    let recovered = take_over(stopped.home.path()).unwrap();
    assert_eq!(recovered.tail.sequence.next(), sequence);
    assert!(recovered.torn > 0);
}

#[test]
fn segments_roll_over_at_every_size_and_lose_nothing() {
    for segment_bytes in (600..1400).step_by(3) {
        let home = folder();
        let mut book = Book::open(home.path(), segment_bytes);
        [1, 3, 2, 5, 1].into_iter().for_each(|count| book.group(count));
        let hash = book.close().state_hash();
        let recovered = take_over(home.path()).unwrap();
        assert_eq!((recovered.tail.sequence, recovered.torn), (Sequence(12), 0), "{segment_bytes}");
        assert_eq!(recovered.ledger.state_hash(), hash, "{segment_bytes}");
        assert_eq!(records(home.path()).len(), 12, "{segment_bytes}");
    }
}

#[test]
fn a_second_process_on_the_folder_is_refused() {
    let home = folder();
    let book = Book::open(home.path(), SEGMENT_BYTES);
    assert!(matches!(recover(home.path()), Err(RecoveryError::InUse(_))));
    book.close();
    take_over(home.path()).unwrap();
}

fn read(reader: &mut Reader, durable: Sequence, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let last = reader.read(durable, count, |bytes| {
        records.push(Record::decode(bytes).map_err(std::io::Error::other)?);
        Ok(())
    });
    assert!(records.last().is_none_or(|record| record.sequence == *last.as_ref().unwrap()));
    records
}

#[test]
fn a_reader_sees_every_record_behind_any_place_once() {
    let home = folder();
    for count in [4, 9, 1] {
        let mut book = Book::open(home.path(), SEGMENT_BYTES);
        book.group(count);
        book.group(count);
        book.close();
    }
    let all = records(home.path());
    let last = all.last().unwrap().sequence;
    assert_eq!(last, Sequence(28));
    for after in 0..=last.0 + 2 {
        for (step, count) in [(1, 1), (3, 2), (last.0, 512)] {
            let mut reader = Reader::open(home.path(), Sequence(after)).unwrap();
            let mut found = Vec::new();
            for durable in (0..=last.0).step_by(usize::try_from(step).unwrap()).chain([last.0]) {
                loop {
                    let read = read(&mut reader, Sequence(durable), count);
                    assert!(read.iter().all(|record| record.sequence.0 <= durable));
                    if read.is_empty() {
                        break;
                    }
                    found.extend(read);
                }
            }
            let from = usize::try_from(after).unwrap().min(all.len());
            assert_eq!(found, all[from..], "after {after}, {count} at once");
        }
    }
}

#[test]
fn a_reader_follows_while_it_is_written() {
    let home = folder();
    let mut book = Book::open(home.path(), SEGMENT_BYTES);
    let (progress, path) = (book.watch(), home.path().to_owned());
    let last = Sequence(400);
    let follower = std::thread::spawn(move || {
        let mut reader = Reader::open(&path, Sequence(0)).unwrap();
        let mut found = Vec::new();
        while found.len() < 400 {
            let seen = Sequence(found.len() as u64);
            let durable = wait(progress.clone(), |now| now.durable > seen).durable;
            found.extend(read(&mut reader, durable, 7));
        }
        found
    });
    while book.ledger.last().sequence < last {
        let next = book.ledger.last().sequence.next();
        book.append(&some_command(next));
        book.submit();
    }
    // Where the thread was behind, the last records are still here.
    while !follower.is_finished() {
        book.submit();
        std::thread::yield_now();
    }
    let found = follower.join().unwrap();
    book.close();
    assert_eq!(found, records(home.path()));
}

#[test]
fn verify_agrees_with_the_live_state_while_it_is_written() {
    let home = folder();
    let mut book = Book::open(home.path(), SEGMENT_BYTES);
    for _ in 0..30 {
        book.group(3);
        let found = verify(home.path()).unwrap();
        assert_eq!((found.last, found.torn), (book.ledger.last().sequence, 0));
        assert_eq!(found.state_hash, book.ledger.state_hash());
    }
}

#[test]
fn verify_raises_no_false_alarm_while_groups_are_written() {
    let home = folder();
    let mut book = Book::open(home.path(), 64 * 1024);
    let path = home.path().to_owned();
    let over = Arc::new(AtomicBool::new(false));
    let written = Arc::clone(&over);
    let verifying = std::thread::spawn(move || {
        let mut last = Sequence(0);
        while !written.load(Ordering::Relaxed) {
            let found = verify(&path).unwrap_or_else(|error| panic!("behind {last}: {error}"));
            assert!(found.last >= last);
            last = found.last;
        }
    });
    for count in 0..400 {
        book.group(count % 7 + 1);
    }
    over.store(true, Ordering::Relaxed);
    verifying.join().unwrap();
    book.close();
}

#[test]
fn a_segment_that_cannot_be_made_stops_the_journal_and_what_was_durable_stays() {
    let home = folder();
    let mut book = Book::open(home.path(), SEGMENT_BYTES);
    book.group(1);
    // Where the next segment is made there is no place any more.
    let spare = home.path().join("spare");
    let deadline = std::time::Instant::now() + crate::rig::WAIT;
    while fs::metadata(&spare).map_or(0, |file| file.len()) < SEGMENT_BYTES {
        assert!(std::time::Instant::now() < deadline, "a spare is made");
        std::thread::yield_now();
    }
    fs::remove_file(&spare).unwrap();
    let mut progress = book.progress();
    while !progress.failed {
        let next = book.ledger.last().sequence.next();
        book.append(&some_command(next));
        book.submit();
        progress = wait(book.watch(), |now| now.durable >= next || now.failed);
    }
    assert!(progress.durable < book.ledger.last().sequence, "the last one was never durable");
    let durable = progress.durable;
    assert!(book.failure().contains("No such file"));
    assert!(take_over(home.path()).unwrap().tail.sequence >= durable);
}

#[test]
fn write_behind_answers_early_within_its_caps_only() {
    let home = folder();
    let mut book = Book::open(home.path(), SEGMENT_BYTES);
    let check = |book: &mut Book, records: u64, amount: i64, early: bool| {
        let before = book.ledger.last().sequence;
        for _ in 0..records {
            let next = book.ledger.last().sequence.next();
            book.append(&some_command(next));
        }
        book.count_early(amount);
        let progress = book.watch();
        let seen = std::thread::spawn(move || {
            // The first progress behind the group: early, or only when it is durable.
            wait(progress, |now| now.written > before)
        });
        book.submit();
        let first = seen.join().unwrap();
        wait(book.watch(), |now| now.durable >= book.ledger.last().sequence);
        if !early {
            assert_eq!(first.durable, first.written, "{records} records of {amount}");
        }
    };
    check(&mut book, 3, 1_000_000, true);
    check(&mut book, 3, 1_000_001, false);
    check(&mut book, 101, 0, false);
    book.close();
    take_over(home.path()).unwrap();
}
