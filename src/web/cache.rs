//! The exposition of a snapshot, compressed once and shared by every scrape that asks for it.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Exposition, Format, Source};
use crate::model::{CollectorSet, Snapshot};

/// How much text is gathered before it is compressed.
const CHUNK: usize = 64 * 1024;

/// An exposition as it is kept: compressed.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    /// The text under gzip at level 1.
    pub(super) gzip: Bytes,
    /// How long the text is.
    pub(super) plain_len: usize,
}

/// The packed expositions of one moment.
struct Kept {
    moment: Moment,
    text: Option<Packed>,
    open_metrics: Option<Packed>,
}

impl Kept {
    fn slot(&mut self, format: Format) -> &mut Option<Packed> {
        match format {
            Format::Text => &mut self.text,
            Format::OpenMetrics => &mut self.open_metrics,
        }
    }

    fn get(&self, format: Format) -> Option<&Packed> {
        match format {
            Format::Text => self.text.as_ref(),
            Format::OpenMetrics => self.open_metrics.as_ref(),
        }
    }
}

/// Which snapshot, and what was to be said beside it: the later ones are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    sequence: u64,
    generation: u64,
}

impl Moment {
    pub(super) fn now(snapshot: &Snapshot, source: &dyn Source) -> Self {
        Self { sequence: snapshot.sequence, generation: source.generation() }
    }
}

/// Holds the compressed expositions of the newest snapshot that was asked for, and nothing older.
#[derive(Default)]
pub(super) struct Cache {
    kept: ArcSwapOption<Kept>,
    /// One renders at a time; whoever waited for the same body finds it made.
    rendering: Mutex<()>,
}

impl Cache {
    /// The exposition, if it is at hand. Does not block.
    pub(super) fn at_hand(&self, moment: Moment, request: Exposition) -> Option<Packed> {
        if request.collectors != CollectorSet::ALL {
            return None;
        }
        self.kept.load().as_ref().filter(|kept| kept.moment == moment)?.get(request.format).cloned()
    }

    /// The exposition, rendered if it must be. Blocks, for a rendering under way as well.
    ///
    /// # Errors
    ///
    /// Those of the source.
    pub(super) fn pack(
        &self,
        source: &dyn Source,
        snapshot: &Snapshot,
        request: Exposition,
    ) -> io::Result<Packed> {
        let _turn = self.rendering.lock().unwrap_or_else(PoisonError::into_inner);
        // What changes while it is rendered is in the next one.
        let moment = Moment::now(snapshot, source);
        if let Some(packed) = self.at_hand(moment, request) {
            return Ok(packed);
        }
        let packed = compress(|out| source.render(snapshot, request, out))?;
        if request.collectors == CollectorSet::ALL {
            self.keep(moment, request.format, packed.clone());
        }
        Ok(packed)
    }

    /// Keeps a body, unless a newer one is kept. Only called by the one that renders.
    fn keep(&self, moment: Moment, format: Format, packed: Packed) {
        let old = self.kept.load_full();
        let mut kept = match old {
            Some(old) if old.moment > moment => return,
            Some(old) if old.moment == moment => {
                Kept { moment, text: old.text.clone(), open_metrics: old.open_metrics.clone() }
            }
            _ => Kept { moment, text: None, open_metrics: None },
        };
        *kept.slot(format) = Some(packed);
        self.kept.store(Some(Arc::new(kept)));
    }
}

/// Compresses what is written, as it is written.
fn compress(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Packed> {
    let mut out = BufWriter::with_capacity(
        CHUNK,
        Counted { encoder: GzEncoder::new(Vec::new(), Compression::new(1)), plain_len: 0 },
    );
    write(&mut out)?;
    let Counted { encoder, plain_len } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    let mut gzip = encoder.finish()?;
    gzip.shrink_to_fit();
    Ok(Packed { gzip: gzip.into(), plain_len })
}

/// An encoder that remembers how much went in.
struct Counted {
    encoder: GzEncoder<Vec<u8>>,
    plain_len: usize,
}

impl Write for Counted {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let taken = self.encoder.write(text)?;
        self.plain_len += taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // A flush in the middle would only make the stream longer; the end is written by finish.
        Ok(())
    }
}
