//! What the SDK's words for a type say of its bytes: kept keys and values as people read them.
//!
//! A stage's shapes are texts such as `{n:u64,tags:[(text,f64)]}`, which the SDK makes of the
//! author's types. Values are postcard's bytes, whose own reader wants a Rust type; here the type
//! is known at run time alone. What a shape does not tell (a part whose type only the data knows, a
//! variant that lies too deep in itself) is not guessed: then there is no text.

use crate::limits;

mod key;
mod value;

pub use key::{key_bytes, key_text};
pub use value::{Json, value_json};

/// A shape as an SDK made it that told of an enum only what its first variant holds.
pub fn first_variants(shape: &str) -> String {
    let Some((before, all)) = shape.split_once('<') else {
        return shape.to_owned();
    };
    let (mut depth, mut ends) = (0_usize, Vec::new());
    for (at, mark) in all.char_indices() {
        match mark {
            '>' if depth == 0 => {
                ends.push(at);
                break;
            }
            '|' if depth == 0 => ends.push(at),
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' | '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let Some(&last) = ends.last() else {
        return shape.to_owned(); // it has no end, and is none
    };
    let mut from = 0;
    let mut holds = ends
        .iter()
        .map(|&end| &all[std::mem::replace(&mut from, end + 1)..end]);
    let first = holds.find(|holds| *holds != "_").unwrap_or_default();
    let rest = &all[last + 1..];
    format!("{before}{}{}", first_variants(first), first_variants(rest))
}

/// A type as its shape tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Unit,
    Bool,
    /// Bits.
    Unsigned(u32),
    /// Bits.
    Signed(u32),
    /// Bits.
    Float(u32),
    Char,
    Text,
    Bytes,
    Option(Box<Shape>),
    /// None: such parts lie too deep to be told, and are only known to be empty.
    Seq(Option<Box<Shape>>),
    Map(Option<Box<(Shape, Shape)>>),
    Tuple(Vec<Shape>),
    Struct(Vec<(String, Shape)>),
    /// Its variants, with what each holds.
    Enum(Vec<(String, Holds)>),
}

/// What a variant of an enum holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holds {
    Nothing,
    /// Its shape does not tell.
    Unknown,
    Of(Box<Shape>),
}

/// Shapes of one word.
const WORDS: [(&str, Shape); 18] = [
    ("()", Shape::Unit),
    ("bool", Shape::Bool),
    ("u8", Shape::Unsigned(8)),
    ("u16", Shape::Unsigned(16)),
    ("u32", Shape::Unsigned(32)),
    ("u64", Shape::Unsigned(64)),
    ("u128", Shape::Unsigned(128)),
    ("i8", Shape::Signed(8)),
    ("i16", Shape::Signed(16)),
    ("i32", Shape::Signed(32)),
    ("i64", Shape::Signed(64)),
    ("i128", Shape::Signed(128)),
    ("time", Shape::Signed(64)),
    ("f32", Shape::Float(32)),
    ("f64", Shape::Float(64)),
    ("char", Shape::Char),
    ("text", Shape::Text),
    ("bytes", Shape::Bytes),
];

impl Shape {
    /// Reads a shape's text; none where it is not one, or one that does not tell all.
    fn parse(text: &str) -> Option<Shape> {
        let mut parser = Parser { rest: text };
        let shape = parser.shape(0)?;
        parser.rest.is_empty().then_some(shape)
    }
}

