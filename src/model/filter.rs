//! placeholder
/// placeholder
#[derive(Clone, Debug, Default)]
pub struct PathFilter;
impl PathFilter {
    /// x
    #[must_use]
    pub fn admits(&self, _path: &[u8]) -> bool {
        true
    }
    /// x
    #[must_use]
    pub fn max_depth(&self) -> usize {
        32
    }
}
