//! Choosing a compute device, describing it, and saying why it fell back.
//!
//! Only `auto` falls back; a device asked for by name that cannot be had is an
//! error that says why. Must not load models, nor open a device.

mod adapters;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

pub use adapters::{Adapter, AdapterKind, adapters};

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
    /// Our own kernels, on any vendor's card.
    Wgpu,
    /// candle's back end, where it was built in.
    Cuda,
    /// candle's back end, where it was built in.
    Metal,
}

impl DeviceKind {
    /// The name used in output and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        }
    }
}

/// What was chosen, and why it is not something better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub kind: DeviceKind,
    /// What `wgpu` runs on.
    pub adapter: Option<&'static Adapter>,
    /// A sentence for the status bar where `auto` had to settle for less.
    pub note: Option<DeviceNote>,
}

/// Why it is not something better. The kind is for translations, `Display` for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceNote {
    /// No graphics card, or no driver for it.
    NoAdapter,
    /// Only a rasteriser on the processor, by this name.
    OnlySoftware(String),
    /// A card that was there was given up, in the words of whoever gave it up.
    GaveUp { adapter: String, reason: String },
    /// In the words of whoever said it.
    Other(String),
}

impl fmt::Display for DeviceNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAdapter => f.write_str("no graphics card with a driver was found, so models run on the CPU"),
            Self::OnlySoftware(name) => {
                write!(f, "the only graphics adapter, {name}, is a program on the CPU, so models run there directly")
            }
            Self::GaveUp { adapter, reason } => write!(f, "models run on the CPU, not on {adapter}: {reason}"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// Why a device cannot be had.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DeviceError {
    #[error(
        "the device `wgpu` cannot be had: no graphics card with a Vulkan, Metal or DirectX 12 driver was found; leave `--device` out or use `--device cpu`"
    )]
    NoAdapter,
    /// Another build has it.
    #[error(
        "the device `{0}` cannot be had: this program was built without it (`cargo build --features {0}`); `--device wgpu` runs on any vendor's card"
    )]
    NotBuiltIn(DeviceRequest),
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

    /// Settles on a device among those of this machine.
    pub fn choose(self) -> Result<Choice, DeviceError> {
        let on = |kind| Ok(Choice { kind, adapter: None, note: None });
        match self {
            Self::Cpu => on(DeviceKind::Cpu),
            Self::Cuda if cfg!(feature = "cuda") => on(DeviceKind::Cuda),
            Self::Metal if cfg!(feature = "metal") => on(DeviceKind::Metal),
            Self::Cuda | Self::Metal => Err(DeviceError::NotBuiltIn(self)),
            Self::Auto if !adapters::may_have_a_card() => {
                Ok(Choice { kind: DeviceKind::Cpu, adapter: None, note: Some(DeviceNote::NoAdapter) })
            }
            Self::Wgpu | Self::Auto => {
                let found = adapters();
                let kinds: Vec<_> = found.iter().map(|adapter| adapter.kind).collect();
                match (best(&kinds, self == Self::Wgpu), found.first()) {
                    (Some(i), _) => Ok(Choice { kind: DeviceKind::Wgpu, adapter: found.get(i), note: None }),
                    (None, _) if self == Self::Wgpu => Err(DeviceError::NoAdapter),
                    (None, first) => {
                        let note = first.map_or(DeviceNote::NoAdapter, |a| DeviceNote::OnlySoftware(a.name.clone()));
                        Ok(Choice { kind: DeviceKind::Cpu, adapter: None, note: Some(note) })
                    }
                }
            }
        }
    }
}

/// The adapter to take: the best kind, the first of its kind; a software one only where that is accepted.
fn best(kinds: &[AdapterKind], software: bool) -> Option<usize> {
    let acceptable = |&(_, kind): &(usize, &AdapterKind)| software || *kind != AdapterKind::Software;
    kinds.iter().enumerate().filter(acceptable).min_by_key(|(_, kind)| **kind).map(|(i, _)| i)
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
        assert_eq!(auto.kind == DeviceKind::Cpu, auto.note.is_some(), "says why it is the CPU: {auto:?}");
        assert!(auto.adapter.is_none_or(|adapter| !adapter.is_software()));
        for request in [DeviceRequest::Cuda, DeviceRequest::Metal] {
            match request.choose() {
                Ok(choice) => assert_eq!(choice.kind.name(), request.name()),
                Err(error) => assert!(error.to_string().contains(request.name()), "{error}"),
            }
        }
        match DeviceRequest::Wgpu.choose() {
            Ok(choice) => assert!(choice.adapter.is_some()),
            Err(error) => assert_eq!(error, DeviceError::NoAdapter),
        }
    }

    #[test]
    fn a_card_before_a_part_of_the_processor_before_software() {
        use AdapterKind::{Discrete, Integrated, Software, Virtual};
        assert_eq!(best(&[Software, Integrated, Discrete, Discrete], false), Some(2));
        assert_eq!(best(&[Virtual, Software, Integrated], true), Some(2));
        assert_eq!(best(&[Software], true), Some(0));
        assert_eq!(best(&[Software], false), None, "auto never takes one");
        assert_eq!(best(&[], true), None);
    }

    #[test]
    fn names_round_trip() {
        for request in DeviceRequest::ALL {
            assert_eq!(request.name().parse(), Ok(request));
        }
        assert!("gpu".parse::<DeviceRequest>().is_err());
    }
}
