//! What a serde type looks like, as text, found by asking its `Deserialize` what it wants.
//! postcard's bytes say nothing of their type, so a changed accumulator would be misread in
//! silence; the host compares shapes instead.
//!
//! A type is asked again and again, until each variant of each of its enums was asked for. The same
//! shape can still mean something else. That is what an author's `.version(n)` is for. A part that
//! asks for any type shows as [`ANY`]. A part that takes none of the values it is tried with (a
//! date, a number with a range) ends the text in [`UNSEEN`], as nothing behind it is seen.

use node::Node;
use serde::de;
use std::cell::Cell;
use tracer::{Reach, Stop, Tracer};

mod node;
mod tracer;

/// Stands for a part whose type only the data knows.
pub(crate) const ANY: char = '?';
/// Stands before a map or set whose order is another one each time.
pub(crate) const UNORDERED: char = '~';
/// Stands at the end of a shape that could not be seen whole.
pub(crate) const UNSEEN: char = '…';

/// A longer shape is refused, so none is made.
const BYTES_MAX: usize = crate::limits::STAGE_SHAPE_BYTES_MAX;
/// How far a type is followed into itself; what is too long is followed less far.
const REACHES: [Reach; 2] = [
    Reach {
        within_itself: 2,
        all_variants: true,
    },
    Reach {
        within_itself: 1,
        all_variants: true,
    },
];
/// Of what is too long all the same the first variants are looked at.
const FIRST_VARIANTS: Reach = Reach {
    within_itself: 2,
    all_variants: false,
};

pub(crate) fn schema<'de, T: de::Deserialize<'de>>() -> String {
    let fits = |text: &String| text.len() <= BYTES_MAX;
    let whole = REACHES.into_iter().map(traced::<T>).find(fits);
    whole.unwrap_or_else(|| traced::<T>(FIRST_VARIANTS))
}

