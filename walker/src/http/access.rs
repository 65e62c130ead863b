//! Who calls over HTTP: whoever has the token of the header `authorization`, or of the cookie that a login leaves; the owner of
//! the certificate that was shown; or nobody in particular, where that is allowed.
//!
//! The cookie holds the token itself, so that one that is withdrawn ends every login made with it. No script reads it
//! (`HttpOnly`), no page of others makes a browser send it (`SameSite=Strict`), and over TLS it never travels in clear.

use automap_service_kit::{
    access::{Access, Caller, Role, audit, certificate::CertificateNames},
    error::{ErrorCode, ServiceError},
    http::{HttpConfig, Peer},
};
use axum::{
    Form, Router,
    extract::{Query, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{AUTHORIZATION, COOKIE, REFERER, SET_COOKIE, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::html;
use serde::Deserialize;

use super::error::HttpError;
use crate::page::{
    failure::reads_pages,
    layout::{Live, Visitor, page},
};

/// How long a browser keeps a login, seconds: a working day.
const COOKIE_SECONDS: u32 = 12 * 3600;

/// Where one goes after a login that began nowhere.
const HOME: &str = "/diagnoses";

/// Judges who calls over HTTP.
#[derive(Debug, Clone)]
pub(super) struct Door {
    access: Access,
    /// Whether browsers reach this port over TLS.
    secure: bool,
}

/// Where a login leads.
#[derive(Debug, Default, Deserialize)]
struct Onward {
    #[serde(default)]
    next: String,
}

/// A filled form.
#[derive(Deserialize)]
struct Login {
    token: String,
    #[serde(default)]
    next: String,
}

impl Door {
    pub(super) fn new(access: Access, config: &HttpConfig) -> Self {
        let outside = config.external_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        Self { access, secure: config.tls.is_on() || outside }
    }

    /// Login and logout.
    pub(super) fn routes(&self) -> Router {
        Router::new()
            .route("/login", get(show).post(log_in))
            .route("/logout", post(log_out))
            .with_state(self.clone())
    }

    /// What must be there before anybody is known, and tells nothing.
    fn is_open(path: &str) -> bool {
        matches!(path, "/login" | "/logout") || path.starts_with("/assets/")
    }

    /// Who calls.
    fn known(&self, request: &Request) -> Result<Caller, ServiceError> {
        let headers = request.headers();
        let header = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default().to_owned());
        let shown = header.or_else(|| self.token_of_cookie(headers).map(|token| format!("Bearer {token}")));
        let peer = request.extensions().get::<Peer>();
        let certificate = peer.and_then(|peer| peer.certificate.as_ref());
        let names = certificate.and_then(|certificate| CertificateNames::of(certificate));
        self.access.judge(shown.as_deref(), names.as_ref(), peer.map(|peer| peer.address))
    }

    /// What the header of a page offers whoever asks for it, `None` where it is not known who that is.
    fn visitor(&self, request: &Request, caller: Option<&Caller>) -> Visitor {
        let by_cookie = !request.headers().contains_key(AUTHORIZATION)
            && self.token_of_cookie(request.headers()).is_some();
        match caller.and_then(Caller::proved_name) {
            Some(name) if by_cookie => Visitor::LoggedIn { name: name.into() },
            None if self.access.takes_tokens() => Visitor::MayLogIn { onward: onward(request) },
            _ => Visitor::Any,
        }
    }

    /// With this name browsers take a cookie over TLS only, for this host alone.
    const fn cookie_name(&self) -> &'static str {
        if self.secure { "__Host-automap" } else { "automap" }
    }

    fn token_of_cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find_map(|(name, value)| (name == self.cookie_name()).then_some(value))
    }

    fn cookie(&self, token: &str, seconds: u32) -> Result<HeaderValue, ServiceError> {
        let secure = if self.secure { "; Secure" } else { "" };
        let name = self.cookie_name();
        let text = format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            ServiceError::new(ErrorCode::Unauthenticated, "the token holds what no token has")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Lets those in who may call, and puts who they are into the extensions of the request. Readers of pages are led to the
/// login.
pub(super) async fn judge(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    if Door::is_open(request.uri().path()) {
        return next.run(request).await;
    }
    let known = door.known(&request);
    let visitor = door.visitor(&request, known.as_ref().ok());
    let entered = known.and_then(|caller| {
        let role = if request.method().is_safe() { Role::Read } else { Role::Diagnose };
        caller.require_role(role, request.uri().path())?;
        let place = door.access.quota().enter(&caller.client())?;
        Ok((caller, place))
    });
    let mut response = match entered {
        Ok((caller, _place)) => {
            request.extensions_mut().insert(visitor.clone());
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) if error.code() == ErrorCode::Unauthenticated => {
            if door.access.takes_tokens() && request.method() == Method::GET && reads_pages(request.headers())
            {
                return Redirect::to(&format!("/login?next={}", onward(&request))).into_response();
            }
            // Whoever looks at a page by a program sees how people get there.
            let error = if door.access.takes_tokens() && request.method() == Method::GET {
                let message = format!("{}; a browser logs in at /login", error.message());
                error.with_message(&message)
            } else {
                error
            };
            let challenge = [(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"automap\""))];
            (challenge, HttpError(error)).into_response()
        }
        Err(error) => HttpError(error).into_response(),
    };
    // Where it is an error, its page needs it.
    response.extensions_mut().insert(visitor);
    response
}

/// Where a login leads back to the page that was asked for, or whose form was sent, as the value of a query.
fn onward(request: &Request) -> String {
    let form = || request.headers().get(REFERER)?.to_str().ok()?.parse::<Uri>().ok();
    let page = if request.method().is_safe() { Some(request.uri().clone()) } else { form() };
    let path = page.as_ref().and_then(Uri::path_and_query);
    url_encoded(path.map_or(HOME, |path| path.as_str()))
}

/// A value of a query: everything but letters, digits and few marks as `%` and two digits (RFC 3986, section 2.1).
fn url_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Where a login may lead: a place on this port, whatever a link says.
fn on_this_port(next: &str) -> &str {
    let inside = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    if inside && next.bytes().all(|byte| byte.is_ascii_graphic()) { next } else { HOME }
}

async fn show(State(door): State<Door>, Query(onward): Query<Onward>) -> Response {
    if !door.access.takes_tokens() {
        return HttpError::not_found("nobody logs in here; the list of diagnoses is at /diagnoses")
            .into_response();
    }
    form(on_this_port(&onward.next), None)
}

async fn log_in(State(door): State<Door>, Form(login): Form<Login>) -> Response {
    let next = on_this_port(&login.next);
    let token = login.token.trim();
    let entered = door.access.judge_token(token).and_then(|caller| {
        let cookie = door.cookie(token, COOKIE_SECONDS)?;
        Ok((caller, cookie))
    });
    match entered {
        Ok((caller, cookie)) => {
            audit::record(&caller, "login", "");
            ([(SET_COOKIE, cookie)], Redirect::to(next)).into_response()
        }
        Err(error) => (StatusCode::UNAUTHORIZED, form(next, Some(error.message()))).into_response(),
    }
}

async fn log_out(State(door): State<Door>) -> Response {
    match door.cookie("", 0) {
        Ok(gone) => ([(SET_COOKIE, gone)], Redirect::to("/login")).into_response(),
        Err(error) => HttpError(error).into_response(),
    }
}

fn form(next: &str, problem: Option<&str>) -> Response {
    let content = html! {
        h1 { "Log in" }
        @if let Some(problem) = problem { p role="alert" { (problem) } }
        form method="post" action="/login" {
            p {
                label for="token" { "Token" } " "
                input type="password" id="token" name="token" required autocomplete="current-password";
            }
            input type="hidden" name="next" value=(next);
            p { button { "Log in" } }
        }
    };
    let page = page("Log in", Live::No, &Visitor::Any, &content);
    Html(page.into_string()).into_response()
}

#[cfg(test)]
mod tests;
