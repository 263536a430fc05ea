//! The dashboard: the files of `dashboard/dist`, embedded. They say nothing of the jobs.

use super::App;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::{Arc, OnceLock};
use streamhost_storage::catalog::sha256;

/// No inline script or style, nothing from elsewhere, and no text that becomes code.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// One file of the page.
struct Asset {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    packed: OnceLock<Packed>,
}

/// What is made of a file when it is asked for first.
struct Packed {
    etag: HeaderValue,
    gzip: Vec<u8>,
}

macro_rules! asset {
    ($path:literal, $file:literal, $kind:literal) => {
        Asset {
            path: $path,
            kind: $kind,
            bytes: include_bytes!(concat!("../../dashboard/dist/", $file)),
            packed: OnceLock::new(),
        }
    };
}

static ASSETS: [Asset; 5] = [
    asset!("/", "index.html", "text/html; charset=utf-8"),
    asset!("/app.js", "app.js", "text/javascript; charset=utf-8"),
    asset!("/app.css", "app.css", "text/css; charset=utf-8"),
    asset!("/icon.svg", "icon.svg", "image/svg+xml"),
    asset!(
        "/licenses.md",
        "licenses.md",
        "text/markdown; charset=utf-8"
    ),
];

/// The routes of the page's files.
pub(super) fn routes() -> Vec<(Method, &'static str, MethodRouter<Arc<App>>)> {
    let route = |asset: &'static Asset| {
        let answer = move |request: Request| async move { asset.answer(request.headers()) };
        (Method::GET, asset.path, get(answer))
    };
    ASSETS.iter().map(route).collect()
}

/// Whether this path is one of the page's files, which need no token.
pub(super) fn has(path: &str) -> bool {
    ASSETS.iter().any(|asset| asset.path == path)
}

impl Asset {
    fn packed(&self) -> &Packed {
        self.packed.get_or_init(|| Packed {
            etag: HeaderValue::try_from(format!("\"{}\"", &sha256(self.bytes)[..32]))
                .unwrap_or(HeaderValue::from_static("\"\"")),
            gzip: gzip(self.bytes).unwrap_or_default(),
        })
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        let packed = self.packed();
        let known = of(asked, header::IF_NONE_MATCH);
        let etag = packed.etag.to_str().unwrap_or_default();
        let is_known = known
            .split(',')
            .map(|known| known.trim().trim_start_matches("W/"))
            .any(|known| known == etag || known == "*");
        let zipped = !packed.gzip.is_empty() && takes_gzip(of(asked, header::ACCEPT_ENCODING));
        let mut response = match (is_known, zipped) {
            (true, _) => StatusCode::NOT_MODIFIED.into_response(),
            (false, true) => packed.gzip.clone().into_response(),
            (false, false) => self.bytes.into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, packed.etag.clone());
        let fixed = [
            (header::CONTENT_TYPE, self.kind),
            (header::CACHE_CONTROL, "no-cache"),
            (header::VARY, "Accept-Encoding"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if zipped && !is_known {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

fn of(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Whether an `Accept-Encoding` names gzip, and not to refuse it.
fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        let quality = quality.trim().strip_prefix("q=").unwrap_or("1");
        let is_wanted = quality.trim().parse::<f32>().is_ok_and(|q| q > 0.0);
        name.trim().eq_ignore_ascii_case("gzip") && is_wanted
    })
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn every_file_goes_out_as_the_client_takes_it() {
        for asset in &ASSETS {
            let plain = asset.answer(&HeaderMap::new());
            let etag = plain.headers()[header::ETAG].clone();
            assert_eq!(plain.status(), 200);
            for (name, want) in [
                (header::CONTENT_TYPE, asset.kind),
                (header::CACHE_CONTROL, "no-cache"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::REFERRER_POLICY, "no-referrer"),
                (header::CONTENT_SECURITY_POLICY, POLICY),
            ] {
                assert_eq!(plain.headers()[&name], want, "{} {name}", asset.path);
            }
            let cases: [(header::HeaderName, &str, u16, bool); 7] = [
                (header::ACCEPT_ENCODING, "br, gzip", 200, true),
                (header::ACCEPT_ENCODING, "gzip;q=0", 200, false),
                (header::ACCEPT_ENCODING, "br", 200, false),
                (header::IF_NONE_MATCH, etag.to_str().unwrap(), 304, false),
                (header::IF_NONE_MATCH, "\"other\", *", 304, false),
                (header::IF_NONE_MATCH, "\"other\"", 200, false),
                (header::IF_NONE_MATCH, "", 200, false),
            ];
            for (name, value, status, zipped) in cases {
                let asked = [(name, HeaderValue::from_str(value).unwrap())];
                let answer = asset.answer(&asked.into_iter().collect());
                let said = answer.headers().get(header::CONTENT_ENCODING);
                let found = (answer.status().as_u16(), said.is_some());
                assert_eq!(found, (status, zipped), "{} {value}", asset.path);
                assert_eq!(answer.headers()[header::ETAG], etag);
            }
            let mut unpacked = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(&*asset.packed().gzip);
            decoder.read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, asset.bytes);
        }
    }
}
