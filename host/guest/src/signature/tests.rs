use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A component with a custom section.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0\0\x05\x01aabc";

fn key(name: &str) -> SigningKey {
    SigningKey::generate(name).expect("OpenSSL 3 has Ed25519")
}

fn trust(keys: &[&SigningKey]) -> TrustedKeys {
    let texts: Vec<String> = keys
        .iter()
        .map(|key| key.public_text().expect("it has"))
        .collect();
    let keys = TrustedKeys::parse(texts.iter().map(String::as_str)).expect("good keys");
    keys.expect("there are some")
}

#[test]
fn what_is_signed_is_taken_by_who_trusts_the_key_and_by_nobody_else() {
    let (ann, bob) = (key("ann"), key("bob"));
    let signed = sign(COMPONENT, &ann).expect("signed");
    assert_eq!(verify(&signed, &trust(&[&bob, &ann])).ok(), Some("ann"));
    let refused = verify(&signed, &trust(&[&bob]))
        .expect_err("it is ann's")
        .to_string();
    assert!(
        refused.contains("(bob)") && refused.contains("says `ann`"),
        "{refused}"
    );
    // A name proves nothing, and who verifies gives it.
    let other = key("ann");
    assert!(verify(&signed, &trust(&[&other])).is_err());
    let renamed = ann
        .public_text()
        .expect("it has")
        .replace("ann:", "release:");
    let renamed = TrustedKeys::parse([renamed.as_str()])
        .expect("good")
        .expect("one");
    assert_eq!(verify(&signed, &renamed).ok(), Some("release"));
    // Signing again takes the place of the one before.
    let again = sign(&signed, &bob).expect("signed");
    assert_eq!(
        (verify(&again, &trust(&[&bob])).ok(), again.len()),
        (Some("bob"), signed.len())
    );
    assert_eq!(
        sign(&again, &ann).expect("signed"),
        signed,
        "Ed25519 has no chance in it"
    );
    assert_eq!(claims(&signed), Some(vec!["`ann`".to_owned()]));
    assert_eq!(claims(COMPONENT), None);
    assert!(matches!(
        verify(COMPONENT, &trust(&[&ann])),
        Err(SignatureError::Unsigned)
    ));
    // Whoever checks nothing sees a custom section more, and all others as they were.
    let sections = |bytes: &[u8]| wasmparser::Parser::new(0).parse_all(bytes).count();
    assert_eq!(sections(&signed), sections(COMPONENT) + 1);
    assert!(signed.ends_with(&COMPONENT[HEADER_BYTES..]));
}

/// Each byte of a file counts, and each end of it.
#[test]
fn no_altered_byte_and_no_cut_is_taken() {
    let ann = key("ann");
    let (signed, trusted) = (sign(COMPONENT, &ann).expect("signed"), trust(&[&ann]));
    let name = signed
        .windows(3)
        .position(|w| w == b"ann")
        .expect("it says so");
    for at in 0..signed.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut altered = signed.clone();
            altered[at] ^= flip;
            // Which of the two forms it has stands in the header; what it claims, proves nothing.
            let counts = !(4..8).contains(&at) && !(name..name + 3).contains(&at);
            assert_eq!(
                verify(&altered, &trusted).is_err(),
                counts,
                "byte {at} ^ {flip}"
            );
        }
        assert!(verify(&signed[..at], &trusted).is_err(), "cut at {at}");
    }
    for more in [&b"\0"[..], b"\0\x03\x01bc"] {
        let longer = [&signed, more].concat();
        assert!(matches!(
            verify(&longer, &trusted),
            Err(SignatureError::Altered)
        ));
    }
    // A signature that is not the first section is a part of what would be signed.
    let behind = [COMPONENT, &signed[HEADER_BYTES..signed.len() - 7]].concat();
    assert!(matches!(
        verify(&behind, &trusted),
        Err(SignatureError::Unsigned)
    ));
    // One of another file.
    let other = sign(b"\0asm\x0d\0\x01\0", &ann).expect("signed");
    let moved = [&other, &COMPONENT[HEADER_BYTES..]].concat();
    assert!(matches!(
        verify(&moved, &trusted),
        Err(SignatureError::Altered)
    ));
}

