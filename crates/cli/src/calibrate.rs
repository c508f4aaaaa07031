use crate::args::CalibrateArgs;
pub(crate) fn calibrate(_: &CalibrateArgs) -> anyhow::Result<std::process::ExitCode> { anyhow::bail!("not yet") }
