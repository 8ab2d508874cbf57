//! An example path for every row, so that tests can try all rows.

use super::{
    pattern::Segment,
    row::{Branch, First, Row},
    rows::{BELOW_MOUNT, BRANCHES, MISPLACED, MISPLACED_BBB, MISSPELT, NOWHERE, ROOT},
    {Table, Whole},
};

/// The text of every secret segment in the examples.
pub(crate) const SECRET: &str = "SECRET";

/// One example path for every row that has a path of its own. The client is mounted at `mount`.
pub(crate) fn examples(mount: &str) -> Vec<(String, &'static Row)> {
    let in_branch = |branch: &'static Branch| {
        let first = match branch.first {
            First::Word(word) | First::Begins(word) => format!("/{word}"),
            First::KeyOf(word) => format!("/{SECRET}/{word}"),
        };
        branch.rows.iter().map(move |row| (example(&first, row), row))
    };
    let branches = BRANCHES.iter().flat_map(in_branch);
    let below_mount = BELOW_MOUNT.iter().map(|row| (example(mount, row), row));
    let others = [
        ("/".to_owned(), &ROOT),
        (format!("{mount}/auth/room/create"), &MISPLACED),
        (format!("{mount}/{SECRET}/bigbluebutton/api"), &MISPLACED_BBB),
        (mount.to_ascii_uppercase(), &MISSPELT),
        ("/nowhere".to_owned(), &NOWHERE),
    ];
    branches.chain(below_mount).chain(others).collect()
}

/// Configurations of which every row is in at least one.
pub(crate) fn configurations() -> impl Iterator<Item = Table> {
    [(true, true), (true, false), (false, true), (false, false)]
        .into_iter()
        .map(|(session_paths, exposed)| Table {
            mount: "/conference".into(),
            session_paths,
            check_page: exposed,
            login: exposed,
            metrics: exposed,
            whole: Whole {
                nats: exposed,
                livekit: exposed,
                etherpad: exposed,
            },
        })
}

fn example(first: &str, row: &Row) -> String {
    let mut path = first.to_owned();
    for segment in row.pattern {
        path.push('/');
        path.push_str(match segment {
            Segment::Word(word) | Segment::Begins(word) => word,
            // In a spelling of its own, as another row has the plain one.
            Segment::Decoded(["twirp"]) => "Twir%70",
            Segment::OneOf(words) | Segment::Decoded(words) => words.first().unwrap_or(&""),
            Segment::Tag => "AAAAAAAAAAAAAAAAAAAAA_",
            Segment::Any => "any",
            Segment::Rest => "x",
            Segment::Secret => SECRET,
            Segment::SecretRest => "SECRET/SECRET",
        });
    }
    path
}
