//! Where Redis is, as one URL says it.
//!
//! ```text
//! redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]                    one Redis
//! redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],…/NAME[/DB]    the one that Sentinels know as NAME
//! ```
//!
//! Both with `rediss` for TLS. No URL parser takes a list of hosts, and one that forgives would let a password with an
//! odd character become a host.
//!
//! INVARIANT: no problem and no text made of an address holds the password.
//!
//! Source: the schemes `redis` and `rediss` as IANA has them; "How to use Redis Sentinel" for what Sentinels are asked.

use std::fmt;

use percent_encoding::percent_decode_str;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, TlsMode,
    aio::MultiplexedConnection,
    io::tcp::TcpSettings,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};
use url::{Host, Url};

use crate::secret::Secret;

/// The address of Redis, and the credentials for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    tls: bool,
    /// The host of one Redis, or the hosts of the Sentinels that know the current one.
    hosts: Vec<(String, u16)>,
    /// The name under which the Sentinels know the master.
    service: Option<String>,
    user: Option<String>,
    password: Option<Secret<String>>,
    database: u32,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressProblem {
    /// The scheme is not `redis:`, `rediss:` or `redis+sentinel:`.
    #[error("is not known here")]
    Unknown,
    /// The URL has a part that no address needs, or a character that must be percent-encoded.
    #[error("has more than a user, hosts and a path; percent-encode what belongs to a password")]
    Extra,
    /// There is a user without a password, or the decoded credentials are not UTF-8.
    #[error("has no :PASSWORD or USER:PASSWORD before the @")]
    Credentials,
    /// The host or the port is not valid.
    #[error("has no host that could be called")]
    Host,
    /// There are several hosts, and the scheme is not that of Sentinels.
    #[error("has several hosts, which only Sentinels are")]
    SeveralHosts,
    /// The name of the master is missing. Sentinels can watch several masters.
    #[error("does not say which service the Sentinels are to be asked for")]
    NoService,
    /// The database is not a number.
    #[error("has no number for a database")]
    Database,
}

impl RedisAddress {
    /// Parses a URL in the form of `limits.store`.
    pub fn parse(text: &str) -> Result<Self, AddressProblem> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressProblem::Unknown)?;
        let (tls, sentinel) = match scheme {
            "redis" => (false, false),
            "rediss" => (true, false),
            "redis+sentinel" => (false, true),
            "rediss+sentinel" => (true, true),
            _ => return Err(AddressProblem::Unknown),
        };
        if rest.contains(|c: char| matches!(c, '?' | '#' | '\\') || c.is_whitespace() || c.is_control()) {
            return Err(AddressProblem::Extra);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let (user, password) = credentials.map_or(Ok((None, None)), self::credentials)?;
        let default_port = if sentinel { 26379 } else { 6379 };
        let hosts: Vec<_> = hosts
            .split(',')
            .map(|text| host(text, default_port))
            .collect::<Result<_, _>>()?;
        let (service, database) = if sentinel {
            let (service, database) = path.split_once('/').unwrap_or((path, ""));
            if service.is_empty() {
                return Err(AddressProblem::NoService);
            }
            (Some(service.to_owned()), database)
        } else if hosts.len() > 1 {
            return Err(AddressProblem::SeveralHosts);
        } else {
            (None, path)
        };
        Ok(Self {
            tls,
            hosts,
            service,
            user,
            password,
            database: match database {
                "" => 0,
                number => number.parse().map_err(|_| AddressProblem::Database)?,
            },
        })
    }

    /// Opens a connection. Sentinels are asked every time, because after a failover the master is another.
    pub async fn connect(&self, config: &AsyncConnectionConfig) -> Result<MultiplexedConnection, RedisError> {
        let hosts = self.hosts.iter().map(|(host, port)| self.host_info(host, *port));
        let mut hosts: Vec<ConnectionInfo> = hosts.collect::<Result<_, _>>()?;
        if let Some(service) = &self.service {
            // The password is the master's: Sentinels are asked without one.
            let mut master = SentinelNodeConnectionInfo::default()
                .set_redis_connection_info(self.login())
                .set_tcp_settings(tcp_settings());
            if self.tls {
                master = master.set_tls_mode(TlsMode::Secure);
            }
            let mut sentinels =
                SentinelClient::build(hosts, service, Some(master), SentinelServerType::Master)?;
            return sentinels.get_async_connection_with_config(config).await;
        }
        let host = hosts
            .pop()
            .ok_or((redis::ErrorKind::InvalidClientConfig, "no host"))?;
        Client::open(host.set_redis_settings(self.login()))?
            .get_multiplexed_async_connection_with_config(config)
            .await
    }

    fn host_info(&self, host: &str, port: u16) -> Result<ConnectionInfo, RedisError> {
        let host = host.to_owned();
        let addr = if self.tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        Ok(addr.into_connection_info()?.set_tcp_settings(tcp_settings()))
    }

    fn login(&self) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default()
            .set_db(self.database.into())
            .set_skip_set_lib_name();
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password.expose());
        }
        login
    }
}

