//! The loop that drives all connections from one thread: messages due are appended, written in one
//! go a connection, and whatever came back is read and checked.
//!
//! Invariant: an open loop never waits for a reply, a closed one never has more outstanding than
//! its window; neither allocates, locks or wakes anything for a single message.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

use crate::answers::Answers;
use crate::connection::{Connection, RING_MAX, Shared, Tally};
use crate::schedule::Arrivals;

/// After the last message, replies are waited for this long.
const DRAIN: Duration = Duration::from_secs(10);
/// A wait is cut into pieces of this length.
const WAIT_MAX: Duration = Duration::from_millis(20);
/// Messages appended to one connection before the next one gets its turn.
const BATCH: usize = 1_024;
/// An open loop is this far behind at most before messages wait outside the connections.
const OPEN_SECONDS_OUTSTANDING: u32 = 2;

/// When messages are sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// So many a second, whatever comes back.
    Open {
        /// Messages a second, all connections together.
        rate: u32,
        /// Decides the arrival times.
        seed: u64,
    },
    /// So many outstanding a connection.
    Closed {
        /// Messages.
        window: usize,
    },
}

/// What to drive.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The switch's link.
    pub address: SocketAddr,
    /// How many connections.
    pub connections: usize,
    /// When messages are sent.
    pub pace: Pace,
    /// For how long.
    pub duration: Duration,
    /// Whether a lost connection is opened again, its outstanding messages unknown.
    pub reconnect: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Driven {
    /// By message.
    pub answers: Answers,
    /// In sum.
    pub tally: Tally,
    /// Messages sent.
    pub sent: u64,
    /// Messages that nothing came back to though their connection stood.
    pub unanswered: u64,
    /// From the first message to the last reply.
    pub elapsed: Duration,
}

struct Drive {
    plan: Plan,
    started: Instant,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Which wait for their socket to take more.
    blocked: Vec<bool>,
    lost: Vec<usize>,
    /// Whether a message is due that its connection has no room for.
    stalled: bool,
    shared: Shared,
    arrivals: Option<(std::iter::Peekable<Arrivals>, usize)>,
}

/// Opens the connections, sends as planned, waits for the last replies.
pub fn drive(plan: Plan, shared: Shared) -> io::Result<Driven> {
    // Waits end when they should, not up to 50 us later.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let ring = ring_length(&plan);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut connections = Vec::with_capacity(plan.connections);
    for index in 0..plan.connections {
        let connection = Connection::open(index, plan.address, ring, &shared.keys)?;
        epoll::add(&epoll, connection.stream(), data_of(index), epoll::EventFlags::IN)?;
        connections.push(connection);
    }
    let arrivals = match plan.pace {
        Pace::Open { rate, seed } => Some((Arrivals::new(rate, seed).peekable(), 0)),
        Pace::Closed { .. } => None,
    };
    let mut drive = Drive {
        plan,
        started: Instant::now(),
        epoll,
        blocked: vec![false; connections.len()],
        connections,
        lost: Vec::new(),
        stalled: false,
        shared,
        arrivals,
    };
    let elapsed = drive.run()?;
    Ok(drive.finish(elapsed))
}

fn ring_length(plan: &Plan) -> usize {
    let wanted = match plan.pace {
        Pace::Closed { window } => window * 2,
        Pace::Open { rate, .. } => {
            let all = usize::try_from(rate.saturating_mul(OPEN_SECONDS_OUTSTANDING));
            all.unwrap_or(RING_MAX) / plan.connections.max(1)
        }
    };
    wanted.clamp(1_024, RING_MAX).next_power_of_two()
}

fn data_of(index: usize) -> epoll::EventData {
    epoll::EventData::new_u64(u64::try_from(index).unwrap_or(u64::MAX))
}

impl Drive {
    fn run(&mut self) -> io::Result<Duration> {
        let mut events = Vec::with_capacity(self.connections.len().clamp(1, 1_024));
        let mut last_reply = Duration::ZERO;
        if let Pace::Closed { window } = self.plan.pace {
            for index in 0..self.connections.len() {
                self.fill(index, window)?;
            }
        }
        loop {
            let now = self.started.elapsed();
            let waiting =
                self.is_sending(now) || self.connections.iter().any(|one| one.outstanding() > 0);
            if !waiting || now > self.plan.duration + DRAIN {
                self.abandon_lost();
                return Ok(last_reply);
            }
            self.send_due(now)?;
            self.reconnect_lost()?;
            self.wait(&mut events)?;
            for event in &events {
                last_reply = self.started.elapsed();
                let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                let flags = event.flags;
                self.serve(index, flags)?;
            }
        }
    }

    /// Whether there is more to send: in an open loop all that was due in time, however late.
    fn is_sending(&mut self, now: Duration) -> bool {
        match self.next_due() {
            Some(due) => due < self.plan.duration,
            None => now < self.plan.duration,
        }
    }

    fn next_due(&mut self) -> Option<Duration> {
        self.arrivals.as_mut().and_then(|(arrivals, _)| arrivals.peek().copied())
    }

