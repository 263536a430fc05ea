//! What a deployment tells a job.

use super::*;
use std::time::Duration;

#[job]
fn told() -> Job {
    let least = param::<i32>("least", -1);
    let share = param("share", 0.5);
    let loud = param("loud", false);
    let gap: Duration = param("gap", seconds(90));
    let greeting = param("greeting", String::from("hello"));
    kafka(&param("topic", String::from("in")))
        .map(move |_| format!("{least} {share} {loud} {gap:?} {greeting}"))
        .to(console())
}

#[test]
fn values_are_the_defaults_or_what_is_set() {
    let mut job = testing::run(told);
    job.send("in", ["x"]);
    assert_eq!(job.rows("console"), ["value=-1 0.5 false 90s hello"]);
    let set = [
        ("least", "+7"),
        ("share", "1e-3"),
        ("loud", "true"),
        ("gap", "1m 1ms"),
        ("greeting", "good = day"),
        ("topic", "out"),
    ];
    let mut job = testing::run_with(told, &set);
    job.send("out", ["x"]);
    assert_eq!(
        job.rows("console"),
        ["value=7 0.001 true 60.001s good = day"]
    );
}

/// A job whose keyed stage goes on while a parameter changes.
#[job]
fn factor() -> Job {
    let factor = param::<u64>("factor", 1);
    words("in")
        .key_by(|w| *w)
        .running()
        .sum(move |_| factor)
        .map(|update| format!("{} {}", update.key, update.value))
        .to(console())
}

#[test]
fn a_value_stays_for_later_deploys_and_what_was_kept_goes_on() {
    let mut job = testing::run(factor);
    job.send("in", ["a"]);
    assert_eq!(job.rows("console"), ["value=a 1"]);
    let mut job = job.deploy_with(factor, &[("factor", "10")]);
    job.send("in", ["a", "a"]);
    assert_eq!(job.rows("console"), ["value=a 21"]);
    let mut job = job.deploy(factor);
    job.send("in", ["a"]);
    assert_eq!(job.rows("console"), ["value=a 31"]);
}

#[job]
fn without() -> Job {
    kafka("in").to(console())
}

#[test]
#[should_panic(expected = "`param.least=many`: a whole number of 64 bits")]
fn a_value_of_another_type_is_refused() {
    testing::run_with(told, &[("least", "many")]);
}

#[test]
#[should_panic(expected = "`param.leest` names no parameter of this job: did you mean `least`?")]
fn a_name_that_the_job_does_not_have_is_refused() {
    testing::run_with(told, &[("leest", "1")]);
}

#[test]
#[should_panic(expected = "`param.factor` names no parameter of this job: it has none")]
fn a_version_without_the_parameter_is_refused_while_it_is_set() {
    testing::run_with(factor, &[("factor", "2")]).deploy(without);
}

#[test]
#[should_panic(expected = "`param.least=3000000000` is no i32: set another value")]
fn a_value_beyond_the_type_is_refused() {
    testing::run_with(told, &[("least", "3000000000")]);
}

#[job]
fn twice() -> Job {
    let (one, other) = (param("n", 1u64), param("n", 2u64));
    kafka("in")
        .map(move |_| format!("{one} {other}"))
        .to(console())
}

#[test]
#[should_panic(expected = "the parameter `n` cannot be: it is asked for twice")]
fn a_parameter_has_one_default() {
    testing::run(twice);
}
