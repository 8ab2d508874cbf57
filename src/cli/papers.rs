//! Man pages, and completions for bash, zsh and fish: made of the arguments themselves, for packages.

use std::{fs, io, path::Path};

use clap::CommandFactory;
use clap_complete::Shell;

use super::arguments::Arguments;

/// The program's name, and the beginning of each file's.
const NAME: &str = "plugnmeet-gateway";

/// Writes all of it into this folder.
pub(super) fn answer(folder: &Path) -> Result<String, String> {
    write(folder).map_err(|error| format!("can't write into {}: {error}", folder.display()))?;
    Ok(format!("Man pages and completions are in {}", folder.display()))
}

fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut command = Arguments::command();
    clap_mangen::generate_to(command.clone(), folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, NAME, folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_command_that_is_shown_has_a_page_and_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        answer(folder.path()).unwrap();
        let files = fs::read_dir(folder.path()).unwrap();
        let files: BTreeSet<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let completions = [
            "_plugnmeet-gateway",
            "plugnmeet-gateway.bash",
            "plugnmeet-gateway.fish",
        ];
        for name in completions {
            let text = fs::read_to_string(folder.path().join(name)).unwrap();
            for command in Arguments::command()
                .get_subcommands()
                .filter(|command| !command.is_hide_set())
            {
                assert!(
                    text.contains(command.get_name()),
                    "{name}: {}",
                    command.get_name()
                );
                assert!(
                    files.contains(&format!("{NAME}-{}.1", command.get_name())),
                    "{files:?}"
                );
            }
        }
        let page = fs::read_to_string(folder.path().join("plugnmeet-gateway-status.1")).unwrap();
        assert!(page.contains(r"\-\-json"), "{page}");
        assert!(!files.contains("plugnmeet-gateway-reference.1"), "{files:?}");
    }
}
