//! The page for a frame whose browser may store no cookie, or hide it from scripts. The page carries the token itself,
//! where the client looks for it. If the cookie can be read, the page's script changes nothing.
//!
//! The client reads `document.cookie` (docs/plugnmeet.md section 6), so the script in the page answers in its place.
//! The token is never in an address, in storage, or anywhere that outlives the page. The script also removes the ticket
//! from the address.
//!
//! SECURITY: a token is of base64url and dots alone (`crate::token`), so it can end neither the text nor the script.

use hyper::{Response, header};

use crate::{http::ACCESS_COOKIE, reply::Body};

/// Puts the token into a page, before any script that could look for it. The page's policy must allow `nonce`.
pub(super) fn into_page(response: Response<Body>, token: &str, nonce: &str) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let body = match body {
        Body::Full(html) => match str::from_utf8(&html).ok().and_then(after_base) {
            Some((before, rest)) => Body::from(format!("{before}{}{rest}", script(token, nonce))),
            None => Body::Full(html),
        },
        other @ (Body::Empty | Body::Stream(_)) => other,
    };
    // What was said of the page is not true of this one, which is nobody else's.
    for name in [
        header::CONTENT_LENGTH,
        header::ETAG,
        header::LAST_MODIFIED,
        header::ACCEPT_RANGES,
    ] {
        head.headers.remove(name);
    }
    Response::from_parts(head, body)
}

/// Splits the page behind the gateway's `base` element, which is the first element of the head.
fn after_base(html: &str) -> Option<(&str, &str)> {
    let base = html.find("<base href=\"")?;
    let end = html.get(base..)?.find('>')?;
    html.split_at_checked(base + end + 1)
}

fn script(token: &str, nonce: &str) -> String {
    format!(
        "<script nonce=\"{nonce}\">{{const own=\"{ACCESS_COOKIE}={token}\";let seen=\"\";try{{seen=document.cookie}}catch{{}}\
         if(!seen.includes(own))Object.defineProperty(document,\"cookie\",{{configurable:true,get:()=>own,set:()=>{{}}}});\
         const here=location.search,left=here.slice(1).split(\"&\").filter(p=>!p.startsWith(\"pnm_ticket=\")).join(\"&\");\
         if(here.slice(1)!==left)try{{history.replaceState(history.state,\"\",location.pathname+(left&&\"?\"+left)+location.hash)}}catch{{}}}}\
         document.currentScript.remove()</script>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_stands_before_all_that_looks_for_it() {
        let page = Response::new(Body::from(
            "<!doctype html><head><base href=\"/conference/\"><script src=\"x\"></script></head>",
        ));
        let Body::Full(html) = into_page(page, "a.b.c", "abc").into_body() else {
            panic!("has no text");
        };
        assert_eq!(
            html,
            "<!doctype html><head><base href=\"/conference/\"><script nonce=\"abc\">\
             {const own=\"pnm_access_token=a.b.c\";let seen=\"\";try{seen=document.cookie}catch{}\
             if(!seen.includes(own))Object.defineProperty(document,\"cookie\",{configurable:true,get:()=>own,set:()=>{}});\
             const here=location.search,left=here.slice(1).split(\"&\").filter(p=>!p.startsWith(\"pnm_ticket=\")).join(\"&\");\
             if(here.slice(1)!==left)try{history.replaceState(history.state,\"\",location.pathname+(left&&\"?\"+left)+location.hash)}catch{}}\
             document.currentScript.remove()</script><script src=\"x\"></script></head>"
        );
    }
}
