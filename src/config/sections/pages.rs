//! `[session]`, `[design]`, `[headers]` and `[check_page]`: sessions, designs, the header fields of pages, and the page that
//! says whether a browser can get in.

use super::super::{
    address::{CSP_REPORT, DESIGN_HOST, FRAME_ANCESTOR, LOGIN_URL},
    csp_sources,
    kind::{Kind, Refusal, word},
    reader::{Table, Taken},
    secrets::{self, SecretKind},
    shape::{CheckPage, Design, Headers, Session},
    units::{DAYS, DURATION, PORT},
};

pub(super) fn session(table: &mut Table<'_>) -> Taken<Session> {
    Ok(Session {
        scope: table.text(
            "scope",
            "session",
            &word(),
            "`session`: each participation has a path and a cookie of its own, so that a breakout room in a second tab leaves the \
             first tab alone. `mount`: one cookie for all, on `client.mount`.",
        )?,
        renew_grace: table.text(
            "renew_grace",
            "3h",
            &DURATION,
            "How long after its token's end a cookie is kept, and renewed by a reload. `0s`: both end together.",
        )?,
        max_age: table.text(
            "max_age",
            "12h",
            &DURATION,
            "How long after its first token a session may be renewed by a reload. A new link begins anew. `0s`: nothing is renewed.",
        )?,
        login_url: table.optional(
            "login_url",
            "",
            &LOGIN_URL,
            "Where people are sent who come without a link. Without it they see a page that says to use the link.",
        )?,
        frame_ancestors: table.list(
            "frame_ancestors",
            &[],
            &FRAME_ANCESTOR,
            "Sites that may show the client in a frame. With any of them, cookies in a frame are partitioned. With an empty list no \
             site may.",
        )?,
    })
}

pub(super) fn design(table: &mut Table<'_>) -> Taken<Design> {
    Ok(Design {
        on_invalid: table.text(
            "on_invalid",
            "strip",
            &word(),
            "What becomes of a `custom_design` with a bad field: `strip` takes the field out and logs it; `reject` refuses the link \
             and says why. Recorders, and what plugnmeet-server itself puts into a link, are never refused.",
        )?,
        css_hosts: table.list(
            "css_hosts",
            &[],
            &DESIGN_HOST,
            "Hosts that `custom_css_url` may name, such as that of a learning platform whose \"Custom CSS URL\" is used. An empty list \
             is our own host alone. Danger: a style sheet can change all of the page.",
        )?,
        image_hosts: table.list(
            "image_hosts",
            &["*"],
            &DESIGN_HOST,
            "Hosts that images of designs may come from; `*` is any.",
        )?,
        from_links: table.flag(
            "from_links",
            true,
            "May a link bring a design of its own? If not, it can only name one of `[designs.NAME]`.",
        ),
    })
}

pub(super) fn headers(table: &mut Table<'_>) -> Taken<Headers> {
    let csp = table.text(
        "csp",
        "enforce",
        &word(),
        "The content security policy of the client's page: `report` only tells what breaks it, `off` sends none. \
         `session.frame_ancestors` is enforced in any case. Danger: without the policy a design or a chat message that the client \
         takes for markup can run scripts.",
    )?;
    let csp_report = table.optional(
        "csp_report",
        "",
        &CSP_REPORT,
        "Where browsers tell of breaches of the policy.",
    )?;
    let csp_sources = csp_sources::read(table);
    let hsts = table.text(
        "hsts",
        "180d",
        &DAYS,
        "For how long browsers use nothing but HTTPS for this name, up to 730d; `0s`: not at all. It is not said for a name without \
         a dot, for an address, or while the certificate is the gateway's own. Danger: it can't be taken back before that time.",
    )?;
    Ok(Headers {
        csp,
        csp_report,
        csp_sources,
        hsts: Some(hsts).filter(|time| !time.is_zero()),
    })
}

/// A key of `LiveKit`'s. In a login for TURN a bar ends it.
const LIVEKIT_KEY: Kind<String> = Kind::new("write a key of keys in livekit.yaml", |text| {
    let is_one = text.bytes().all(|b| b.is_ascii_graphic() && b != b'|');
    is_one
        .then(|| text.to_owned())
        .ok_or(Refusal::new("is no key of LiveKit's"))
})
.like(r"^[!-{}~]+$");

const LIVEKIT_SECRET: SecretKind = SecretKind {
    allowed: "write the secret of that key in livekit.yaml",
    file_allowed: "name a readable file that holds the secret of that key in livekit.yaml",
};

pub(super) fn check_page(table: &mut Table<'_>) -> Taken<CheckPage> {
    let enabled = table.flag(
        "enabled",
        false,
        "Is there a page at `/conference/check` that tries whether a browser can get in? It ends with a code that \
         `plugnmeet-gateway doctor explain CODE` reads.",
    );
    let udp_port = table.optional(
        "udp_port",
        "",
        &PORT,
        "`turn.udp_port` of livekit.yaml: does UDP get through to it? Without it the page does not look.",
    )?;
    let key = table.optional(
        "livekit_key",
        "",
        &LIVEKIT_KEY,
        "A key of `keys` in livekit.yaml: does TURN give a relay? Without it the page does not look. Danger: everybody who opens \
         the page can send media through LiveKit's relay for two minutes.",
    )?;
    let secret = secrets::signing(
        table,
        "livekit_secret",
        &LIVEKIT_SECRET,
        "The secret of that key. It is not sent: the page has a login that is made of it.",
    )
    .unwrap_or_default();
    let secret_keys = ["check_page.livekit_secret", "check_page.livekit_secret_file"];
    if secret.is_some() && key.is_none() {
        table
            .found
            .refuse(secret_keys[0], "is of no key", "write check_page.livekit_key");
    }
    if key.is_some() && secret.is_none() && !secret_keys.iter().any(|key| table.found.is_refused(key)) {
        let allowed = "write check_page.livekit_secret or check_page.livekit_secret_file";
        table
            .found
            .refuse("check_page.livekit_key", "needs its secret", allowed);
    }
    Ok(CheckPage {
        enabled,
        udp_port,
        livekit: key.zip(secret),
    })
}
