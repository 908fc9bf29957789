//! What can go wrong on a graphics card.

use thiserror::Error;

/// Each is one sentence, or the end of one.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GpuError {
    /// The driver would not open the adapter.
    #[error("it could not be opened: {0}")]
    Open(String),
    /// A smaller batch may fit.
    #[error("its memory is full")]
    OutOfMemory,
    /// Nothing on this device can be used any more.
    #[error("the device was lost ({0})")]
    Lost(String),
    /// A fault of the driver or of a kernel.
    #[error("{0}")]
    Failed(String),
    /// Shapes that do not go together.
    #[error("shapes do not fit: {0}")]
    Shape(String),
}

impl From<wgpu::Error> for GpuError {
    fn from(error: wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { .. } => Self::OutOfMemory,
            wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                Self::Failed(description.lines().map(str::trim).collect::<Vec<_>>().join(" "))
            }
        }
    }
}
