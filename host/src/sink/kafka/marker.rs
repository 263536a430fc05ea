//! A transactional sink's marker: the source offsets that its group holds, with this text as each one's metadata.

use crate::sink::Marker;

/// The form's first word, so that another one can be told apart.
const FORM: &str = "streamhost-1";

/// The marker as text: form, incarnation, batch, digest.
pub(super) fn write(marker: &Marker) -> String {
    format!("{FORM} {} {} {}", marker.incarnation, marker.batch, marker.digest)
}

/// Reads what [`write`] wrote, and nothing else.
pub(super) fn read(text: &str) -> Option<Marker> {
    let mut words = text.split(' ');
    let (form, incarnation, batch, digest) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let marker =
        Marker { incarnation: incarnation.parse().ok()?, batch: batch.parse().ok()?, digest: digest.to_owned() };
    let same = words.next().is_none() && form == FORM && !marker.digest.is_empty() && write(&marker) == text;
    same.then_some(marker)
}

/// The one marker of a group's metadata texts. All of one transaction say the same; a partition that came later says
/// nothing. `Err`: what stands there instead.
pub(super) fn agreed<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Option<Marker>, String> {
    let mut found: Option<Marker> = None;
    for text in texts {
        let marker = read(text).ok_or_else(|| format!("`{text}` is no marker of ours"))?;
        match &found {
            Some(before) if *before != marker => return Err(format!("`{}` and `{text}` disagree", write(before))),
            _ => found = Some(marker),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_read_as_written_and_nothing_else_is() {
        let marker = Marker { incarnation: 3, batch: 17, digest: "0a1b".into() };
        assert_eq!(write(&marker), "streamhost-1 3 17 0a1b");
        assert_eq!(read(&write(&marker)), Some(marker));
        for bad in [
            "",
            "streamhost-1",
            "streamhost-1 3 17",
            "streamhost-1 3 17 ",
            "streamhost-1 3 17 0a1b ",
            "streamhost-1 3 17 0a1b x",
            "streamhost-1  3 17 0a1b",
            "streamhost-1 +3 17 0a1b",
            "streamhost-1 03 17 0a1b",
            "streamhost-1 -3 17 0a1b",
            "streamhost-1 3 99999999999999999999999 0a1b",
            "streamhost-2 3 17 0a1b",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn all_partitions_must_agree() {
        let (a, b) = ("streamhost-1 3 17 0a", "streamhost-1 3 18 0b");
        let marker = Marker { incarnation: 3, batch: 17, digest: "0a".into() };
        let check =
            |texts: &[&str], expected: Result<Option<&Marker>, &str>| match (agreed(texts.iter().copied()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_ref(), expected, "{texts:?}"),
                (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
                (found, _) => panic!("{texts:?}: {found:?}"),
            };
        check(&[], Ok(None));
        check(&[a], Ok(Some(&marker)));
        check(&[a, a, a], Ok(Some(&marker)));
        check(&[a, b], Err("disagree"));
        check(&[a, "mine"], Err("no marker of ours"));
    }
}
