//! Requests as bytes: which ones are understood, their headers, and a walk over their bodies before
//! they are decoded.
//!
//! The decoder reserves memory for as many array elements as a request claims to have. Four bad
//! bytes could so claim more memory than there is, which ends the process. So every body is first
//! walked along its shape, and refused if an array is longer than the bytes that are there.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiKey;
use streamhost_core::limits::BROKER_REQUEST_ITEMS_MAX;

/// A request that is understood, in these versions.
pub(super) struct Api {
    pub(super) key: ApiKey,
    /// Advertised from here on.
    pub(super) min: i16,
    pub(super) max: i16,
    /// Versions from here on have compact lengths and tagged fields.
    flexible: i16,
    /// The body's fields: `c` 1, `h` 2, `i` 4, `q` 8 bytes; `s` a string, `b` bytes; `x*` an array
    /// of one of these; `[ … ]` an array of structures. `v2+:` or `v2-4:` before a field: only in
    /// these versions.
    shape: &'static str,
}

const fn api(key: ApiKey, min: i16, max: i16, flexible: i16, shape: &'static str) -> Api {
    Api {
        key,
        min,
        max,
        flexible,
        shape,
    }
}

/// All that is understood. Produce is advertised from 0 as Kafka 4 does it: librdkafka takes its
/// absence for "no compression"; requests of versions 0 to 2 are refused. Versions that ask by
/// topic ids are left out.
pub(super) const APIS: &[Api] = &[
    api(ApiKey::Produce, 0, 8, 9, "s h i [ s [ i b ] ]"),
    api(
        ApiKey::Fetch,
        4,
        11,
        12,
        "i i i i c v7+:i v7+:i [ s [ i v9+:i q v5+:q i ] ] v7+:[ s i* ] v11+:s",
    ),
    api(ApiKey::ListOffsets, 1, 5, 6, "i v2+:c [ s [ i v4+:i q ] ]"),
    api(
        ApiKey::Metadata,
        0,
        10,
        9,
        "[ v10+:q v10+:q s ] v4+:c v8+:c v8+:c",
    ), // 10 tells topics' ids; from 12 on they ask
    api(
        ApiKey::OffsetCommit,
        2,
        7,
        8,
        "s i s v7+:s v2-4:q [ s [ i q v6+:i s ] ]",
    ),
    api(ApiKey::OffsetFetch, 1, 7, 6, "s [ s i* ] v7+:c"),
    api(ApiKey::FindCoordinator, 0, 2, 3, "s v1+:c"),
    api(ApiKey::JoinGroup, 0, 5, 6, "s i v1+:i s v5+:s s [ s b ]"),
    api(ApiKey::Heartbeat, 0, 3, 4, "s i s v3+:s"),
    api(ApiKey::LeaveGroup, 0, 3, 4, "s v0-2:s v3+:[ s s ]"),
    api(ApiKey::SyncGroup, 0, 3, 4, "s i s v3+:s [ s b ]"),
    api(ApiKey::DescribeGroups, 0, 4, 5, "s* v3+:c"),
    api(ApiKey::ListGroups, 0, 4, 3, "v4+:s*"),
    api(ApiKey::ApiVersions, 0, 3, 3, "v3+:s v3+:s"),
    api(
        ApiKey::CreateTopics,
        2,
        4,
        5,
        "[ s i h [ i i* ] [ s s ] ] i c",
    ),
    api(ApiKey::DeleteTopics, 1, 3, 4, "s* i"),
    api(ApiKey::DeleteRecords, 0, 1, 2, "[ s [ i q ] ] i"),
    api(ApiKey::InitProducerId, 0, 4, 2, "s i v3+:q v3+:h"),
    api(
        ApiKey::OffsetForLeaderEpoch,
        2,
        3,
        4,
        "v3+:i [ s [ i i i ] ]",
    ),
    api(ApiKey::AddPartitionsToTxn, 0, 2, 3, "s q h [ s i* ]"),
    api(ApiKey::AddOffsetsToTxn, 0, 2, 3, "s q h s"),
    api(ApiKey::EndTxn, 0, 2, 3, "s q h c"),
    api(
        ApiKey::TxnOffsetCommit,
        0,
        3,
        3,
        "s s q h v3+:i v3+:s v3+:s [ s [ i q v2+:i s ] ]",
    ),
    api(ApiKey::DescribeConfigs, 1, 3, 4, "[ c s s* ] c v3+:c"),
    api(ApiKey::CreatePartitions, 0, 1, 2, "[ s i [ i* ] ] i c"),
    api(ApiKey::DeleteGroups, 0, 1, 2, "s*"),
    api(ApiKey::OffsetDelete, 0, 0, 1, "s [ s [ i ] ]"),
    api(ApiKey::DescribeCluster, 0, 0, 0, "c"),
];

