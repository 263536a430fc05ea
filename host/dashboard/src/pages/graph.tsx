import { useMemo } from "preact/hooks";
import type { Graph, GraphEdge, GraphNode, NodeKind } from "../api/types.ts";
import { bytes, compact, percent, rate } from "../lib/format.ts";
import { curve, type Layout, layers, layout } from "../lib/layout.ts";
import { plural, visibleLine } from "../lib/text.ts";
import { stale } from "../state/live.ts";
import { href } from "../state/route.ts";
import { Icon, type IconName } from "../ui/icon.tsx";
import { Loading, Note, Panel } from "../ui/panel.tsx";
import { Said, Words } from "../ui/text.tsx";
import { useWidth } from "../ui/use.ts";

/** Below it the picture would be too small to read: the nodes are a list then. */
const PICTURE_MIN = 640;

export function GraphPanel({ graph, job }: { graph: Graph | null; job: string }) {
  const note = graph ? "rates of the last ten seconds" : undefined;
  return (
    <Panel title="Pipeline" note={note}>
      {graph ? (
        <>
          <Bottleneck graph={graph} />
          <GraphView graph={graph} job={job} />
        </>
      ) : (
        <Loading what="the pipeline" />
      )}
    </Panel>
  );
}

function Bottleneck({ graph }: { graph: Graph }) {
  const { bottleneck, nodes } = graph;
  const node = nodes.find((n) => n.id === bottleneck?.node);
  if (!bottleneck || !node || stale.value) return null;
  return (
    <Note tone="warn" icon="warn">
      <b>
        Bottleneck: {WORDS[node.kind]} <Said text={node.name} />.
      </b>{" "}
      <Words text={bottleneck.why} />
    </Note>
  );
}

/** The pipeline as a picture; on a narrow screen as a list. */
export function GraphView({ graph, job }: { graph: Graph; job: string | null }) {
  const [ref, width] = useWidth();
  // Rates change each second, the shape does not: it is placed anew only when it does.
  const shape =
    graph.nodes.map((n) => n.id).join("\n") + graph.edges.map((e) => `\n${e.from}\n${e.to}`).join("");
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  const placed = useMemo(() => layout(graph, width), [shape, width]);
  const view =
    width >= PICTURE_MIN ? (
      <Picture graph={graph} placed={placed} job={job} />
    ) : (
      <List graph={graph} job={job} />
    );
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="graph" ref={ref} tabIndex={0} aria-label="Picture of the pipeline">
      {width > 0 && view}
    </section>
  );
}

/** Layer after layer, each node with what comes into it. */
function List({ graph, job }: { graph: Graph; job: string | null }) {
  const layer = layers(graph);
  const nodes = graph.nodes.toSorted((a, b) => (layer.get(a.id) ?? 0) - (layer.get(b.id) ?? 0));
  return (
    <ol class="graph-list">
      {nodes.map((node) => (
        <li key={node.id}>
          <ul class="inputs">
            {graph.edges
              .filter((edge) => edge.to === node.id)
              .map((edge) => (
                <li key={`${edge.from} ${edge.unit}`}>
                  <Icon name="down" size={12} />{" "}
                  {edge.per_second !== null && <b>{stale.value ? "–" : rate(edge.per_second)}/s </b>}
                  {edge.unit.replace("-", " ")} from <Said text={nameOf(graph, edge.from)} />
                </li>
              ))}
          </ul>
          <NodeBox node={node} job={job} slow={graph.bottleneck?.node === node.id && !stale.value} />
        </li>
      ))}
    </ol>
  );
}

function nameOf(graph: Graph, id: string): string {
  return graph.nodes.find((node) => node.id === id)?.name ?? id;
}

interface PictureProps {
  graph: Graph;
  placed: Layout;
  job: string | null;
}

function Picture({ graph, placed, job }: PictureProps) {
  return (
    <div class="graph-canvas" style={{ width: px(placed.width), height: px(placed.height) }}>
      <svg width={placed.width} height={placed.height} aria-hidden="true" focusable="false">
        <defs>
          <marker
            id="arrow"
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="9"
            markerHeight="9"
            markerUnits="userSpaceOnUse"
            orient="auto"
          >
            <path d="M0 .8L7 4 0 7.2z" />
          </marker>
        </defs>
        {graph.edges.map((edge, i) => (
          <path
            key={`${edge.from} ${edge.to} ${edge.unit}`}
            class={edgeClass(edge)}
            d={curve(placed.edges[i]?.points ?? [])}
            stroke-width={thickness(edge)}
            marker-end="url(#arrow)"
          />
        ))}
      </svg>
      {graph.edges.map((edge, i) => (
        <EdgeLabel
          key={`${edge.from} ${edge.to} ${edge.unit}`}
          edge={edge}
          at={placed.edges[i]?.label ?? { x: 0, y: 0 }}
          graph={graph}
        />
      ))}
      {graph.nodes.map((node) => (
        <NodeBox
          key={node.id}
          node={node}
          box={{ ...(placed.nodes.get(node.id) ?? { x: 0, y: 0 }), ...placed.node }}
          job={job}
          slow={graph.bottleneck?.node === node.id && !stale.value}
        />
      ))}
    </div>
  );
}

