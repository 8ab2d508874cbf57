//! Fronts that are there already: the real nginx, Caddy and Traefik, with a configuration of the page's.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A running front, gone when dropped, with a certificate for localhost.
pub struct Front {
    _child: Child,
    folder: TempDir,
}

/// A folder with the front's certificate.
pub struct Prepared(TempDir);

impl Prepared {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        fs::write(folder.path().join("localhost.pem"), certificate.pem()).unwrap();
        fs::write(folder.path().join("localhost.key"), key.serialize_pem()).unwrap();
        Self(folder)
    }

    pub fn certificate(&self) -> PathBuf {
        self.0.path().join("localhost.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.0.path().join("localhost.key")
    }

    /// With these parts of nginx.conf at its top level.
    pub fn nginx(self, parts: &str) -> Front {
        let folder = self.0.path();
        let shown = folder.display();
        let config = format!(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\nmaster_process off;\npid {shown}/pid;\n\
             error_log {shown}/said;\nevents {{ worker_connections 64; }}\n{parts}"
        );
        fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut nginx = Command::new("/usr/sbin/nginx");
        nginx.arg("-c").arg(folder.join("nginx.conf")).arg("-e");
        nginx.arg(folder.join("said"));
        self.started(nginx)
    }

    /// With this Caddyfile.
    pub fn caddy(self, caddyfile: &str) -> Front {
        let folder = self.0.path();
        fs::write(folder.join("Caddyfile"), caddyfile).unwrap();
        let mut caddy = Command::new(installed("caddy"));
        caddy.args(["run", "--adapter", "caddyfile", "--config"]);
        caddy.arg(folder.join("Caddyfile"));
        self.started(caddy)
    }

    /// With this file of its file provider; `websecure` is at this address.
    pub fn traefik(self, addr: SocketAddr, file: &str) -> Front {
        let folder = self.0.path();
        fs::write(folder.join("plugnmeet.yaml"), file).unwrap();
        let mut traefik = Command::new(installed("traefik"));
        traefik.args([
            format!("--entryPoints.websecure.address={addr}"),
            "--entryPoints.websecure.transport.respondingTimeouts.readTimeout=0".to_owned(),
            format!(
                "--providers.file.filename={}",
                folder.join("plugnmeet.yaml").display()
            ),
            "--providers.file.watch=false".to_owned(),
            "--global.checkNewVersion=false".to_owned(),
            "--global.sendAnonymousUsage=false".to_owned(),
        ]);
        self.started(traefik)
    }

    fn started(self, mut program: Command) -> Front {
        let folder = self.0;
        let said = fs::File::create(folder.path().join("output")).unwrap();
        let child = program
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Front {
            _child: child,
            folder,
        }
    }
}

impl Front {
    /// All that it wrote.
    pub fn said(&self) -> String {
        ["said", "output"]
            .map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default())
            .concat()
    }
}

fn installed(program: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/.venv/bin")
        .join(program)
}
