//! Frames of the control link: four bytes of length, then postcard.
//!
//! Invariant: a frame is never longer than [`FRAME_BYTES_MAX`]; reading may be cut off at any
//! await without losing bytes.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use shared::control::{FRAME_BYTES_MAX, Reply, Request, VERSION};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

/// The reading half of a connection.
pub(crate) struct Reader {
    half: OwnedReadHalf,
    codec: LengthDelimitedCodec,
    buffer: BytesMut,
}

/// The writing half of a connection.
pub(crate) struct Writer {
    half: OwnedWriteHalf,
    codec: LengthDelimitedCodec,
    buffer: BytesMut,
}

/// Connects and exchanges hellos.
pub(crate) async fn connect(socket: &Path) -> Result<(Reader, Writer)> {
    let (read, write) = UnixStream::connect(socket).await?.into_split();
    let mut reader = Reader { half: read, codec: codec(), buffer: BytesMut::new() };
    let mut writer = Writer { half: write, codec: codec(), buffer: BytesMut::new() };
    writer.put(&Request::Hello { version: VERSION })?;
    writer.flush().await?;
    match reader.next().await? {
        Reply::Welcome { version } if version == VERSION => Ok((reader, writer)),
        Reply::Rejected { detail } => Err(Error::other(format!("the switch refuses: {detail}"))),
        Reply::Welcome { .. }
        | Reply::Outcome { .. }
        | Reply::Busy { .. }
        | Reply::View { .. }
        | Reply::Event(_)
        | Reply::Question(_) => Err(Error::other("the switch speaks another protocol version")),
    }
}

impl Reader {
    /// The next frame; an error at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Reply> {
        loop {
            if let Some(frame) = self.codec.decode(&mut self.buffer)? {
                return postcard::from_bytes(&frame)
                    .map_err(|error| Error::new(ErrorKind::InvalidData, error));
            }
            if self.half.read_buf(&mut self.buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl Writer {
    /// Puts a frame behind what is to be written.
    pub(crate) fn put(&mut self, request: &Request) -> Result<()> {
        let frame = postcard::to_allocvec(request)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, error))?;
        self.codec.encode(Bytes::from(frame), &mut self.buffer)
    }

    /// Writes all that was put.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.half.write_all_buf(&mut self.buffer).await
    }
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES_MAX).new_codec()
}
