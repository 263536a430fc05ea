//! What must be so for a shadow to become active by itself, such as
//! `differing = 0 and dead_letters <= active`.

use super::ShadowView;
use std::fmt;

/// A condition on what a shadow came to: comparisons, all of which must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct PromoteIf(Vec<Comparison>);

#[derive(Clone, Debug, PartialEq)]
struct Comparison {
    figure: String,
    relation: Relation,
    /// A number, or so many times the active version's figure.
    value: f64,
    of_active: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

const RELATIONS: [(&str, Relation); 5] = [
    ("<=", Relation::LessOrEqual),
    (">=", Relation::MoreOrEqual),
    ("=", Relation::Equal),
    ("<", Relation::Less),
    (">", Relation::More),
];

/// Figures of the comparison itself.
const OF_BOTH: [&str; 6] = [
    "differing",
    "alike",
    "records",
    "batches",
    "skipped_batches",
    "faults",
];
/// Figures that each version has.
const OF_EACH: [&str; 7] = [
    "dead_letters",
    "skipped",
    "late",
    "dropped",
    "broken",
    "cpu_us",
    "memory_bytes",
];

impl PromoteIf {
    /// Reads a condition. `Err`: what is wrong with it, and what there is.
    pub fn parse(text: &str) -> Result<PromoteIf, String> {
        let comparisons = text.split(" and ").map(Comparison::parse);
        Ok(PromoteIf(comparisons.collect::<Result<_, _>>()?))
    }

    /// What does not hold, in words; nothing where all does. A shadow that has run nothing, or that
    /// broke on a whole batch, is not promoted by itself, unless the condition is about that.
    pub fn failing(&self, of: &ShadowView) -> Vec<String> {
        let names = |figure: &str| self.0.iter().any(|one| one.figure == figure);
        let nothing = of.batches == 0 && !names("batches");
        let broke = of.faults > 0 && !names("faults");
        let usual = [
            nothing.then(|| "no batch was compared".to_owned()),
            broke.then(|| format!("it broke on {} batches", of.faults)),
        ];
        let failing = self.0.iter().filter_map(|one| one.failing(of));
        usual.into_iter().flatten().chain(failing).collect()
    }
}

impl fmt::Display for PromoteIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(Comparison::to_string).collect();
        f.write_str(&all.join(" and "))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relation = RELATIONS.iter().find(|(_, one)| *one == self.relation);
        write!(
            f,
            "{} {} ",
            self.figure,
            relation.map_or("", |(word, _)| word)
        )?;
        match (self.of_active, self.value) {
            (false, value) => write!(f, "{value}"),
            (true, 1.0) => f.write_str("active"),
            (true, value) => write!(f, "{value} * active"),
        }
    }
}

impl Comparison {
    fn parse(text: &str) -> Result<Comparison, String> {
        let text = text.trim();
        let how = "a condition is FIGURE RELATION VALUE, such as `differing = 0`, and several are joined by ` and `";
        let split = RELATIONS.iter().filter_map(|(word, relation)| {
            let at = text.find(word)?;
            Some((at, std::cmp::Reverse(word.len()), *word, *relation))
        });
        // The first one in the text; of those at one place the longest.
        let found = split.min_by_key(|(at, length, ..)| (*at, *length));
        let (at, _, word, relation) = found.ok_or_else(|| format!("`{text}`: {how}"))?;
        let (figure, value) = (text[..at].trim(), text[at + word.len()..].trim());
        let is_of_each = OF_EACH.contains(&figure);
        if !is_of_each && !OF_BOTH.contains(&figure) {
            let all: Vec<_> = OF_BOTH.iter().chain(&OF_EACH).copied().collect();
            return Err(format!(
                "`{figure}` is no figure of a shadow: there are {}",
                all.join(", ")
            ));
        }
        let (factor, of_active) = match value.strip_suffix("active") {
            None => (value, false),
            Some("") => ("1", true),
            Some(rest) => {
                let factor = rest.trim().strip_suffix('*');
                (
                    factor.ok_or_else(|| format!("`{value}`: {how}"))?.trim(),
                    true,
                )
            }
        };
        if of_active && !is_of_each {
            return Err(format!(
                "`{figure}` is of both versions: it is compared with a number, and not with `active`"
            ));
        }
        let number: f64 = factor.parse().unwrap_or(f64::NAN);
        if !number.is_finite() || number < 0.0 {
            return Err(format!(
                "`{value}` is no number, nor `active`, nor `1.1 * active`: {how}"
            ));
        }
        Ok(Comparison {
            figure: figure.to_owned(),
            relation,
            value: number,
            of_active,
        })
    }