function px(length: number): string {
  return `${length.toFixed(1)}px`;
}

function edgeClass(edge: GraphEdge): string {
  const flows = !stale.value && (edge.per_second ?? 0) > 0;
  return `edge edge-${edge.unit}${flows ? " flows" : ""}`;
}

/** From 1.2 at rest to 4.5 pixels at a million a second. */
function thickness(edge: GraphEdge): number {
  const flow = stale.value ? 0 : (edge.per_second ?? 0);
  return 1.2 + Math.min(3.3, Math.log10(1 + flow) * 0.55);
}

function EdgeLabel({ edge, at, graph }: { edge: GraphEdge; at: { x: number; y: number }; graph: Graph }) {
  if (edge.per_second === null) return null;
  const rests = stale.value || edge.per_second === 0;
  return (
    <p
      class={`edge-label${rests ? " rests" : ""}`}
      style={{ left: px(at.x), top: px(at.y) }}
      title={`${compact(edge.total)} ${edge.unit.replace("-", " ")} in all`}
    >
      <span class="sr-only">
        From <Said text={nameOf(graph, edge.from)} /> to <Said text={nameOf(graph, edge.to)} />,{" "}
        {edge.unit.replace("-", " ")}:{" "}
      </span>
      {stale.value ? "–" : rate(edge.per_second)}/s
    </p>
  );
}

const WORDS: Record<NodeKind, string> = {
  source: "source",
  transform: "transform",
  stage: "keyed stage",
  sink: "sink",
  "dead-letters": "dead letters",
};

const ICONS: Record<NodeKind, IconName> = {
  source: "source",
  transform: "transform",
  stage: "stage",
  sink: "sink",
  "dead-letters": "letter",
};

const PAGE_OF: Record<NodeKind, string> = {
  source: "watermarks",
  transform: "batches",
  stage: "stages",
  sink: "batches",
  "dead-letters": "dead-letters",
};

function facts(node: GraphNode): string {
  const parts: (string | null)[] = [
    node.lag === null ? null : `lag ${compact(node.lag)}`,
    node.partitions === null ? null : plural(node.partitions, "partition"),
    node.keys === null ? null : `${compact(node.keys)} keys`,
    node.bytes === null ? null : bytes(node.bytes),
    node.guarantee === null ? null : node.guarantee.replaceAll("-", " "),
  ];
  return parts.filter((part) => part !== null).join(" · ");
}

interface NodeProps {
  node: GraphNode;
  /** Where it is in the picture; none in the list. */
  box?: { x: number; y: number; width: number; height: number };
  job: string | null;
  slow: boolean;
}

function NodeBox({ node, box, job, slow }: NodeProps) {
  const place = [node.connector, node.target].filter(Boolean).join(" · ") || node.description || "";
  const mark = node.waiting_for ? "waits" : slow ? "bottleneck" : null;
  const inside = (
    <>
      <span class="node-kind">
        <Icon name={ICONS[node.kind]} size={14} />
        <span class={mark ? "sr-only" : ""}>{WORDS[node.kind]}</span>
        {mark && (
          <span class="node-mark">
            <Icon name={node.waiting_for ? "retrying" : "warn"} size={12} /> {mark}
          </span>
        )}
      </span>
      <span class="node-name" title={visibleLine(node.name)}>
        <Said text={node.name} />
      </span>
      <span class="node-place" title={visibleLine(place)}>
        <Said text={place} />
      </span>
      <span class="node-facts">{facts(node)}</span>
      {node.busy !== null && <Busy share={stale.value ? 0 : node.busy} />}
    </>
  );
  const style = box ? { left: px(box.x), top: px(box.y), width: px(box.width), height: px(box.height) } : {};
  const name = `node node-${node.kind}${slow ? " slow" : ""}${node.waiting_for ? " waits" : ""}`;
  if (job === null) {
    return (
      <div class={name} style={style}>
        {inside}
      </div>
    );
  }
  return (
    <a class={name} style={style} href={href(["jobs", job, PAGE_OF[node.kind]])}>
      {inside}
    </a>
  );
}

/** How much of its time the node works: a bar along its foot. */
function Busy({ share }: { share: number }) {
  return (
    <span class="busy">
      <span class="busy-bar" aria-hidden="true">
        <span style={{ width: `${Math.min(100, share * 100)}%` }} />
      </span>
      <span class="busy-text">busy {percent(share)}</span>
    </span>
  );
}
