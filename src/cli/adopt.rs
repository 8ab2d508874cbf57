//! `adopt`: shows what becomes of the old front, then writes the configuration; nothing is started or stopped.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf, absolute},
};

use super::{Refused, arguments::Adopted};
use crate::{
    adopt::{self, AdoptSettings, Adoption, Outcome},
    secret::{GATEWAYS_USER, gateways_user},
};

pub(super) fn answer(arguments: &Adopted) -> Result<String, Refused> {
    let settings = AdoptSettings {
        from: whole(&arguments.from)?,
        haproxy: whole(&arguments.haproxy)?,
        to: whole(&arguments.to)?,
        letsencrypt: whole(&arguments.letsencrypt)?,
        units: whole(&arguments.units)?,
        acme: arguments.acme.clone(),
        behind_haproxy: arguments.behind_haproxy,
        frame_ancestors: arguments.frame_ancestors.clone(),
        css_hosts: arguments.css_hosts.clone(),
    };
    let adoption = adopt::adopt(&settings).map_err(|problem| problem.to_string())?;
    let mut page = table(&adoption);
    if !adoption.losses.is_empty() && !arguments.accept_losses && !arguments.behind_haproxy {
        let losses = adoption.losses.join("\n");
        return Err(format!(
            "{page}\nThe gateway does nothing like this, so nothing is written; with --accept-losses it is:\n{losses}"
        ));
    }
    for loss in &adoption.losses {
        writeln!(page, "Lost: {loss}").ok();
    }
    if arguments.dry_run {
        for file in adoption.files.iter().filter(|file| !file.is_secret()) {
            write!(page, "\n{} would be:\n\n{}", file.path.display(), file.whole()).ok();
        }
        return Ok(page.trim_end().to_owned());
    }
    let owner = gateways_user();
    let outcomes =
        adopt::write(&adoption.files, arguments.force, owner).map_err(|problem| problem.to_string())?;
    for (file, outcome) in adoption.files.iter().zip(outcomes) {
        let said = match outcome {
            Outcome::Written => "written".to_owned(),
            Outcome::Unchanged => "unchanged".to_owned(),
            Outcome::Kept(kept) if file.is_secret() => {
                format!("written; the one before is {}", kept.display())
            }
            Outcome::Kept(kept) => format!("written; the edited one is {}", kept.display()),
        };
        writeln!(page, "{}: {said}", file.path.display()).ok();
    }
    if owner.is_none() {
        writeln!(
            page,
            "There is no user {GATEWAYS_USER} here: the files of secrets belong to who ran this command, and the gateway has to run as them."
        )
        .ok();
    }
    for question in &adoption.questions {
        writeln!(page, "To decide: {question}").ok();
    }
    next(&settings, &mut page);
    Ok(page.trim_end().to_owned())
}

fn table(adoption: &Adoption) -> String {
    let mut page = String::new();
    let widest =
        |of: fn(&adopt::Row) -> &str| adoption.rows.iter().map(|row| of(row).len()).max().unwrap_or(0);
    let (at, old) = (widest(|row| &row.at), widest(|row| &row.old).min(60));
    for row in &adoption.rows {
        let shown: String = row.old.chars().take(60).collect();
        writeln!(page, "{:<at$}  {shown:<old$}  {}", row.at, row.new).ok();
    }
    page
}

fn next(settings: &AdoptSettings, page: &mut String) {
    let config = settings.to.join("gateway.toml");
    writeln!(
        page,
        "Next: plugnmeet-gateway check --config {}",
        config.display()
    )
    .ok();
    if settings.behind_haproxy {
        page.push_str(
            "Then start the gateway, and in haproxy.cfg, backend bk_tcp_to_plugnmeet, change one line to\n    \
             server local 127.0.0.1:8443 check send-proxy-v2 ssl verify none\nTo go back, change it back.\n",
        );
    } else {
        writeln!(
            page,
            "Then: plugnmeet-gateway swap --config {0} --dry-run, and without --dry-run. Back: plugnmeet-gateway swap --back --config {0}",
            config.display()
        )
        .ok();
    }
}

/// The gateway runs in another folder than this command.
fn whole(path: &Path) -> Result<PathBuf, Refused> {
    absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}
