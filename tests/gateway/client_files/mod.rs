//! The client's files, over real sockets, from a folder like the official one.

mod made;
mod served;

use std::path::Path;

use tempfile::TempDir;

use crate::support::{Gateway, client::Answer, folder_of};

const INDEX: &str =
    "<!doctype html>\n<html lang=\"en\"><head><title>client</title></head><body></body></html>";
const HASHED: &str = "assets/js/main-module.Cq0qsXkl.js";

fn client() -> TempDir {
    folder_of(&[
        ("index.html", INDEX),
        ("login.html", "<form>secret</form>"),
        ("favicon.ico", "icon"),
        (HASHED, "0123456789"),
        (
            "assets/config.js",
            "window.plugNmeetConfig = { serverUrl: 'http://wrong' }",
        ),
        ("assets/locales/en/translation.json", "{}"),
        ("assets/imgs/a b+é.png", "picture"),
        ("assets/.secret", "hidden"),
        (".env", "hidden"),
        (".git/config", "hidden"),
    ])
}

async fn gateway_with(folder: &Path, more: &str) -> Gateway {
    Gateway::with(&format!("client.path = '{}'\n{more}", folder.display())).await
}

fn no_body(answer: &Answer, status: u16) {
    assert_eq!(
        (answer.status, answer.text()),
        (status, String::new()),
        "{answer:?}"
    );
}

/// Neither a file nor the page: an answer that nobody takes for either.
fn missing(answer: &Answer) {
    assert_eq!(answer.status, 404, "{answer:?}");
    let text = answer.text();
    assert!(
        !text.contains("<title>client</title>") && !text.contains("hidden"),
        "{text}"
    );
}
