//! The command line, as clap reads it. Names and help only; nothing is opened here.

use clap::{Args, Parser, Subcommand, ValueEnum};
use egraft_bench::Engine;
use std::path::PathBuf;
use std::str::FromStr;

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  an input is bad, or a file cannot be read or written
  2  the command line is wrong
  3  outputs of the engines differ
  4  the program trapped, or a kernel returned an error
  5  something became slower (bench compare)
  A WASI program's own exit code is passed on.";

const EXAMPLES: &str = "Examples:
  egraft compile filter.wasm -o filter.cwasm
  egraft run --kernel bench/kernels/blur3x3_u8.json --compare
  egraft inspect filter.wasm
  egraft bench bench/kernels --json result.json";

/// Makes Halide WebAssembly faster inside an unmodified Wasmtime.
#[derive(Debug, Parser)]
#[command(name = "egraft", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compile a module to a .cwasm that any Wasmtime of the same version loads
    Compile(CompileArgs),
    /// Run a module, a WASI program, or a Halide kernel
    Run(RunArgs),
    /// Show what Egraft does with each function of a module
    Inspect(InspectArgs),
    /// Show the rules that fired in one function, or its code beside stock's
    Explain(ExplainArgs),
    /// List, show or check rewrite rules
    Rules(RulesArgs),
    /// Prove of each compiled function of a module that it does what it did before
    Verify(VerifyArgs),
    /// Find rewrite rules from the semantics of ops
    Infer(InferArgs),
    /// Measure every kernel of a folder under several engines
    Bench(BenchArgs),
    /// Save, go on with, show or compare e-graphs
    Egraph(EgraphArgs),
    /// Answer requests of the protocol egraft-peer/1 on standard input
    #[command(hide = true)]
    Engine(EngineArgs),
    /// Print a shell's completions
    #[command(after_help = "Example:\n  egraft completions bash > /etc/bash_completion.d/egraft")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  egraft man > egraft.1 && man ./egraft.1")]
    Man {
        /// Write one page per subcommand into this folder instead
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// Threads that this machine runs at once.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}

/// How to compile: shared by several commands.
#[derive(Debug, Clone, Args)]
pub(crate) struct CodeArgs {
    /// How much compile time to spend: 0 stock code, 1 functions with vector loops, 2 all with
    /// loops, 3 until no rewrite is left
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) effort: u8,
    /// Who makes the machine code: x64 or aarch64, Egraft's own for x86-64 with AVX2 and for AArch64;
    /// cranelift, for what was rewritten; auto, the target's own where it can for functions with vector loops
    #[arg(long, default_value_t, value_name = "BACKEND")]
    pub(crate) backend: egraft::Backend,
    /// Who finds where rules match at effort 3: cpu, or gpu, for which the CPU steps in where none works
    #[arg(long, default_value_t, value_name = "MATCHER")]
    pub(crate) matcher: egraft::Matcher,
    /// CPU to compile for: native, baseline, avx2, avx512, neoverse-v2 and other Arm cores, or a Cranelift name
    #[arg(long, value_name = "CPU")]
    pub(crate) cpu: Option<String>,
    /// Keep compiled functions in this folder, for later runs
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  egraft compile filter.wasm -o filter.cwasm
  egraft compile filter.wat -o filter.cwasm --target aarch64
  egraft compile filter.wasm --emit clif,asm --emit-dir out")]
pub(crate) struct CompileArgs {
    /// Module in binary or text form; - for standard input
    pub(crate) input: PathBuf,
    /// Where the compiled module goes; by default beside the input, with the ending .cwasm
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Target triple, or an architecture such as aarch64 or riscv64
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) code: CodeArgs,
    /// Also write, per function: CLIF before and after, the e-graph, machine code, or the report
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    pub(crate) emit: Vec<Emit>,
    /// Where --emit writes its files; by default the output's name with the ending .emit
    #[arg(long, value_name = "DIR")]
    pub(crate) emit_dir: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Emit {
    /// N.before.clif and N.after.clif
    Clif,
    /// N.egraph.json, in the format of egraph-serialize
    Egraph,
    /// N.s, the machine code: with tiles where it is Egraft's own
    Asm,
    /// N.dot, the e-graph for Graphviz
    Dot,
    /// report.json, what became of each function
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  egraft run add.wat --invoke add 2 40
  egraft run program.wasm --dir . -- input.txt
  egraft run --kernel bench/kernels/blur3x3_u8.json --compare")]
pub(crate) struct RunArgs {
    /// Module as .wasm, .wat or .cwasm; - for standard input. A .cwasm is machine code: run only
    /// files that you would run as a program
    #[arg(required_unless_present = "kernel", conflicts_with = "kernel")]
    pub(crate) file: Option<PathBuf>,
    /// Arguments: of the export given by --invoke, else of the WASI program
    #[arg(allow_negative_numbers = true, conflicts_with = "kernel")]
    pub(crate) arguments: Vec<String>,
    /// Call this export and print its results
    #[arg(long, value_name = "EXPORT", conflicts_with = "kernel")]
    pub(crate) invoke: Option<String>,
    /// Let the WASI program use a folder, as HOST or HOST::GUEST
    #[arg(long, value_name = "DIR", conflicts_with = "kernel")]
    pub(crate) dir: Vec<String>,
    /// Set a variable for the WASI program, as NAME=VALUE, or pass NAME on
    #[arg(long, value_name = "VARIABLE", conflicts_with = "kernel")]
    pub(crate) env: Vec<String>,
    /// The engine: stock, egraft, egraft:STAGE, or a kernel's native:TARGET
    #[arg(long, default_value_t = Engine::EGRAFT)]
    pub(crate) engine: Engine,
    #[command(flatten)]
    pub(crate) code: CodeArgs,
    /// Run the Halide kernel that this descriptor tells of
    #[arg(long, value_name = "JSON")]
    pub(crate) kernel: Option<PathBuf>,
    /// Run the kernel under stock Wasmtime and under Egraft, compare the outputs, print both times
    #[arg(long, requires = "kernel")]
    pub(crate) compare: bool,
    #[command(flatten)]
    pub(crate) amount: AmountArgs,
    /// Which of the descriptor's sizes: 0 is `args`, 1 the first of `sizes`
    #[arg(long, value_name = "I", default_value_t = 0, requires = "kernel")]
    pub(crate) size: usize,
    /// Print the result as JSON
    #[arg(long, requires = "kernel")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  egraft inspect filter.wasm
  egraft inspect filter.wasm --json | jq '.functions[] | select(.taken)'")]
pub(crate) struct InspectArgs {
    /// Module in binary or text form; - for standard input
    pub(crate) file: PathBuf,
    /// Target triple, or an architecture such as aarch64 or riscv64
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) code: CodeArgs,
    /// Show Wasmtime's trampolines too
    #[arg(long)]
    pub(crate) all: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  egraft explain filter.wasm blur3x3_u8
  egraft explain filter.wasm 12 --json
  egraft explain filter.wasm blur3x3_u8 --asm | less")]
pub(crate) struct ExplainArgs {
    /// Module in binary or text form; - for standard input
    pub(crate) module: PathBuf,
    /// The function's name or index
    pub(crate) function: String,
    /// Show wasm, CLIF, Egraft's machine code with its tiles, and stock's beside it, for the
    /// innermost loops with vector code, and what a turn costs
    #[arg(long)]
    pub(crate) asm: bool,
    /// Show the whole function, not only its hot loops
    #[arg(long, requires = "asm")]
    pub(crate) all_blocks: bool,
    /// Target triple, or an architecture such as aarch64 or riscv64
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) code: CodeArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  egraft egraph save filter.wasm blur3x3_u8 -o blur.egraph
  egraft egraph load blur.egraph --iterations 8 -o more.egraph
  egraft egraph show blur.egraph --format dot | dot -Tsvg > blur.svg
  egraft egraph diff blur.egraph more.egraph")]
pub(crate) struct EgraphArgs {
    #[command(subcommand)]
    pub(crate) command: EgraphCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EgraphCommand {
    /// Write the e-graph of a function, after rewriting, to a file
    Save(EgraphSaveArgs),
    /// Read an e-graph, check it, and go on applying rules
    Load(EgraphLoadArgs),
    /// Show the classes of an e-graph
    Show(EgraphShowArgs),
    /// Say which classes one of two e-graphs lacks; exit code 3 if there are any
    Diff {
        /// An e-graph
        one: PathBuf,
        /// Another
        other: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct EgraphSaveArgs {
    /// Module in binary or text form; - for standard input
    pub(crate) module: PathBuf,
    /// The function's name or index
    pub(crate) function: String,
    /// Where the e-graph goes
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) code: CodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EgraphLoadArgs {
    /// An e-graph; - for standard input
    pub(crate) file: PathBuf,
    /// Where the e-graph goes when no rule adds anything, or a limit is met
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The most batches of rewrites; 0 only checks the file
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) iterations: usize,
    /// The most nodes
    #[arg(long, value_name = "N", default_value_t = 400_000)]
    pub(crate) nodes: usize,
}

#[derive(Debug, Args)]
pub(crate) struct EgraphShowArgs {
    /// An e-graph; - for standard input
    pub(crate) file: PathBuf,
    /// As what; by default a class a line
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<EgraphShowFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EgraphShowFormat {
    /// Graphviz
    Dot,
    /// The JSON of egraph-serialize
    Json,
    /// The smallest term of each root
    Terms,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  egraft rules list
  egraft rules show iadd_zero
  egraft rules check my-rules/*.isle
  egraft rules derive --rules isle-rules/rewrite --goals isle-rules/goals")]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    pub(crate) command: RulesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// List the rules, with their reasons
    List {
        /// Only rules whose name has this in it
        filter: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one rule
    Show {
        /// The rule's name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Parse and type-check rule files, together with Egraft's own declarations
    Check {
        /// ISLE files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Say how many goals, rules that others wrote or found, follow from a set of rules
    Derive(DeriveArgs),
    /// Say what rules beside the standard ones change in compiled kernels: predicted cost, code size,
    /// compile time
    #[command(
        after_help = "Measured time: egraft bench bench/kernels --engines egraft,egraft+FOLDER"
    )]
    Measure(RuleMeasureArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum VerifyCommand {
    /// Prove rules, type by type, with a solver and with what it said before
    #[command(after_help = "Examples:
  egraft verify rules
  egraft verify rules --cached
  egraft verify rules isle-rules/rewrite --only shuffle --update
  egraft verify rules --solver cvc5 --timeout 60000

Exit code 1 says that a rule is wrong, or neither proven nor in the list of evidence.")]
    Rules(VerifyRulesArgs),
}

/// A solver.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum ProofSolver {
    Z3,
    Cvc5,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyRulesArgs {
    /// Folders of rules; of lowering rules, if a part of the path is `lower` [default: all below
    /// isle-rules]
    #[arg(value_name = "FOLDER")]
    pub(crate) folders: Vec<PathBuf>,
    /// Only rules whose name has this in it
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
    /// The file of proofs known
    #[arg(long, value_name = "FILE", default_value = "isle-rules/proofs.txt")]
    pub(crate) proofs: PathBuf,
    /// The file of evidence for rules that no solver decides
    #[arg(long, value_name = "FILE", default_value = "isle-rules/evidence.json")]
    pub(crate) evidence: PathBuf,
    /// Write new proofs to the file, and drop those that nothing needs
    #[arg(long, conflicts_with = "cached")]
    pub(crate) update: bool,
    /// Ask no solver: what the file does not know is not proven
    #[arg(long)]
    pub(crate) cached: bool,
    /// Which solver to ask; cvc5 is asked everything, whatever the file knows
    #[arg(long, value_enum, default_value_t = ProofSolver::Z3)]
    pub(crate) solver: ProofSolver,
    /// Milliseconds that one query may take
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    pub(crate) timeout: u32,
    /// Seconds that one rule may take
    #[arg(long, value_name = "S", default_value_t = 600)]
    pub(crate) rule_timeout: u64,
    /// Solvers side by side
    #[arg(long, value_name = "N", default_value_t = cores())]
    pub(crate) jobs: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is measured alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Each {
    File,
    Rule,
}

#[derive(Debug, Args)]
pub(crate) struct RuleMeasureArgs {
    /// A folder of rules
    pub(crate) folder: PathBuf,
    /// A folder of kernels
    #[arg(long, value_name = "DIR", default_value = "bench/kernels")]
    pub(crate) kernels: PathBuf,
    /// Also each file of rules alone, or each rule that fires: all kernels are compiled for each
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) each: Option<Each>,
    #[command(flatten)]
    pub(crate) code: CodeArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DeriveArgs {
    /// Folders or files of rules, taken as one set
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub(crate) rules: Vec<PathBuf>,
    /// A folder or a file of goals
    #[arg(long, value_name = "PATH")]
    pub(crate) goals: PathBuf,
    /// Only goals whose name has this in it
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Most nodes of an e-graph
    #[arg(long, value_name = "N", default_value_t = 4_000)]
    pub(crate) nodes: usize,
    /// Most batches of rewriting
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) iterations: usize,
    /// Most seconds for one choice of types and numbers
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Also write a Markdown table of all goals, each with both its sides and whether it is derived
    #[arg(long, value_name = "FILE")]
    pub(crate) table: Option<PathBuf>,
    /// Go on after the first choice of types and numbers at which a goal is not derived
    #[arg(long)]
    pub(crate) all: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  egraft verify filter.wasm
  egraft verify filter.wasm --target aarch64
  egraft verify bench/kernels --json")]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct VerifyArgs {
    #[command(subcommand)]
    pub(crate) command: Option<VerifyCommand>,
    /// Modules in binary or text form, or folders of .wasm files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Target triple, or an architecture: x86_64 or aarch64
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) code: CodeArgs,
    /// Milliseconds that one operand may take
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    pub(crate) timeout: u32,
    /// Modules side by side, each with a solver
    #[arg(long, value_name = "N", default_value_t = cores())]
    pub(crate) jobs: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  egraft bench bench/kernels --engines stock,egraft --json result.json
  egraft bench bench/kernels --engines all --json result.json
  egraft bench kernels --base-kernels old/kernels --json result.json
  egraft bench compare result.json
  egraft bench report result.json -o report.html")]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(crate) command: Option<BenchCommand>,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Say which kernels became faster or slower, as far as the noise allows
    Compare(CompareArgs),
    /// Write a result as a page for a browser
    Report(ReportArgs),
    /// Measure how often this machine's noise is taken for a change, and which changes are found
    Calibrate(CalibrateArgs),
    /// Compare engines of equality saturation: Egraft's on CPU and GPU, egg and egglog
    Saturation(Box<crate::saturation::SaturationArgs>),
}

/// What and how to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct MeasureArgs {
    /// Folder with kernel descriptors
    #[arg(required = true)]
    pub(crate) directory: Option<PathBuf>,
    /// The engines; the first is the one to compare with. stock; egraft; egraft:STAGE, with only a
    /// part of Egraft (rules, selection, addressing, registers, unrolling, wide, wider);
    /// native:TARGET, the descriptor's native build for that target, whose code runs unchecked; a
    /// peer's name; all, which is stock, egraft, and every native and peer that runs here
    #[arg(long, value_delimiter = ',', value_name = "ENGINES", default_value = "stock,egraft")]
    pub(crate) engines: Vec<String>,
    /// Folder with peers' descriptors; bench/peers if there is such a folder
    #[arg(long, value_name = "DIR")]
    pub(crate) peers: Option<PathBuf>,
    /// Measure the same kernels of this folder too, under engines called base:NAME
    #[arg(long, value_name = "DIR")]
    pub(crate) base_kernels: Option<PathBuf>,
    /// The egraft that runs the engines called base:NAME
    #[arg(long, value_name = "FILE")]
    pub(crate) base_egraft: Option<PathBuf>,
    /// Write the result to this file, in the format egraft-bench/2
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Add a line about the result to this file, in the format egraft-history/1
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// What the line is called: a commit or a version
    #[arg(long, value_name = "TEXT", requires = "history", default_value = "")]
    pub(crate) label: String,
    /// Only kernels whose name has this in it
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    #[command(flatten)]
    pub(crate) amount: AmountArgs,
    /// Which of the descriptors' sizes
    #[arg(long, value_name = "I", default_value_t = 0)]
    pub(crate) size: usize,
    #[command(flatten)]
    pub(crate) code: CodeArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  egraft bench compare result.json
  egraft bench compare old.json new.json --engine egraft --markdown comment.md")]
pub(crate) struct CompareArgs {
    /// A result with engines base:NAME, which are what NAME is compared with; or the result before
    pub(crate) old: PathBuf,
    /// The result after
    pub(crate) new: Option<PathBuf>,
    /// Only this engine; by default all that can be compared
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: Option<String>,
    /// Least change of a kernel that counts, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    pub(crate) least: f64,
    /// Write the tables to this file as Markdown, for a comment
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Print the comparison as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  egraft bench report result.json -o report.html")]
pub(crate) struct ReportArgs {
    /// A result of egraft bench --json
    pub(crate) result: PathBuf,
    /// Where the page goes; by default beside the result, with the ending .html
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Earlier runs, as egraft bench --history keeps them
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// Folder with the kernels, for their code; by default that of the result
    #[arg(long, value_name = "DIR")]
    pub(crate) kernels: Option<PathBuf>,
    /// Show no code
    #[arg(long)]
    pub(crate) no_code: bool,
    #[command(flatten)]
    pub(crate) code: CodeArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  egraft bench calibrate bench/kernels --filter blur --repeat 20"
)]
pub(crate) struct CalibrateArgs {
    /// Folder with kernel descriptors
    pub(crate) directory: PathBuf,
    /// Only kernels whose name has this in it
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Comparisons to make of each kind
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) repeat: u32,
    /// The planted slowdown, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 3.0)]
    pub(crate) slowdown: f64,
    #[command(flatten)]
    pub(crate) amount: AmountArgs,
}

/// How much to measure.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct AmountArgs {
    /// Rounds to measure in each process
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rounds: u32,
    /// Processes of each engine and kernel
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) processes: u32,
    /// Hardware thread to bind engines to, or none; by default the last one that is allowed
    #[arg(long, value_name = "CPU")]
    pub(crate) pin: Option<Pin>,
}

/// Where engines may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pin {
    Nowhere,
    To(usize),
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Pin, String> {
        match text {
            "none" => Ok(Pin::Nowhere),
            // What `sched_setaffinity` of the C library takes.
            text => match text.parse() {
                Ok(cpu) if cpu < 1024 => Ok(Pin::To(cpu)),
                _ => Err("must be none, or a number from 0 to 1023".to_owned()),
            },
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct InferArgs {
    #[command(subcommand)]
    pub(crate) command: InferCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InferCommand {
    /// Look for rules; goes on where it was interrupted
    #[command(after_help = "Examples:
  egraft infer run --workload all --work infer-work --out isle-rules/inferred/rewrite
  egraft infer run --workload all --work part3 --shard 3/16")]
    Run(InferRunArgs),
    /// Make one set of rules of what shards judged
    #[command(
        after_help = "Example:\n  egraft infer merge part0 part1 -o isle-rules/inferred/rewrite"
    )]
    Merge(InferMergeArgs),
    /// Name the workloads
    List {
        /// Print them whole, as JSON
        #[arg(long)]
        json: bool,
    },
}

/// What both `infer run` and `infer merge` depend on.
#[derive(Debug, Clone, Args)]
pub(crate) struct InferArgsCommon {
    /// Workloads by name; all for every one
    #[arg(long = "workload", value_name = "NAME", value_delimiter = ',', default_value = "all")]
    pub(crate) workloads: Vec<String>,
    /// Milliseconds that the prover may take for one query
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3_600_000))]
    pub(crate) timeout: u32,
    /// Who evaluates terms and finds where rules match: cpu, or gpu, for which the CPU steps in where none works
    #[arg(long, default_value_t, value_name = "MATCHER")]
    pub(crate) matcher: egraft::Matcher,
    /// File with the phases that rules are tagged with; by default the one that is built in
    #[arg(long, value_name = "FILE")]
    pub(crate) phases: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InferRunArgs {
    #[command(flatten)]
    pub(crate) common: InferArgsCommon,
    /// Folder for what is judged, so that the run can go on later
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
    /// Folder for the rule files; generated ones in it are replaced
    #[arg(long, value_name = "DIR", required_unless_present = "shard")]
    pub(crate) out: Option<PathBuf>,
    /// Judge only part I of N, from 0, and keep nothing: egraft infer merge does
    #[arg(long, value_name = "I/N", requires = "work", conflicts_with = "out")]
    pub(crate) shard: Option<Shard>,
}

#[derive(Debug, Args)]
pub(crate) struct InferMergeArgs {
    #[command(flatten)]
    pub(crate) common: InferArgsCommon,
    /// The work folders of all shards
    #[arg(required = true, value_name = "DIR")]
    pub(crate) folders: Vec<PathBuf>,
    /// Folder for the rule files; generated ones in it are replaced
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) part: u64,
    pub(crate) parts: u64,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let numbers = text.split_once('/').and_then(|(part, parts)| {
            Some(Shard { part: part.parse().ok()?, parts: parts.parse().ok()? })
        });
        numbers
            .filter(|shard| shard.part < shard.parts)
            .ok_or_else(|| "must be I/N with I from 0 to N-1, such as 0/4".to_owned())
    }
}

/// An engine that answers requests: what `egraft bench` starts.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  egraft engine stock < requests")]
pub(crate) struct EngineArgs {
    /// The engine: stock, egraft, egraft:STAGE, egraft+FOLDER, or native:TARGET
    pub(crate) engine: Engine,
    /// Have each call last longer by this part of its time
    #[arg(long, value_name = "PART", default_value_t = 0.0)]
    pub(crate) delay: f64,
    #[command(flatten)]
    pub(crate) code: CodeArgs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
