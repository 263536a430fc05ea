//! A job's pipeline as a graph, with what flows through it.

use super::history::{History, is_running};
use super::stages::describe;
use crate::api::{JobFacts, Waiting};
use serde::Serialize;
use streamhost_connectors::registry;
use streamhost_core::clock;
use streamhost_core::job::connector::LETTERS;
use streamhost_core::job::{JobSpec, SinkSpec, SourceSpec};
use streamhost_core::types::Guarantee;

mod bottleneck;
mod edges;

use bottleneck::Bottleneck;
use edges::Edge;
use utoipa::ToSchema;

/// The id of the node of all functions on records.
const TRANSFORM: &str = "transform";
/// The id of the node of dead letters.
const DEAD_LETTERS: &str = "dead-letters";

/// A job's pipeline.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    bottleneck: Option<Bottleneck>,
}

/// A part of a pipeline.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(super) struct Node {
    id: String,
    kind: &'static str,
    name: String,
    connector: Option<String>,
    target: Option<String>,
    description: Option<String>,
    busy: Option<f64>,
    waiting_for: Option<Waiting>,
    partitions: Option<usize>,
    lag: Option<u64>,
    keys: Option<u64>,
    bytes: Option<u64>,
    guarantee: Option<&'static str>,
}

impl Graph {
    pub(super) fn of(facts: &JobFacts, history: &History) -> Graph {
        let Some(spec) = &facts.spec else {
            return Graph::default();
        };
        let nodes = nodes(facts, spec, history);
        let edges = edges::of(facts, spec, history);
        let bottleneck = bottleneck::of(facts, history, &nodes);
        Graph {
            nodes,
            edges,
            bottleneck,
        }
    }

    /// The graph of a job that does not run: without figures.
    pub(crate) fn of_spec(spec: &JobSpec, dead_letters: &str) -> Graph {
        let sources = spec.sources.iter().map(source);
        let transform = Node {
            id: TRANSFORM.to_owned(),
            kind: TRANSFORM,
            name: TRANSFORM.to_owned(),
            ..Node::default()
        };
        let stages = spec.stages.iter().map(|stage| Node {
            id: format!("stage/{}", stage.name),
            kind: "stage",
            name: stage.name.clone(),
            description: Some(describe(stage)),
            ..Node::default()
        });
        let letters = Node {
            id: DEAD_LETTERS.to_owned(),
            kind: DEAD_LETTERS,
            name: dead_letters.to_owned(),
            connector: Some(LETTERS.to_owned()),
            target: Some(dead_letters.to_owned()),
            ..Node::default()
        };
        let nodes = sources
            .chain([transform])
            .chain(stages)
            .chain(spec.sinks.iter().map(sink))
            .chain([letters]);
        Graph {
            nodes: nodes.collect(),
            edges: edges::of_spec(spec),
            bottleneck: None,
        }
    }
}

fn source(source: &SourceSpec) -> Node {
    Node {
        id: format!("source/{}", source.name),
        kind: "source",
        name: source.name.clone(),
        connector: Some(source.connector.clone()),
        target: Some(source.target.clone()),
        ..Node::default()
    }
}

fn sink(sink: &SinkSpec) -> Node {
    Node {
        id: format!("sink/{}", sink.name),
        kind: "sink",
        name: sink.name.clone(),
        connector: Some(sink.connector.clone()),
        target: Some(sink.target.clone()),
        guarantee: Some(guarantee(sink)),
        ..Node::default()
    }
}

/// What a second delivery of the same batch does.
pub(crate) fn guarantee(sink: &SinkSpec) -> &'static str {
    registry::guarantee(sink)
        .unwrap_or(Guarantee::AtLeastOnce)
        .words()
}

fn nodes(facts: &JobFacts, spec: &JobSpec, history: &History) -> Vec<Node> {
    let runs = is_running(facts.status.state);
    let window = &history.window;
    let mut nodes = Graph::of_spec(spec, &facts.status.dead_letter_topic).nodes;
    for node in &mut nodes {
        let waits = |who: &str| {
            let (what, since) = facts.snapshot.waiting.get(who)?;
            let (what, since) = (what.clone(), clock::rfc3339(*since));
            Some(Waiting { what, since })
        };
        match node.kind {
            "source" => {
                let target = node.target.as_deref().unwrap_or_default();
                let committed = facts.snapshot.committed.get(target);
                node.partitions = committed.map(|partitions| partitions.len());
                node.lag = lag(facts, target);
                node.waiting_for = waits("source");
            }
            TRANSFORM => {
                let (lanes, version) = (facts.status.lanes, facts.status.version);
                let are = if lanes == 1 { "lane" } else { "lanes" };
                node.description = Some(format!("{lanes} {are}, version {version}"));
                node.busy = window.transform_busy(lanes);
            }
            "stage" => {
                let kept = facts.snapshot.stages.get(&node.name);
                node.keys = kept.map(|kept| kept.keys);
                node.bytes = kept.map(|kept| kept.bytes);
                // They run one after the other, and are measured together.
                node.busy = window.stages_busy().filter(|_| spec.stages.len() == 1);
            }
            "sink" => {
                node.busy = window.sink_busy(Some(&node.name));
                node.waiting_for = waits(&format!("sink `{}`", node.name));
            }
            _ => {
                node.busy = window.sink_busy(None);
                node.waiting_for = waits("dead letters");
            }
        }
        node.busy = node.busy.filter(|_| runs);
    }
    nodes
}

/// Records of one topic behind the ends of its partitions.
fn lag(facts: &JobFacts, topic: &str) -> Option<u64> {
    let ends = facts.snapshot.ends.get(topic)?;
    let mut lag = 0;
    for (id, committed) in facts.snapshot.committed.get(topic)? {
        lag += u64::try_from(ends.get(id)? - committed).unwrap_or(0);
    }
    (!ends.is_empty()).then_some(lag)
}
