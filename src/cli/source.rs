//! The source of the configuration: one file, and the variables of the process. A running gateway reads the file again
//! from here.

use std::{ffi::OsString, path::PathBuf};

use crate::config::{Config, Place, Problem, Problems};

/// The file that is read when no file is named, if it exists.
const DEFAULT_FILE: &str = "config/gateway.toml";

/// The configuration file and the environment variables of this process, as they were at the start.
pub(super) struct Source {
    file: Option<PathBuf>,
    variables: Vec<(String, String)>,
}

impl Source {
    /// Takes the file that is named, or the default file if it exists, and our variables.
    pub(super) fn of(
        named: Option<PathBuf>,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Problems> {
        Ok(Self {
            file: named.or_else(default),
            variables: ours(variables)?,
        })
    }

    /// Is anything configured at all?
    pub(super) fn is_there(&self) -> bool {
        self.file.is_some() || !self.variables.is_empty()
    }

    /// Reads the configuration again. A file that existed at the start has to exist still.
    pub(super) fn draft(&self) -> Result<Config, Problems> {
        let file = self.file.clone().or_else(default);
        Config::draft(file.as_deref(), &self.variables)
    }
}

fn default() -> Option<PathBuf> {
    Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists())
}

/// The beginning of our variables' names. Every variable that begins so is taken as a setting, so that a misspelled one
/// is found.
const NAME: &str = "PNM_GATEWAY";

/// Is this a variable of Kubernetes? It sets such variables in every container if a service is named `pnm-gateway`.
fn is_of_kubernetes(name: &str) -> bool {
    let own = name.strip_prefix(NAME).unwrap_or_default();
    own == "_PORT" || own == "_SERVICE_HOST" || own.starts_with("_SERVICE_PORT") || own.starts_with("_PORT_")
}

/// Returns our variables. A value that is not UTF-8 is a problem.
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
