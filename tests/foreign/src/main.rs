//! The laboratory's command line for this Raft: `list`, `run`, `replay`.

fn main() -> std::process::ExitCode {
    sim::cli::main(&[sim::scenario::raft::suite(std::sync::Arc::new(foreign::ForeignRaft))])
}
