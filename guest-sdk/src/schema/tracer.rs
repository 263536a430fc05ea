//! A deserializer that gives a type what it asks for, and notes what that was.

use super::node::{Node, Variants};
use super::{ANY, BYTES_MAX, UNORDERED};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use std::cell::Cell;

/// A type may hold itself, in an option, list, map or enum. Within so many of itself these are not
/// looked into: options, lists and maps are then empty. (Structs are told by their names and
/// fields.)
const WITHIN_ITSELF_MAX: usize = 2;

/// A map or set whose order is another one each time. Told by its name, as nothing else differs.
fn is_unordered<T>() -> bool {
    const { assert!(UNORDERED == '~') };
    let name = std::any::type_name::<T>();
    let name = name.split('<').next().unwrap_or_default();
    name.ends_with("::HashMap") || name.ends_with("::HashSet")
}

/// How far enums are followed.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    /// Within so many of itself one variant of an enum is enough.
    pub(super) within_itself: usize,
    /// All variants of an enum are asked for; else the first one.
    pub(super) all_variants: bool,
}

/// The same for options, lists and maps, one in the other, of types without a name.
const DEPTH_MAX: u8 = 16;

/// Why a type was not asked to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It refuses what it is given.
    Unseen,
    /// It has no end this way.
    Endless,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stop")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Stop::Unseen
    }
}

/// Asks for one part.
pub(super) struct Tracer<'a> {
    node: &'a mut Node,
    reach: Reach,
    /// How much was new, in bytes of the text.
    news: &'a Cell<usize>,
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
    /// Of an enum the whole type: what its variants hold may be others in one of the same name.
    whole: &'static str,
    outer: Option<&'a Named<'a>>,
}

impl Named<'_> {
    /// How many of the same are around it.
    fn within_itself(&self) -> usize {
        let id = |named: &Named<'_>| (named.name, named.parts, named.whole);
        let is_same = |named: &&Named<'_>| id(named) == id(self);
        std::iter::successors(self.outer, |named| named.outer)
            .filter(is_same)
            .count()
    }
}

impl<'a> Tracer<'a> {
    pub(super) fn new(node: &'a mut Node, reach: Reach, news: &'a Cell<usize>) -> Tracer<'a> {
        Tracer {
            node,
            reach,
            news,
            depth: 0,
            within: None,
        }
    }

    /// Notes what the part is, unless that is known.
    fn is(&mut self, what: Node) {
        if matches!(self.node, Node::Unseen) {
            self.news.set(self.news.get() + what.bytes());
            *self.node = what;
        }
    }

    /// The elements of what stands between two marks.
    fn between<'de, V: Visitor<'de>>(
        mut self,
        (open, close): (&'static str, char),
        left: usize,
        names: &'static [&'static str],
        visit: impl FnOnce(Elements<'_>) -> Result<V::Value, Stop>,
    ) -> Result<V::Value, Stop> {
        self.is(Node::Parts {
            open,
            close,
            names,
            parts: Vec::new(),
        });
        let Node::Parts { parts, .. } = self.node else {
            return Err(Stop::Unseen); // it asks for something else than before
        };
        visit(Elements {
            parts,
            next: 0,
            left,
            reach: self.reach,
            news: self.news,
            depth: self.depth,
            within: self.within,
        })
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
        (name, whole): (&'static str, &'static str),
        parts: &'static [&'static str],
        visit: impl FnOnce(Tracer<'_>, usize) -> R,
    ) -> R {
        let named = Named {
            name,
            parts,
            whole,
            outer: self.within,
        };
        let times = named.within_itself();
        let depth = match times < WITHIN_ITSELF_MAX {
            true => self.depth,
            false => DEPTH_MAX,
        };
        let inner = Tracer {
            node: self.node,
            reach: self.reach,
            news: self.news,
            depth,
            within: Some(&named),
        };
        visit(inner, times)
    }

    /// Asks for a variant that was not asked for yet, or for any that has an end.
    fn variant<'de, V: Visitor<'de>>(
        mut self,
        (name, names): (&'static str, &'static [&'static str]),
        one_is_enough: bool,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let first_alone = !self.reach.all_variants && !one_is_enough;
        if matches!(self.node, Node::Unseen) {
            self.is(Node::Variants(Variants {
                name,
                names,
                holds: names.iter().map(|_| Node::Unseen).collect(),
                endless: vec![false; names.len()],
                one_is_enough,
            }));
        }
        let Node::Variants(variants) = self.node else {
            return Err(Stop::Unseen); // it asks for something else than before
        };
        let at = match first_alone {
            true => 0,
            false => variants.next().unwrap_or_else(|| variants.known()),
        };
        let Some(holds) = variants.holds.get_mut(at) else {
            return Err(Stop::Unseen); // it has no variants, and so no values
        };
        let of = Tracer {
            node: holds,
            reach: self.reach,
            news: self.news,
            depth: self.depth,
            within: self.within,
        };
        let asked = visitor.visit_enum(Variant {
            variant: at as u32,
            of,
        });
        if matches!(asked, Err(Stop::Endless)) && one_is_enough && !variants.endless[at] {
            variants.endless[at] = true;
            self.news.set(self.news.get() + 1);
        }
        asked
    }
}

/// Hands each element a tracer, `left` times.
struct Elements<'a> {
    parts: &'a mut Vec<Node>,
    next: usize,
    left: usize,
    reach: Reach,
    news: &'a Cell<usize>,
    depth: u8,
    within: Option<&'a Named<'a>>,
}

impl Elements<'_> {
    fn tracer(&mut self) -> Result<Tracer<'_>, Stop> {
        // What is too long is to be seen to be so, and is refused.
        if self.news.get() > BYTES_MAX + BYTES_MAX / 4 {
            return Err(Stop::Unseen);
        }
        if self.parts.len() == self.next {
            self.parts.push(Node::Unseen);
        }
        self.next += 1;
        Ok(Tracer {
            node: &mut self.parts[self.next - 1],
            reach: self.reach,
            news: self.news,
            depth: self.depth,
            within: self.within,
        })
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
        self.left -= 1;
        seed.deserialize(self.tracer()?).map(Some)
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
        seed.deserialize(self.tracer()?)
    }
}

