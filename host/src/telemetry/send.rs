//! The way to the collector: OTLP over HTTP, by the same client as the command line's. It has no
//! TLS: a collector runs beside the host, and goes on with TLS from there.

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use streamhost_core::limits;

/// The exporter of a host to the collector at this address. It adds the headers that
/// OTEL_EXPORTER_OTLP_HEADERS names.
pub(super) fn exporter(endpoint: &str, host: &str) -> Result<SpanExporter, ExporterBuildError> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(limits::TRACE_SEND_TIME))
        .http_status_as_error(false)
        .build()
        .new_agent();
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client(agent))
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(limits::TRACE_SEND_TIME)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()?;
    let resource = Resource::builder()
        .with_service_name("streamhost")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("host.name", host.to_owned()));
    exporter.set_resource(&resource.build());
    Ok(exporter)
}

#[derive(Debug)]
struct Client(ureq::Agent);

#[async_trait]
impl HttpClient for Client {
    /// Blocks: the thread that asks does nothing else.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let answer = self.0.run(Request::from_parts(head, body.to_vec()))?;
        let (head, body) = answer.into_parts();
        let body = body
            .into_with_config()
            .limit(limits::TRACE_ANSWER_BYTES_MAX);
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }
}
