//! Who gets in, who is led to the login, and what errors look like.

use automap_service_kit::{
    access::{
        AccessConfig,
        token::{self, TokenHash},
    },
    server::ServerConfig,
};
use axum::{
    body::Body,
    http::header::{CONTENT_TYPE, LOCATION},
    middleware,
};
use tower::ServiceExt as _;

use super::*;
use crate::page::failure;

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
        let config = HttpConfig { external_url: external_url.map(str::to_owned), ..HttpConfig::default() };
        let door = Door::new(Access::start("server", &server).unwrap(), &config);
        let name = async |request: Request| Caller::of(request.extensions()).unwrap().name().to_owned();
        let router = Router::new()
            .route("/diagnoses", get(name).post(name))
            .route(
                "/visitor",
                get(async |request: Request| format!("{:?}", Visitor::of(request.extensions()))),
            )
            .merge(door.routes())
            .fallback(async || HttpError::not_found("nothing is here"))
            .layer(middleware::from_fn_with_state(door, judge))
            .layer(middleware::from_fn(failure::show));
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
    assert!(body.contains("authorization: Bearer") && body.contains("a browser logs in at /login"), "{body}");
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

/// What browsers say that they read.
const READS: (&str, &str) = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");

#[tokio::test]
async fn an_error_is_a_page_for_readers_from_which_they_log_in_or_out() {
    let port = Port::open(Some(Role::Read), None);
    let cookie = format!("automap={}", port.token);
    let bearer = format!("Bearer {}", port.token);
    let form = ("referer", "http://localhost:4314/diagnoses/d?x=1");
    let (to_form, to_page) = ("/login?next=/diagnoses/d%3Fx%3D1\"", "/login?next=/nowhere\"");
    for (method, path, headers, expected, offered) in [
        ("POST", "/diagnoses", vec![READS, form], StatusCode::FORBIDDEN, Some(to_form)),
        ("POST", "/diagnoses", vec![READS], StatusCode::FORBIDDEN, Some("/login?next=/diagnoses\"")),
        ("GET", "/nowhere", vec![READS], StatusCode::NOT_FOUND, Some(to_page)),
        (
            "GET",
            "/nowhere",
            vec![READS, ("cookie", &cookie)],
            StatusCode::NOT_FOUND,
            Some("action=\"/logout\""),
        ),
        ("GET", "/nowhere", vec![READS, ("authorization", &bearer)], StatusCode::NOT_FOUND, None),
    ] {
        let (status, answered, page) = port.ask(method, path, &headers, "").await;
        assert_eq!(status, expected, "{page}");
        assert_eq!(answered[CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(page.contains("<h1>") && page.contains("href=\"/diagnoses\""), "{page}");
        match offered {
            Some(offered) => assert!(page.contains(offered), "{offered}: {page}"),
            None => assert!(!page.contains("/login") && !page.contains("/logout"), "{page}"),
        }
    }
    // Programs read what they always read.
    let (status, answered, body) = port.ask("GET", "/nowhere", &[("accept", "*/*")], "").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    assert_eq!(answered[CONTENT_TYPE], "application/json");
}

#[tokio::test]
async fn whoever_sends_a_form_and_is_no_longer_known_finds_the_login() {
    let port = Port::open(None, None);
    let (status, headers, page) = port.ask("POST", "/diagnoses", &[READS], "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(headers.contains_key(WWW_AUTHENTICATE), "{headers:?}");
    let link = "<p><a href=\"/login?next=/diagnoses\">Log in</a> with a token to go on.</p>";
    assert!(page.contains(link) && !page.contains("Bearer"), "{page}");
}