macro_rules! plain {
    ($($method:ident $name:literal $visit:ident $value:expr;)*) => { $(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
            self.is(Node::Word($name));
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

    fn deserialize_any<V: Visitor<'de>>(mut self, _: V) -> Result<V::Value, Stop> {
        const { assert!(ANY == '?') };
        self.is(Node::Word("?"));
        Err(Stop::Unseen)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.is(Node::Word("()"));
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        let one = self.one();
        self.is(Node::Maybe((one > 0).then(Box::default)));
        match self.node {
            Node::Maybe(None) => visitor.visit_none(),
            Node::Maybe(Some(node)) => {
                let some = Tracer {
                    node,
                    reach: self.reach,
                    news: self.news,
                    depth: self.depth,
                    within: self.within,
                };
                visitor.visit_some(some.deeper())
            }
            _ => Err(Stop::Unseen), // it asks for something else than before
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.into_named((name, ""), &[], |tracer, _| {
            visitor.visit_newtype_struct(tracer)
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let one = self.one();
        let open = match is_unordered::<V::Value>() {
            true => "~[",
            false => "[",
        };
        self.deeper()
            .between::<V>((open, ']'), one, &[], |elements| {
                visitor.visit_seq(elements)
            })
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
        self.into_named((name, ""), &[], |tracer, _| {
            tracer.deserialize_tuple(len, visitor)
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let one = self.one();
        let open = match is_unordered::<V::Value>() {
            true => "~map[",
            false => "map[",
        };
        self.deeper()
            .between::<V>((open, ']'), one, &[], |elements| {
                visitor.visit_map(elements)
            })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.into_named((name, ""), names, |tracer, _| {
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
        let whole = std::any::type_name::<V::Value>();
        self.into_named((name, whole), variants, |of, times| {
            let within_itself = of.reach.within_itself;
            if times > within_itself {
                return Err(Stop::Endless); // that variant holds itself in any case
            }
            of.variant((name, variants), times == within_itself, visitor)
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
    fn unit_variant(mut self) -> Result<(), Stop> {
        self.is(Node::Nothing);
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
