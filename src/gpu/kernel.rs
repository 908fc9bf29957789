//! The kernels: their sources, compiled when first used, and the one layout they share.
//!
//! Binding 0 holds a kernel's parameters, 1 to 4 what it reads, 5 what it writes. Must not
//! know what a kernel is used for.

use std::sync::OnceLock;

use super::Precision;

/// A file of `assets/shaders`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    Matmul,
    Attention,
    LayerNorm,
    Patches,
    Positions,
    Pick,
    Depthwise,
    Pool,
    Scale,
    Scan,
    Copy,
    Fma,
}

const COMMON: &str = include_str!("../../assets/shaders/common.wgsl");
/// Around the kernels that say what one number of the result is.
const EACH: &str = include_str!("../../assets/shaders/each.wgsl");

impl Kernel {
    const COUNT: usize = 12;

    fn source(self) -> &'static str {
        match self {
            Self::Matmul => include_str!("../../assets/shaders/matmul.wgsl"),
            Self::Attention => include_str!("../../assets/shaders/attention.wgsl"),
            Self::LayerNorm => include_str!("../../assets/shaders/layer_norm.wgsl"),
            Self::Patches => include_str!("../../assets/shaders/patches.wgsl"),
            Self::Positions => include_str!("../../assets/shaders/positions.wgsl"),
            Self::Pick => include_str!("../../assets/shaders/pick.wgsl"),
            Self::Depthwise => include_str!("../../assets/shaders/depthwise.wgsl"),
            Self::Pool => include_str!("../../assets/shaders/pool.wgsl"),
            Self::Scale => include_str!("../../assets/shaders/scale.wgsl"),
            Self::Scan => include_str!("../../assets/shaders/scan.wgsl"),
            Self::Copy => include_str!("../../assets/shaders/copy.wgsl"),
            Self::Fma => include_str!("../../assets/shaders/fma.wgsl"),
        }
    }

    /// What stands around the source.
    fn frame(self) -> &'static str {
        match self {
            Self::Patches | Self::Positions | Self::Pick | Self::Depthwise | Self::Scale | Self::Copy | Self::Fma => {
                EACH
            }
            Self::Matmul | Self::Attention | Self::LayerNorm | Self::Pool | Self::Scan => "",
        }
    }
}

/// Inputs that a kernel may have.
const INPUTS: usize = 4;

#[derive(Debug)]
pub(super) struct Kernels {
    layout: wgpu::BindGroupLayout,
    pipelines: [OnceLock<wgpu::ComputePipeline>; Kernel::COUNT],
    /// Stands where a kernel has no input.
    pub nothing: wgpu::Buffer,
    /// A workgroup of `side * side` threads.
    pub side: u32,
    precision: Precision,
}

impl Kernels {
    pub fn new(device: &wgpu::Device, precision: Precision) -> Self {
        let entry = |binding: usize, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        };
        let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, true)];
        entries.extend((1..=INPUTS).map(|i| entry(i, storage(true), false)));
        entries.push(entry(INPUTS + 1, storage(false), false));
        let limits = device.limits();
        let threads = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        Self {
            layout: device
                .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries }),
            pipelines: std::array::from_fn(|_| OnceLock::new()),
            nothing: device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: 16,
                usage: wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            }),
            side: if threads >= 256 { 16 } else { 8 },
            precision,
        }
    }

    /// The compiled kernel.
    pub fn pipeline(&self, device: &wgpu::Device, kernel: Kernel) -> &wgpu::ComputePipeline {
        self.pipelines[kernel as usize].get_or_init(|| {
            let weights = match (kernel, self.precision) {
                (Kernel::Matmul, Precision::F16) => "enable f16;\nalias Weight = f16;\n",
                _ => "alias Weight = f32;\n",
            };
            let (frame, own) = (kernel.frame(), kernel.source());
            let source = format!("{weights}const SIDE: u32 = {}u;\n{COMMON}\n{frame}\n{own}", self.side);
            let label = format!("{kernel:?}");
            let module = compiled(device, &label, source);
            let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&self.layout)],
                immediate_size: 0,
            });
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&label),
                layout: Some(&layout),
                module: &module,
                entry_point: Some("main"),
                // They write what they share before they read it.
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            })
        })
    }

    /// Everything one run works on.
    pub fn bind(
        &self,
        device: &wgpu::Device,
        parameters: &wgpu::Buffer,
        slot: u64,
        inputs: &[&wgpu::Buffer],
        out: &wgpu::Buffer,
    ) -> wgpu::BindGroup {
        let slot = wgpu::BufferBinding { buffer: parameters, offset: 0, size: wgpu::BufferSize::new(slot) };
        let mut resources = vec![wgpu::BindingResource::Buffer(slot)];
        let given = (0..INPUTS).map(|i| inputs.get(i).copied().unwrap_or(&self.nothing));
        resources.extend(given.chain([out]).map(wgpu::Buffer::as_entire_binding));
        let entries: Vec<_> =
            (0u32..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &self.layout, entries: &entries })
    }
}

/// The kernel without the counters that wgpu adds to each loop, so that no shader runs for ever, and the checks of divisors.
#[allow(unsafe_code, reason = "20 to 50 % of the speed of products on an H100, see benches/README.md")]
fn compiled(device: &wgpu::Device, label: &str, source: String) -> wgpu::ShaderModule {
    let description =
        wgpu::ShaderModuleDescriptor { label: Some(label), source: wgpu::ShaderSource::Wgsl(source.into()) };
    let checks = wgpu::ShaderRuntimeChecks {
        force_loop_bounding: false,
        int_div_checks: false,
        ..wgpu::ShaderRuntimeChecks::checked()
    };
    // SAFETY: the sources are the program's own. Each loop counts towards a size that does not change while it runs, and
    // divisors are constants or sizes that `layers` and `operations` have checked not to be 0. Memory stays guarded.
    unsafe { device.create_shader_module_trusted(description, checks) }
}
