//! `dead-letters`: lists, shows, retries and drops a job's dead letters.

use super::CliError;
use super::client::{Client, Which, job_path};
use super::output::{Output, count, plain, table};
use super::screen::Screen;
use super::shown::Shown;
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use streamhost_core::limits;

/// Characters of a reason or value that a table shows.
const CELL_CHARS_MAX: usize = 60;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A letter is named by its partition and offset in the topic of dead letters, as `list` prints it.
Filters may be combined; --reason is a part of the reason, --since a time or a duration.

Examples:
  streamhost dead-letters clicks list --since 24h --status new
  streamhost dead-letters clicks show 0-17
  streamhost dead-letters clicks retry 0-17 0-18
  streamhost dead-letters clicks retry --all --reason quantity
  streamhost dead-letters clicks drop --all --since 1h --output json"
)]
pub(super) struct Args {
    /// The job
    job: String,
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List letters, newest first
    List {
        #[command(flatten)]
        filters: Filters,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50,
              value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show one letter in full
    Show {
        /// The letter: PARTITION-OFFSET
        id: String,
    },
    /// Give letters' records to the active version
    Retry {
        #[command(flatten)]
        which: Chosen,
        /// Also those that were retried before
        #[arg(long)]
        again: bool,
    },
    /// Note that nobody wants these letters; the topic keeps them
    Drop {
        #[command(flatten)]
        which: Chosen,
    },
}

/// Which letters are meant.
#[derive(Clone, Debug, Default, clap::Args)]
struct Filters {
    /// A part of the reason
    #[arg(long)]
    reason: Option<String>,
    /// The stage that refused it
    #[arg(long)]
    stage: Option<String>,
    /// Not older than this: a duration such as 24h, or a time in RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// What became of it
    #[arg(long, value_parser = ["new", "retried", "dropped"])]
    status: Option<String>,
}

/// Letters that are named, or all that fit.
#[derive(Clone, Debug, clap::Args)]
struct Chosen {
    /// The letters: PARTITION-OFFSET
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All that fit the filters; of any status only with --status
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filters: Filters,
    /// With --all: how many at most
    #[arg(long, value_name = "N", requires = "all",
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl Filters {
    fn query(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("reason", &self.reason),
            ("stage", &self.stage),
            ("since", &self.since),
            ("status", &self.status),
        ];
        let given = all.map(|(name, value)| Some((name, value.clone()?)));
        given.into_iter().flatten().collect()
    }
}

/// A page of letters, as far as it is printed or asked on with.
#[derive(Serialize, Deserialize)]
struct Page {
    topic: String,
    letters: Vec<Letter>,
    next: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Letter {
    id: String,
    at: String,
    status: String,
    version: u64,
    batch: u64,
    stage: Option<String>,
    source: Option<Origin>,
    reason: String,
    key: Shown,
    value: Shown,
    retried: Option<Retried>,
    /// Of one letter alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_out: Option<bool>,
    /// Of one letter alone: the headers that its record had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    record_headers: Vec<HeaderShown>,
}

#[derive(Serialize, Deserialize)]
struct HeaderShown {
    name: String,
    value: Shown,
}

#[derive(Serialize, Deserialize)]
struct Origin {
    topic: String,
    partition: i32,
    offset: i64,
    time: String,
}

#[derive(Serialize, Deserialize)]
struct Retried {
    at: String,
    version: u64,
    outcome: String,
    rows: u64,
    reason: Option<String>,
}

/// What became of letters.
#[derive(Default, Serialize, Deserialize)]
struct Results {
    done: usize,
    skipped: usize,
    results: Vec<LetterResult>,
}

#[derive(Serialize, Deserialize)]
struct LetterResult {
    id: String,
    outcome: String,
    rows: u64,
    reason: Option<String>,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let path = job_path(&args.job, "/dead-letters")?;
    let client = args.daemon.client()?;
    match args.what {
        What::List { filters, limit } => {
            let page = list(&client, &path, &filters, limit as usize)?;
            Ok(args
                .output
                .print(out, &page, |out, page| page_text(out, screen, page))?)
        }
        What::Show { id } => {
            let letter: Letter = client.get(&format!("{path}/{}", plain_id(&id)), &[])?;
            Ok(args
                .output
                .print(out, &letter, |out, letter| letter_text(out, screen, letter))?)
        }
        What::Retry { which, again } => {
            let ids = which.ids(&client, &path)?;
            let results = change(&client, &format!("{path}/retry"), &ids, again)?;
            Ok(args.output.print(out, &results, |out, results| {
                results_text(out, screen, results)
            })?)
        }
        What::Drop { which } => {
            let ids = which.ids(&client, &path)?;
            let results = change(&client, &format!("{path}/drop"), &ids, false)?;
            Ok(args.output.print(out, &results, |out, results| {
                results_text(out, screen, results)
            })?)
        }
    }
}

/// What cannot be a letter's id is told by the daemon, and is no path of another call before.
fn plain_id(id: &str) -> String {
    let fits = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    id.chars().filter(fits).collect()
}

/// The newest letters that fit.
fn list(client: &Client, path: &str, filters: &Filters, limit: usize) -> Result<Page, CliError> {
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let left = (limit - all.len()).min(limits::LETTERS_PAGE_MAX);
        let mut query = filters.query();
        query.push(("limit", left.to_string()));
        query.extend(next.map(|next| ("before", next)));
        let page: Page = client.get(path, &query)?;
        all.extend(page.letters);
        if all.len() >= limit || page.next.is_none() {
            return Ok(Page {
                topic: page.topic,
                letters: all,
                next: page.next,
            });
        }
        next = page.next;
    }
}

impl Chosen {
    fn ids(&self, client: &Client, path: &str) -> Result<Vec<String>, CliError> {
        if !self.all {
            return Ok(self.ids.clone());
        }
        let mut filters = self.filters.clone();
        filters.status.get_or_insert_with(|| "new".to_owned());
        // The host remembers no more, so the others would be refused.
        let limit = self
            .limit
            .map_or(limits::LETTER_MARKS_MAX, |limit| limit as usize);
        let page = list(client, path, &filters, limit)?;
        let mut ids: Vec<String> = page.letters.into_iter().map(|letter| letter.id).collect();
        ids.reverse(); // the oldest first, as they came
        Ok(ids)
    }
}

/// Retries or drops letters, so many a call as one takes.
fn change(client: &Client, path: &str, ids: &[String], again: bool) -> Result<Results, CliError> {
    let mut all = Results::default();
    for ids in ids.chunks(limits::LETTERS_CHANGED_MAX) {
        let body = serde_json::json!({"ids": ids, "again": again}).to_string();
        let results: Results = client.post(path, &[], "application/json", body.as_bytes())?;
        all.done += results.done;
        all.skipped += results.skipped;
        all.results.extend(results.results);
    }
    Ok(all)
}

fn page_text(out: &mut dyn Write, screen: &Screen, page: &Page) -> io::Result<()> {
    let row = |letter: &Letter| {
        let source = letter.source.as_ref();
        let stage = letter.stage.clone().unwrap_or_default();
        let from = source.map_or(stage, |of| {
            format!("{}/{}@{}", of.topic, of.partition, of.offset)
        });
        [
            letter.id.clone(),
            screen.time(&letter.at),
            letter.status.clone(),
            letter.version.to_string(),
            from,
            cut(&letter.reason),
            letter.value.short(CELL_CHARS_MAX),
        ]
    };
    let rows: Vec<_> = page.letters.iter().map(row).collect();
    let head = ["ID", "AT", "STATUS", "VERSION", "FROM", "REASON", "VALUE"];
    table(out, screen, (head, &["VERSION", "FROM"]), &rows)?;
    match page.next {
        Some(_) => writeln!(out, "there may be older ones: see --limit"),
        None => Ok(()),
    }
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(CELL_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn letter_text(out: &mut dyn Write, screen: &Screen, letter: &Letter) -> io::Result<()> {
    let source = letter.source.as_ref().map(|of| {
        let (topic, partition, offset) = (&of.topic, of.partition, of.offset);
        format!(
            "{topic}, partition {partition}, offset {offset}, of {}",
            of.time
        )
    });
    let retried = letter.retried.as_ref().map(|of| {
        let reason = of
            .reason
            .as_ref()
            .map_or(String::new(), |why| format!(": {why}"));
        let (at, version) = (screen.time(&of.at), of.version);
        format!(
            "{at} by version {version}: {}{reason}",
            said(&of.outcome, of.rows)
        )
    });
    let lines = [
        ("letter", Some(letter.id.clone())),
        ("at", Some(screen.time(&letter.at))),
        ("status", Some(letter.status.clone())),
        (
            "refused by",
            Some(format!(
                "version {}, batch {}",
                letter.version, letter.batch
            )),
        ),
        ("stage", letter.stage.clone()),
        ("record", source),
        ("reason", Some(letter.reason.clone())),
        ("retried", retried),
        ("key", Some(letter.key.full())),
        ("value", Some(letter.value.full())),
    ];
    let header = |of: &HeaderShown| ("header", Some(format!("{}={}", of.name, of.value.full())));
    let headers = letter.record_headers.iter().map(header);
    for (name, text) in lines.into_iter().chain(headers) {
        if let Some(text) = text {
            let line = format!("{name:<11} {}", plain(&text));
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    match letter.left_out {
        Some(true) => writeln!(
            out,
            "key and value were too large for the topic: they are not here"
        ),
        _ => Ok(()),
    }
}

fn results_text(out: &mut dyn Write, screen: &Screen, results: &Results) -> io::Result<()> {
    let row = |result: &LetterResult| {
        [
            result.id.clone(),
            said(&result.outcome, result.rows),
            result.reason.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = results.results.iter().map(row).collect();
    table(out, screen, (["ID", "OUTCOME", "REASON"], &[]), &rows)?;
    let (done, skipped) = (results.done as u64, results.skipped);
    writeln!(
        out,
        "{} done, {skipped} skipped",
        count(done, "letter", "letters")
    )
}

/// An outcome in words.
fn said(outcome: &str, rows: u64) -> String {
    match outcome {
        "delivered" => format!("delivered, {}", count(rows, "row", "rows")),
        other => other.to_owned(),
    }
}