/// `COMPONENT` as wasmsign2 0.2.8 has signed it, and the public half of its key.
const BY_WASMSIGN2: &str = "AGFzbQ0AAQAAdQlzaWduYXR1cmUBAQEBZgHAEYLVjB/dEfkXHsdjLui1RGrDITEr1vsCcNcoiL2YOQFD\
    AAFAPMpnl9Sfi38ccI7DONfi0zXJuKoklb+FqsHYciKInWl7lfnMqFAenP1OI/Jtt26Ql6HdmQbo0xWS\
    qY7EwtwaBQAFAWFhYmM=";
const ITS_KEY: &str = "release:AR87c5zCwVZ8znjaji3j6LGY96n/60iJmM4cNya/tJD7";

#[test]
fn what_another_tool_has_signed_is_taken() {
    let file = STANDARD.decode(BY_WASMSIGN2).expect("base64");
    assert!(file.ends_with(&COMPONENT[HEADER_BYTES..]));
    let trusted = TrustedKeys::parse([ITS_KEY]).expect("good").expect("one");
    assert_eq!(verify(&file, &trusted).ok(), Some("release"));
    assert_eq!(claims(&file), Some(Vec::new()), "it gives keys no names");
}

/// A file with these data in its signature.
fn with(data: &[&[u8]]) -> Vec<u8> {
    let section = [sized(NAME.as_bytes()), data.concat()].concat();
    let section = [&[CUSTOM_SECTION][..], &sized(&section)].concat();
    [
        &COMPONENT[..HEADER_BYTES],
        &section,
        &COMPONENT[HEADER_BYTES..],
    ]
    .concat()
}

#[test]
fn what_others_may_write_is_read_within_bounds() {
    let ann = key("ann");
    let trusted = trust(&[&ann]);
    let hash: [u8; 32] = Sha256::digest(&COMPONENT[HEADER_BYTES..]).into();
    let two = [[7; 32], hash].concat(); // a part, and the whole
    let part = [hash, [7; 32]].concat();
    let one = |hashes: &[u8]| {
        let signature = ann.sign(&signed(hashes)).expect("signed");
        sized(&[&[0, ED25519][..], &sized(&signature)].concat())
    };
    // A set behind its length: so many hashes, and these signatures of them.
    let set = |hashes: &[u8], all: &[&[u8]]| {
        let counts = [(hashes.len() / HASH_BYTES) as u8, all.len() as u8];
        sized(&[&counts[..1], hashes, &counts[1..], &all.concat()].concat())
    };
    let of = |sets: &[Vec<u8>]| with(&[&FORMAT, &[sets.len() as u8], &sets.concat()]);
    let whole = || set(&hash, &[&one(&hash)]);
    let others: [&[u8]; 3] = [&[4, 1, 1, 9, 0], &[4, 0, ED25519, 1, 1], &one(&hash)];
    type Case<'c> = (&'c str, Vec<u8>, Option<&'c str>);
    let cases: [Case<'_>; 12] = [
        ("without a name", of(&[whole()]), None),
        ("with parts", of(&[set(&two, &[&one(&two)])]), None),
        (
            "of a part",
            of(&[set(&part, &[&one(&part)])]),
            Some("altered"),
        ),
        ("others before it", of(&[set(&hash, &others)]), None),
        (
            "two sets",
            of(&[set(&[7; 32], &[&one(&[7; 32])]), whole()]),
            None,
        ),
        (
            "another version",
            with(&[&[2, 1, 1, 0]]),
            Some("another format"),
        ),
        ("empty", with(&[]), Some("damaged")),
        ("no set", of(&[]), Some("no Ed25519")),
        ("no hash", of(&[set(b"", &[&one(b"")])]), Some("no Ed25519")),
        (
            "endless",
            with(&[&FORMAT, &[0xff, 0xff, 0xff, 0xff, 0x0f]]),
            Some("damaged"),
        ),
        (
            "more behind it",
            with(&[&FORMAT, &[1], &whole(), b"x"]),
            Some("behind it"),
        ),
        (
            "huge",
            with(&[&FORMAT, &vec![0; limits::SIGNATURE_BYTES_MAX]]),
            Some("too long"),
        ),
    ];
    for (what, file, refused) in cases {
        let said = verify(&file, &trusted);
        match refused {
            None => assert_eq!(said.ok(), Some("ann"), "{what}"),
            Some(words) => {
                let said = said.expect_err(what).to_string();
                assert!(said.contains(words), "{what}: {said}");
            }
        }
    }
    let many: Vec<&[u8]> = vec![&[4, 0, ED25519, 1, 1]; limits::SIGNATURES_MAX + 1];
    let many = of(&[set(&hash, &many)]);
    let said = verify(&many, &trusted).expect_err("many").to_string();
    assert!(said.contains("too many"), "{said}");
    for text in [&b""[..], b"\0as", b"hello, world"] {
        assert!(matches!(sign(text, &ann), Err(SignatureError::NoWasm)));
    }
}

