//! The body of an answer: shared bytes sent in pieces, and an account of how far the client has got.

use std::convert::Infallible;
use std::io::Read as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use flate2::bufread::GzDecoder;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::cache::Packed;

/// How much is handed to the connection at once. hyper asks for more when this has gone to the kernel.
const PIECE: usize = 64 * 1024;

/// What to send, and what hangs on it.
pub(super) struct Reply {
    content: Content,
    /// The snapshot that counts as carried once all is sent.
    carries: Option<u64>,
    /// The right to render, held until the answer has gone.
    permit: Option<OwnedSemaphorePermit>,
}

enum Content {
    /// Bytes as they are.
    Whole(Bytes),
    /// Compressed bytes, to be sent uncompressed: unpacked piece by piece, so that a client that takes no gzip
    /// costs a window of memory and not the whole text.
    Unpacked { decoder: Box<GzDecoder<bytes::buf::Reader<Bytes>>>, left: usize },
}

impl Reply {
    /// Bytes to be sent as they are.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(bytes.into()), carries: None, permit: None }
    }

    /// A compressed body, to be sent uncompressed.
    pub(super) fn unpacked(packed: &Packed) -> Self {
        let decoder = Box::new(GzDecoder::new(packed.gzip.clone().reader()));
        Self { content: Content::Unpacked { decoder, left: packed.plain_len }, carries: None, permit: None }
    }

    /// Says which snapshot is carried by sending this.
    pub(super) fn carrying(mut self, sequence: Option<u64>) -> Self {
        self.carries = sequence;
        self
    }

    /// Holds a permit until this has been sent or dropped.
    pub(super) fn holding(mut self, permit: Option<OwnedSemaphorePermit>) -> Self {
        self.permit = permit;
        self
    }

    /// How many bytes are still to be sent.
    pub(super) fn left(&self) -> usize {
        match &self.content {
            Content::Whole(bytes) => bytes.len(),
            Content::Unpacked { left, .. } => *left,
        }
    }

    fn next_piece(&mut self) -> Result<Bytes, std::io::Error> {
        match &mut self.content {
            Content::Whole(bytes) => Ok(bytes.split_to(bytes.len().min(PIECE))),
            Content::Unpacked { decoder, left } => {
                let mut piece = vec![0; (*left).min(PIECE)];
                decoder.read_exact(&mut piece)?;
                *left -= piece.len();
                Ok(piece.into())
            }
        }
    }
}

/// How far the answers on one connection have got. Shared by the body, which knows when its last byte was handed to
/// hyper, and the stream, which knows when the kernel took it.
#[derive(Default)]
pub(super) struct Progress {
    /// A body is under way.
    sending: AtomicBool,
    /// The snapshot whose exposition was handed over whole, not yet flushed; 0 is none.
    handed: AtomicU64,
}

impl Progress {
    /// Whether a body is under way, so that more is to be written after what is buffered.
    pub(super) fn sending(&self) -> bool {
        self.sending.load(Ordering::Relaxed)
    }

    /// Called when everything buffered has been written: the snapshot that this carried.
    pub(super) fn take_flushed(&self) -> Option<u64> {
        match self.handed.swap(0, Ordering::Relaxed) {
            0 => None,
            sequence => Some(sequence),
        }
    }
}

/// A reply on its way over a connection.
pub(super) struct Sending {
    reply: Reply,
    progress: Arc<Progress>,
}

impl Sending {
    /// Begins to send a reply.
    pub(super) fn new(reply: Reply, progress: Arc<Progress>) -> Self {
        progress.sending.store(true, Ordering::Relaxed);
        Self { reply, progress }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.progress.sending.store(false, Ordering::Relaxed);
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.reply.left() == 0 {
            return Poll::Ready(None);
        }
        let piece = self.reply.next_piece();
        if piece.is_ok()
            && self.reply.left() == 0
            && let Some(sequence) = self.reply.carries
        {
            self.progress.handed.store(sequence, Ordering::Relaxed);
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.reply.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.reply.left() as u64)
    }
}

/// A service that answers everything, refusals too.
pub(super) type Answer = Result<hyper::Response<Sending>, Infallible>;
