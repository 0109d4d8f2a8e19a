//! One connection under load: frames out in batches, every reply matched to its message at once.
//!
//! Invariants: what is outstanding is bounded by the ring; a reply answers exactly one message that
//! is outstanding here, with its whole echo, or it is a mismatch.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::answers::{Code, Keys, Packed, STANS};
use crate::moment::Moment;
use crate::template::{Templates, Unexpected, Variables};
use crate::traffic::{Purchase, Traffic};

/// Bytes read at once.
const INPUT_BYTES: usize = 256 * 1024;
/// Outstanding messages at most, below the number of STANs.
pub const RING_MAX: usize = 1 << 19;

/// What all connections of a run share.
#[derive(Debug)]
pub struct Shared {
    /// The encoded messages.
    pub templates: Templates,
    /// What they ask for.
    pub traffic: Traffic,
    /// Their keys.
    pub keys: Keys,
    /// DE39 of an approval.
    pub approved: Code,
    /// Codes that an ordinary purchase may get.
    pub plausible: Vec<Code>,
    /// What came of them.
    pub tally: Tally,
}

/// What came of the messages.
#[derive(Debug)]
pub struct Tally {
    /// Nanoseconds from when a message was due to its reply.
    pub latency: hdrhistogram::Histogram<u64>,
    /// Approved.
    pub approved: u64,
    /// Declined.
    pub declined: u64,
    /// Replies that are not the one to their message.
    pub mismatches: Mismatches,
    /// Messages whose connection was lost before the reply.
    pub unknown: u64,
}

/// Mismatches counted, the first ones in words.
#[derive(Clone, Debug, Default)]
pub struct Mismatches {
    /// How many.
    pub count: u64,
    /// The first ones.
    pub details: Vec<String>,
}

/// Mismatches that are kept in words.
const DETAILS_MAX: usize = 8;

impl Mismatches {
    /// Counts one.
    pub fn add(&mut self, detail: impl FnOnce() -> String) {
        self.count += 1;
        if self.details.len() < DETAILS_MAX {
            self.details.push(detail());
        }
    }

    /// Takes over those of another check.
    pub fn join(&mut self, other: Self) {
        self.count += other.count;
        let room = DETAILS_MAX.saturating_sub(self.details.len());
        self.details.extend(other.details.into_iter().take(room));
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    index: usize,
    stream: TcpStream,
    out: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    filled: usize,
    /// When message n was due, in nanoseconds and one more, at n modulo its length; 0 where nothing
    /// is outstanding.
    due: Vec<u64>,
    /// No message below is outstanding.
    oldest: u64,
    next: u64,
    outstanding: usize,
    /// Which second of the run it is, and what messages say of it.
    sent_at: (u64, Moment),
    answers: Vec<Packed>,
}

impl Connection {
    /// Connects; up to `ring` messages, a power of two, may be outstanding.
    pub fn open(index: usize, address: SocketAddr, ring: usize, keys: &Keys) -> io::Result<Self> {
        Ok(Self {
            index,
            stream: connect(address)?,
            out: Vec::new(),
            written: 0,
            input: vec![0; INPUT_BYTES],
            filled: 0,
            due: vec![0; ring],
            oldest: 0,
            next: 0,
            outstanding: 0,
            sent_at: (0, keys.sent_at(0)),
            answers: Vec::new(),
        })
    }

    /// The socket.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// How many messages wait for their reply.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// How many messages were sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.next
    }

    /// Whether another message may be outstanding.
    #[must_use]
    pub fn has_room(&self) -> bool {
        usize::try_from(self.next - self.oldest).unwrap_or(usize::MAX) < self.due.len()
    }

    /// The answers by number of the message.
    #[must_use]
    pub fn into_answers(self) -> Vec<Packed> {
        self.answers
    }

    /// Appends the next message, due at this time.
    pub fn enqueue(&mut self, shared: &mut Shared, due: Duration) {
        let number = self.next;
        let (purchase, variables) = self.message(shared, number);
        if let Some(frame) = shared.templates.write(purchase.card, &variables) {
            self.out.extend_from_slice(frame);
        }
        if let Some(slot) = place(&mut self.due, number) {
            *slot = nanoseconds(due) + 1;
        }
        self.answers.push(Packed::default());
        self.next += 1;
        self.outstanding += 1;
    }

