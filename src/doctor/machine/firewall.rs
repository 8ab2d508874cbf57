//! ufw's rules, which the installer writes, against the ports that people come to.

use super::Machine;
use crate::doctor::finding::{Said, all_or};

/// A rule of `user.rules`: `### tuple ### allow udp 50000:60000 0.0.0.0/0 any 0.0.0.0/0 in`.
fn allowed(rules: &str) -> Vec<(String, u16, u16)> {
    let tuples = rules
        .lines()
        .filter_map(|line| line.strip_prefix("### tuple ###"));
    let mut found = Vec::new();
    for tuple in tuples {
        let fields: Vec<&str> = tuple.split_whitespace().collect();
        let (Some(action), Some(protocol), Some(ports)) = (fields.first(), fields.get(1), fields.get(2))
        else {
            continue;
        };
        let anywhere = fields
            .get(5)
            .is_none_or(|from| matches!(*from, "0.0.0.0/0" | "any"));
        if !matches!(*action, "allow" | "limit") || !anywhere {
            continue;
        }
        for part in ports.split(',') {
            let (from, to) = part.split_once(':').unwrap_or((part, part));
            let range = match (from.parse(), to.parse()) {
                (Ok(from), Ok(to)) => (from, to),
                _ if part == "any" => (0, u16::MAX),
                _ => continue,
            };
            found.push(((*protocol).to_owned(), range.0, range.1));
        }
    }
    found
}

pub fn firewall(machine: &Machine) -> Vec<Said> {
    let conf = machine.read("etc/ufw/ufw.conf").unwrap_or_default();
    if !conf.lines().any(|line| line.trim() == "ENABLED=yes") {
        return vec![Said::ok("ufw is off; other firewalls are not looked at")];
    }
    let Some(rules) = machine.read("etc/ufw/user.rules") else {
        return vec![Said::skip("ufw is on, and its rules can be read by root alone")];
    };
    let allowed = allowed(&rules);
    let missing = machine.open.iter().filter(|(protocol, from, to, _)| {
        !allowed
            .iter()
            .any(|(of, first, last)| (of == protocol || of == "any") && first <= from && to <= last)
    });
    let wrong = missing.map(|(protocol, from, to, what)| {
        let ports = if from == to {
            from.to_string()
        } else {
            format!("{from}:{to}")
        };
        Said::fail(
            format!("ufw lets nobody to {ports}/{protocol}, which is for {what}"),
            format!("ufw allow {ports}/{protocol}"),
        )
        .at("/etc/ufw/user.rules")
    });
    all_or(
        wrong.collect(),
        "ufw lets people to every port that plugNmeet needs",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_ufw_writes_them() {
        let rules = "*filter\n### RULES ###\n\n### tuple ### allow tcp 443 0.0.0.0/0 any 0.0.0.0/0 in\n-A ufw-user-input -p tcp\n\
            ### tuple ### allow udp 50000:60000 0.0.0.0/0 any 0.0.0.0/0 in\n### tuple ### deny tcp 80 0.0.0.0/0 any 0.0.0.0/0 in\n\
            ### tuple ### allow tcp 7881 0.0.0.0/0 any 192.0.2.0/24 in\n### tuple ### limit any 22 0.0.0.0/0 any 0.0.0.0/0 in\n";
        assert_eq!(
            allowed(rules),
            [
                ("tcp".to_owned(), 443, 443),
                ("udp".to_owned(), 50_000, 60_000),
                ("any".to_owned(), 22, 22)
            ]
        );
    }
}
