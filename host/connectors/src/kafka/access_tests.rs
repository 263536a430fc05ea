use super::*;

const TLS: &str = "ssl://b:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: \
                   broker certificate could not be verified (after 6ms in state SSL_HANDSHAKE)";

#[test]
fn what_the_client_says_is_told_with_its_cause_and_the_next_step() {
    let cases = [
        (
            Code::SSL,
            TLS,
            Fault::Denied,
            "b:1: the broker's certificate is not trusted: name the authority",
        ),
        (
            Code::Authentication,
            "sasl_ssl://b:1/bootstrap: SASL authentication error: Authentication failed: Invalid username or password (after 3ms in state AUTH_REQ)",
            Fault::Denied,
            "b:1: the broker does not accept who the host says it is (Invalid username or password): check `sasl.mechanism`",
        ),
        (
            Code::Authentication,
            "sasl_ssl://b:1/1: SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: SCRAM-SHA-512 (after 2ms in state AUTH_HANDSHAKE)",
            Fault::Denied,
            "does not take SASL mechanism PLAIN, but SCRAM-SHA-512: set `sasl.mechanism`",
        ),
        (
            Code::BrokerTransportFailure,
            "ssl://b:1/1: SSL handshake failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42 (after 9ms in state UP)",
            Fault::Denied,
            "(sslv3 alert bad certificate: SSL alert number 42): check `ssl.certificate.location`",
        ),
        (
            Code::BrokerTransportFailure,
            "ssl://b:1/1: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener? (after 9ms in state SSL_HANDSHAKE)",
            Fault::Away,
            "may be a listener without TLS",
        ),
        (
            Code::SSL,
            "ssl://b:1/1: SSL handshake failed: error:0A00010B:SSL routines::wrong version number (after 9ms in state SSL_HANDSHAKE)",
            Fault::Away,
            "may be a listener without TLS",
        ),
        (
            Code::BrokerTransportFailure,
            "ssl://b:1/1: Send failed: SSL transport error: Broken pipe (after 1ms in state UP)",
            Fault::Away,
            "it may want SASL",
        ),
        (
            Code::BrokerTransportFailure,
            "ssl://b:1/1: Send failed: SSL transport error: Broken pipe (after 600000ms in state UP)",
            Fault::Away,
            "Send failed: SSL transport error",
        ),
        (Code::TopicAuthorizationFailed, "no", Fault::Refused, "no"),
        (Code::SSL, "", Fault::Denied, "TLS with the broker fails"),
    ];
    for (code, words, fault, part) in cases {
        let (meant, said) = meaning(code, words);
        assert_eq!(meant, fault, "{words}: {said}");
        assert!(said.contains(part), "{words}: {said}");
    }
}

#[test]
fn a_connection_that_is_closed_early_gives_a_hint() {
    let line = |scheme: &str, after: &str| {
        hint(&format!(
            "[thrd:x]: {scheme}b:1/bootstrap: Disconnected: closed (after {after})"
        ))
    };
    for (scheme, after, part) in [
        ("", "1ms in state APIVERSION_QUERY", "listener with TLS"),
        (
            "sasl_plaintext://",
            "1ms in state APIVERSION_QUERY, 1 identical error(s) suppressed",
            "with TLS",
        ),
        ("ssl://", "0ms in state UP", "may want SASL"),
        ("sasl_ssl://", "0ms in state AUTH_HANDSHAKE", "without SASL"),
    ] {
        let said = line(scheme, after).unwrap_or_default();
        assert!(
            said.starts_with("b:1: ") && said.contains(part),
            "{scheme} {after}: {said}"
        );
    }
    assert_eq!(line("sasl_ssl://", "0ms in state UP"), None);
    assert_eq!(line("", "300000ms in state UP"), None, "it was idle");
}

/// The errors of one broker of several mean nothing while another lets the host in.
#[test]
fn only_where_all_brokers_deny_it_nothing_more_is_waited_for() {
    let heard = Heard::default();
    assert_eq!(heard.denied(), None);
    heard.take(Code::SSL, TLS);
    assert_eq!(heard.denied(), None);
    heard.take_line("[thrd:x]: b:1/bootstrap: Disconnected: closed (after 1ms in state UP)");
    heard.take(Code::AllBrokersDown, "1/1 brokers are down");
    assert!(
        heard
            .denied()
            .is_some_and(|(_, words)| words.contains("`ssl.ca.location`"))
    );
}

#[test]
fn no_secret_is_shown() {
    let settings = KafkaSettings {
        properties: [
            ("sasl.password".to_owned(), "s3cret".to_owned()),
            ("sasl.username".to_owned(), "me".to_owned()),
            ("ssl.key.pem".to_owned(), "s3cret".to_owned()),
        ]
        .into(),
        ..KafkaSettings::default()
    };
    let shown = format!(
        "{settings:?} {:?} {:?}",
        settings.check(),
        settings.check_access()
    );
    assert!(
        shown.contains("\"me\"") && !shown.contains("s3cret"),
        "{shown}"
    );
}
