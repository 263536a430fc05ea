//! What the operating system says, in words that tell what to raise.

/// What means a limit of the process or the machine: the system's code, which limit it is, and
/// where it is set.
const LIMITS: [(u8, &str); 6] = [
    (
        11,
        "the process may have no more threads: raise `ulimit -u`, or TasksMax= of its unit",
    ),
    (
        12,
        "there is no more memory for it: raise `ulimit -v`, or MemoryMax= of its unit",
    ),
    (
        23,
        "the machine may have no more files open: raise fs.file-max",
    ),
    (
        24,
        "the process may have no more files and connections open: raise `ulimit -n`, or LimitNOFILE= of its unit",
    ),
    (
        27,
        "the process may write no larger files: raise `ulimit -f`, or LimitFSIZE= of its unit",
    ),
    (
        122,
        "its user's quota of the disk is used up: raise it, or free some",
    ),
];

/// A fault's words, with the limit that was met, if it was one. It goes by the code in them, as
/// libraries pass these words on and not the code.
pub fn with_limit(words: impl std::fmt::Display) -> String {
    let mut words = words.to_string();
    let met = LIMITS
        .iter()
        .find(|(code, _)| words.contains(&format!("(os error {code})")));
    if let Some((_, limit)) = met {
        words.push_str("; ");
        words.push_str(limit);
    }
    words
}

/// What a panic said.
pub fn panic_words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it said nothing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_limit_is_named_and_nothing_else() {
        let files = with_limit(io::Error::from_raw_os_error(24));
        assert!(
            files.contains("(os error 24)") && files.contains("ulimit -n"),
            "{files}"
        );
        let absent = io::Error::from_raw_os_error(2);
        assert_eq!(with_limit(&absent), absent.to_string());
        assert_eq!(with_limit("no code"), "no code");
    }

    #[test]
    fn a_panic_is_quoted() {
        let quoted = |panic: Box<dyn std::any::Any + Send>| panic_words(&*panic).to_owned();
        assert_eq!(quoted(Box::new("text")), "text");
        assert_eq!(quoted(Box::new("owned".to_owned())), "owned");
        assert_eq!(quoted(Box::new(7)), "it said nothing");
    }
}
