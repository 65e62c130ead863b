//! What every page has around its content.

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

/// A whole page.
pub(crate) fn page(title: &str, live: Live<'_>, content: &Markup) -> Markup {
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
                header.bar { nav aria-label="Pages" { a href="/diagnoses" { "AutoMAP" } } }
                main id="content" { (content) }
                footer.bar { p.small { "AutoMAP " (env!("CARGO_PKG_VERSION")) } }
            }
        }
    }
}