/// Why a request is not even looked at; the connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRequest {
    #[error("the request ends early, or a length in it is wrong")]
    Short,
    #[error("the request has more than {BROKER_REQUEST_ITEMS_MAX} items")]
    TooManyItems,
    #[error("request kind {key} is not supported")]
    UnknownApi { key: i16 },
    #[error("{key:?} is supported in versions {min} to {max}, not in {asked}")]
    Version {
        key: ApiKey,
        min: i16,
        max: i16,
        asked: i16,
    },
    /// The only way to tell a producer that wants no acknowledgement: it then asks anew where the
    /// partition is.
    #[error("records without acknowledgement could not be taken, by the protocol's error {code}")]
    Untold { code: i16 },
    #[error("{key:?} version {version} cannot be decoded: {reason}")]
    Undecodable {
        key: ApiKey,
        version: i16,
        reason: String,
    },
}

/// A request's header. Its body has been walked and can be decoded.
pub(super) struct Header {
    pub(super) api: &'static Api,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    pub(super) client_id: String,
    /// An ApiVersions request of a version to come: it is answered with what is supported, in
    /// version 0.
    pub(super) is_newer_api_versions: bool,
}

impl Header {
    /// Whether the response's header ends with tagged fields. That of ApiVersions never does.
    pub(super) fn is_response_tagged(&self) -> bool {
        self.version >= self.api.flexible && self.api.key != ApiKey::ApiVersions
    }
}

/// Reads the header and leaves the body, which is proven to be safe to decode.
pub(super) fn read_header(request: &mut Bytes) -> Result<Header, BadRequest> {
    let short = |_| BadRequest::Short;
    let key = request.try_get_i16().map_err(short)?;
    let version = request.try_get_i16().map_err(short)?;
    let correlation_id = request.try_get_i32().map_err(short)?;
    let known = APIS.iter().find(|api| api.key as i16 == key);
    let api = known.ok_or(BadRequest::UnknownApi { key })?;
    let is_newer_api_versions = api.key == ApiKey::ApiVersions && version > api.max;
    if is_newer_api_versions {
        return Ok(Header {
            api,
            version,
            correlation_id,
            client_id: String::new(),
            is_newer_api_versions,
        });
    }
    let min = api.min.max(api.key.valid_versions().min);
    if version < min || version > api.max {
        return Err(BadRequest::Version {
            key: api.key,
            min,
            max: api.max,
            asked: version,
        });
    }
    let flexible = version >= api.flexible;
    let length = request.try_get_i16().map_err(short)?;
    let client_id = match usize::try_from(length) {
        Err(_) => String::new(),
        Ok(length) if length > request.len() => return Err(BadRequest::Short),
        Ok(length) => String::from_utf8_lossy(&request.split_to(length)).into_owned(),
    };
    let mut walk = Walk {
        rest: request,
        version,
        flexible,
        items_left: BROKER_REQUEST_ITEMS_MAX,
    };
    if flexible {
        walk.tags()?;
    }
    let after_header = walk.rest.len();
    let tokens: Vec<&str> = api.shape.split_whitespace().collect();
    walk.fields(&tokens)?;
    if flexible {
        walk.tags()?;
    }
    request.advance(request.len() - after_header);
    Ok(Header {
        api,
        version,
        correlation_id,
        client_id,
        is_newer_api_versions,
    })
}

