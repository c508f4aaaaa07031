use crate::args::CompareArgs;
pub(crate) fn compare(_: &CompareArgs) -> anyhow::Result<std::process::ExitCode> { anyhow::bail!("not yet") }
