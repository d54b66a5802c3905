//! Who gets credentials, and who must not.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use common::docker_registry::{Access, DockerRegistry};
use common::registry::{Content, honest};
use common::server::{Reply, Request, Server};
use common::{Scratch, TestImage, chain};

/// base64 of `user:secret`.
const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

/// Docker's configuration comes from the environment, so each check runs this test binary again with its own.
fn child(test: &str, config: &serde_json::Value, more: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let helper = dir.path().join("docker-credential-test");
    std::fs::write(
        &helper,
        "#!/bin/sh\nread host\necho \"{\\\"Username\\\":\\\"user\\\",\\\"Secret\\\":\\\"secret\\\"}\"\n",
    )
    .unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--test-threads=1"]).env("DOCKER_CONFIG", dir.path()).env("PATH", path);
    let output = command.env("STOCKADE_TEST_CHILD", "1").envs(more.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

fn is_child() -> bool {
    std::env::var_os("STOCKADE_TEST_CHILD").is_some()
}

fn auths(entries: &[(&str, serde_json::Value)]) -> serde_json::Value {
    let entries: serde_json::Map<_, _> =
        entries.iter().map(|(host, auth)| ((*host).to_owned(), auth.clone())).collect();
    serde_json::json!({"auths": entries})
}

fn user() -> serde_json::Value {
    serde_json::json!({"auth": "dXNlcjpzZWNyZXQ="})
}

fn authorization(request: &Request) -> Option<&str> {
    request.headers.get("authorization").map(String::as_str)
}

fn challenge(header: String) -> Reply {
    Reply::new(401, "").header("WWW-Authenticate", header)
}

/// A registry that takes only `accepted`.
fn guarded(image: &TestImage, accepted: &'static str, challenge_header: String) -> Server {
    let content = Content::of("1", image);
    Server::start(move |request| match authorization(request) {
        Some(value) if value == accepted => content.answer(request),
        _ => challenge(challenge_header.clone()),
    })
}

/// A token server that gives `token` to the user, and to a holder of the refresh token.
fn token_server() -> Server {
    Server::start(|request| {
        let refresh = String::from_utf8_lossy(&request.body).contains("refresh_token=refresh&");
        match authorization(request) {
            Some(BASIC) if request.path.contains("service=test") => Reply::new(200, r#"{"token":"t0ken"}"#),
            None if refresh => Reply::new(200, r#"{"access_token":"t0ken"}"#),
            _ => Reply::new(403, ""),
        }
    })
}

fn bearer(tokens: &Server) -> String {
    format!(r#"Bearer realm="http://{}/token",service="test",scope="repository:x:pull""#, tokens.address)
}

/// In the child: pulls what the parent serves; the error must hold what the parent expects.
fn pull_as_told() {
    let name = std::env::var("STOCKADE_TEST_NAME").unwrap();
    let result = Scratch::new().pull(&name);
    match std::env::var("STOCKADE_TEST_ERROR") {
        Ok(expected) => assert!(chain(&result.unwrap_err()).contains(&expected)),
        Err(_) => drop(result.unwrap_or_else(|error| panic!("{}", chain(&error)))),
    }
}

fn check(test: &str, config: &serde_json::Value, server: &Server, error: Option<&str>) {
    let name = format!("{}/x:1", server.address);
    let mut environment = vec![("STOCKADE_TEST_NAME", name.as_str())];
    environment.extend(error.map(|error| ("STOCKADE_TEST_ERROR", error)));
    child(test, config, &environment);
}

#[test]
fn a_password() {
    if is_child() {
        return pull_as_told();
    }
    let server = guarded(&TestImage::small(), BASIC, r#"Basic realm="test""#.into());
    check("a_password", &auths(&[(&server.address, user())]), &server, None);
    check("a_password", &auths(&[]), &server, Some("docker login"));
    let wrong = serde_json::json!({"auth": "dXNlcjp3cm9uZw=="});
    check("a_password", &auths(&[(&server.address, wrong)]), &server, Some("docker login"));
}

#[test]
fn a_bearer_token() {
    if is_child() {
        return pull_as_told();
    }
    let tokens = token_server();
    let server = guarded(&TestImage::small(), "Bearer t0ken", bearer(&tokens));
    check("a_bearer_token", &auths(&[(&server.address, user())]), &server, None);
    assert_eq!(tokens.requests().len(), 1);
    assert!(server.requests().iter().all(|request| authorization(request) != Some(BASIC)));
    check("a_bearer_token", &auths(&[]), &server, Some("gave no token"));
}

#[test]
fn an_identity_token() {
    if is_child() {
        return pull_as_told();
    }
    let tokens = token_server();
    let server = guarded(&TestImage::small(), "Bearer t0ken", bearer(&tokens));
    let identity = serde_json::json!({"identitytoken": "refresh"});
    check("an_identity_token", &auths(&[(&server.address, identity)]), &server, None);
}

#[test]
fn credential_helpers() {
    if is_child() {
        return pull_as_told();
    }
    let server = guarded(&TestImage::small(), BASIC, "Basic".into());
    check("credential_helpers", &serde_json::json!({"credsStore": "test"}), &server, None);
    check("credential_helpers", &serde_json::json!({"credHelpers": {&server.address: "test"}}), &server, None);
    let missing = serde_json::json!({"credsStore": "absent"});
    check("credential_helpers", &missing, &server, Some("docker-credential-absent"));
}

#[test]
fn another_host_gets_no_credentials() {
    if is_child() {
        return pull_as_told();
    }
    let image = TestImage::small();
    let content = Content::of("1", &image);
    let storage = honest(content.clone());
    let elsewhere = storage.address.clone();
    let server = Server::start(move |request| match authorization(request) {
        Some(BASIC) if request.path.contains("/blobs/") => {
            Reply::new(307, "").header("Location", format!("http://{elsewhere}{}?signed=1", request.path))
        }
        Some(BASIC) => content.answer(request),
        _ => challenge("Basic".into()),
    });
    check(
        "another_host_gets_no_credentials",
        &auths(&[(&server.address, user()), (&storage.address, user())]),
        &server,
        None,
    );
    assert_eq!(storage.count("signed=1"), 2);
    assert!(storage.requests().iter().all(|request| authorization(request).is_none()));
}

#[test]
fn a_redirect_target_cannot_ask_for_credentials() {
    if is_child() {
        return pull_as_told();
    }
    let thief = Server::start(|_| challenge("Basic".into()));
    let elsewhere = thief.address.replace("127.0.0.1", "localhost");
    let server = Server::start(move |request| {
        Reply::new(307, "").header("Location", format!("http://{elsewhere}{}", request.path))
    });
    let test = "a_redirect_target_cannot_ask_for_credentials";
    check(test, &auths(&[(&server.address, user())]), &server, Some("docker login"));
    assert!(thief.requests().iter().all(|request| authorization(request).is_none()));
}

/// The real thing: https with a certificate of our own, and a password file.
#[test]
fn docker_registry_with_tls_and_htpasswd() {
    if is_child() {
        let mut config = common::config();
        let settings = stockade_image::RegistryConfig {
            insecure: Some(false),
            ca: Some(std::env::var("STOCKADE_TEST_CA").unwrap().into()),
            ..Default::default()
        };
        let name = std::env::var("STOCKADE_TEST_NAME").unwrap();
        config.registries.insert(name.split('/').next().unwrap().into(), settings);
        let error = Scratch::with(config).pull(&name).unwrap_err();
        let text = chain(&error);
        return assert!(text.contains("not in the registry"), "{text}");
    }
    let dir = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start(dir.path(), Access::TlsAndPassword);
    let ca = dir.path().join("cert.pem");
    let name = format!("{}/missing:1", registry.address);
    let environment = [("STOCKADE_TEST_NAME", name.as_str()), ("STOCKADE_TEST_CA", ca.to_str().unwrap())];
    child("docker_registry_with_tls_and_htpasswd", &auths(&[(&registry.address, user())]), &environment);
    let mut config = common::config();
    config.retries = 0;
    config.registries.insert(
        registry.address.clone(),
        stockade_image::RegistryConfig { insecure: Some(false), ..Default::default() },
    );
    let error = chain(&Scratch::with(config).pull(&name).unwrap_err());
    assert!(error.contains("certificate"), "{error}");
}
