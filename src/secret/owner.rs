//! Who may own a secret's file.
//!
//! The gateway takes its own user's files and root's. Root, who runs `check` and `swap` on a machine, takes those of the
//! gateway's user too, as `adopt` and the package give them to that user; root alone could have changed whom that is.

use std::fs;

use rustix::process::geteuid;

/// Whom the unit in `deploy/` runs the gateway as.
pub const GATEWAYS_USER: &str = "plugnmeet-gateway";

/// The user and the group that the gateway runs as on this machine, by its unit, if there is such a user.
pub fn gateways_user() -> Option<(u32, u32)> {
    of_table(&fs::read_to_string("/etc/passwd").ok()?)
}

/// May we take a secret from this user's file, and what is served from this user's folder?
pub fn is_ours(owner: u32) -> bool {
    is_of(owner, geteuid().as_raw(), gateways_user)
}

fn is_of(owner: u32, ours: u32, gateways_user: impl Fn() -> Option<(u32, u32)>) -> bool {
    owner == 0 || owner == ours || (ours == 0 && gateways_user().is_some_and(|(user, _)| user == owner))
}

/// Is it the group of the gateway's user, in which nobody else is? certbot's hook of `adopt` gives it the right to read.
pub fn is_gateways_group(group: u32) -> bool {
    gateways_user().is_some_and(|(_, gateways)| gateways == group)
}

/// passwd(5)
fn of_table(users: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != GATEWAYS_USER {
            return None;
        }
        let mut fields = fields.skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_takes_secrets_of_the_gateways_user_and_no_other_user_takes_those_of_a_third() {
        let gateways = || Some((998, 997));
        for (owner, ours, taken) in [
            (0, 0, true),
            (0, 998, true),
            (998, 998, true),
            (998, 0, true),
            (1000, 0, false),
            (998, 1000, false),
            (1000, 998, false),
        ] {
            assert_eq!(is_of(owner, ours, gateways), taken, "{owner} {ours}");
        }
        assert!(!is_of(998, 0, || None));
    }

    #[test]
    fn the_gateways_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\nplugnmeet-gateway2:x:5:5::/:/bin/false\n\
                     plugnmeet-gateway:x:998:997:Front door:/var/lib/plugnmeet-gateway:/usr/sbin/nologin\n";
        assert_eq!(of_table(users), Some((998, 997)));
        for users in ["", "plugnmeet-gateway", "plugnmeet-gateway:x:a:b:::"] {
            assert_eq!(of_table(users), None, "{users}");
        }
    }
}
