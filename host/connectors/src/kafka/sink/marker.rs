//! A transactional sink's marker: the source offsets that its group holds, with this text as each
//! one's metadata.

use streamhost_core::protocol::Marker;

/// The form's first word, so that another one can be told apart.
const FORM: &str = "streamhost-2";
/// The form before it, which names no target. It is read still, and counts for whatever target the
/// sink has: until the first batch after an upgrade writes the new one.
const FORM_WITHOUT_TARGET: &str = "streamhost-1";
/// Stands for an id that the brokers did not tell.
const NO_ID: &str = "-";

/// A topic: its name, and its id where the brokers know ids. One that was deleted and made anew has
/// another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    topic: String,
    id: Option<String>,
}

impl Target {
    pub(super) fn new(topic: &str, id: Option<String>) -> Self {
        let topic = topic.to_owned();
        Target { topic, id }
    }

    /// A topic that is not there: no marker is of it.
    pub(super) fn absent(topic: &str) -> Self {
        Target::new(topic, Some("absent".to_owned()))
    }

    /// Whether both are the same topic, as far as is known.
    pub(super) fn is(&self, other: &Target) -> bool {
        let is_anew = self.id.is_some() && other.id.is_some() && self.id != other.id;
        self.topic == other.topic && !is_anew
    }
}

/// The marker as text: form, epoch, batch, digest, topic, the topic's id.
pub(super) fn write(marker: &Marker, target: &Target) -> String {
    let Marker {
        epoch,
        batch,
        digest,
    } = marker;
    let (topic, id) = (&target.topic, target.id.as_deref().unwrap_or(NO_ID));
    format!("{FORM} {epoch} {batch} {digest} {topic} {id}")
}

/// Reads what [`write`] wrote, now or in the form before, and nothing else.
pub(super) fn read(text: &str) -> Option<(Marker, Option<Target>)> {
    let words: Vec<&str> = text.split(' ').collect();
    let (epoch, batch, digest, target) = match words[..] {
        [_, epoch, batch, digest] => (epoch, batch, digest, None),
        [_, epoch, batch, digest, topic, id] => {
            let id = (id != NO_ID).then(|| id.to_owned());
            (epoch, batch, digest, Some(Target::new(topic, id)))
        }
        _ => return None,
    };
    let marker = Marker {
        epoch: epoch.parse().ok()?,
        batch: batch.parse().ok()?,
        digest: digest.to_owned(),
    };
    let again = match &target {
        Some(target) => write(&marker, target),
        None => format!(
            "{FORM_WITHOUT_TARGET} {} {} {digest}",
            marker.epoch, marker.batch
        ),
    };
    let is_whole = |word: &&str| !word.is_empty();
    let same = again == text && words.iter().all(is_whole);
    same.then_some((marker, target))
}

/// What a group's metadata texts say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The newest marker of the target.
    pub(super) own: Option<Marker>,
    /// The newest one of another target.
    pub(super) elsewhere: Option<Marker>,
}

impl Found {
    /// All texts of one transaction say the same; a partition that the job has not read for a while
    /// says what was true then, and one that came later says nothing. `Err`: what stands there
    /// instead.
    pub(super) fn read<'a>(
        texts: impl Iterator<Item = &'a str>,
        target: &Target,
    ) -> Result<Self, String> {
        let mut found = Found::default();
        for text in texts {
            let (marker, of) =
                read(text).ok_or_else(|| format!("`{text}` is no marker of ours"))?;
            let newest = match of.is_none_or(|of| of.is(target)) {
                true => &mut found.own,
                false => &mut found.elsewhere,
            };
            let number = |marker: &Marker| (marker.epoch, marker.batch);
            match newest {
                Some(before) if number(before) == number(&marker) && *before != marker => {
                    let (one, other) = (&before.digest, &marker.digest);
                    return Err(format!("`{one}` and `{other}` of `{text}` disagree"));
                }
                Some(before) if number(before) >= number(&marker) => {}
                _ => *newest = Some(marker),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(topic: &str, id: Option<&str>) -> Target {
        Target::new(topic, id.map(str::to_owned))
    }

    #[test]
    fn markers_are_read_as_written_and_nothing_else_is() {
        let marker = Marker {
            epoch: 3,
            batch: 17,
            digest: "0a1b".into(),
        };
        for (to, text) in [
            (
                target("out", Some("f00d")),
                "streamhost-2 3 17 0a1b out f00d",
            ),
            (target("a.b", None), "streamhost-2 3 17 0a1b a.b -"),
        ] {
            assert_eq!(write(&marker, &to), text);
            assert_eq!(read(text), Some((marker.clone(), Some(to))));
        }
        assert_eq!(
            read("streamhost-1 3 17 0a1b"),
            Some((marker, None)),
            "the form before"
        );
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
            "streamhost-1 3 17 0a1b out f00d",
            "streamhost-2 3 17 0a1b",
            "streamhost-2 3 17 0a1b out",
            "streamhost-2 3 17 0a1b out ",
            "streamhost-2 3 17 0a1b  f00d",
            "streamhost-2 3 17 0a1b out f00d x",
            "streamhost-3 3 17 0a1b out f00d",
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
        let out = target("out", None);
        let found = |texts: &[&str]| {
            let found = Found::read(texts.iter().copied(), &out)?;
            Ok::<_, String>(found.own.map(|marker| (marker.epoch, marker.batch)))
        };
        assert_eq!(found(&[]), Ok(None));
        assert_eq!(found(&[a, a, a]), Ok(Some((3, 17))));
        for texts in [[a, b], [b, a]] {
            assert_eq!(found(&texts), Ok(Some((3, 18))));
        }
        let later = "streamhost-2 4 1 0d out -";
        assert_eq!(found(&[b, later]), Ok(Some((4, 1))));
        assert!(found(&[a, other]).is_err_and(|reason| reason.contains("disagree")));
        assert!(found(&[a, "mine"]).is_err_and(|reason| reason.contains("no marker of ours")));
    }

    #[test]
    fn a_marker_counts_for_the_topic_that_it_names() {
        let text = |to: &Target| {
            write(
                &Marker {
                    epoch: 3,
                    batch: 17,
                    digest: "0a".into(),
                },
                to,
            )
        };
        let cases = [
            (target("out", Some("1")), target("out", Some("1")), true),
            (target("out", Some("1")), target("else", Some("1")), false),
            // deleted and made anew
            (target("out", Some("1")), target("out", Some("2")), false),
            (target("out", Some("1")), Target::absent("out"), false),
            // brokers that know no ids: the name alone tells
            (target("out", None), target("out", Some("2")), true),
            (target("out", Some("1")), target("out", None), true),
            (target("out", None), target("else", None), false),
        ];
        for (of, now, counts) in cases {
            let text = text(&of);
            let found = Found::read([text.as_str()].into_iter(), &now).expect("a marker");
            assert_eq!(
                (found.own.is_some(), found.elsewhere.is_some()),
                (counts, !counts),
                "{of:?} {now:?}"
            );
        }
        let (old, new) = (
            text(&target("old", None)),
            "streamhost-2 3 9 0a out -".to_owned(),
        );
        let both = [old.as_str(), new.as_str()];
        let found = Found::read(both.into_iter(), &target("out", None)).expect("markers");
        assert_eq!(
            (found.own.map(|m| m.batch), found.elsewhere.map(|m| m.batch)),
            (Some(9), Some(17)),
            "each by itself"
        );
    }
}
