//! The graphics adapters of this machine, as Vulkan, Metal and DirectX 12 list them.
//!
//! Looked up once a process. Must not open a device or run anything on one.

use std::fmt;
use std::sync::OnceLock;

/// What an adapter is made of, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdapterKind {
    /// A graphics card with memory of its own.
    Discrete,
    /// Part of the processor, with its memory.
    Integrated,
    /// A share of a card in a virtual machine.
    Virtual,
    /// A driver that does not say.
    Other,
    /// A rasteriser on the processor: right, and slower than our own code there.
    Software,
}

impl AdapterKind {
    /// The name used in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Other => "unknown kind",
            Self::Software => "software",
        }
    }
}

/// One adapter. The same card may be listed by several back ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    pub name: String,
    /// The vendor's name, or its PCI number.
    pub vendor: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    pub kind: AdapterKind,
    /// The driver and its version, as it calls itself.
    pub driver: String,
    /// Numbers of 16 bits in shaders.
    pub f16: bool,
    /// The largest piece of memory that a kernel can see, in bytes. (How much there is in
    /// all, no interface that wgpu speaks to tells it.)
    pub largest_buffer: u64,
    handle: wgpu::Adapter,
}

impl Adapter {
    /// What a device is opened from.
    pub fn handle(&self) -> &wgpu::Adapter {
        &self.handle
    }

    /// True for a rasteriser on the processor.
    pub fn is_software(&self) -> bool {
        self.kind == AdapterKind::Software
    }

    fn new(handle: wgpu::Adapter) -> Self {
        let (info, limits) = (handle.get_info(), handle.limits());
        let known_software = ["llvmpipe", "lavapipe", "swiftshader", "basic render", "warp"];
        let name = info.name.to_lowercase();
        let kind = match info.device_type {
            // Some drivers of rasterisers call themselves something else.
            _ if known_software.iter().any(|software| name.contains(software)) => AdapterKind::Software,
            wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
            wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
            wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
            wgpu::DeviceType::Cpu => AdapterKind::Software,
            wgpu::DeviceType::Other => AdapterKind::Other,
        };
        Self {
            vendor: vendor(info.vendor),
            backend: info.backend.to_string(),
            kind,
            driver: [info.driver.trim(), info.driver_info.trim()].join(" ").trim().to_owned(),
            f16: handle.features().contains(wgpu::Features::SHADER_F16),
            largest_buffer: limits.max_buffer_size.min(limits.max_storage_buffer_binding_size),
            name: info.name,
            handle,
        }
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, vendor, backend, driver, .. } = self;
        let (kind, mib) = (self.kind.name(), self.largest_buffer >> 20);
        let f16 = if self.f16 { "f16" } else { "no f16" };
        write!(f, "{name} ({vendor}, {kind}, {backend}, driver {driver}, buffers up to {mib} MiB, {f16})")
    }
}

/// False where the system shows no card at all: then nothing but software could be found, and
/// loading its driver would cost every command a part of a second.
pub(super) fn may_have_a_card() -> bool {
    let dev = |name: &str| std::path::Path::new("/dev").join(name).exists();
    // DRM; NVIDIA's own driver; WSL; Mali and Adreno.
    !cfg!(target_os = "linux") || ["dri", "nvidiactl", "dxg", "mali0", "kgsl-3d0"].into_iter().any(dev)
}

/// PCI vendor numbers, and those that Vulkan gives to makers of software.
fn vendor(id: u32) -> String {
    match id {
        0x1002 | 0x1022 => "AMD",
        0x10de => "NVIDIA",
        0x8086 => "Intel",
        0x106b => "Apple",
        0x13b5 => "Arm",
        0x5143 => "Qualcomm",
        0x1010 => "Imagination",
        0x1414 => "Microsoft",
        0x10005 => "Mesa",
        other => return format!("vendor {other:#06x}"),
    }
    .to_owned()
}

/// All adapters, best first; none where there is no driver.
pub fn adapters() -> &'static [Adapter] {
    static FOUND: OnceLock<Vec<Adapter>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut settings = wgpu::InstanceDescriptor::new_without_display_handle();
        settings.backends = wgpu::Backends::PRIMARY;
        // Leaves room for the window and for other programs: beyond it a buffer is refused.
        settings.memory_budget_thresholds.for_resource_creation = Some(95);
        let instance = wgpu::Instance::new(settings);
        let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
        let mut found: Vec<Adapter> = found.into_iter().map(Adapter::new).collect();
        found.sort_by_key(|adapter| adapter.kind);
        found
    })
}
