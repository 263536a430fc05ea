//! `completions` and `man`: what shells and readers want to know of the command line, made from its
//! own definition.

use super::CliError;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost completions bash > ~/.local/share/bash-completion/completions/streamhost
  streamhost completions zsh  > ~/.zfunc/_streamhost
  streamhost completions fish > ~/.config/fish/completions/streamhost.fish")]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost man | man -l -           the page of all commands
  streamhost man --to /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder, instead of the first one to standard output
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

pub(super) fn run(args: Args, out: &mut dyn Write) -> Result<(), CliError> {
    let mut script = Vec::new(); // the generator panics where it cannot write
    clap_complete::generate(
        args.shell,
        &mut super::Args::command(),
        "streamhost",
        &mut script,
    );
    Ok(out.write_all(&script)?)
}

pub(super) fn man(args: ManArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let command = super::Args::command();
    match args.to {
        None => clap_mangen::Man::new(command).render(out)?,
        Some(folder) => {
            let named = |error| CliError::Folder {
                path: folder.clone(),
                error,
            };
            std::fs::create_dir_all(&folder).map_err(named)?;
            clap_mangen::generate_to(command, &folder).map_err(named)?;
        }
    }
    Ok(())
}
