//! `[turn]`, `[[passthrough]]` and `[[tcp]]`: connections that are not HTTP for the gateway, and go on to others.

use super::{
    address::{HOST, SERVER_NAME, SOCKET, TCP_UPSTREAM},
    kind::word,
    problem::Place,
    reader::{Table, Taken},
    shape::{Passthrough, Tcp, Turn},
    tree::Value,
};

pub(super) fn turn(table: &mut Table<'_>) -> Taken<Option<Turn>> {
    let upstream = table.optional(
        "upstream",
        "",
        &TCP_UPSTREAM,
        "LiveKit's TURN/TLS port (`turn.tls_port`), such as `127.0.0.1:5349`, with `turn.external_tls: true` in livekit.yaml. Its \
         connections come to `listen.https` and are told apart from HTTPS by what they say. Empty: TURN is not served here.",
    )?;
    let names = table.list(
        "names",
        &[],
        &HOST,
        "`turn.domain` of livekit.yaml, where it is another name than that of `public_origin`: each connection to it is TURN's. \
         One domain for both needs nothing here.",
    )?;
    let proxy_protocol = table.text(
        "proxy_protocol",
        "auto",
        &word(),
        "How LiveKit hears of clients' addresses. `auto` asks LiveKit at the start, and each time it comes back; `v2` sends a \
         PROXY header of version 2, `off` sends none.",
    )?;
    Ok(upstream.map(|upstream| Turn {
        upstream,
        names,
        proxy_protocol,
    }))
}

pub(super) fn passthrough(root: &mut Table<'_>) -> Vec<Passthrough> {
    let doc = "Names whose TLS is not ended here, a table for each upstream: their connections to `listen.https` go on as they \
               came, by the name in the hello.";
    tables(root, "passthrough", "[[passthrough]]", doc)
        .into_iter()
        .filter_map(|(place, table)| {
            table
                .read(|table| {
                    let names = table.list(
                        "names",
                        &[],
                        &SERVER_NAME,
                        "The names; `*.` stands for one level before a name.",
                    );
                    let upstream = table.required("upstream", &TCP_UPSTREAM, "Where their connections go.");
                    let proxy_protocol = table.flag(
                        "proxy_protocol",
                        false,
                        "Is the upstream told the client's address, by a PROXY header of version 2?",
                    );
                    let names = names?;
                    if names.is_empty() {
                        return Err(table.refuse(
                            &place,
                            "names",
                            "is empty",
                            "write the names that go there",
                        ));
                    }
                    Ok(Passthrough {
                        names,
                        upstream: upstream?,
                        proxy_protocol,
                    })
                })
                .ok()
        })
        .collect()
}

pub(super) fn tcp(root: &mut Table<'_>) -> Vec<Tcp> {
    let doc = "Ports whose connections go on to an upstream as they are, a table for each: RTMP, from 1935 to the ingress.";
    tables(root, "tcp", "[[tcp]]", doc)
        .into_iter()
        .filter_map(|(_, table)| {
            table
                .read(|table| {
                    let listen = table.required_several(
                        "listen",
                        &SOCKET,
                        "Where it listens: an address, or a list of them.",
                    );
                    let place = table.found.place("tcp.listen");
                    let upstream = table.required("upstream", &TCP_UPSTREAM, "Where its connections go.");
                    Ok::<_, super::reader::Told>(Tcp {
                        listen: listen?,
                        upstream: upstream?,
                        place,
                    })
                })
                .ok()
        })
        .collect()
}