#[test]
fn keys_are_texts_and_each_wrong_one_is_told_from_the_others() {
    let ann = key("ann");
    let (text, public) = (
        ann.text().expect("it has"),
        ann.public_text().expect("it has"),
    );
    let read = SigningKey::parse(&format!("# ann's\n{text}\n")).expect("its own");
    assert_eq!(read.public_text().expect("it has"), public);
    let secret = text.split_once(':').expect("it has").1;
    assert!(!format!("{ann:?}").contains(secret));
    let mut torn = decoded(secret);
    torn[40] ^= 1; // of the public half
    let torn = format!("ann:{}", encoded(&torn));
    let cases = [
        (public.as_str(), "this is a public key"),
        ("ann", "a key is NAME:BASE64"),
        ("", "a key is NAME:BASE64"),
        ("ann:!", "a key is NAME:BASE64"),
        ("ann:AAAA", "a key is NAME:BASE64"),
        (&torn, "a key is NAME:BASE64"),
        (&format!("{text}\n{text}"), "a key is NAME:BASE64"),
        (&text.replace("ann:", "a b:"), "the key's name `a b`"),
    ];
    for (text, words) in cases {
        let said = SigningKey::parse(text).expect_err(words).to_string();
        assert!(
            said.contains(words) && !said.contains(secret),
            "{text}: {said}"
        );
    }
    let many: Vec<String> = (0..=limits::TRUSTED_KEYS_MAX)
        .map(|n| public.replace("ann:", &format!("k{n}:")))
        .collect();
    let cases: [(Vec<&str>, &str); 5] = [
        (vec![&text], "this is a private key"),
        (vec![&public, &public], "two keys called `ann`"),
        (vec!["ann:AAAA"], "a key is NAME:BASE64"),
        (vec![&public[4..]], "a key is NAME:BASE64"),
        (many.iter().map(String::as_str).collect(), "more than"),
    ];
    for (texts, words) in cases {
        let said = TrustedKeys::parse(texts).expect_err(words).to_string();
        assert!(said.contains(words) && !said.contains(secret), "{said}");
    }
    assert_eq!(TrustedKeys::parse([]).expect("none is well"), None);
    for name in [
        "",
        "a:b",
        "a b",
        "\u{e9}",
        &"n".repeat(limits::SIGNING_KEY_NAME_BYTES_MAX + 1),
    ] {
        assert!(
            matches!(SigningKey::generate(name), Err(KeyError::Name(_))),
            "{name}"
        );
    }
}

fn decoded(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("base64")
}

fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
