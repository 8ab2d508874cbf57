//! `[client]`: the client's files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::super::{
    client_config, files,
    kind::{PATH, shown},
    mount::MOUNT,
    reader::{Table, Taken},
    shape::Client,
    units::{DURATION, RELEASES},
};

/// The largest `config.js` that is read, in bytes. No client has one as large.
const MAX_CONFIG_FILE_BYTES: u64 = 1 << 20;

pub(super) fn read(table: &mut Table<'_>) -> Taken<Client> {
    let path = client_path(table)?;
    let cache = table.optional(
        "cache",
        "cache/variants",
        &PATH,
        "A folder for the compressed forms of the client's files, about 16 MB for one release, so that the next start has them at \
         once. What has not been used for 30 days is removed. `plugnmeet-gateway prepare` fills it ahead of a start. Without it \
         every start compresses anew. Danger: what lies there is served, so nobody else may write to it.",
    )?;
    let keep_releases = table.text(
        "keep_releases",
        "3",
        &RELEASES,
        "How many releases are served, from 1 to 20, so that a page that was opened before a new release still gets its parts: of \
         older ones the files with a hash in their names, and all of them by their release. Memory holds once what several have \
         alike.",
    )?;
    let watch = table.text(
        "watch",
        "5s",
        &DURATION,
        "How often the gateway looks for a new release. `0s`: only on SIGHUP.",
    )?;
    let mount = table.text(
        "mount",
        "/conference",
        &MOUNT,
        "The path at which the client lives: `/`, or a path that is not plugnmeet-server's.",
    )?;
    let config = client_config::read(table);
    for warning in client_config::warnings(&config) {
        table.found.warn(warning);
    }
    let config_file = config_file(table)?;
    if let Some(file) = &config_file
        && !config.is_empty()
    {
        let file = shown(&file.to_string_lossy());
        table.found.warn(format!(
            "client.config has no effect, as client.config_file serves {file} instead"
        ));
    }
    Ok(Client {
        path,
        cache,
        keep_releases,
        watch: Some(watch).filter(|every| !every.is_zero()),
        mount,
        config,
        config_file,
    })
}

fn client_path(table: &mut Table<'_>) -> Taken<Option<PathBuf>> {
    let path = table.optional(
        "path",
        "",
        &PATH,
        "The folder of the client's build, with `index.html` and `assets/`; or the official `client.zip`; or a folder of releases, \
         each a folder or a zip, of which the newest by its name is served. Without it a small page stands in the client's place \
         that shows the session it was handed. A new release is taken up while the gateway runs; one that is broken is refused, \
         and the old one stays.",
    )?;
    let allowed = "name the folder of the client's build, or its client.zip";
    Ok(readable_or_none(table, "path", path, readable, allowed))
}

fn config_file(table: &mut Table<'_>) -> Taken<Option<PathBuf>> {
    let path = table.optional(
        "config_file",
        "",
        &PATH,
        "A file that is served as `assets/config.js`, in place of the one that the gateway makes.",
    )?;
    let read = |path: &Path| files::read(path, MAX_CONFIG_FILE_BYTES).map(drop);
    Ok(readable_or_none(
        table,
        "config_file",
        path,
        read,
        "name a readable config.js",
    ))
}

fn readable_or_none(
    table: &Table<'_>,
    name: &str,
    path: Option<PathBuf>,
    read: impl Fn(&Path) -> io::Result<()>,
    allowed: &str,
) -> Option<PathBuf> {
    let path = path?;
    let Err(error) = read(&path) else {
        return Some(path);
    };
    let found = format!("{} cannot be read: {error}", shown(&path.to_string_lossy()));
    table.refuse(&table.found.place(&table.key(name)), name, found, allowed);
    None
}

/// Opens a folder or a file, to see whether it can be read. Danger: opening a named pipe waits for its writer.
fn readable(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        fs::read_dir(path).map(drop)
    } else {
        fs::File::open(path).map(drop)
    }
}
