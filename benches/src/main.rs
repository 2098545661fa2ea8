//! The program `geodrop-bench`: what blocking by region costs, as a table and as JSON.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
