//! Every key: its name, its default as in the file, what it may be, and what it is for.
//!
//! | file | sections |
//! | --- | --- |
//! | `front` | listen, tls, log, control, trust: what clients and operators see |
//! | `behind` | plugnmeet, upstreams, issuer: who is behind us, and who makes tokens |
//! | `client` | client |
//! | `pages` | session, design, headers, check_page |
//! | `bounds` | limits, timeouts, sizes |

mod behind;
mod bounds;
mod client;
mod front;
mod pages;

use super::{
    acme,
    address::{HOST, PUBLIC_ORIGIN},
    callers, designs,
    problem::Places,
    reader::{Table, Taken},
    relays, secrets,
    shape::{Config, PublicOrigin},
};

/// Reads every key there is.
pub(super) fn config(root: &mut Table<'_>) -> Taken<Config> {
    let public_origin = root.optional(
        "public_origin",
        "",
        &PUBLIC_ORIGIN,
        "The address by which clients call the gateway. Links, `config.js` and the certificate follow from it. Without it: \
         `https://localhost` with the port of `listen.https`, which is right for a first try on one machine. With another port \
         than 443 LTI launches fail.",
    )?;
    if let Some(PublicOrigin { port: Some(port), .. }) = &public_origin {
        let what = format!(
            "has port {port}, and LTI launches work on 443 alone: a learning platform signs the address with its port, \
             plugnmeet-server checks it without one"
        );
        let place = root.found.place("public_origin");
        root.found.warn(secrets::warning(&place, "public_origin", &what));
    }
    let hosts = root.list(
        "hosts",
        &[],
        &HOST,
        "Other names and addresses that the gateway answers to, without ports. A request for any other name is refused with 421. \
         Loopback names are known while HTTPS is on a loopback address.",
    )?;
    let listen = root.section("listen", front::listen)?;
    let tls = root.section("tls", front::tls)?;
    let log = root.section("log", front::log)?;
    let control = root.section("control", front::control)?;
    let plugnmeet = root.section("plugnmeet", behind::plugnmeet)?;
    let upstreams = root.section("upstreams", behind::upstreams)?;
    let client = root.section("client", client::read)?;
    let issuer = root.section("issuer", behind::issuer)?;
    let callers = callers::read(root, &behind::API_KEY, &plugnmeet.api_key);
    let session = root.section("session", pages::session)?;
    let design = root.section("design", pages::design)?;
    let designs = designs::read(root);
    let headers = root.section("headers", pages::headers)?;
    let check_page = root.section("check_page", pages::check_page)?;
    let (limits, connections) = root.section("limits", bounds::limits)?;
    let trust = root.section("trust", front::trust)?;
    let timeouts = root.section("timeouts", bounds::timeouts)?;
    let sizes = root.section("sizes", bounds::sizes)?;
    let turn = root.section("turn", relays::turn)?;
    let passthrough = relays::passthrough(root);
    let tcp = relays::tcp(root);
    let acme = root.section("acme", acme::read)?;
    Ok(Config {
        public_origin,
        hosts,
        listen,
        tls,
        acme,
        log,
        control,
        plugnmeet,
        upstreams,
        client,
        issuer,
        callers,
        session,
        design,
        headers,
        check_page,
        designs,
        limits,
        connections,
        trust,
        timeouts,
        sizes,
        turn,
        passthrough,
        tcp,
        warnings: Vec::new(),
        refused: Vec::new(),
        places: Places::new(),
        in_effect: Vec::new(),
    })
}
