//! What every page has around its content.

use axum::http::Extensions;
use maud::{DOCTYPE, Markup, html};

use super::assets;

/// What a page does beside being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Live<'a> {
    /// Nothing.
    No,
    /// Follows all diagnoses.
    All,
    /// Follows one that runs; without a script it is loaded again every few seconds.
    One(&'a str),
}

/// What the header of a page offers its reader.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// Nothing: nobody logs in here, or it is not known who reads.
    #[default]
    Any,
    /// To log in; `onward` is the value of the query that leads back.
    MayLogIn { onward: String },
    /// To log out.
    LoggedIn { name: String },
}

impl Visitor {
    /// The reader of a request or of its answer, as far as the port knows.
    pub(crate) fn of(known: &Extensions) -> Self {
        known.get().cloned().unwrap_or_default()
    }

    fn offer(&self) -> Markup {
        html! {
            @match self {
                Self::Any => {},
                Self::MayLogIn { onward } => { a href={ "/login?next=" (onward) } { "Log in" } },
                Self::LoggedIn { name } => {
                    form method="post" action="/logout" { span.small { (name) } " " button type="submit" { "Log out" } }
                },
            }
        }
    }
}

/// A whole page.
pub(crate) fn page(title: &str, live: Live<'_>, visitor: &Visitor, content: &Markup) -> Markup {
    let follows = match live {
        Live::No => None,
        Live::All => Some(""),
        Live::One(id) => Some(id),
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · AutoMAP" }
                link rel="icon" type="image/svg+xml" href=(assets::ICON.path());
                link rel="stylesheet" href=(assets::STYLE.path());
                @if live != Live::No { script defer src=(assets::SCRIPT.path()) {} }
                @if let Live::One(_) = live { noscript { meta http-equiv="refresh" content="5"; } }
            }
            body data-follows=[follows] {
                a.skip href="#content" { "Skip to the content" }
                header.bar {
                    nav aria-label="Pages" { a href="/diagnoses" { "AutoMAP" } }
                    (visitor.offer())
                }
                main id="content" { (content) }
                footer.bar { p.small { "AutoMAP " (env!("CARGO_PKG_VERSION")) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_offers_what_its_reader_can_do_and_escapes_his_name() {
        let shown = |visitor: &Visitor| page("x", Live::No, visitor, &html! {}).into_string();
        let any = shown(&Visitor::Any);
        assert!(!any.contains("/login") && !any.contains("/logout"), "{any}");
        let outside = shown(&Visitor::MayLogIn { onward: "/diagnoses/d%3Fx".into() });
        assert!(outside.contains("<a href=\"/login?next=/diagnoses/d%3Fx\">Log in</a>"), "{outside}");
        let inside = shown(&Visitor::LoggedIn { name: "<b>ada".into() });
        assert!(inside.contains("&lt;b&gt;ada") && inside.contains("action=\"/logout\""), "{inside}");
    }
}