    /// Writes what the socket takes; whether all of it went.
    pub fn flush(&mut self) -> io::Result<bool> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(taken) => self.written += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(true)
    }

    /// Reads once and takes every whole reply; `now` is asked for after the read.
    pub fn receive(
        &mut self,
        shared: &mut Shared,
        now: impl FnOnce() -> Duration,
    ) -> io::Result<()> {
        let room = self.input.get_mut(self.filled..).unwrap_or_default();
        match self.stream.read(room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let now = nanoseconds(now());
        let input = std::mem::take(&mut self.input);
        let mut rest = input.get(..self.filled).unwrap_or_default();
        while let Some((length, behind)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some((reply, behind)) = behind.split_at_checked(length) else { break };
            if !reply.is_empty() {
                self.reply(shared, reply, now);
            }
            rest = behind;
        }
        let consumed = self.filled - rest.len();
        self.input = input;
        self.input.copy_within(consumed..self.filled, 0);
        self.filled -= consumed;
        Ok(())
    }

    /// Gives up what is outstanding: the connection is lost.
    pub fn abandon(&mut self, shared: &mut Shared) {
        shared.tally.unknown += u64::try_from(self.outstanding).unwrap_or_default();
        self.due.fill(0);
        self.oldest = self.next;
        self.outstanding = 0;
        self.out.clear();
        self.written = 0;
        self.filled = 0;
    }

    /// Connects anew.
    pub fn reconnect(&mut self, address: SocketAddr) -> io::Result<()> {
        self.stream = connect(address)?;
        Ok(())
    }

    fn message(&mut self, shared: &Shared, number: u64) -> (Purchase, Variables) {
        let second = number / STANS;
        if self.sent_at.0 != second {
            self.sent_at = (second, shared.keys.sent_at(number));
        }
        let purchase = shared.traffic.purchase(self.index, number);
        let variables = Variables {
            amount: purchase.amount,
            stan: number % STANS,
            sent_at: self.sent_at.1,
            acquirer: shared.keys.acquirer(self.index),
            reference: number,
        };
        (purchase, variables)
    }

    fn reply(&mut self, shared: &mut Shared, reply: &[u8], now: u64) {
        let index = self.index;
        match self.matched(shared, reply, now) {
            Ok((purchase, number, packed)) => {
                let Some(answer) = packed.unpack() else { return };
                let approved = answer.code == shared.approved;
                let plausible = if purchase.excessive {
                    !approved
                } else {
                    shared.plausible.contains(&answer.code)
                };
                if !plausible || approved != answer.approval.is_some() {
                    shared.tally.mismatches.add(|| {
                        format!("connection {index}, message {number}: {purchase:?} got {answer:?}")
                    });
                }
                if approved {
                    shared.tally.approved += 1;
                } else {
                    shared.tally.declined += 1;
                }
            }
            Err(unexpected) => {
                shared.tally.mismatches.add(|| format!("connection {index}: {unexpected}"));
            }
        }
    }

    /// The message that a reply answers, and the answer, which is kept.
    fn matched(
        &mut self,
        shared: &mut Shared,
        reply: &[u8],
        now: u64,
    ) -> Result<(Purchase, u64, Packed), Unexpected> {
        let stan = shared.templates.stan(reply)?;
        let last = self.next.checked_sub(1).ok_or(Unexpected::Echo)?;
        let back = (last % STANS + STANS - stan) % STANS;
        let number = last.checked_sub(back).ok_or(Unexpected::Echo)?;
        if number < self.oldest {
            return Err(Unexpected::Echo);
        }
        let (purchase, variables) = self.message(shared, number);
        let answer = shared.templates.answer(reply, purchase.card, &variables)?;
        let packed = Packed::pack(answer).ok_or(Unexpected::Content)?;
        let due = place(&mut self.due, number).ok_or(Unexpected::Echo)?;
        let since = std::mem::take(due).checked_sub(1).ok_or(Unexpected::Echo)?;
        shared.tally.latency.saturating_record(now.saturating_sub(since).max(1));
        let kept = usize::try_from(number).ok().and_then(|place| self.answers.get_mut(place));
        if let Some(kept) = kept {
            *kept = packed;
        }
        self.outstanding -= 1;
        while self.oldest < self.next
            && place(&mut self.due, self.oldest).is_some_and(|due| *due == 0)
        {
            self.oldest += 1;
        }
        Ok((purchase, number, packed))
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// The slot of message `number`; the ring's length is a power of two.
fn place(ring: &mut [u64], number: u64) -> Option<&mut u64> {
    let mask = u64::try_from(ring.len()).ok()?.checked_sub(1)?;
    ring.get_mut(usize::try_from(number & mask).ok()?)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX - 1)
}
