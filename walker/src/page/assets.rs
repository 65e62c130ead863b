//! The files that pages load, within the program. Their addresses change with their content, so that browsers may keep them.

use std::sync::LazyLock;

use automap_service_kit::error::{ErrorCode, ServiceError};
use axum::{
    extract::Path,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};

use crate::{
    http::error::HttpError,
    report::{self, drawing::svg},
};

/// A file that pages load.
#[derive(Debug)]
pub(super) struct Asset {
    content: String,
    content_type: &'static str,
    path: String,
}

/// The style sheet.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let content = [report::STYLE, svg::STYLE, include_str!("page.css")].concat();
    Asset::new("page", "css", "text/css; charset=utf-8", content)
});
/// The script, without which pages can be read all the same.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("page", "js", "text/javascript; charset=utf-8", include_str!("page.js").to_owned())
});
/// The icon.
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("icon.svg").to_owned()));

impl Asset {
    fn new(name: &str, ending: &str, content_type: &'static str, content: String) -> Self {
        let digest = Sha256::digest(content.as_bytes());
        let short: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { content, content_type, path: format!("/assets/{name}-{short}.{ending}") }
    }

    /// Where it is served.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// Answers an asset by its name.
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let path = format!("/assets/{name}");
    let assets = [&*STYLE, &*SCRIPT, &*ICON];
    let Some(asset) = assets.into_iter().find(|asset| asset.path == path) else {
        return HttpError(ServiceError::new(ErrorCode::NotFound, "there is no such file")).into_response();
    };
    let headers =
        [(CONTENT_TYPE, asset.content_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.content.as_str()).into_response()
}