fn traced<'de, T: de::Deserialize<'de>>(reach: Reach) -> String {
    let mut root = Node::Unseen;
    let (news, mut is_whole) = (Cell::new(0), true);
    loop {
        let before = news.get();
        let asked = T::deserialize(Tracer::new(&mut root, reach, &news));
        // A variant that never ends is noted, and another one taken the next time.
        is_whole &= !matches!(asked, Err(Stop::Unseen));
        let none_is_new = news.get() == before;
        if none_is_new || root.is_done() {
            is_whole &= asked.is_ok() && reach.all_variants;
            break;
        }
    }
    let mut text = String::new();
    root.write(&mut text);
    if !is_whole {
        text.push(UNSEEN);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::schema;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "its shape is looked at, not its content")]
    struct Acc<'a> {
        n: u64,
        #[serde(borrow)]
        tags: Vec<(&'a str, f64)>,
        last: Option<u8>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "its shape is looked at, not its content")]
    enum Inner {
        A(u8),
        B,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "its shape is looked at, not its content")]
    struct Tree {
        children: Vec<Tree>,
        parts: Option<(Box<Tree>, u8)>,
        n: u64,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "its shape is looked at, not its content")]
    enum Sum {
        Of(Box<Sum>, Box<Sum>),
        One(u64),
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "its shape is looked at, not its content")]
    enum Level {
        None,
        Sum(u32),
        Of { n: Inner },
        Both(u8, String),
    }

    #[derive(Deserialize)]
    enum Never {}

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "its shape is looked at, not its content")]
    enum Left {
        Leaf(u8),
        Node(Box<Left>),
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "its shape is looked at, not its content")]
    enum Right {
        Node(Box<Right>),
        Leaf(i8),
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "its shape is looked at, not its content")]
    enum Wide {
        Number(i64),
        Add(Box<Wide>, Box<Wide>),
        Subtract(Box<Wide>, Box<Wide>),
        Multiply(Box<Wide>, Box<Wide>),
        Divide(Box<Wide>, Box<Wide>),
        Greater(Box<Wide>, Box<Wide>),
        Short(i16),
        Less(Box<Wide>, Box<Wide>),
        Both(Box<Wide>, Box<Wide>),
        Either(Box<Wide>, Box<Wide>),
        List(Vec<Wide>),
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "its shape is looked at, not its content")]
    enum Endless {
        Of(Box<Endless>),
    }

    /// Takes no empty text, as dates do not.
    #[derive(Deserialize)]
    #[serde(try_from = "&str")]
    struct Checked;

    impl TryFrom<&str> for Checked {
        type Error = &'static str;
        fn try_from(text: &str) -> Result<Self, &'static str> {
            if text.is_empty() {
                Err("it is empty")
            } else {
                Ok(Checked)
            }
        }
    }

    #[test]
    fn a_shape_is_what_postcard_would_read() {
        assert_eq!(schema::<u64>(), "u64");
        assert_eq!(
            schema::<Acc<'_>>(),
            "{n:u64,tags:[(text,f64)],last:option u8}"
        );
        assert_eq!(
            schema::<BTreeMap<String, (i64, bool)>>(),
            "map[text,(i64,bool)]"
        );
        assert_eq!(schema::<()>(), "()");
        assert_eq!(schema::<[u8; 3]>(), "(u8,u8,u8)");
    }

    #[test]
    fn an_enum_is_what_each_of_its_variants_holds() {
        assert_eq!(schema::<(u8, Inner, u8)>(), "(u8,enum Inner(A|B)u8,u8)");
        assert_eq!(
            schema::<[Level; 2]>(),
            "(enum Level(None|Sum|Of|Both)<|u32|{n:enum Inner(A|B)u8}|(u8,text)>,\
             enum Level(None|Sum|Of|Both)<|u32|{n:enum Inner(A|B)u8}|(u8,text)>)"
        );
        assert_eq!(
            schema::<Result<Result<u8, u16>, bool>>(),
            "enum Result(Ok|Err)<enum Result(Ok|Err)<u8|u16>|bool>"
        );
        assert_eq!(
            schema::<Option<Result<(), Never>>>(),
            "option enum Result(Ok|Err)<()|enum Never()>…",
            "there is no value of one variant"
        );
    }

    /// Of a type that holds itself all variants are seen too, whichever of them has an end.
    #[test]
    fn an_enum_that_holds_itself_ends() {
        let (left, right) = (schema::<(Left, u8)>(), schema::<(Right, u8)>());
        assert_eq!(
            left,
            "(enum Left(Leaf|Node)<u8|enum Left(Leaf|Node)<u8|enum Left(Leaf|Node)<u8|_>>>,u8)"
        );
        assert_eq!(
            right,
            "(enum Right(Node|Leaf)<enum Right(Node|Leaf)<enum Right(Node|Leaf)<_|i8>|i8>|i8>,u8)"
        );
        let wide = schema::<(Wide, u8)>();
        assert!(
            wide.len() <= super::BYTES_MAX && wide.ends_with(",u8)"),
            "{wide}"
        );
        assert!(wide.contains("|i16|"), "{wide}");
    }

    /// One that is too long so is at least marked.
    #[test]
    fn what_is_too_long_with_all_variants_is_seen_in_part() {
        type Two<T> = Result<(T, T), (T, T, u8)>;
        type Many = Two<Two<Two<Two<Two<Two<Two<u8>>>>>>>;
        let shape = schema::<Many>();
        assert!(
            shape.ends_with('…') && shape.contains("u8"),
            "{}",
            shape.len()
        );
    }

    #[test]
    fn what_only_the_data_knows_is_marked() {
        assert!(schema::<(u8, serde_json::Value)>().starts_with("(u8,?"));
    }

    #[test]
    fn a_type_that_holds_itself_ends_and_all_its_fields_are_seen() {
        let tree = schema::<Tree>();
        assert!(tree.starts_with("{children:[{children:["), "{tree}");
        assert!(
            tree.ends_with(",n:u64}") && tree.contains("parts:option ({children:"),
            "{tree}"
        );
        let sum = schema::<(Sum, u8)>();
        assert!(
            sum.starts_with("(enum Sum(Of|One)<(enum Sum(Of|One)<(") && sum.ends_with(",u8)"),
            "{sum}"
        );
        assert_eq!(
            schema::<(Endless, u8)>().matches("enum").count(),
            3,
            "no value of it has an end"
        );
    }

    #[test]
    fn a_part_that_refuses_what_it_is_tried_with_marks_the_shape() {
        assert_eq!(schema::<(u8, std::num::NonZeroU32, u8)>(), "(u8,u32,u8)");
        let (one, other) = (
            schema::<(u8, Checked, u64)>(),
            schema::<(u8, Checked, i64)>(),
        );
        assert_eq!(
            (one.as_str(), other.as_str()),
            ("(u8,text)…", "(u8,text)…"),
            "u64 and i64 are not seen"
        );
        assert_ne!(one, schema::<(u8, &str)>());
    }

    #[test]
    fn a_shape_has_an_end() {
        type Three<T> = (Option<T>, Option<T>, Option<T>);
        type Many = Three<Three<Three<Three<Three<Three<Three<Three<u8>>>>>>>>;
        let many = schema::<Many>();
        assert!(
            many.len() > super::BYTES_MAX && many.len() < 2 * super::BYTES_MAX,
            "{}",
            many.len()
        );
    }

    #[derive(Deserialize, serde::Serialize)]
    enum Kind {
        One(u16),
        Other,
    }

    #[derive(Deserialize, serde::Serialize)]
    struct Kept {
        n: i64,
        names: BTreeMap<String, f64>,
        kind: Kind,
        #[serde(with = "serde_bytes_as_text")]
        raw: Vec<u8>,
        last: Option<(bool, char)>,
    }

    mod serde_bytes_as_text {
        use serde::{Deserialize, Deserializer, Serializer};
        pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
            to.serialize_bytes(bytes)
        }
        pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
            <&[u8]>::deserialize(from).map(<[u8]>::to_vec)
        }
    }

    /// What an author's type writes the host shows as JSON, by the type's shape alone.
    #[test]
    fn the_host_reads_what_a_shape_says() {
        let kept = |kind| Kept {
            n: -5,
            names: [("a".to_owned(), 1.5)].into(),
            kind,
            raw: vec![0xff],
            last: Some((true, 'é')),
        };
        let shown = |kept: &Kept| {
            let mut out = crate::columns::ColumnBuf::default();
            crate::value::encode(kept, &mut out).unwrap();
            let shape = schema::<Kept>();
            streamhost_core::state::shape::value_json(&shape, out.view().get(0), 1000)
        };
        assert_eq!(
            shown(&kept(Kind::One(300)))
                .map(|json| json.text)
                .as_deref(),
            Some(r#"{"n":-5,"names":{"a":1.5},"kind":{"One":300},"raw":"0xff","last":[true,"é"]}"#)
        );
        assert_eq!(shown(&kept(Kind::Other)), None, "its variant is not told");
    }
}
