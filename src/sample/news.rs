//! What happened between two passes, for whoever decides on it.

use std::sync::Arc;

use crate::model::{Controls, Identity, KnobChange, Writer};

/// How many pieces of news are kept for the next one who asks. Beyond it there is a flood, and the next pass tells.
const MOST: usize = 4096;

/// Something that happened to a cgroup.
#[derive(Clone, Debug)]
pub enum News {
    /// It is new.
    Born(Arc<Identity>),
    /// The kernel announced that one of its `*.events` files changed.
    Announced(Arc<Identity>),
    /// A control was written.
    Written(Written),
}

impl News {
    /// The cgroup it is about.
    #[must_use]
    pub fn cgroup(&self) -> &Arc<Identity> {
        match self {
            Self::Born(cgroup) | Self::Announced(cgroup) => cgroup,
            Self::Written(written) => &written.cgroup,
        }
    }
}

/// A write to a control file.
#[derive(Clone, Debug)]
pub struct Written {
    /// Of which cgroup.
    pub cgroup: Arc<Identity>,
    /// The file's own name, v1's where it is one of v1.
    pub file: Box<str>,
    /// The limits that are not what they were.
    pub changes: Vec<KnobChange>,
    /// The process that wrote, where the kernel tells.
    pub pid: Option<u32>,
    /// What kind of process it is.
    pub writer: Writer,
}

/// News that nobody has asked for yet.
#[derive(Debug, Default)]
pub(super) struct Gazette {
    news: Vec<News>,
    /// Nobody reads them: nothing is kept.
    unread: bool,
}

impl Gazette {
    /// One for which somebody asks, or nobody.
    pub(super) fn new(read: bool) -> Self {
        Self { news: Vec::new(), unread: !read }
    }

    pub(super) fn add(&mut self, news: impl FnOnce() -> News) {
        if !self.unread && self.news.len() < MOST {
            self.news.push(news());
        }
    }

    /// What a re-reading of the controls brought to light: a write that nobody told of has no writer.
    pub(super) fn compared(&mut self, cgroup: &Arc<Identity>, before: &Arc<Controls>, after: &Arc<Controls>) {
        if self.unread || Arc::ptr_eq(before, after) {
            return;
        }
        let changes = before.knobs_changed(after);
        for change in changes {
            self.add(|| {
                News::Written(Written {
                    cgroup: Arc::clone(cgroup),
                    file: change.knob.file().into(),
                    changes: vec![change],
                    pid: None,
                    writer: Writer::Unknown,
                })
            });
        }
    }

    pub(super) fn take(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }
}
