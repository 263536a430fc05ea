//! What a serde type looks like, as text, found by asking its `Deserialize` what it wants.
//! postcard's bytes say nothing of their type, so a changed accumulator would be misread in
//! silence; the host compares shapes instead.
//!
//! Of an enum the variants' names are seen, and what the first one holds; and the same shape can
//! mean something else. That is what an author's `.version(n)` is for. A part that asks for any
//! type shows as [`ANY`]. A part that takes none of the values it is tried with (a date, a number
//! with a range) ends the text in [`UNSEEN`], as nothing behind it is seen.

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

/// Stands for a part whose type only the data knows.
pub(crate) const ANY: char = '?';
/// Stands at the end of a shape that could not be seen whole.
pub(crate) const UNSEEN: char = '…';

/// A type may hold itself, in an option, list, map or enum. Within so many of itself these are not
/// looked into: options, lists and maps are then empty, and an enum is its last variant. (Types are
/// told by their names and fields.)
const WITHIN_ITSELF_MAX: usize = 2;
/// The same for options, lists and maps, one in the other, of types without a name.
const DEPTH_MAX: u8 = 16;
/// A longer shape is refused, so none is made.
const BYTES_MAX: usize = crate::limits::STAGE_SHAPE_BYTES_MAX;

pub(crate) fn schema<'de, T: de::Deserialize<'de>>() -> String {
    let mut text = String::new();
    if T::deserialize(Tracer {
        out: &mut text,
        depth: 0,
        within: None,
    })
    .is_err()
    {
        text.push(UNSEEN);
    }
    text
}

struct Tracer<'a> {
    out: &'a mut String,
    /// Options, lists and maps around it.
    depth: u8,
    within: Option<&'a Named<'a>>,
}

/// A struct or enum that is being looked at.
#[derive(Clone, Copy)]
struct Named<'a> {
    name: &'static str,
    /// Fields or variants.
    parts: &'static [&'static str],
    outer: Option<&'a Named<'a>>,
}

impl Named<'_> {
    /// How many of the same are around it.
    fn within_itself(&self) -> usize {
        let is_same = |named: &&Named<'_>| (named.name, named.parts) == (self.name, self.parts);
        std::iter::successors(self.outer, |named| named.outer)
            .filter(is_same)
            .count()
    }
}

#[derive(Debug)]
struct Stop;

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stop")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Stop
    }
}

impl Tracer<'_> {
    /// The elements of what stands between two marks.
    fn between<'de, V: Visitor<'de>>(
        self,
        marks: (&str, char),
        left: usize,
        names: &'static [&'static str],
        visit: impl FnOnce(Elements<'_>) -> Result<V::Value, Stop>,
    ) -> Result<V::Value, Stop> {
        self.out.push_str(marks.0);
        let (depth, within) = (self.depth, self.within);
        let result = visit(Elements {
            out: &mut *self.out,
            first: true,
            left,
            names,
            depth,
            within,
        });
        self.out.push(marks.1);
        result
    }

    /// One element stands for all, and none for those that are too deep.
    fn one(&self) -> usize {
        usize::from(self.depth < DEPTH_MAX)
    }

    fn deeper(self) -> Self {
        Tracer {
            depth: self.depth.saturating_add(1),
            ..self
        }
    }

    /// Goes into a struct or enum.
    fn into_named<R>(
        self,
        name: &'static str,
        parts: &'static [&'static str],
        visit: impl FnOnce(Tracer<'_>, usize) -> R,
    ) -> R {
        let named = Named {
            name,
            parts,
            outer: self.within,
        };
        let times = named.within_itself();
        let depth = if times < WITHIN_ITSELF_MAX {
            self.depth
        } else {
            DEPTH_MAX
        };
        visit(
            Tracer {
                out: self.out,
                depth,
                within: Some(&named),
            },
            times,
        )
    }
}

/// Hands each element a tracer, `left` times.
struct Elements<'a> {
    out: &'a mut String,
    first: bool,
    left: usize,
    names: &'static [&'static str],
    depth: u8,
    within: Option<&'a Named<'a>>,
}

impl Elements<'_> {
    fn tracer(&mut self) -> Tracer<'_> {
        Tracer {
            out: self.out,
            depth: self.depth,
            within: self.within,
        }
    }
}

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = Stop;
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Stop> {
        if self.left == 0 {
            return Ok(None);
        }
        if self.out.len() > BYTES_MAX {
            return Err(Stop);
        }
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        if let Some(name) = self
            .names
            .len()
            .checked_sub(self.left)
            .and_then(|i| self.names.get(i))
        {
            self.out.push_str(name);
            self.out.push(':');
        }
        self.left -= 1;
        seed.deserialize(self.tracer()).map(Some)
    }
}