/// Settings without Nagle's algorithm, which can delay a small write by 40 ms: twice the time for a decision.
fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// Shows the address without the credentials.
impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { "s" } else { "" };
        let sentinel = if self.service.is_some() { "+sentinel" } else { "" };
        write!(f, "redis{tls}{sentinel}://")?;
        for (at, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            if host.contains(':') {
                write!(f, "{comma}[{host}]:{port}")?;
            } else {
                write!(f, "{comma}{host}:{port}")?;
            }
        }
        if let Some(service) = &self.service {
            write!(f, "/{service}")?;
        }
        write!(f, "/{}", self.database)
    }
}

type Credentials = (Option<String>, Option<Secret<String>>);

fn credentials(text: &str) -> Result<Credentials, AddressProblem> {
    let decoded = |text| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(AddressProblem::Credentials),
    };
    match text.split_once(':') {
        Some((user, password)) if !password.is_empty() => {
            let user = decoded(user)?;
            Ok((
                (!user.is_empty()).then_some(user),
                Some(Secret::new(decoded(password)?)),
            ))
        }
        Some(_) | None => Err(AddressProblem::Credentials),
    }
}

fn host(text: &str, default_port: u16) -> Result<(String, u16), AddressProblem> {
    let url = Url::parse(&format!("redis://{text}")).map_err(|_| AddressProblem::Host)?;
    let host = match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Domain(name)) if is_name(name) => name.to_ascii_lowercase(),
        Some(Host::Domain(_)) | None => return Err(AddressProblem::Host),
    };
    match url.port().unwrap_or(default_port) {
        0 => Err(AddressProblem::Host),
        port => Ok((host, port)),
    }
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.strip_suffix('.').unwrap_or(name).split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        for (text, shown) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379/0"),
            ("redis://Redis.example.org:80/3", "redis://redis.example.org:80/3"),
            ("redis://[::1]:6380", "redis://[::1]:6380/0"),
            ("rediss://:hunter2@redis_1/15", "rediss://redis_1:6379/15"),
            (
                "redis+sentinel://a,b:26380,[::1]/plugnmeet/2",
                "redis+sentinel://a:26379,b:26380,[::1]:26379/plugnmeet/2",
            ),
            (
                "rediss+sentinel://ann:hunter2@a/master",
                "rediss+sentinel://a:26379/master/0",
            ),
        ] {
            assert_eq!(RedisAddress::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_password_is_decoded_and_never_printed() {
        let address = RedisAddress::parse("redis://ann:hunter2%40%2F@127.0.0.1").unwrap();
        assert_eq!(address.user.as_deref(), Some("ann"));
        assert_eq!(address.password.as_ref().unwrap().expose(), "hunter2@/");
        assert!(!format!("{address} {address:?}").contains("hunter2"));
        let raw = RedisAddress::parse("redis://:hunt@er:2@127.0.0.1").unwrap();
        assert_eq!(
            (raw.user, raw.password.unwrap().expose().as_str()),
            (None, "hunt@er:2")
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, expected) in [
            ("redis", AddressProblem::Unknown),
            ("", AddressProblem::Unknown),
            ("Redis://a", AddressProblem::Unknown),
            ("unix:///run/redis.sock", AddressProblem::Unknown),
            ("http://a", AddressProblem::Unknown),
            ("redis://a/?protocol=resp3", AddressProblem::Extra),
            ("rediss://a/#insecure", AddressProblem::Extra),
            ("redis://a b", AddressProblem::Extra),
            ("redis://hunter2@a", AddressProblem::Credentials),
            ("redis://ann:@a", AddressProblem::Credentials),
            ("redis://:%ff@a", AddressProblem::Credentials),
            ("redis://", AddressProblem::Host),
            ("redis://:6379", AddressProblem::Host),
            ("redis://:hunter2", AddressProblem::Host),
            ("redis://a:0", AddressProblem::Host),
            ("redis://a:65536", AddressProblem::Host),
            ("redis://a..b", AddressProblem::Host),
            ("redis://a%2fb", AddressProblem::Host),
            ("redis+sentinel://a,/s", AddressProblem::Host),
            ("redis://a,b", AddressProblem::SeveralHosts),
            ("redis+sentinel://a,b", AddressProblem::NoService),
            ("redis+sentinel://a,b//1", AddressProblem::NoService),
            ("redis://a/b", AddressProblem::Database),
            ("redis://a/-1", AddressProblem::Database),
            ("redis+sentinel://a/s/b", AddressProblem::Database),
        ] {
            assert_eq!(RedisAddress::parse(text), Err(expected), "{text}");
        }
    }
}
