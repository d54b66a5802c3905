//! Debian's docker-registry on a loopback port, and the tools that fill it.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// bcrypt of `secret`, cost 4.
const HTPASSWD: &str = "user:$2y$04$GDknRp.cMVxKDyM9O3EGh.zsL17Azz4Jcl3.vJxpI0thNhRa7LjYm\n";

/// How a registry is guarded.
#[derive(PartialEq)]
pub enum Access {
    Open,
    TlsAndPassword,
}

/// Killed on drop.
pub struct DockerRegistry {
    pub address: String,
    child: Child,
}

impl DockerRegistry {
    /// Keeps everything in `dir`, also `cert.pem`.
    pub fn start(dir: &Path, access: Access) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = |name: &str| dir.join(name).display().to_string();
        let mut config = serde_json::json!({
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": file("data")}},
            "http": {"addr": format!("127.0.0.1:{port}")},
        });
        if access == Access::TlsAndPassword {
            make_certificate(&file("cert.pem"), &file("key.pem"));
            std::fs::write(dir.join("htpasswd"), HTPASSWD).unwrap();
            config["http"]["tls"] = serde_json::json!({"certificate": file("cert.pem"), "key": file("key.pem")});
            config["auth"] = serde_json::json!({"htpasswd": {"realm": "test", "path": file("htpasswd")}});
        }
        std::fs::write(dir.join("registry.yml"), config.to_string()).unwrap();
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(dir.join("registry.yml")).stdout(log.try_clone().unwrap()).stderr(log);
        let registry = Self { address: format!("127.0.0.1:{port}"), child: command.spawn().unwrap() };
        for _ in 0..400 {
            if TcpStream::connect(&registry.address).is_ok() {
                return registry;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{}", std::fs::read_to_string(dir.join("log")).unwrap());
    }

    /// Copies an image in by skopeo; `source` is in skopeo's words.
    pub fn fill(&self, source: &str, name: &str) {
        let to = format!("docker://{}/{name}", self.address);
        run("skopeo", &["copy", "--insecure-policy", "--dest-tls-verify=false", source, &to]);
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a tool to its end; returns its output.
pub fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An image of busybox in a new layout, made by umoci; returns `LAYOUT:TAG`.
pub fn busybox(dir: &Path) -> String {
    let (layout, root) = (dir.join("layout"), dir.join("bundle"));
    let image = format!("{}:busybox", layout.display());
    run("umoci", &["init", "--layout", &layout.display().to_string()]);
    run("umoci", &["new", "--image", &image]);
    run("umoci", &["unpack", "--image", &image, &root.display().to_string()]);
    std::fs::create_dir_all(root.join("rootfs/bin")).unwrap();
    std::fs::copy("/bin/busybox", root.join("rootfs/bin/busybox")).unwrap();
    run("umoci", &["repack", "--image", &image, &root.display().to_string()]);
    image
}

fn make_certificate(certificate: &str, key: &str) {
    let names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"];
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE", "-days", "2", "-nodes"];
    let kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let files = ["-keyout", key, "-out", certificate];
    run("openssl", &[&["req", "-x509"][..], &kind, &leaf, &names, &files].concat());
}
