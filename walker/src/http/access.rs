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
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{ACCEPT, AUTHORIZATION, COOKIE, SET_COOKIE, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::html;
use serde::Deserialize;

use super::error::HttpError;
use crate::page::layout::{Live, Visitor, page};

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

    fn judge(&self, request: &Request) -> Result<Caller, ServiceError> {
        let headers = request.headers();
        let header = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default().to_owned());
        let shown = header.or_else(|| self.token_of_cookie(headers).map(|token| format!("Bearer {token}")));
        let peer = request.extensions().get::<Peer>();
        let certificate = peer.and_then(|peer| peer.certificate.as_ref());
        let names = certificate.and_then(|certificate| CertificateNames::of(certificate));
        let caller = self.access.judge(shown.as_deref(), names.as_ref(), peer.map(|peer| peer.address))?;
        let role = if request.method().is_safe() { Role::Read } else { Role::Diagnose };
        caller.require_role(role, request.uri().path())?;
        Ok(caller)
    }

    /// What the header of a page offers whoever asks for it.
    fn visitor(&self, request: &Request, caller: &Caller) -> Visitor {
        let by_cookie = !request.headers().contains_key(AUTHORIZATION)
            && self.token_of_cookie(request.headers()).is_some();
        match caller.proved_name() {
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
    let entered = door.judge(&request).and_then(|caller| {
        let place = door.access.quota().enter(&caller.client())?;
        Ok((caller, place))
    });
    match entered {
        Ok((caller, _place)) => {
            let visitor = door.visitor(&request, &caller);
            request.extensions_mut().insert(visitor);
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) if error.code() == ErrorCode::Unauthenticated => {
            if door.access.takes_tokens() && reads_pages(&request) {
                return Redirect::to(&format!("/login?next={}", onward(&request))).into_response();
            }
            let challenge = [(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"automap\""))];
            (challenge, HttpError(error)).into_response()
        }
        Err(error) => HttpError(error).into_response(),
    }
}

/// Where a login leads back to the page that was asked for, as the value of a query.
fn onward(request: &Request) -> String {
    url_encoded(request.uri().path_and_query().map_or(HOME, |path| path.as_str()))
}

