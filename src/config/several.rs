//! Keys that hold one text or a list of texts: the addresses of a listener.

use super::{
    kind::Kind,
    reader::{Table, Taken},
    rows::Form,
    tree::{Node, Value},
};

impl Table<'_> {
    /// Reads one text, or a list of them. If the key is not there, or nothing of its value is sound, `default` counts. With
    /// `or_none` there may be none: an empty text, or an empty list.
    pub(super) fn several<T>(
        &mut self,
        name: &str,
        default: &str,
        or_none: bool,
        kind: &Kind<T>,
        doc: &'static str,
    ) -> Taken<Vec<T>> {
        let or_else = if or_none { ", or \"\" for none" } else { "" };
        let allowed = format!("{}{or_else}", kind.allowed);
        self.spread(name, kind);
        let node = self.take(name, Some(format!("{default:?}")), &allowed, doc);
        self.is_several(name, kind, or_none);
        if let Some(node) = node
            && let Ok(values) = self.each(name, node, or_none, &allowed, kind)
        {
            return Ok(values);
        }
        if default.is_empty() {
            return Ok(Vec::new());
        }
        let default = (kind.parse)(default);
        default
            .map(|value| vec![value])
            .map_err(|refusal| self.refuse(&self.place, name, refusal.why, &allowed))
    }

    /// As `several`, of what must be there.
    pub(super) fn required_several<T>(
        &mut self,
        name: &str,
        kind: &Kind<T>,
        doc: &'static str,
    ) -> Taken<Vec<T>> {
        self.spread(name, kind);
        let node = self.take(name, None, &kind.allowed, doc);
        self.is_several(name, kind, false);
        self.found.describe(&self.key(name), |row| row.required = true);
        match node {
            Some(node) => self.each(name, node, false, &kind.allowed, kind),
            None => Err(self.lacks(name, &kind.allowed)),
        }
    }

    fn is_several<T>(&self, name: &str, kind: &Kind<T>, or_none: bool) {
        let form = Form::Several(Box::new(Form::of(kind, or_none)));
        self.found.describe(&self.key(name), |row| row.form = form);
    }

    /// The texts of a value. Those that are refused are left out, with a problem for each.
    fn each<T>(&self, name: &str, node: Node, or_none: bool, allowed: &str, kind: &Kind<T>) -> Taken<Vec<T>> {
        let Value::Array(items) = node.value else {
            if or_none && node.value.text(kind.integers) == Some("") {
                return Ok(Vec::new());
            }
            let value = self.parsed(name, &node, kind.integers, allowed, kind.parse)?;
            return Ok(vec![value]);
        };
        if items.is_empty() && !or_none {
            return Err(self.refuse(&node.place, name, "is empty", allowed));
        }
        let mut told = None;
        let mut values = Vec::new();
        for item in &items {
            match self.parsed(name, item, kind.integers, &kind.allowed, kind.parse) {
                Ok(value) => values.push(value),
                Err(problem) => told = Some(problem),
            }
        }
        match told {
            Some(told) if values.is_empty() => Err(told),
            Some(_) | None => Ok(values),
        }
    }

    /// A variable's text becomes what would stand in the file. An IPv6 address begins as a list does.
    fn spread<T>(&mut self, name: &str, kind: &Kind<T>) {
        let Some(node) = self.keys.get_mut(name) else {
            return;
        };
        let Value::Variable(text) = &node.value else {
            return;
        };
        let one = |text: &str| Node {
            place: node.place.clone(),
            value: Value::String(text.trim().to_owned()),
        };
        let is_one = (kind.parse)(text.trim()).is_ok() || !text.contains([',', '[']);
        let value = match Node::of_variable(text, &node.place).map(|node| node.value) {
            _ if is_one => one(text).value,
            Some(Value::Array(items)) => Value::Array(items),
            _ => Value::Array(text.split(',').map(one).collect()),
        };
        node.value = value;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn https(text: &str, variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (format!("PNM_GATEWAY__{name}"), (*value).to_owned()))
            .collect();
        let config =
            Config::parse(text, "gateway.toml", &variables).map_err(|problems| problems.to_string())?;
        // What is shown can be read again.
        let again = Config::parse(&config.in_effect(), "", &[]).map_err(|problems| problems.to_string())?;
        assert_eq!(again.listen.https, config.listen.https);
        Ok(config.listen.https.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_listener_has_one_address_or_several() {
        let both = ["0.0.0.0:443", "[::]:443"];
        assert_eq!(https("", &[]).unwrap(), ["127.0.0.1:8443"]);
        assert_eq!(https("listen.https = '[::]:443'", &[]).unwrap(), ["[::]:443"]);
        assert_eq!(
            https("listen.https = ['0.0.0.0:443', '[::]:443']", &[]).unwrap(),
            both
        );
        for (variable, expected) in [
            ("[::]:443", &["[::]:443"][..]),
            ("127.0.0.1:1", &["127.0.0.1:1"]),
            ("0.0.0.0:443, [::]:443", &both),
            ("[::]:443,0.0.0.0:443", &["[::]:443", "0.0.0.0:443"]),
            ("['0.0.0.0:443', \"[::]:443\"]", &both),
        ] {
            let read = https("", &[("LISTEN__HTTPS", variable)]).unwrap();
            assert_eq!(read, expected, "{variable}");
        }
        let none = Config::parse("listen = { http = [], admin = '' }", "", &[]).unwrap();
        assert!(none.listen.http.is_empty() && none.listen.admin.is_empty());
        let none = [("PNM_GATEWAY__LISTEN__HTTP".to_owned(), String::new())];
        assert!(Config::parse("", "", &none).unwrap().listen.http.is_empty());
    }

    #[test]
    fn each_address_that_is_wrong_is_told_at_its_line() {
        assert_eq!(
            https(
                "[listen]\nhttps = [\n  '0.0.0.0',\n  7,\n  '[::]:443',\n]\nadmin = ['']\nhttp = {}",
                &[]
            )
            .unwrap_err(),
            "gateway.toml:3: listen.https: \"0.0.0.0\" is no address with a port; write IP:PORT, such as 0.0.0.0:443 or \
             [::]:443\n\
             gateway.toml:4: listen.https: 7 is no string; write IP:PORT, such as 0.0.0.0:443 or [::]:443\n\
             gateway.toml:7: listen.admin: \"\" is no address with a port; write IP:PORT, such as 0.0.0.0:443 or [::]:443\n\
             gateway.toml:8: listen.http: a table is no string; write IP:PORT, such as 0.0.0.0:443 or [::]:443, or \"\" for none"
        );
        assert_eq!(
            https("listen.https = []", &[]).unwrap_err(),
            "gateway.toml:1: listen.https: is empty; write IP:PORT, such as 0.0.0.0:443 or [::]:443"
        );
        assert_eq!(
            https("", &[("LISTEN__HTTPS", "[::]:443,x")]).unwrap_err(),
            "environment: PNM_GATEWAY__LISTEN__HTTPS: listen.https: \"x\" is no address with a port; write IP:PORT, such as \
             0.0.0.0:443 or [::]:443"
        );
    }
}