    fn failing(&self, of: &ShadowView) -> Option<String> {
        let pair = of.counts.get(&self.figure).copied().unwrap_or_default();
        let is = match &*self.figure {
            "differing" => of.differing,
            "alike" => of.alike,
            "records" => of.records,
            "batches" => of.batches,
            "skipped_batches" => of.skipped,
            "faults" => of.faults,
            _ => pair.shadow,
        } as f64;
        let wanted = match self.of_active {
            true => self.value * pair.active as f64,
            false => self.value,
        };
        let holds = match self.relation {
            Relation::Equal => (is - wanted).abs() < 1e-9,
            Relation::Less => is < wanted,
            Relation::LessOrEqual => is <= wanted,
            Relation::More => is > wanted,
            Relation::MoreOrEqual => is >= wanted,
        };
        let of_active = match self.of_active {
            true => format!(", and the active version has {}", pair.active),
            false => String::new(),
        };
        (!holds).then(|| format!("`{self}` does not hold: it is {is}{of_active}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::PairView;
    use super::*;

    #[test]
    fn conditions_hold_or_say_what_does_not() {
        let pair = |active, shadow| PairView { active, shadow };
        let view = ShadowView {
            differing: 3,
            batches: 10,
            counts: [
                ("dead_letters".to_owned(), pair(5, 6)),
                ("cpu_us".to_owned(), pair(100, 110)),
            ]
            .into(),
            ..ShadowView::default()
        };
        let cases = [
            ("differing = 3", 0),
            ("differing=0", 1),
            ("differing <= 3 and batches >= 10", 0),
            ("differing < 3 and batches > 10", 2),
            ("dead_letters <= active", 1),
            ("cpu_us <= 1.1 * active", 0),
            ("cpu_us <= 1.05 * active and late = active", 1),
        ];
        for (text, failing) in cases {
            let condition = PromoteIf::parse(text).unwrap();
            assert_eq!(condition.failing(&view).len(), failing, "{text}");
            let again = PromoteIf::parse(&condition.to_string());
            assert_eq!(again, Ok(condition), "{text}");
        }
        let said = PromoteIf::parse("dead_letters <= active").unwrap();
        assert_eq!(
            said.failing(&view),
            ["`dead_letters <= active` does not hold: it is 6, and the active version has 5"]
        );
    }

    #[test]
    fn a_shadow_that_ran_nothing_or_broke_is_not_promoted_by_itself() {
        let of = |batches, faults| ShadowView {
            batches,
            faults,
            ..ShadowView::default()
        };
        let cases = [
            ("differing = 0", of(0, 0), 1),
            ("differing = 0", of(5, 2), 1),
            ("differing = 0", of(5, 0), 0),
            ("differing = 0 and batches >= 0 and faults < 3", of(0, 2), 0),
        ];
        for (text, view, failing) in cases {
            let condition = PromoteIf::parse(text).unwrap();
            assert_eq!(condition.failing(&view).len(), failing, "{text}: {view:?}");
        }
    }

    #[test]
    fn what_is_no_condition_says_why() {
        let cases = [
            ("", "FIGURE RELATION VALUE"),
            ("differing", "FIGURE RELATION VALUE"),
            ("speed = 3", "`speed` is no figure"),
            ("differing = active", "with a number"),
            ("late <= 2 active", "FIGURE RELATION VALUE"),
            ("late <= many", "no number"),
            ("late <= -1", "no number"),
            ("late <= NaN", "no number"),
            ("late = 1 and", "no number"),
        ];
        for (text, words) in cases {
            let said = PromoteIf::parse(text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