/// Goes over a body without keeping anything.
struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    items_left: usize,
}

impl Walk<'_> {
    fn fields(&mut self, tokens: &[&str]) -> Result<(), BadRequest> {
        let mut index = 0;
        while index < tokens.len() {
            let (present, token) = self.guard(tokens[index]);
            if token != "[" {
                if present {
                    self.field(token)?;
                }
                index += 1;
                continue;
            }
            let end = index + closing(&tokens[index..]);
            if present {
                for _ in 0..self.count()? {
                    self.fields(&tokens[index + 1..end])?;
                    if self.flexible {
                        self.tags()?;
                    }
                }
            }
            index = end + 1;
        }
        Ok(())
    }

    /// Splits `v2+:s` into whether this version has the field, and the field.
    fn guard<'t>(&self, token: &'t str) -> (bool, &'t str) {
        let Some((versions, field)) = token
            .strip_prefix('v')
            .and_then(|rest| rest.split_once(':'))
        else {
            return (true, token);
        };
        let number = |text: &str| text.parse::<i16>().expect("a shape's versions are numbers");
        let present = match versions.strip_suffix('+') {
            Some(from) => self.version >= number(from),
            None => {
                let (from, to) = versions
                    .split_once('-')
                    .expect("a shape's range has two ends");
                (number(from)..=number(to)).contains(&self.version)
            }
        };
        (present, field)
    }

    fn field(&mut self, token: &str) -> Result<(), BadRequest> {
        if let Some(element) = token.strip_suffix('*') {
            for _ in 0..self.count()? {
                self.field(element)?;
            }
            return Ok(());
        }
        match token {
            "c" => self.skip(1),
            "h" => self.skip(2),
            "i" => self.skip(4),
            "q" => self.skip(8),
            "s" | "b" => {
                let length = self.length(token == "s")?;
                self.skip(length)
            }
            other => unreachable!("a shape has no field {other:?}"),
        }
    }

    /// The number of elements of an array, none if it is null. Each takes at least one byte.
    fn count(&mut self) -> Result<usize, BadRequest> {
        let count = self.length(false)?;
        if count > self.rest.len() {
            return Err(BadRequest::Short);
        }
        self.items_left = self
            .items_left
            .checked_sub(count)
            .ok_or(BadRequest::TooManyItems)?;
        Ok(count)
    }

    fn length(&mut self, is_string: bool) -> Result<usize, BadRequest> {
        let length = match (self.flexible, is_string) {
            (true, true) => {
                i64::from(i16::try_from(self.varint()?).map_err(|_| BadRequest::Short)?) - 1
            }
            (true, false) => i64::from(self.varint()?) - 1,
            (false, true) => i64::from(self.rest.try_get_i16().map_err(|_| BadRequest::Short)?),
            (false, false) => i64::from(self.rest.try_get_i32().map_err(|_| BadRequest::Short)?),
        };
        match length {
            -1 => Ok(0),
            length => usize::try_from(length).map_err(|_| BadRequest::Short),
        }
    }

    fn tags(&mut self) -> Result<(), BadRequest> {
        let count = self.varint()? as usize;
        self.items_left = self
            .items_left
            .checked_sub(count)
            .ok_or(BadRequest::TooManyItems)?;
        for _ in 0..count {
            self.varint()?;
            let length = self.varint()? as usize;
            self.skip(length)?;
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u32, BadRequest> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.rest.try_get_u8().map_err(|_| BadRequest::Short)?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(BadRequest::Short)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), BadRequest> {
        self.rest = self.rest.get(bytes..).ok_or(BadRequest::Short)?;
        Ok(())
    }
}

/// Where the array that begins at the first token ends.
fn closing(tokens: &[&str]) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate() {
        if token.ends_with('[') {
            depth += 1;
        } else if *token == "]" {
            depth -= 1;
        }
        if depth == 0 {
            return index;
        }
    }
    unreachable!("a shape closes what it opens")
}
