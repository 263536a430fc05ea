//! What a serde type looks like, as text, found by asking its `Deserialize` what it wants. postcard's bytes say nothing
//! of their type, so a changed accumulator would be misread in silence; the host compares shapes instead.
//!
//! Of an enum the variants' names are seen, and what the first one holds; and the same shape can mean something else.
//! That is what an author's `.version(n)` is for. A part that asks for any type shows as `?`.

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

/// A type may hold itself; beyond this depth that is not looked into.
const DEPTH_MAX: u8 = 16;

pub(crate) fn shape<'de, T: de::Deserialize<'de>>() -> String {
    let mut text = String::new();
    // Err: something refused what it was given (as a number that must not be 0 does); the text ends there, every time.
    let _ = T::deserialize(Tracer { out: &mut text, depth: 0 });
    text
}

struct Tracer<'a> {
    out: &'a mut String,
    depth: u8,
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
        let result = visit(Elements { out: &mut *self.out, first: true, left, names, depth: self.depth });
        self.out.push(marks.1);
        result
    }

    /// One element stands for all, and none for those that are too deep.
    fn one(&self) -> usize {
        usize::from(self.depth < DEPTH_MAX)
    }
}

/// Hands each element a tracer, `left` times.
struct Elements<'a> {
    out: &'a mut String,
    first: bool,
    left: usize,
    names: &'static [&'static str],
    depth: u8,
}

impl Elements<'_> {
    fn tracer(&mut self) -> Tracer<'_> {
        Tracer { out: self.out, depth: self.depth + 1 }
    }
}

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = Stop;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stop> {
        if self.left == 0 {
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        if let Some(name) = self.names.len().checked_sub(self.left).and_then(|i| self.names.get(i)) {
            self.out.push_str(name);
            self.out.push(':');
        }
        self.left -= 1;
        seed.deserialize(self.tracer()).map(Some)
    }
}

impl<'de> de::MapAccess<'de> for Elements<'_> {
    type Error = Stop;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stop> {
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

    plain! {
        deserialize_bool "bool" visit_bool false;
        deserialize_u8 "u8" visit_u8 0;
        deserialize_u16 "u16" visit_u16 0;
        deserialize_u32 "u32" visit_u32 0;
        deserialize_u64 "u64" visit_u64 0;
        deserialize_u128 "u128" visit_u128 0;
        deserialize_i8 "i8" visit_i8 0;
        deserialize_i16 "i16" visit_i16 0;
        deserialize_i32 "i32" visit_i32 0;
        deserialize_i64 "i64" visit_i64 0;
        deserialize_i128 "i128" visit_i128 0;
        deserialize_f32 "f32" visit_f32 0.0;
        deserialize_f64 "f64" visit_f64 0.0;
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
        self.out.push('?');
        Err(Stop)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.out.push_str("()");
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.out.push_str("option ");
        match self.one() {
            0 => visitor.visit_none(),
            _ => visitor.visit_some(Tracer { out: self.out, depth: self.depth + 1 }),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        match self.one() {
            0 => Err(Stop),
            _ => visitor.visit_newtype_struct(Tracer { out: self.out, depth: self.depth + 1 }),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let one = self.one();
        self.between::<V>(("[", ']'), one, &[], |elements| visitor.visit_seq(elements))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        let len = self.one() * len;
        self.between::<V>(("(", ')'), len, &[], |elements| visitor.visit_seq(elements))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let one = self.one();
        self.between::<V>(("map[", ']'), one, &[], |elements| visitor.visit_map(elements))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let left = self.one() * names.len();
        self.between::<V>(("{", '}'), left, names, |elements| visitor.visit_seq(elements))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.out.push_str(&format!("enum {name}({})", variants.join("|")));
        match self.one() {
            0 => Err(Stop),
            _ => visitor.visit_enum(Tracer { out: self.out, depth: self.depth + 1 }),
        }
    }
}

/// An enum's first variant, so that what follows the enum can be looked at too.
impl<'de> de::EnumAccess<'de> for Tracer<'_> {
    type Error = Stop;
    type Variant = Self;
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Stop> {
        let first: de::value::U32Deserializer<Stop> = 0u32.into_deserializer();
        Ok((seed.deserialize(first)?, self))
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
    fn struct_variant<V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_struct("", names, visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::shape;
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
    }

    #[test]
    fn a_shape_is_what_postcard_would_read() {
        assert_eq!(shape::<u64>(), "u64");
        assert_eq!(shape::<Acc<'_>>(), "{n:u64,tags:[(text,f64)],last:option u8}");
        assert_eq!(shape::<BTreeMap<String, (i64, bool)>>(), "map[text,(i64,bool)]");
        assert_eq!(shape::<()>(), "()");
        assert_eq!(shape::<[u8; 3]>(), "(u8,u8,u8)");
    }

    #[test]
    fn an_enum_is_its_variants_names_and_its_first_one() {
        assert_eq!(shape::<(u8, Inner, u8)>(), "(u8,enum Inner(A|B)u8,u8)");
    }

    #[test]
    fn what_only_the_data_knows_is_marked() {
        assert_eq!(shape::<(u8, serde_json::Value)>(), "(u8,?)");
    }

    #[test]
    fn a_type_that_holds_itself_ends() {
        assert!(shape::<Tree>().starts_with("{children:[{children:["));
    }
}
