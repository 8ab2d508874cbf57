//! What a check has found, and how it is shown: as a line for people, as JSON for programs.

use std::fmt;

use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Ok,
    /// Could not be looked at.
    Skip,
    /// Works, and may not for ever or not for everybody.
    Warn,
    Fail,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// What a check says.
///
/// SECURITY: it ends in tickets and chats, so no secret is in it: two secrets are equal or different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub verdict: Verdict,
    pub found: String,
    pub advice: Option<String>,
    /// Such as `config.yaml:12 client.port`.
    pub place: Option<String>,
}

impl Said {
    pub fn ok(found: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, found.into(), None)
    }

    pub fn skip(why: impl Into<String>) -> Self {
        Self::new(Verdict::Skip, why.into(), None)
    }

    pub fn warn(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Verdict::Warn, found.into(), Some(advice.into()))
    }

    pub fn fail(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, found.into(), Some(advice.into()))
    }

    fn new(verdict: Verdict, found: String, advice: Option<String>) -> Self {
        Self {
            verdict,
            found,
            advice,
            place: None,
        }
    }

    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }
}

/// What is wrong, or that nothing is.
pub fn all_or(wrong: Vec<Said>, well: impl Into<String>) -> Vec<Said> {
    if wrong.is_empty() {
        vec![Said::ok(well)]
    } else {
        wrong
    }
}

/// What the check of this id says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its area, a dot, its name; the same in every release.
    pub id: &'static str,
    pub said: Said,
}

impl Finding {
    /// Is it of the check or of the area with this name?
    pub fn is_of(&self, name: &str) -> bool {
        means(name, self.id)
    }
}

/// Does a name mean the check with this id, by itself or by its area?
pub fn means(name: &str, id: &str) -> bool {
    name == id || id.split('.').next() == Some(name)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = &self.said;
        let (id, word) = (self.id, said.verdict.word());
        // What other programs and files say may hold anything.
        let plain = |text: &str| text.replace(char::is_control, " ");
        write!(f, "[{word:<4}] {id}: {}", plain(&said.found))?;
        if let Some(advice) = &said.advice {
            write!(f, " -> {}", plain(advice))?;
        }
        if let Some(place) = &said.place {
            write!(f, " ({})", plain(place))?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// 0: nothing is wrong; 1: something is to be looked at; 2: something fails.
    pub fn status(&self) -> u8 {
        match self.0.iter().map(|finding| finding.said.verdict).max() {
            Some(Verdict::Fail) => 2,
            Some(Verdict::Warn) => 1,
            Some(Verdict::Ok | Verdict::Skip) | None => 0,
        }
    }

    fn count(&self, verdict: Verdict) -> usize {
        let all = self.0.iter();
        all.filter(|finding| finding.said.verdict == verdict).count()
    }

    /// One object, on one line.
    pub fn json(&self) -> Value {
        let findings = self.0.iter().map(|Finding { id, said }| {
            json!({
                "id": id,
                "area": id.split('.').next(),
                "verdict": said.verdict.word().to_ascii_lowercase(),
                "found": said.found,
                "advice": said.advice,
                "place": said.place,
            })
        });
        json!({ "status": self.status(), "findings": findings.collect::<Vec<_>>() })
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.0 {
            writeln!(f, "{finding}")?;
        }
        write!(
            f,
            "{} fail, {} to look at, {} ok, {} skipped; docs/doctor.md has each of them",
            self.count(Verdict::Fail),
            self.count(Verdict::Warn),
            self.count(Verdict::Ok),
            self.count(Verdict::Skip),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_that_says_what_to_do_and_where() {
        let said = Said::fail("is\n8080", "write 8081").at("config.yaml:3 client.port");
        let found = Findings(vec![
            Finding {
                id: "server.port",
                said,
            },
            Finding {
                id: "nats.account",
                said: Said::ok("PNM"),
            },
        ]);
        assert_eq!(
            found.to_string(),
            "[FAIL] server.port: is 8080 -> write 8081 (config.yaml:3 client.port)\n[ok  ] nats.account: PNM\n\
             1 fail, 0 to look at, 1 ok, 0 skipped; docs/doctor.md has each of them"
        );
        assert_eq!(
            found.json()["findings"][0],
            json!({"id": "server.port", "area": "server", "verdict": "fail", "found": "is\n8080", "advice": "write 8081",
                "place": "config.yaml:3 client.port"})
        );
        assert_eq!(found.status(), 2);
        assert_eq!(Findings::default().status(), 0);
    }
}
