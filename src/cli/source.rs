//! Where the configuration comes from: one file, and the variables of the process. A running gateway reads both again from
//! here.

use std::{ffi::OsString, path::PathBuf};

use crate::config::{Config, Place, Problem, Problems};

/// What is read when no file is named, if it is there.
const DEFAULT_FILE: &str = "config/gateway.toml";

/// The file and the variables of a start.
pub(super) struct Source {
    file: Option<PathBuf>,
    variables: Vec<(String, String)>,
}

impl Source {
    /// The file that is named, or the default if it is there.
    pub(super) fn of(
        named: Option<PathBuf>,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Problems> {
        Ok(Self {
            file: named.or_else(default),
            variables: ours(variables)?,
        })
    }

    /// What they say now. A file that was there at the start has to be there.
    pub(super) fn draft(&self) -> Result<Config, Problems> {
        let file = self.file.clone().or_else(default);
        Config::draft(file.as_deref(), &self.variables)
    }
}

fn default() -> Option<PathBuf> {
    Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists())
}

/// What begins with it is meant for us, and may be misspelled.
const NAME: &str = "PNM_GATEWAY";

/// Kubernetes tells every container of a service `pnm-gateway` in variables of its own.
fn is_of_kubernetes(name: &str) -> bool {
    let own = name.strip_prefix(NAME).unwrap_or_default();
    own == "_PORT" || own == "_SERVICE_HOST" || own.starts_with("_SERVICE_PORT") || own.starts_with("_PORT_")
}

/// Our variables, of which each has to be text.
fn ours(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, Problems> {
    let (mut ours, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in all {
        let Ok(name) = name.into_string() else { continue };
        if !name.starts_with(NAME) || is_of_kubernetes(&name) {
            continue;
        }
        if let Ok(value) = value.into_string() {
            ours.push((name, value));
        } else {
            let place = Place {
                file: "environment".into(),
                line: None,
            };
            problems.push(Problem::at(place, name, "is not UTF-8", "write UTF-8"));
        }
    }
    if problems.is_empty() {
        Ok(ours)
    } else {
        Err(Problems(problems))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn pairs(all: &[(&str, &[u8])]) -> impl Iterator<Item = (OsString, OsString)> {
        let pairs: Vec<_> = all
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from_vec(value.to_vec())))
            .collect();
        pairs.into_iter()
    }

    #[test]
    fn only_our_variables_are_read() {
        let all: [(&str, &[u8]); 6] = [
            ("PATH", b"\xff"),
            ("PNM_GATEWAY__HOSTS", b"a"),
            ("PNM_GATEWAY_X", b"b"),
            ("PNM_GATEWAY_SERVICE_HOST", b"10.0.0.1"),
            ("PNM_GATEWAY_PORT", b"tcp://10.0.0.1:443"),
            ("PNM_GATEWAY_PORT_443_TCP_ADDR", b"10.0.0.1"),
        ];
        assert_eq!(
            ours(pairs(&all)).unwrap(),
            [
                ("PNM_GATEWAY__HOSTS".into(), "a".into()),
                ("PNM_GATEWAY_X".into(), "b".into())
            ]
        );
    }

    #[test]
    fn a_variable_that_is_no_text_is_told_and_not_shown() {
        let all: [(&str, &[u8]); 1] = [("PNM_GATEWAY__PLUGNMEET__SECRET", b"zumyyYWqv7KR\xff")];
        assert_eq!(
            ours(pairs(&all)).unwrap_err().to_string(),
            "environment: PNM_GATEWAY__PLUGNMEET__SECRET: is not UTF-8; write UTF-8"
        );
    }
}