/// Reads a shape from the front of a text. Components make these texts, so nothing in them is
/// trusted.
struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn eat(&mut self, mark: &str) -> bool {
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// What stands before a mark, which is eaten too.
    fn until(&mut self, mark: char) -> Option<&'t str> {
        let (before, rest) = self.rest.split_once(mark)?;
        self.rest = rest;
        Some(before)
    }

    fn shape(&mut self, depth: usize) -> Option<Shape> {
        if depth > limits::STATE_SHAPE_DEPTH_MAX {
            return None;
        }
        if self.eat("option ") {
            return Some(Shape::Option(Box::new(self.shape(depth + 1)?)));
        }
        if self.eat("enum ") {
            return self.variants(depth);
        }
        if self.eat("map[") {
            if self.eat("]") {
                return Some(Shape::Map(None));
            }
            let parts = self.parts("]", depth)?;
            let [key, value] = parts.try_into().ok()?;
            return Some(Shape::Map(Some(Box::new((key, value)))));
        }
        if self.eat("[") {
            let mut parts = self.parts("]", depth)?;
            let one = parts.pop();
            return parts.is_empty().then_some(Shape::Seq(one.map(Box::new)));
        }
        if self.eat("{") {
            return self.fields(depth);
        }
        let end = |c: char| !(c.is_ascii_alphanumeric() || c == '(');
        let word = &self.rest[..self.rest.find(end).unwrap_or(self.rest.len())];
        if !word.starts_with('(') {
            let (name, shape) = WORDS.iter().find(|(name, _)| *name == word)?;
            self.eat(name);
            return Some(shape.clone());
        }
        self.eat("(");
        let parts = self.parts(")", depth)?;
        Some(match parts.is_empty() {
            true => Shape::Unit,
            false => Shape::Tuple(parts),
        })
    }

    /// Shapes up to a closing mark.
    fn parts(&mut self, close: &str, depth: usize) -> Option<Vec<Shape>> {
        let mut parts = Vec::new();
        while !self.eat(close) {
            if !(parts.is_empty() || self.eat(", ") || self.eat(",")) {
                return None;
            }
            parts.push(self.shape(depth + 1)?);
        }
        Some(parts)
    }

    fn fields(&mut self, depth: usize) -> Option<Shape> {
        let mut fields = Vec::new();
        while !self.eat("}") {
            if !fields.is_empty() && !self.eat(",") {
                return None;
            }
            let name = self.until(':')?.to_owned();
            fields.push((name, self.shape(depth + 1)?));
        }
        Some(Shape::Struct(fields))
    }

    /// Behind the names stands what the first variant holds; or in angles what each does. In shapes
    /// that an older SDK made only the first one's is told.
    fn variants(&mut self, depth: usize) -> Option<Shape> {
        self.until('(')?;
        let names = self.until(')')?.split('|').map(str::to_owned);
        let mut holds = Vec::new();
        if self.eat("<") {
            loop {
                holds.push(self.holds(depth)?);
                if self.eat(">") {
                    break;
                }
                if !self.eat("|") {
                    return None;
                }
            }
        } else {
            holds.push(self.holds(depth)?);
        }
        let rest = std::iter::repeat(Holds::Unknown);
        let holds = holds.into_iter().chain(rest);
        Some(Shape::Enum(names.zip(holds).collect()))
    }

    fn holds(&mut self, depth: usize) -> Option<Holds> {
        if self.eat("_") {
            return Some(Holds::Unknown);
        }
        let ends = [',', ')', ']', '}', '|', '>'];
        if self.rest.is_empty() || self.rest.starts_with(ends) {
            return Some(Holds::Nothing);
        }
        Some(Holds::Of(Box::new(self.shape(depth + 1)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_shapes_told_the_first_variant_alone() {
        let cases = [
            ("u64", "u64"),
            ("(u8,enum E(A|B)<u8|i32>,u8)", "(u8,enum E(A|B)u8,u8)"),
            ("enum E(A|B)<|[enum F(C|D)<u8|u8>]>", "enum E(A|B)"),
            (
                "(enum E(A|B)<(enum F(C|D)<_|(u8,text)>,bool)|u8>,enum F(C)u8)",
                "(enum E(A|B)(enum F(C|D)(u8,text),bool),enum F(C)u8)",
            ),
            ("enum E(A|B)<u8", "enum E(A|B)<u8"),
        ];
        for (shape, want) in cases {
            assert_eq!(first_variants(shape), want, "{shape}");
        }
    }

    #[test]
    fn shapes_are_read_whole_or_not_at_all() {
        let read = [
            "u64",
            "()",
            "{n:u64,tags:[(text,f64)],last:option u8}",
            "map[text,(i64,bool)]",
            "(text, u32)",
            "(u8,enum Inner(A|B)u8,u8)",
            "(enum Unit(A|B),u8)",
            "(enum E(A|B|C)<|_|enum F(A|B)<u8|>>,u8)",
            "{children:[],parts:map[]}",
        ];
        for text in read {
            assert!(Shape::parse(text).is_some(), "{text}");
        }
        let deep = format!("{}u8", "option ".repeat(2000));
        let not = [
            "",
            "string",
            "u64 ",
            "(u8,?",
            "(u8,text)…",
            "enum E(A|B)<u8",
            "enum E(A|B)<u8,u8>",
            "[u8,u8]",
            "{n}",
            "map[u8]",
            &deep,
        ];
        for text in not {
            assert_eq!(Shape::parse(text), None, "{text}");
        }
        assert_eq!(
            Shape::parse("(u8,enum E(A|B)u8,bool)"),
            Some(Shape::Tuple(vec![
                Shape::Unsigned(8),
                Shape::Enum(vec![
                    ("A".into(), Holds::Of(Box::new(Shape::Unsigned(8)))),
                    ("B".into(), Holds::Unknown)
                ]),
                Shape::Bool
            ]))
        );
    }
}