impl<'de> de::MapAccess<'de> for Elements<'_> {
    type Error = Stop;
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Stop> {
        de::SeqAccess::next_element_seed(self, seed)
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stop> {
        self.out.push(',');
        seed.deserialize(self.tracer())
    }
}

macro_rules! plain {
    ($($method:ident $name:literal $visit:ident $value:expr;)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            self.out.push_str($name);
            visitor.$visit($value)
        }
    )* };
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Stop;

    // 1, as some numbers must not be 0.
    plain! {
        deserialize_bool "bool" visit_bool false;
        deserialize_u8 "u8" visit_u8 1;
        deserialize_u16 "u16" visit_u16 1;
        deserialize_u32 "u32" visit_u32 1;
        deserialize_u64 "u64" visit_u64 1;
        deserialize_u128 "u128" visit_u128 1;
        deserialize_i8 "i8" visit_i8 1;
        deserialize_i16 "i16" visit_i16 1;
        deserialize_i32 "i32" visit_i32 1;
        deserialize_i64 "i64" visit_i64 1;
        deserialize_i128 "i128" visit_i128 1;
        deserialize_f32 "f32" visit_f32 1.0;
        deserialize_f64 "f64" visit_f64 1.0;
        deserialize_char "char" visit_char 'a';
        deserialize_str "text" visit_borrowed_str "";
        deserialize_string "text" visit_borrowed_str "";
        deserialize_bytes "bytes" visit_borrowed_bytes b"";
        deserialize_byte_buf "bytes" visit_borrowed_bytes b"";
        deserialize_identifier "name" visit_borrowed_str "";
    }

    fn is_human_readable(&self) -> bool {
        false // as postcard
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        self.out.push(ANY);
        Err(Stop)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.out.push_str("()");
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.out.push_str("option ");
        match self.one() {
            0 => visitor.visit_none(),
            _ => visitor.visit_some(self.deeper()),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.into_named(name, &[], |tracer, _| visitor.visit_newtype_struct(tracer))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let one = self.one();
        self.deeper()
            .between::<V>(("[", ']'), one, &[], |elements| visitor.visit_seq(elements))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.between::<V>(("(", ')'), len, &[], |elements| visitor.visit_seq(elements))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.into_named(name, &[], |tracer, _| {
            tracer.deserialize_tuple(len, visitor)
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let one = self.one();
        self.deeper()
            .between::<V>(("map[", ']'), one, &[], |elements| {
                visitor.visit_map(elements)
            })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.into_named(name, names, |tracer, _| {
            tracer.between::<V>(("{", '}'), names.len(), names, |elements| {
                visitor.visit_seq(elements)
            })
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.out
            .push_str(&format!("enum {name}({})", variants.join("|")));
        self.into_named(name, variants, |of, times| {
            let last = variants.len().saturating_sub(1) as u32;
            let variant = if times < WITHIN_ITSELF_MAX { 0 } else { last };
            if times > WITHIN_ITSELF_MAX {
                return Err(Stop); // its last variant holds itself too
            }
            visitor.visit_enum(Variant { variant, of })
        })
    }
}

/// One variant of an enum, so that what follows the enum can be looked at too.
struct Variant<'a> {
    variant: u32,
    of: Tracer<'a>,
}

impl<'de, 'a> de::EnumAccess<'de> for Variant<'a> {
    type Error = Stop;
    type Variant = Tracer<'a>;
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Tracer<'a>), Stop> {
        let variant: de::value::U32Deserializer<Stop> = self.variant.into_deserializer();
        Ok((seed.deserialize(variant)?, self.of))
    }
}

impl<'de> de::VariantAccess<'de> for Tracer<'_> {
    type Error = Stop;
    fn unit_variant(self) -> Result<(), Stop> {
        Ok(())
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Stop> {
        seed.deserialize(self)
    }
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_tuple(len, visitor)
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_struct("", names, visitor)
    }
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
    fn an_enum_is_its_variants_names_and_its_first_one() {
        assert_eq!(schema::<(u8, Inner, u8)>(), "(u8,enum Inner(A|B)u8,u8)");
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
            sum.starts_with("(enum Sum(Of|One)(enum Sum(Of|One)(") && sum.ends_with(",u8)"),
            "{sum}"
        );
        assert_eq!(
            schema::<(Endless, u8)>().matches("enum").count(),
            4,
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
