// Places a job's graph in layers, from left to right. Jobs have some dozens of nodes at most, so two
// sweeps of the barycentre method are enough, and a library for layouts would be larger than the page.

import type { Graph } from "../api/types.ts";

export interface Size {
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

export interface Layout extends Size {
  node: Size;
  /** The top left corner of each node. */
  nodes: Map<string, Point>;
  /** For each edge of the graph, in order: where it runs, and where its label is centred. */
  edges: { points: Point[]; label: Point }[];
}

const NODE_HEIGHT = 102;
const NODE_WIDTH = { least: 140, most: 216 };
/** Between two layers: room for an edge's label. */
const LAYER_GAP = { least: 64, liked: 92, most: 220 };
const NODE_GAP = 16;
/** Across the flow, for an edge that only passes a layer. */
const PASSING = 26;
/** Between the middles of two labels that stand below each other. */
const LABEL_GAP = 18;
/** Between the ends of two edges at one node. */
const PORT_GAP = 24;

interface Slot {
  id: string;
  /** The node it stands for; else an edge passes here. */
  real: boolean;
  layer: number;
  before: string[];
  after: string[];
}

/** The layer of each node: one behind the last that leads to it; what ends the graph is in the last one. */
export function layers(graph: Graph): Map<string, number> {
  const layer = new Map(graph.nodes.map((node) => [node.id, 0]));
  const edges = graph.edges.filter((edge) => layer.has(edge.from) && layer.has(edge.to));
  // As often as there are nodes: a circle, which no job has, ends then too.
  for (let turn = 0; turn < graph.nodes.length; turn += 1) {
    let moved = false;
    for (const { from, to } of edges) {
      const least = (layer.get(from) ?? 0) + 1;
      if ((layer.get(to) ?? 0) < least && least < graph.nodes.length) {
        layer.set(to, least);
        moved = true;
      }
    }
    if (!moved) break;
  }
  const last = Math.max(0, ...layer.values());
  for (const node of graph.nodes) {
    if (node.kind === "sink" || node.kind === "dead-letters") layer.set(node.id, last);
  }
  return layer;
}

/** A slot for each node, and one for each layer that an edge passes. */
function slots(graph: Graph): { all: Map<string, Slot>; paths: string[][] } {
  const layer = layers(graph);
  const all = new Map<string, Slot>();
  for (const node of graph.nodes) {
    all.set(node.id, { id: node.id, real: true, layer: layer.get(node.id) ?? 0, before: [], after: [] });
  }
  const paths = graph.edges.map((edge, i) => {
    const from = all.get(edge.from);
    const to = all.get(edge.to);
    if (!from || !to) return [];
    const path = [from.id];
    for (let between = from.layer + 1; between < to.layer; between += 1) {
      const id = `edge ${i} ${between}`;
      all.set(id, { id, real: false, layer: between, before: [], after: [] });
      path.push(id);
    }
    path.push(to.id);
    path.slice(1).forEach((id, at) => {
      all.get(path[at] ?? "")?.after.push(id);
      all.get(id)?.before.push(path[at] ?? "");
    });
    return path;
  });
  return { all, paths };
}

/** The slots of each layer from top to bottom, so that few edges cross. Dead letters are at the bottom. */
function ordered(graph: Graph, all: Map<string, Slot>): Slot[][] {
  const bottom = new Set(graph.nodes.filter((node) => node.kind === "dead-letters").map((node) => node.id));
  const rows: Slot[][] = [];
  for (const slot of all.values()) {
    const row = rows[slot.layer] ?? [];
    row.push(slot);
    rows[slot.layer] = row;
  }
  const at = new Map<string, number>();
  const note = (row: Slot[]) => {
    row.forEach((slot, i) => {
      at.set(slot.id, row.length < 2 ? 0.5 : i / (row.length - 1));
    });
  };
  const sweep = (row: Slot[], near: (slot: Slot) => string[]) => {
    const middle = (slot: Slot) => {
      const places = near(slot).map((id) => at.get(id) ?? 0.5);
      return places.length > 0 ? places.reduce((a, b) => a + b, 0) / places.length : (at.get(slot.id) ?? 0.5);
    };
    const weights = new Map(row.map((slot) => [slot, middle(slot) + (leadsTo(slot, all, bottom) ? 10 : 0)]));
    row.sort((a, b) => (weights.get(a) ?? 0) - (weights.get(b) ?? 0));
    note(row);
  };
  for (const row of rows) note(row);
  for (let turn = 0; turn < 2; turn += 1) {
    for (const row of rows) sweep(row, (slot) => slot.before);
    for (const row of rows.toReversed()) sweep(row, (slot) => slot.after);
  }
  for (const row of rows) sweep(row, (slot) => slot.before);
  return rows;
}

/** Whether it is one of the nodes, or a stretch of an edge to one. */
function leadsTo(slot: Slot, all: Map<string, Slot>, nodes: Set<string>): boolean {
  let at: Slot | undefined = slot;
  while (at && !at.real) at = all.get(at.after[0] ?? "");
  return at !== undefined && nodes.has(at.id);
}

function clamp(value: number, { least, most }: { least: number; most: number }): number {
  return Math.min(most, Math.max(least, value));
}

/** Where everything goes in so much width; more is taken where nodes would be too narrow to read. */
export function layout(graph: Graph, available: number): Layout {
  const { all, paths } = slots(graph);
  const rows = ordered(graph, all);
  const gaps = Math.max(1, rows.length - 1);
  const width = clamp((available - gaps * LAYER_GAP.liked) / rows.length, NODE_WIDTH);
  const gap = clamp((available - rows.length * width) / gaps, LAYER_GAP);
  const extent = (row: Slot[]) =>
    row.reduce((sum, s) => sum + (s.real ? NODE_HEIGHT : PASSING) + NODE_GAP, -NODE_GAP);
  const height = Math.max(0, ...rows.map(extent));
  const centre = new Map<string, Point>();
  rows.forEach((row, layer) => {
    let y = (height - extent(row)) / 2;
    for (const slot of row) {
      const size = slot.real ? NODE_HEIGHT : PASSING;
      centre.set(slot.id, { x: layer * (width + gap) + width / 2, y: y + size / 2 });
      y += size + NODE_GAP;
    }
  });
  const nodes = new Map<string, Point>();
  for (const { id } of graph.nodes) {
    const at = centre.get(id) ?? { x: 0, y: 0 };
    nodes.set(id, { x: at.x - width / 2, y: at.y - NODE_HEIGHT / 2 });
  }
  return {
    nodes,
    node: { width, height: NODE_HEIGHT },
    edges: spread(paths.map((path) => route(path, centre, all, width))),
    width: rows.length * width + (rows.length - 1) * gap,
    height,
  };
}

/**
 * The points of one edge. Edges leave and enter a node side by side, in the order of where they go, and
 * run level past the layers between: they bend in the gaps alone.
 */
function route(path: string[], centre: Map<string, Point>, all: Map<string, Slot>, width: number) {
  const y = (id: string) => centre.get(id)?.y ?? 0;
  const end = (id: string, other: string, out: boolean): Point => {
    const at = centre.get(id) ?? { x: 0, y: 0 };
    const slot = all.get(id);
    const x = at.x + (out ? width / 2 : -width / 2);
    if (!slot?.real) return { x, y: at.y };
    const others = (out ? slot.after : slot.before).toSorted((a, b) => y(a) - y(b));
    const room = Math.min(PORT_GAP, (NODE_HEIGHT * 0.8) / others.length);
    return { x, y: at.y + (others.indexOf(other) - (others.length - 1) / 2) * room };
  };
  const points = path.flatMap((id, i) => {
    const [before, after] = [path[i - 1], path[i + 1]];
    return [
      before === undefined ? [] : end(id, before, false),
      after === undefined ? [] : end(id, after, true),
    ].flat();
  });
  const [from, to] = points.slice(-2);
  if (!from || !to) return { points, label: { x: 0, y: 0 } };
  return { points, label: { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 } };
}

/** Moves labels of one gap between layers apart, so that all can be read. */
function spread<T extends { label: Point }>(edges: T[]): T[] {
  const lowest = new Map<number, number>();
  for (const { label } of edges.toSorted((a, b) => a.label.y - b.label.y)) {
    const gap = Math.round(label.x);
    label.y = Math.max(label.y, (lowest.get(gap) ?? Number.NEGATIVE_INFINITY) + LABEL_GAP);
    lowest.set(gap, label.y);
  }
  return edges;
}

/** A smooth line through the points, level where it leaves and arrives. */
export function curve(points: Point[]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let from = first;
  let path = `M${round(first.x)} ${round(first.y)}`;
  for (const to of rest) {
    const middle = round((from.x + to.x) / 2);
    path += `C${middle} ${round(from.y)} ${middle} ${round(to.y)} ${round(to.x)} ${round(to.y)}`;
    from = to;
  }
  return path;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
