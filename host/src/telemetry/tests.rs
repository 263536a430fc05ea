use super::*;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use streamhost_core::clock;
use streamhost_engine::pipeline::{BatchStep, SinkTime, StepTime};

fn batch(number: u64) -> BatchTrace {
    let ms = Duration::from_millis;
    let step = |step, at, took| StepTime {
        step,
        at: ms(at),
        took: ms(took),
    };
    BatchTrace {
        number,
        version: 2,
        deployment: 3,
        began_ms: 1_700_000_000_000,
        records: 100,
        bytes: 1000,
        rows: 99,
        dropped: 1,
        late: 0,
        dead_letters: 0,
        retries: 1,
        steps: vec![
            step(BatchStep::Gather, 0, 10),
            step(BatchStep::Transform, 10, 5),
            step(BatchStep::Deliver, 15, 20),
        ],
        sinks: vec![SinkTime {
            sink: Some("table".to_owned()),
            rows: 99,
            took: ms(20),
        }],
    }
}

/// Reads one request, answers it, and gives its path and what it says.
fn request(stream: TcpStream) -> (String, ExportTraceServiceRequest) {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line of the head");
        line.trim_end().to_owned()
    };
    let path = line().split(' ').nth(1).expect("a path").to_owned();
    let mut length = 0;
    loop {
        let line = line().to_lowercase();
        match line.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().expect("a number"),
            Some(("content-type", kind)) => assert_eq!(kind, "application/x-protobuf"),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    reader.get_mut().write_all(answer).expect("it is taken");
    let said = ExportTraceServiceRequest::decode(&*body).expect("OTLP");
    (path, said)
}

fn attribute(span: &Span, name: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|one| one.key == name)?;
    found.value.clone()?.value
}

fn tracer(endpoint: String, sample_percent: usize) -> Tracer {
    let settings = TraceSettings {
        endpoint: Some(endpoint),
        sample_percent,
    };
    let tracer = Tracer::start(&settings, "here").expect("a thread");
    tracer.expect("a collector is named")
}

/// Waits until the tracer has counted so many.
fn counted(tracer: &Tracer, want: (u64, u64)) {
    let limit = clock::monotonic() + Duration::from_secs(60);
    while tracer.counts() != want {
        assert!(clock::monotonic() < limit, "{:?}", tracer.counts());
        std::thread::yield_now();
    }
}

#[test]
fn a_batch_is_a_trace_that_a_collector_understands() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let collector = std::thread::spawn(move || request(listener.accept().expect("a client").0));
    let tracer = tracer(format!("http://{address}/"), 100);
    tracer.take("clicks", vec![batch(7)], 0);
    let (path, said) = collector.join().expect("a request");
    counted(&tracer, (1, 0));
    assert_eq!(path, "/v1/traces");
    let of_host = &said.resource_spans[0];
    let resource = of_host.resource.as_ref().expect("a resource");
    assert!(
        resource
            .attributes
            .iter()
            .any(|one| one.key == "service.name")
    );
    let spans = &of_host.scope_spans[0].spans;
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(
        names,
        ["batch", "gather", "transform", "deliver", "sink table"]
    );
    let [root, gather, _, deliver, sink] = &spans[..] else {
        panic!("five spans")
    };
    assert!(root.parent_span_id.is_empty());
    assert_eq!(gather.parent_span_id, root.span_id);
    assert_eq!(deliver.parent_span_id, root.span_id);
    assert_eq!(sink.parent_span_id, deliver.span_id);
    assert!(spans.iter().all(|span| span.trace_id == root.trace_id));
    let job = Value::StringValue("clicks".to_owned());
    assert_eq!(attribute(root, "streamhost.job"), Some(job));
    assert_eq!(
        attribute(root, "streamhost.batch"),
        Some(Value::IntValue(7))
    );
    let ms = |span: &Span| (span.end_time_unix_nano - span.start_time_unix_nano) / 1_000_000;
    assert_eq!([root, gather, deliver, sink].map(ms), [35, 10, 20, 20]);
    assert_eq!(root.start_time_unix_nano, 1_700_000_000_000_000_000);
}

#[test]
fn what_cannot_be_sent_is_counted_and_holds_nobody_up() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("its address")
    };
    let away = tracer(format!("http://{gone}"), 100);
    away.take("clicks", vec![batch(1), batch(2)], 3);
    counted(&away, (0, 5));
    // One that accepts and says nothing: the queue fills, and the rest is let go at once.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let hung = tracer(
        format!("http://{}", silent.local_addr().expect("its address")),
        100,
    );
    let more = limits::TRACES_QUEUED_MAX + 2 * limits::TRACES_PER_SEND_MAX;
    hung.take("clicks", vec![batch(1); more], 0);
    assert!(hung.counts().1 >= limits::TRACES_PER_SEND_MAX as u64);
}

#[test]
fn so_many_batches_in_a_hundred_are_taken_evenly() {
    for percent in [1, 10, 33, 100] {
        let sampling = Sampling::percent(percent);
        let taken = (0..1000).filter(|_| sampling.takes()).count();
        assert_eq!(taken, 10 * percent);
    }
}
