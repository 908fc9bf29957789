//! Choosing a compute device, describing it, and saying why it fell back.
//!
//! Only `auto` falls back; a device asked for by name that cannot be had is an
//! error that says why. Must not load models.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Which device a person asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceRequest {
    /// The best there is; never an error.
    #[default]
    Auto,
    Cpu,
    Wgpu,
    Cuda,
    Metal,
}

/// A device that models can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    Cpu,
}

impl DeviceKind {
    /// The name used in output and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
        }
    }
}

/// What was chosen, and why it is not something better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub kind: DeviceKind,
    /// A sentence for the status bar where `auto` had to settle for less.
    pub note: Option<DeviceNote>,
}

/// Why it is not something better. The kind is for translations, `Display` for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceNote {
    /// No tower of this version runs on a graphics card.
    CpuOnly,
    /// In the words of whoever said it.
    Other(String),
}

impl fmt::Display for DeviceNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CpuOnly => "this version's models run on the CPU",
            Self::Other(words) => words,
        })
    }
}

/// Why a device cannot be had.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DeviceError {
    /// No tower of this version runs there.
    #[error(
        "the device `{0}` cannot be had: this version's models run on the CPU only; leave `--device` out or use `--device cpu`"
    )]
    NotInThisVersion(DeviceRequest),
    /// Not a device name.
    #[error("`{0}` is no device; use auto, cpu, wgpu, cuda or metal")]
    Unknown(String),
}

impl DeviceRequest {
    /// All of them, for help texts.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Cpu, Self::Wgpu, Self::Cuda, Self::Metal];

    /// The option's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        }
    }

    /// Settles on a device.
    pub fn choose(self) -> Result<Choice, DeviceError> {
        match self {
            Self::Auto => Ok(Choice { kind: DeviceKind::Cpu, note: Some(DeviceNote::CpuOnly) }),
            Self::Cpu => Ok(Choice { kind: DeviceKind::Cpu, note: None }),
            Self::Wgpu | Self::Cuda | Self::Metal => Err(DeviceError::NotInThisVersion(self)),
        }
    }
}

impl fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DeviceRequest {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        Self::ALL
            .into_iter()
            .find(|request| request.name() == text)
            .ok_or_else(|| DeviceError::Unknown(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_auto_falls_back() {
        let auto = DeviceRequest::Auto.choose().unwrap();
        assert_eq!(auto.kind, DeviceKind::Cpu);
        assert!(auto.note.is_some(), "says why it is the CPU");
        for request in [DeviceRequest::Wgpu, DeviceRequest::Cuda, DeviceRequest::Metal] {
            let error = request.choose().unwrap_err().to_string();
            assert!(error.contains(request.name()), "{error}");
        }
    }

    #[test]
    fn names_round_trip() {
        for request in DeviceRequest::ALL {
            assert_eq!(request.name().parse(), Ok(request));
        }
        assert!("gpu".parse::<DeviceRequest>().is_err());
    }
}
