//! Answers to a registry's challenge: a password as it is, or a bearer token from the realm it names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;

use super::challenge::Challenge;
use super::client::{network, read, shown};
use super::credentials::Credential;
use super::endpoint::Endpoint;
use super::error::RegistryError;

const TOKEN_BYTES_MAX: u64 = 1 << 20;

/// The value of `Authorization` that answers `challenge`; `None` where it asks for what we do not have.
pub async fn answer(
    http: &reqwest::Client,
    endpoint: &Endpoint,
    credential: Option<&Credential>,
    challenge: &str,
) -> Result<Option<HeaderValue>, RegistryError> {
    match (Challenge::parse(challenge), credential) {
        (Some(Challenge::Basic), Some(Credential::Password { user, password })) => Ok(Some(basic(user, password))),
        (Some(Challenge::Bearer { realm, service, scope }), _) => {
            let request = TokenRequest { http, endpoint, realm: &realm, service, scope };
            request.send(credential).await.map(|token| bearer(&token))
        }
        _ => Ok(None),
    }
}

struct TokenRequest<'a> {
    http: &'a reqwest::Client,
    endpoint: &'a Endpoint,
    realm: &'a str,
    service: Option<String>,
    scope: Option<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl TokenRequest<'_> {
    async fn send(self, credential: Option<&Credential>) -> Result<String, RegistryError> {
        let url = self.url(credential)?;
        let request = match credential {
            Some(Credential::IdentityToken(token)) => self.refresh(&url, token),
            Some(Credential::Password { user, password }) => {
                self.http.get(self.query(&url)).header(AUTHORIZATION, basic(user, password))
            }
            None => self.http.get(self.query(&url)),
        };
        let response = request.send().await.map_err(|error| network(&url, &error))?;
        let status = response.status();
        let body = read(response, TOKEN_BYTES_MAX).await?;
        if status.is_success() {
            return token(&body).ok_or_else(|| unusable(&url));
        }
        if status.is_server_error() || status.as_u16() == 429 {
            return Err(RegistryError::Status { url: shown(&url), status: status.as_u16(), message: String::new() });
        }
        let reason = format!("{} gave no token ({status})", shown(&url));
        Err(RegistryError::Denied { host: self.endpoint.host.clone(), path: self.endpoint.path.clone(), reason })
    }

    /// The realm, if a credential may be sent there.
    fn url(&self, credential: Option<&Credential>) -> Result<Url, RegistryError> {
        let url: Url = self.realm.parse().map_err(|_| RegistryError::Answer {
            url: shown(&self.endpoint.repository),
            reason: "its token realm is no URL".into(),
        })?;
        if credential.is_some() && url.scheme() != "https" && !self.endpoint.is_plain() {
            return Err(RegistryError::InsecureRealm { host: self.endpoint.host.clone(), realm: shown(&url) });
        }
        Ok(url)
    }

    fn scope(&self) -> String {
        self.scope.clone().unwrap_or_else(|| format!("repository:{}:pull", self.endpoint.path))
    }

    fn query(&self, url: &Url) -> Url {
        let mut url = url.clone();
        url.query_pairs_mut().extend_pairs(self.service.iter().map(|service| ("service", service)));
        url.query_pairs_mut().append_pair("scope", &self.scope());
        url
    }

    /// <https://distribution.github.io/distribution/spec/auth/oauth/>
    fn refresh(&self, url: &Url, token: &str) -> reqwest::RequestBuilder {
        let mut form = url.clone();
        form.set_query(None);
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", token)
            .append_pair("client_id", "stockade")
            .append_pair("service", self.service.as_deref().unwrap_or_default())
            .append_pair("scope", &self.scope());
        let body = form.query().unwrap_or_default().to_owned();
        self.http.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
    }
}

fn token(body: &[u8]) -> Option<String> {
    let answer: TokenAnswer = serde_json::from_slice(body).ok()?;
    answer.token.or(answer.access_token).filter(|token| HeaderValue::from_str(token).is_ok())
}

fn unusable(url: &Url) -> RegistryError {
    RegistryError::Answer { url: shown(url), reason: "it holds no token".into() }
}

fn basic(user: &str, password: &str) -> HeaderValue {
    secret(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

fn bearer(token: &str) -> Option<HeaderValue> {
    Some(secret(&format!("Bearer {token}")))
}

fn secret(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).expect("base64 and checked tokens are valid headers");
    value.set_sensitive(true);
    value
}
