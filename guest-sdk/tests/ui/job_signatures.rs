use streamhost::*;

#[job]
fn with_arguments(topic: &str) -> Job {
    kafka(topic).to(console())
}

#[job]
fn generic<T>() -> Job {
    kafka("a").to(console())
}

#[job]
async fn waiting() -> Job {
    kafka("a").to(console())
}

#[job]
fn nothing() {
    kafka("a").to(console());
}

#[job]
fn Clicks() -> Job {
    kafka("a").to(console())
}

#[job(name = "clicks.eu")]
fn clicks_eu() -> Job {
    kafka("a").to(console())
}

#[job(every = 10)]
fn clicks() -> Job {
    kafka("a").to(console())
}

fn main() {}
