//! Why a server's certificate is not trusted, in words that tell what to change.

use openssl::x509::{GeneralNameRef, X509, X509VerifyResult};
use std::net::{Ipv4Addr, Ipv6Addr};

/// OpenSSL's numbers (`X509_V_ERR_…`), which are a part of its interface.
const NOT_YET: i32 = 9;
const EXPIRED: i32 = 10;
const NAME_DIFFERS: i32 = 62;
const ADDRESS_DIFFERS: i32 = 64;

/// Names that are shown of a certificate.
const SHOWN_NAMES_MAX: usize = 4;

/// What a server of some kind and its settings are called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called<'a> {
    /// The server, such as `the broker`.
    pub(crate) server: &'static str,
    /// The setting that names the authority.
    pub(crate) authority: &'a str,
    /// Where the server's own name stands.
    pub(crate) named_in: &'a str,
}

/// Why the certificate that was `shown` for `host` is not trusted; `result` is what its verification
/// ended with.
pub(crate) fn why_not(
    result: X509VerifyResult,
    host: &str,
    shown: Option<&X509>,
    called: Called<'_>,
) -> String {
    let Called {
        server,
        authority,
        named_in,
    } = called;
    let why = result.error_string();
    let names = shown.map_or_else(|| "nobody known".to_owned(), names);
    match result.as_raw() {
        NAME_DIFFERS | ADDRESS_DIFFERS => format!(
            "{server}'s certificate is not for `{host}`, but for {names}: name {server} by a name \
             that its certificate has, in {named_in}"
        ),
        EXPIRED => {
            format!("{server}'s certificate, for {names}, has expired: {server} needs a new one")
        }
        NOT_YET => format!(
            "{server}'s certificate, for {names}, is not valid yet: compare the clocks of both machines"
        ),
        _ => format!(
            "{server}'s certificate, for {names}, is not trusted ({why}): name the authority that \
             signed it in `{authority}`, or install it with the system's"
        ),
    }
}

/// Whom a certificate is for.
fn names(certificate: &X509) -> String {
    let of = |name: &GeneralNameRef| {
        name.dnsname().map(str::to_owned).or_else(|| {
            let bytes = name.ipaddress()?;
            match <[u8; 4]>::try_from(bytes) {
                Ok(four) => Some(Ipv4Addr::from(four).to_string()),
                Err(_) => <[u8; 16]>::try_from(bytes)
                    .ok()
                    .map(|all| Ipv6Addr::from(all).to_string()),
            }
        })
    };
    let all = certificate.subject_alt_names();
    let all: Vec<_> = all
        .iter()
        .flatten()
        .filter_map(of)
        .take(SHOWN_NAMES_MAX)
        .collect();
    if all.is_empty() {
        "no name".to_owned()
    } else {
        format!("`{}`", all.join("`, `"))
    }
}
