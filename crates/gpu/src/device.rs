//! A device and its buffers. Knows nothing of rules.

use crate::GpuError;
use std::sync::{Arc, Mutex, PoisonError};
use wgpu::{
    Adapter, Backends, Buffer, BufferUsages, ComputePipeline, Device, DeviceType, Instance, Queue,
};

/// A GPU, or a driver that is one in software.
#[derive(Debug)]
pub struct Gpu {
    name: String,
    pub(crate) device: Device,
    pub(crate) queue: Queue,
    /// Why the device was lost.
    lost: Arc<Mutex<Option<String>>>,
}

fn name_of(adapter: &Adapter) -> String {
    adapter.get_info().name
}

fn adapters() -> Vec<Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = Backends::VULKAN | Backends::METAL | Backends::DX12;
    let instance = Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(Backends::all()));
    // Hardware first.
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    });
    adapters
}

impl Gpu {
    /// The names of the adapters there are, hardware first.
    pub fn adapters() -> Vec<String> {
        adapters().iter().map(name_of).collect()
    }

    /// Opens the first adapter, or the first with `name` in its name.
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`], [`GpuError::Device`].
    pub fn open(name: Option<&str>) -> Result<Gpu, GpuError> {
        let adapters = adapters();
        let wanted = |adapter: &&Adapter| name.is_none_or(|name| name_of(adapter).contains(name));
        let Some(adapter) = adapters.iter().find(wanted) else {
            let found = adapters.iter().map(name_of).collect();
            return Err(GpuError::NoAdapter { wanted: name.map(str::to_owned), found });
        };
        Gpu::of(adapter)
    }

    /// Opens all adapters of the best kind there is, hardware before software, through one API. Those that refuse are left
    /// out with a warning, if there are others.
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`], [`GpuError::Device`].
    pub fn open_all() -> Result<Vec<Gpu>, GpuError> {
        let adapters = adapters();
        let kind = |adapter: &Adapter| {
            let info = adapter.get_info();
            (info.device_type, info.backend)
        };
        let Some(best) = adapters.first().map(kind) else {
            return Err(GpuError::NoAdapter { wanted: None, found: Vec::new() });
        };
        let mut refused = None;
        let mut gpus = Vec::new();
        for adapter in adapters.iter().filter(|adapter| kind(adapter) == best) {
            match Gpu::of(adapter) {
                Ok(gpu) => gpus.push(gpu),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if gpus.is_empty() => Err(error),
            Some(error) => {
                tracing::warn!("{error}; it is left out");
                Ok(gpus)
            }
            None => Ok(gpus),
        }
    }

    fn of(adapter: &Adapter) -> Result<Gpu, GpuError> {
        let name = name_of(adapter);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("egraft"),
            required_limits: adapter.limits(),
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) =
            pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| {
                GpuError::Device { adapter: name.clone(), reason: error.to_string() }
            })?;
        let lost = Arc::new(Mutex::new(None));
        let told = Arc::clone(&lost);
        device.set_device_lost_callback(move |reason, message| {
            let text = format!("device lost ({reason:?}) {message}");
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        });
        Ok(Gpu { name, device, queue, lost })
    }

    /// The adapter's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lets the device be lost, as a driver that crashes does; for tests.
    pub fn lose(&self) {
        self.device.destroy();
    }

    /// Does `work`; what goes wrong on the device while it does is an error.
    pub(crate) fn guarded<T>(
        &self,
        work: impl FnOnce() -> Result<T, GpuError>,
    ) -> Result<T, GpuError> {
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let done = work();
        let scopes = [internal, memory, validation];
        let errors = scopes.map(|scope| pollster::block_on(scope.pop()));
        if let Some(lost) = &*self.lost.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(GpuError::Failed(lost.clone()));
        }
        match errors.into_iter().flatten().next() {
            Some(error) => Err(GpuError::Failed(error.to_string())),
            None => done,
        }
    }

    /// A buffer of `words`; four zeros if there are none.
    pub(crate) fn filled(&self, what: &'static str, words: &[u32]) -> Result<Buffer, GpuError> {
        self.check(what, words.len())?;
        let words = if words.is_empty() { &[0; 4] } else { words };
        // Not mapped when it is made: that panics where the device is lost.
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size: 4 * words.len() as u64,
            usage: BufferUsages::STORAGE | BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
        Ok(buffer)
    }

    /// A buffer of so many words that shaders write and the host reads.
    pub(crate) fn empty(&self, what: &'static str, words: usize) -> Result<Buffer, GpuError> {
        self.check(what, words)?;
        Ok(self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size: 4 * words as u64,
            usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        }))
    }

    /// Compiles `main` of a shader; what the driver says against it comes with [`Gpu::guarded`].
    pub(crate) fn pipeline(&self, label: &str, source: String) -> ComputePipeline {
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        })
    }

    /// Runs a shader over buffers, which stand in the order of their bindings, with so many columns and rows of workgroups.
    pub(crate) fn dispatch(
        &self,
        pipeline: &ComputePipeline,
        buffers: &[&Buffer],
        (columns, rows): (u32, u32),
    ) {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(columns, rows, 1);
        drop(pass);
        self.queue.submit([encoder.finish()]);
    }

    /// The most bytes that one buffer may have.
    pub(crate) fn buffer_limit(&self) -> u64 {
        let limits = self.device.limits();
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
    }

    pub(crate) fn check(&self, what: &'static str, words: usize) -> Result<(), GpuError> {
        let limit = self.buffer_limit();
        let bytes = 4 * words as u64;
        if bytes > limit { Err(GpuError::TooLarge { what, bytes, limit }) } else { Ok(()) }
    }

    /// The first `words` of a buffer, once all that was submitted is done.
    pub(crate) fn read(&self, buffer: &Buffer, words: usize) -> Result<Vec<u32>, GpuError> {
        self.read_from(buffer, 0, words)
    }

    /// As [`Gpu::read`], from word `first` on.
    pub(crate) fn read_from(
        &self,
        buffer: &Buffer,
        first: usize,
        words: usize,
    ) -> Result<Vec<u32>, GpuError> {
        if words == 0 {
            return Ok(Vec::new());
        }
        let size = 4 * words as u64;
        let landing = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size,
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 4 * first as u64, &landing, 0, size);
        self.queue.submit([encoder.finish()]);
        let (tell, told) = std::sync::mpsc::channel();
        landing.map_async(wgpu::MapMode::Read, .., move |outcome| {
            let _ = tell.send(outcome);
        });
        let failed = |error: &dyn std::fmt::Display| GpuError::Failed(error.to_string());
        self.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|error| failed(&error))?;
        told.recv().map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        let view = landing.get_mapped_range(..).map_err(|error| failed(&error))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }
}
