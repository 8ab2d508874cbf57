//! `[session]`, `[design]` and `[headers]`: sessions, designs and the header fields of pages.

use super::super::{
    address::{CSP_REPORT, DESIGN_HOST, FRAME_ANCESTOR, LOGIN_URL},
    csp_sources,
    kind::word,
    reader::{Table, Taken},
    shape::{Design, Headers, Session},
    units::{DAYS, DURATION},
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
