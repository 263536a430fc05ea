//! The token for OAUTHBEARER. It stands in a file that something else keeps fresh, or in the
//! environment, and is read whenever the client asks for one: long before the one before is over.
//!
//! What this file relies on, by librdkafka's documentation: `rd_kafka_oauthbearer_set_token` may be
//! called from any thread as long as the client lives, copies what it is given, and writes no more
//! than it is told into the buffer for its words.
#![expect(
    unsafe_code,
    reason = "librdkafka is a C library; the promises it asks for are argued at the top and in place"
)]

use super::{KafkaSettings, access};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::ClientContext;
use rdkafka::client::{Client, OAuthToken};
use rdkafka::error::KafkaError;
use rdkafka_sys as sys;
use serde::Deserialize;
use std::ffi::{CStr, CString};
use std::ptr;
use streamhost_core::{clock, limits};

/// The property that names it, which is the host's own and not librdkafka's.
pub const TOKEN: &str = "sasl.oauthbearer.token";

/// Whom a token that does not say so is for; the brokers go by the token alone.
const SOMEBODY: &str = "streamhost";

/// Where the token stands, if OAUTHBEARER is the way in.
#[derive(Clone, Debug)]
pub(crate) struct Tokens(Option<Secret>);

/// What a JSON Web Token says of itself. Whether that is true is for the brokers to find out.
#[derive(Default, Deserialize)]
struct Claims {
    sub: Option<String>,
    /// In seconds since 1970.
    exp: Option<f64>,
}

impl Tokens {
    pub(crate) fn of(settings: &KafkaSettings) -> Tokens {
        Tokens(settings.secrets.get(TOKEN).cloned())
    }

    /// Gives a new client its first token, so that it need not be polled for it.
    pub(crate) fn begin<C: ClientContext>(&self, client: &Client<C>) -> Result<(), KafkaError> {
        if self.0.is_none() {
            return Ok(());
        }
        let wrong = |reason: String| {
            KafkaError::ClientCreation(format!("{}: `{TOKEN}`: {reason}", access::MISSING))
        };
        let token = self.read().map_err(wrong)?;
        let text = |text: String| CString::new(text).map_err(KafkaError::Nul);
        let (value, principal) = (text(token.token)?, text(token.principal_name)?);
        let mut words = [0; 512];
        // SAFETY: the client lives, both texts end in NUL and are copied, there are no extensions,
        // and the buffer is as long as is said.
        let code = unsafe {
            sys::rd_kafka_oauthbearer_set_token(
                client.native_ptr(),
                value.as_ptr(),
                token.lifetime_ms,
                principal.as_ptr(),
                ptr::null_mut(),
                0,
                words.as_mut_ptr(),
                words.len(),
            )
        };
        if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(());
        }
        // SAFETY: the library ended its words with NUL within the buffer, which was all zero.
        let said = unsafe { CStr::from_ptr(words.as_ptr()) };
        Err(wrong(said.to_string_lossy().into_owned()))
    }

    /// Reads it. It counts for [`limits::KAFKA_TOKEN_TIME`] at most, so that a newer one in its place
    /// is found early.
    pub(crate) fn read(&self) -> Result<OAuthToken, String> {
        let secret = self.0.as_ref().ok_or("there is no token")?;
        let token = secret.read().map_err(|e| e.to_string())?.trim().to_owned();
        let claims = claims(&token);
        let now_ms = clock::now_ms();
        let until = i64::try_from(limits::KAFKA_TOKEN_TIME.as_millis()).unwrap_or(i64::MAX);
        let over_ms = claims
            .exp
            .map_or(i64::MAX, |seconds| (seconds * 1000.0) as i64);
        if over_ms <= now_ms {
            let over = clock::rfc3339(over_ms);
            return Err(format!("the token in {secret} has expired at {over}"));
        }
        Ok(OAuthToken {
            token,
            principal_name: claims.sub.unwrap_or_else(|| SOMEBODY.to_owned()),
            lifetime_ms: over_ms.min(now_ms.saturating_add(until)),
        })
    }
}

/// Of a token that is no JSON Web Token nothing is known.
fn claims(token: &str) -> Claims {
    let body = token.split('.').nth(1).unwrap_or_default();
    let body = URL_SAFE_NO_PAD.decode(body.trim_end_matches('='));
    let claims = body
        .ok()
        .and_then(|body| serde_json::from_slice(&body).ok());
    claims.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(folder: &tempfile::TempDir, text: &str) -> Tokens {
        let path = folder.path().join("token");
        std::fs::write(&path, text).expect("written");
        Tokens(Some(Secret::File(path)))
    }

    fn web_token(claims: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_is_read_with_what_it_says_of_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let most = i64::try_from(limits::KAFKA_TOKEN_TIME.as_millis()).expect("small");
        let soon = clock::now_ms() / 1000 + 60;
        let cases = [
            (
                web_token(&format!("{{\"sub\":\"me\",\"exp\":{soon}}}")),
                "me",
                soon * 1000,
            ),
            (web_token("{\"sub\":\"me\"}"), "me", i64::MAX),
            (web_token("{\"exp\":1e300}"), SOMEBODY, i64::MAX),
            ("opaque".to_owned(), SOMEBODY, i64::MAX),
        ];
        for (text, principal, over_ms) in cases {
            let read = tokens(&folder, &format!("{text}\n")).read().expect("good");
            assert_eq!(
                (read.token, &*read.principal_name),
                (text.clone(), principal)
            );
            let within = read.lifetime_ms <= over_ms.min(clock::now_ms() + most);
            assert!(within && read.lifetime_ms > clock::now_ms(), "{text}");
        }
        let old = tokens(&folder, &web_token("{\"exp\":1000}")).read();
        let words = old.err().unwrap_or_default();
        assert!(words.contains("has expired at 1970-01-01"), "{words}");
    }
}