/// The tables of a list, each with its place.
fn tables<'f>(root: &mut Table<'f>, name: &str, heading: &str, doc: &'static str) -> Vec<(Place, Table<'f>)> {
    let allowed = format!("{heading} and the keys below");
    let Some(node) = root.take(name, None, &allowed, doc) else {
        return Vec::new();
    };
    let write = format!("write {heading}");
    let node = node.expanded();
    let Value::Array(tables) = node.value else {
        root.refuse(&node.place, name, "is no list of tables", &write);
        return Vec::new();
    };
    let mut found = Vec::new();
    for node in tables {
        let place = node.place.clone();
        match node.expanded().value {
            Value::Table(keys) => {
                let table = root.below(name, heading.to_owned(), place.clone(), keys);
                found.push((place, table));
            }
            Value::String(_)
            | Value::Integer { .. }
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Variable(_) => {
                root.refuse(&place, name, "is no table", &write);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::{config::Config, turn::TurnHeader};

    fn told(text: &str) -> String {
        Config::parse(text, "gateway.toml", &[])
            .map(|_| ())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_goes_on_to_others_is_read() {
        let text = "turn.upstream = 'livekit:5349'\nturn.names = ['TURN.example.org']\n\
                    [[passthrough]]\nnames = ['Other.example.org', '*.x.example']\nupstream = '[::1]:8444'\n\
                    proxy_protocol = true\n[[tcp]]\nlisten = ['0.0.0.0:1935', '[::]:1935']\nupstream = '127.0.0.1:1936'\n\
                    [[tcp]]\nlisten = '0.0.0.0:1936'\nupstream = 'unix:/run/x.sock'\n";
        let config = Config::parse(text, "gateway.toml", &[]).unwrap();
        let turn = config.turn.unwrap();
        assert_eq!(
            (turn.upstream.to_string().as_str(), turn.proxy_protocol),
            ("http://livekit:5349", TurnHeader::Auto)
        );
        assert_eq!(turn.names, ["turn.example.org"]);
        let passthrough = &config.passthrough[0];
        assert_eq!(passthrough.names, ["other.example.org", "*.x.example"]);
        assert_eq!(passthrough.upstream.to_string(), "http://[::1]:8444");
        assert!(passthrough.proxy_protocol);
        let tcp: Vec<_> = config
            .tcp
            .iter()
            .map(|tcp| (tcp.listen.as_slice(), tcp.upstream.to_string()))
            .collect();
        assert_eq!(
            tcp,
            [
                (
                    &["0.0.0.0:1935".parse().unwrap(), "[::]:1935".parse().unwrap()][..],
                    "http://127.0.0.1:1936".into()
                ),
                (&["0.0.0.0:1936".parse().unwrap()], "unix:/run/x.sock".into())
            ]
        );
        assert!(Config::parse("", "", &[]).unwrap().turn.is_none());
    }

    #[test]
    fn all_that_is_wrong_with_them_is_told_at_its_line() {
        assert_eq!(
            told(
                "[[passthrough]]\nnames = ['192.0.2.7']\nupstream = 'http://a:1'\n[[passthrough]]\nupstream = 'a:1'\n\
                 [[tcp]]\nlisten = '1935'\n[[tcp]]\nlisten = '127.0.0.1:8443'\nupstream = 'a:0'\nnames = []\n\
                 [[tcp]]\nlisten = '127.0.0.1:8443'\nupstream = 'a:1'\n"
            ),
            "gateway.toml:1: passthrough.names: is empty; write the names that go there\n\
             gateway.toml:2: passthrough.names: \"192.0.2.7\" is an address, and a hello names none; write a host name, such as \
             other.example.org or *.example.org\n\
             gateway.toml:3: passthrough.upstream: \"http://a:1\" is no host with a port; write HOST:PORT, such as \
             127.0.0.1:1936, or unix:PATH for a Unix socket\n\
             gateway.toml:4: passthrough.names: is empty; write the names that go there\n\
             gateway.toml:6: tcp.upstream: is missing; write HOST:PORT, such as 127.0.0.1:1936, or unix:PATH for a Unix socket\n\
             gateway.toml:7: tcp.listen: \"1935\" is no address with a port; write IP:PORT, such as 0.0.0.0:443 or [::]:443\n\
             gateway.toml:10: tcp.upstream: \"a:0\" has a port that nobody can call; write HOST:PORT, such as 127.0.0.1:1936, \
             or unix:PATH for a Unix socket\n\
             gateway.toml:11: tcp.names: is no key of the gateway; perhaps acme.names is meant: [[tcp]] has listen, upstream\n\
             gateway.toml:13: tcp.listen: \"127.0.0.1:8443\" is listen.https's already; write another port"
        );
    }
}
