//! A transactional sink's marker: the source offsets that its group holds, with this text as each
//! one's metadata.

use streamhost_core::protocol::Marker;

/// The form's first word, so that another one can be told apart.
const FORM: &str = "streamhost-1";

/// The marker as text: form, epoch, batch, digest.
pub(super) fn write(marker: &Marker) -> String {
    format!("{FORM} {} {} {}", marker.epoch, marker.batch, marker.digest)
}

/// Reads what [`write`] wrote, and nothing else.
pub(super) fn read(text: &str) -> Option<Marker> {
    let mut words = text.split(' ');
    let (form, epoch, batch, digest) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let marker = Marker {
        epoch: epoch.parse().ok()?,
        batch: batch.parse().ok()?,
        digest: digest.to_owned(),
    };
    let same = words.next().is_none()
        && form == FORM
        && !marker.digest.is_empty()
        && write(&marker) == text;
    same.then_some(marker)
}

/// The newest marker of a group's metadata texts. All of one transaction say the same; a partition
/// that the job has not read for a while says what was true then, and one that came later says
/// nothing. `Err`: what stands there instead.
pub(super) fn newest<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Option<Marker>, String> {
    let mut found: Option<Marker> = None;
    for text in texts {
        let marker = read(text).ok_or_else(|| format!("`{text}` is no marker of ours"))?;
        let number = |marker: &Marker| (marker.epoch, marker.batch);
        match &found {
            Some(before) if number(before) == number(&marker) && *before != marker => {
                return Err(format!("`{}` and `{text}` disagree", write(before)));
            }
            Some(before) if number(before) >= number(&marker) => {}
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
        let marker = Marker {
            epoch: 3,
            batch: 17,
            digest: "0a1b".into(),
        };
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
    fn the_newest_marker_counts_and_equal_numbers_must_agree() {
        let (a, b, other) = (
            "streamhost-1 3 17 0a",
            "streamhost-1 3 18 0b",
            "streamhost-1 3 17 0c",
        );
        let found = |texts: &[&str]| {
            newest(texts.iter().copied()).map(|marker| marker.map(|marker| write(&marker)))
        };
        assert_eq!(found(&[]), Ok(None));
        assert_eq!(found(&[a, a, a]), Ok(Some(a.into())));
        for texts in [[a, b], [b, a]] {
            assert_eq!(found(&texts), Ok(Some(b.into())));
        }
        assert_eq!(
            found(&[b, "streamhost-1 4 1 0d"]),
            Ok(Some("streamhost-1 4 1 0d".into()))
        );
        assert!(found(&[a, other]).is_err_and(|reason| reason.contains("disagree")));
        assert!(found(&[a, "mine"]).is_err_and(|reason| reason.contains("no marker of ours")));
    }
}
