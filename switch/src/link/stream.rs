//! A connection's bytes: plain TCP, or TLS over it, both without waiting.
//!
//! Invariants: plain TCP costs what the socket costs, no copy and no box between; TLS holds at most
//! one buffer of each direction. Bytes that the TLS layer took count as left, since nobody can tell
//! any more how much of them the peer can read.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::time::Duration;

use bytes::BytesMut;
use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes that one read of TLS may add.
const TLS_READ_BYTES: usize = 64 * 1024;
/// Bytes of one step from the TLS layer to the input.
const TLS_STEP_BYTES: usize = 16 * 1024;
/// What the TLS layer takes beyond what the socket has: answers in it count as on their way.
const TLS_WRITE_BYTES: usize = 4 * 1024;

/// One connection.
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS, its handshake done.
    Tls(Box<TlsStream>),
}

/// TLS over TCP.
pub struct TlsStream {
    socket: TcpStream,
    session: rustls::Connection,
    /// Whether there may be something to read that the socket will not tell of.
    unread: bool,
    /// What ended it, while what came before is being read.
    failed: Option<io::Error>,
}

impl Stream {
    /// Until something may be read.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.readable().await,
            Self::Tls(tls) if tls.unread => Ok(()),
            Self::Tls(tls) => tls.socket.readable().await,
        }
    }

    /// Until something may be written.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.writable().await,
            Self::Tls(tls) => tls.socket.writable().await,
        }
    }

    /// Appends what is there to `input`, a buffer's worth at most; 0 where the peer sends no more.
    /// [`ErrorKind::WouldBlock`] where nothing is there.
    #[inline]
    pub fn try_read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_read_buf(input),
            Self::Tls(tls) => tls.try_read(input),
        }
    }

    /// Hands over some of `bytes`; how many. [`ErrorKind::WouldBlock`] where it takes none now.
    #[inline]
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write(bytes),
            Self::Tls(tls) => tls.try_write(bytes),
        }
    }

    /// Whether everything that was handed over is with the socket; tries to bring it there.
    #[inline]
    pub fn try_flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Tls(tls) => match tls.try_flush() {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
                Err(error) => Err(error),
            },
        }
    }

    /// Says that nothing more comes, and passes over what the peer still sends, until it closes: a
    /// socket that is closed with unread input is reset, and its last answers are lost with it.
    pub async fn close(&mut self) -> io::Result<()> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => {
                tls.session.send_close_notify();
                while tls.session.wants_write() {
                    tls.socket.writable().await?;
                    would_block_is_none(tls.try_flush())?;
                }
                &mut tls.socket
            }
        };
        socket.shutdown().await?;
        let mut passed_over = [0; 4096];
        while socket.read(&mut passed_over).await? > 0 {}
        Ok(())
    }
}

/// Sends small answers at once, and finds out when a peer is gone without a word: after that much
/// silence it is asked, and after that many answers that did not come it is gone.
///
/// # Errors
/// The socket is closed already.
pub fn tuned(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(socket, 3)?;
    Ok(())
}

impl TlsStream {
    /// On a socket whose handshake is done.
    #[must_use]
    pub fn new(socket: TcpStream, mut session: rustls::Connection) -> Self {
        session.set_buffer_limit(Some(TLS_WRITE_BYTES));
        Self { socket, session, unread: true, failed: None }
    }

    fn try_read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let before = input.len();
        loop {
            let step = self.step(input);
            let read = input.len() - before;
            match step {
                Ok(0) => {
                    // The end is told once everything in front of it was.
                    self.unread = true;
                    return Ok(read);
                }
                Ok(_) if read >= TLS_READ_BYTES => {
                    self.unread = true;
                    return Ok(read);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unread = false;
                    return if read > 0 { Ok(read) } else { Err(error) };
                }
                Err(error) if read == 0 => return Err(error),
                Err(error) => {
                    self.unread = true;
                    self.failed = Some(error);
                    return Ok(read);
                }
            }
        }
    }

    /// Moves one piece of plain text, reading from the socket only where there is none.
    fn step(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        loop {
            let start = input.len();
            input.resize(start + TLS_STEP_BYTES, 0);
            let read = self.session.reader().read(input.get_mut(start..).unwrap_or_default());
            input.truncate(start + read.as_ref().map_or(0, |read| *read));
            match read {
                Ok(read) => return Ok(read),
                // Frames carry their length: an end without a word hides nothing.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                Err(_nothing_there) => {}
            }
            self.session.read_tls(&mut Socket(&self.socket))?;
            if let Err(error) = self.session.process_new_packets() {
                // The peer is told why, if it still listens.
                self.try_flush().ok();
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_flush()?;
        let taken = self.session.writer().write(bytes)?;
        // What is wrong with the socket is told at the next write: these bytes are taken, and some
        // of them may have left.
        self.try_flush().ok();
        Ok(taken)
    }

    fn try_flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            if self.session.write_tls(&mut Socket(&self.socket))? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

/// The socket as the TLS layer wants it: it never waits.
pub(super) struct Socket<'a>(pub(super) &'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn would_block_is_none(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        other => other,
    }
}