fn reads_pages(request: &Request) -> bool {
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    request.method() == Method::GET && accepts.is_some_and(|kinds| kinds.contains("text/html"))
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
mod tests {
    use automap_service_kit::{
        access::{
            AccessConfig,
            token::{self, TokenHash},
        },
        server::ServerConfig,
    };
    use axum::{body::Body, http::header::LOCATION, middleware};
    use tower::ServiceExt as _;

    use super::*;

    struct Port {
        router: Router,
        token: String,
        _home: tempfile::TempDir,
    }

    impl Port {
        fn open(anonymous: Option<Role>, external_url: Option<&str>) -> Self {
            let (home, token) = (tempfile::tempdir().unwrap(), token::generate().unwrap());
            let file = home.path().join("tokens.toml");
            let hash = TokenHash::of(&token);
            let entry = format!("[[tokens]]\nname = \"ada\"\nhash = \"{hash}\"\nrole = \"confirm\"\n");
            std::fs::write(&file, entry).unwrap();
            let access = AccessConfig { tokens: Some(file), anonymous, ..AccessConfig::default() };
            let server = ServerConfig { access, ..ServerConfig::default() };
            let config =
                HttpConfig { external_url: external_url.map(str::to_owned), ..HttpConfig::default() };
            let door = Door::new(Access::start("server", &server).unwrap(), &config);
            let name = async |request: Request| Caller::of(request.extensions()).unwrap().name().to_owned();
            let router = Router::new()
                .route("/diagnoses", get(name).post(name))
                .route(
                    "/visitor",
                    get(async |request: Request| format!("{:?}", Visitor::of(request.extensions()))),
                )
                .merge(door.routes())
                .layer(middleware::from_fn_with_state(door, judge));
            Self { router, token, _home: home }
        }

        async fn ask(
            &self,
            method: &str,
            path: &str,
            headers: &[(&str, &str)],
            body: &str,
        ) -> (StatusCode, HeaderMap, String) {
            let mut request = Request::builder().method(method).uri(path);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(Body::from(body.to_owned())).unwrap();
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (head, body) = response.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
        }
    }

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

    #[tokio::test]
    async fn a_token_lets_programs_in_and_readers_are_led_to_the_login() {
        let port = Port::open(None, None);
        let bearer = format!("Bearer {}", port.token);
        let (status, _, name) = port.ask("GET", "/diagnoses", &[("authorization", &bearer)], "").await;
        assert_eq!((status, name.as_str()), (StatusCode::OK, "ada"));
        let (status, headers, body) = port.ask("GET", "/diagnoses", &[], "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(headers.contains_key(WWW_AUTHENTICATE) && body.contains("UNAUTHENTICATED"), "{body}");
        let (status, headers, _) =
            port.ask("GET", "/diagnoses?system=a%26b", &[("accept", "text/html")], "").await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        assert_eq!(headers[LOCATION], "/login?next=/diagnoses%3Fsystem%3Da%2526b");
        let (status, _, page) = port.ask("GET", "/login?next=/diagnoses", &[], "").await;
        assert!(status == StatusCode::OK && page.contains("type=\"password\""), "{page}");
    }

    #[tokio::test]
    async fn a_login_leaves_a_cookie_that_no_script_and_no_other_page_can_use() {
        for (url, name, secure) in
            [(None, "automap", false), (Some("https://automap.example.org"), "__Host-automap", true)]
        {
            let port = Port::open(None, url);
            let filled = format!("token={}&next=%2Fdiagnoses", port.token);
            let (status, headers, _) = port.ask("POST", "/login", &[FORM], &filled).await;
            assert_eq!(
                (status, &headers[LOCATION]),
                (StatusCode::SEE_OTHER, &HeaderValue::from_static("/diagnoses"))
            );
            let cookie = headers[SET_COOKIE].to_str().unwrap().to_owned();
            assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
            assert_eq!(cookie.contains("Secure"), secure, "{cookie}");
            let pair = cookie.split(';').next().unwrap().to_owned();
            assert!(pair.starts_with(&format!("{name}=")), "{cookie}");
            let (status, _, body) =
                port.ask("POST", "/diagnoses", &[("cookie", &format!("a=b; {pair}"))], "").await;
            assert_eq!((status, body.as_str()), (StatusCode::OK, "ada"));
            let (_, headers, _) = port.ask("POST", "/logout", &[], "").await;
            assert!(headers[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
        }
    }

    #[tokio::test]
    async fn a_wrong_token_is_told_and_not_repeated_and_links_lead_nowhere_else() {
        let port = Port::open(None, None);
        let (status, headers, page) =
            port.ask("POST", "/login", &[FORM], "token=automap_0&next=//evil.example").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(!headers.contains_key(SET_COOKIE) && !page.contains("automap_0"), "{page}");
        assert!(page.contains("not known here") && !page.contains("evil"), "{page}");
        for next in ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\nb"] {
            assert_eq!(on_this_port(next), HOME, "{next}");
        }
        assert_eq!(on_this_port("/diagnoses/d?x=1#said"), "/diagnoses/d?x=1#said");
    }

    #[tokio::test]
    async fn a_header_offers_to_log_in_or_out_where_that_makes_sense() {
        let port = Port::open(Some(Role::Read), None);
        let cookie = format!("automap={}", port.token);
        let bearer = format!("Bearer {}", port.token);
        for (headers, offered) in [
            (vec![], "MayLogIn { onward: \"/visitor%3Fa%3D1\" }"),
            (vec![("cookie", cookie.as_str())], "LoggedIn { name: \"ada\" }"),
            (vec![("authorization", bearer.as_str())], "Any"),
        ] {
            assert_eq!(port.ask("GET", "/visitor?a=1", &headers, "").await.2, offered);
        }
    }

    #[tokio::test]
    async fn who_proves_nothing_may_do_what_was_said() {
        let port = Port::open(Some(Role::Read), None);
        assert_eq!(port.ask("GET", "/diagnoses", &[], "").await.2, "anonymous");
        let (status, _, body) = port.ask("POST", "/diagnoses", &[], "").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    }
}
