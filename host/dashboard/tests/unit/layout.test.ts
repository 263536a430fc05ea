import { expect, test } from "vitest";
import { JOBS } from "../../mock/jobs.ts";
import { graph } from "../../mock/views.ts";
import { World } from "../../mock/world.ts";
import type { Graph } from "../../src/api/types.ts";
import { curve, layers, layout } from "../../src/lib/layout.ts";

const world = new World({ swapAfter: 0, now: () => 1_796_047_380_000 });
const GRAPHS = JOBS.map(({ name }): [string, Graph] => [name, graph(world.job(name), world.now())]);

test.each(GRAPHS)("%s: edges go to the right, nothing overlaps", (_, shape) => {
  const layer = layers(shape);
  for (const edge of shape.edges) expect(layer.get(edge.from)).toBeLessThan(layer.get(edge.to) ?? -1);
  for (const available of [0, 640, 1200, 3000]) {
    const placed = layout(shape, available);
    const boxes = [...placed.nodes.values()];
    expect(boxes).toHaveLength(shape.nodes.length);
    const { width, height } = placed.node;
    for (const [i, a] of boxes.entries()) {
      expect(a.x).toBeGreaterThanOrEqual(0);
      expect(a.x + width).toBeLessThanOrEqual(placed.width + 0.01);
      expect(a.y + height).toBeLessThanOrEqual(placed.height + 0.01);
      for (const b of boxes.slice(i + 1)) {
        expect(a.x + width <= b.x || b.x + width <= a.x || a.y + height <= b.y || b.y + height <= a.y).toBe(
          true,
        );
      }
    }
  }
});

test.each(GRAPHS)("%s: labels can be read", (_, shape) => {
  const placed = layout(shape, 1200);
  const { width } = placed.node;
  for (const [i, a] of placed.edges.entries()) {
    for (const node of placed.nodes.values())
      expect(Math.abs(a.label.x - node.x - width / 2)).toBeGreaterThan(width / 2);
    for (const b of placed.edges.slice(i + 1)) {
      const apart = Math.abs(a.label.x - b.label.x) > 40 || Math.abs(a.label.y - b.label.y) >= 17.9;
      expect(apart).toBe(true);
    }
  }
});

test("the same graph is placed in the same way", () => {
  for (const [, shape] of GRAPHS) expect(layout(shape, 1200)).toEqual(layout(structuredClone(shape), 1200));
});

test("what no job has does no harm", () => {
  const node = { ...(GRAPHS[0]?.[1].nodes[0] as Graph["nodes"][number]), kind: "stage" as const };
  const edge = { unit: "records" as const, total: 0, per_second: 0 };
  const circle: Graph = {
    nodes: [
      { ...node, id: "a" },
      { ...node, id: "b" },
    ],
    edges: [
      { from: "a", to: "b", ...edge },
      { from: "b", to: "a", ...edge },
      { from: "a", to: "missing", ...edge },
    ],
    bottleneck: null,
  };
  expect(layout(circle, 800).nodes.size).toBe(2);
  expect(layout({ nodes: [], edges: [], bottleneck: null }, 800).nodes.size).toBe(0);
  expect(curve([])).toBe("");
});
