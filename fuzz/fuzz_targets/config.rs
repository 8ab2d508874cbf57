//! Any configuration: sound, or refused with its problems, and never a panic. The bytes are the whole file, and once more
//! the value of keys of each kind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plugnmeet_gateway::config::Config;

fuzz_target!(|text: &str| {
    let quoted = toml_quoted(text);
    let around = format!(
        "public_origin = {quoted}\nhosts = [{quoted}]\ntimeouts.idle = {quoted}\nsizes.body = {quoted}\nlimits.user = {quoted}\ntrust.proxies = [{quoted}]\n"
    );
    for document in [text, &around] {
        if let Err(problems) = Config::parse(document, "gateway.toml", &[]) {
            assert!(!problems.to_string().is_empty());
        }
    }
    let variables = [("PNM_GATEWAY__TIMEOUTS__IDLE".to_owned(), text.to_owned())];
    let _ = Config::parse("", "gateway.toml", &variables);
});

/// As a TOML string.
fn toml_quoted(text: &str) -> String {
    format!(
        "{:?}",
        text.replace(|sign: char| sign.is_control() || sign == '\u{7f}', " ")
    )
    .replace("\\'", "'")
    .replace("\\u{", "\\\\u{")
}