    /// Appends and writes everything that an open loop has due.
    fn send_due(&mut self, now: Duration) -> io::Result<()> {
        let Some((arrivals, turn)) = &mut self.arrivals else { return Ok(()) };
        let count = self.connections.len();
        let first = *turn;
        let mut touched = 0;
        while let Some(due) = arrivals.peek().copied()
            && due <= now
            && due < self.plan.duration
            && touched < count * BATCH
        {
            let Some(connection) = self.connections.get_mut(*turn) else { break };
            self.stalled = !connection.has_room();
            if self.stalled {
                break;
            }
            connection.enqueue(&mut self.shared, due);
            arrivals.next();
            *turn = (*turn + 1) % count;
            touched += 1;
        }
        for index in (first..first + touched.min(count)).map(|index| index % count) {
            self.flush(index)?;
        }
        Ok(())
    }

    /// Serves a connection that has something to read, or room to write.
    fn serve(&mut self, index: usize, flags: epoll::EventFlags) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(index) else { return Ok(()) };
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR)
        {
            let started = self.started;
            if let Err(error) = connection.receive(&mut self.shared, || started.elapsed()) {
                return self.ended(index, error);
            }
        }
        match self.plan.pace {
            Pace::Closed { window } if self.started.elapsed() < self.plan.duration => {
                self.fill(index, window)
            }
            Pace::Closed { .. } | Pace::Open { .. } => self.flush(index),
        }
    }

    fn fill(&mut self, index: usize, window: usize) -> io::Result<()> {
        let due = self.started.elapsed();
        let Some(connection) = self.connections.get_mut(index) else { return Ok(()) };
        while connection.outstanding() < window && connection.has_room() {
            connection.enqueue(&mut self.shared, due);
        }
        self.flush(index)
    }

    fn flush(&mut self, index: usize) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(index) else { return Ok(()) };
        let blocked = match connection.flush() {
            Ok(all) => !all,
            Err(error) => return self.ended(index, error),
        };
        if let Some(was) = self.blocked.get_mut(index)
            && *was != blocked
        {
            *was = blocked;
            let mut interest = epoll::EventFlags::IN;
            interest.set(epoll::EventFlags::OUT, blocked);
            epoll::modify(&self.epoll, connection.stream(), data_of(index), interest)?;
        }
        Ok(())
    }

    /// A connection ended: the run with it, unless connections are opened again.
    fn ended(&mut self, index: usize, error: io::Error) -> io::Result<()> {
        if !self.plan.reconnect {
            return Err(io::Error::new(error.kind(), format!("connection {index}: {error}")));
        }
        if !self.lost.contains(&index) {
            self.lost.push(index);
            if let Some(connection) = self.connections.get_mut(index) {
                connection.abandon(&mut self.shared);
                epoll::delete(&self.epoll, connection.stream())?;
            }
        }
        Ok(())
    }

    /// What is outstanding on connections that did not come back is unknown.
    fn abandon_lost(&mut self) {
        for index in &self.lost {
            if let Some(connection) = self.connections.get_mut(*index) {
                connection.abandon(&mut self.shared);
            }
        }
    }

    fn reconnect_lost(&mut self) -> io::Result<()> {
        for index in std::mem::take(&mut self.lost) {
            let Some(connection) = self.connections.get_mut(index) else { continue };
            if connection.reconnect(self.plan.address).is_err() {
                // Nobody listens yet: tried again after the next wait.
                self.lost.push(index);
                continue;
            }
            epoll::add(&self.epoll, connection.stream(), data_of(index), epoll::EventFlags::IN)?;
            if let Some(blocked) = self.blocked.get_mut(index) {
                *blocked = false;
            }
            match self.plan.pace {
                Pace::Closed { window } if self.started.elapsed() < self.plan.duration => {
                    self.fill(index, window)?;
                }
                Pace::Closed { .. } | Pace::Open { .. } => self.flush(index)?,
            }
        }
        Ok(())
    }

    /// Until a socket is ready or the next message is due.
    fn wait(&mut self, events: &mut Vec<epoll::Event>) -> io::Result<()> {
        self.take_events(events)?;
        if !events.is_empty() {
            return Ok(());
        }
        let now = self.started.elapsed();
        let sending = !self.stalled;
        let due = self.next_due().filter(|due| sending && *due < self.plan.duration);
        let wait = due.map_or(WAIT_MAX, |due| due.saturating_sub(now).min(WAIT_MAX));
        if wait.is_zero() {
            return Ok(());
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
        // An epoll waits in whole milliseconds, a poll of it to the nanosecond.
        let mut ready = [PollFd::new(&self.epoll, PollFlags::IN)];
        poll(&mut ready, Some(&timeout)).or_else(interrupted)?;
        self.take_events(events)
    }

    fn take_events(&self, events: &mut Vec<epoll::Event>) -> io::Result<()> {
        events.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let room = rustix::buffer::spare_capacity(events);
        epoll::wait(&self.epoll, room, Some(&at_once)).or_else(interrupted)?;
        Ok(())
    }

    fn finish(self, elapsed: Duration) -> Driven {
        let sent = self.connections.iter().map(Connection::sent).sum();
        let unanswered: usize = self.connections.iter().map(Connection::outstanding).sum();
        let connections = self.connections.into_iter().map(Connection::into_answers).collect();
        Driven {
            answers: Answers { keys: self.shared.keys, connections },
            tally: self.shared.tally,
            sent,
            unanswered: u64::try_from(unanswered).unwrap_or(u64::MAX),
            elapsed,
        }
    }
}

fn interrupted(error: rustix::io::Errno) -> io::Result<usize> {
    if error == rustix::io::Errno::INTR { Ok(0) } else { Err(error.into()) }
}
