//! What was seen of a type so far.

/// A part of a type.
#[derive(Default)]
pub(super) enum Node {
    /// It was not asked yet.
    #[default]
    Unseen,
    /// A unit variant.
    Nothing,
    /// It is one word.
    Word(&'static str),
    /// It may be away.
    Maybe(Option<Box<Node>>),
    /// Several parts between two marks.
    Parts {
        open: &'static str,
        close: char,
        names: &'static [&'static str],
        parts: Vec<Node>,
    },
    /// One of several variants.
    Variants(Variants),
}

/// An enum.
pub(super) struct Variants {
    pub(super) name: &'static str,
    pub(super) names: &'static [&'static str],
    /// What each holds.
    pub(super) holds: Vec<Node>,
    /// Which have no end: they hold a value of the enum in any case.
    pub(super) endless: Vec<bool>,
    /// It lies too deep in itself: one variant that has an end is enough.
    pub(super) one_is_enough: bool,
}

impl Node {
    /// Nothing in it is left to be asked for.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Node::Unseen => false,
            Node::Nothing | Node::Word(_) | Node::Maybe(None) => true,
            Node::Maybe(Some(node)) => node.is_done(),
            Node::Parts { parts, .. } => parts.iter().all(Node::is_done),
            Node::Variants(variants) => variants.next().is_none(),
        }
    }

    /// Of its own in the text, at least 1.
    pub(super) fn bytes(&self) -> usize {
        let of_all = |names: &[&str]| names.iter().map(|name| name.len() + 1).sum::<usize>();
        match self {
            Node::Unseen | Node::Nothing => 1,
            Node::Word(word) => word.len() + 1,
            Node::Maybe(_) => "option ".len(),
            Node::Parts { names, .. } => 2 + of_all(names),
            Node::Variants(variants) => {
                "enum ()".len() + variants.name.len() + of_all(variants.names)
            }
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        match self {
            Node::Unseen | Node::Nothing => {}
            Node::Word(word) => out.push_str(word),
            Node::Maybe(node) => {
                out.push_str("option ");
                node.iter().for_each(|node| node.write(out));
            }
            Node::Parts {
                open,
                close,
                names,
                parts,
            } => {
                out.push_str(open);
                for (i, part) in parts.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    if let Some(name) = names.get(i) {
                        out.push_str(name);
                        out.push(':');
                    }
                    part.write(out);
                }
                out.push(*close);
            }
            Node::Variants(variants) => variants.write(out),
        }
    }
}

impl Variants {
    /// The next variant to ask for; none: all were.
    pub(super) fn next(&self) -> Option<usize> {
        let is_open = |&i: &usize| !self.holds[i].is_done() && !self.endless[i];
        let mut all = 0..self.holds.len();
        if !self.one_is_enough {
            return all.find(is_open);
        }
        // The last one is most often the one that has an end.
        let mut all = all.rev();
        let has_end = |i: usize| self.holds[i].is_done() && !self.endless[i];
        match all.clone().any(has_end) {
            true => None,
            false => all.find(is_open),
        }
    }

    /// One that was asked for already, and has an end.
    pub(super) fn known(&self) -> usize {
        let mut all = 0..self.holds.len();
        let has_end = |&i: &usize| self.holds[i].is_done() && !self.endless[i];
        all.find(has_end).unwrap_or(0)
    }

    /// What the first variant holds stands behind the names; where others hold something too, all
    /// stand in angles, and what was not looked at is `_`.
    fn write(&self, out: &mut String) {
        out.push_str(&format!("enum {}({})", self.name, self.names.join("|")));
        let is_none = |node: &Node| matches!(node, Node::Unseen | Node::Nothing);
        match self.holds.split_first() {
            Some((first, rest)) if rest.iter().all(is_none) => {
                if self.one_is_enough && !is_none(first) && !rest.is_empty() {
                    return self.write_all(out);
                }
                first.write(out);
            }
            Some(_) => self.write_all(out),
            None => {}
        }
    }

    fn write_all(&self, out: &mut String) {
        out.push('<');
        for (i, holds) in self.holds.iter().enumerate() {
            if i > 0 {
                out.push('|');
            }
            match holds {
                Node::Unseen => out.push('_'),
                holds => holds.write(out),
            }
        }
        out.push('>');
    }
}
