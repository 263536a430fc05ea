// Proves that `dist` is what the source builds: builds beside it and compares byte for byte.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
const built = mkdtempSync(join(tmpdir(), "dashboard-"));
const faults = [];
try {
  await build({ root, logLevel: "error", build: { outDir: built, emptyOutDir: true } });
  const names = (folder) => readdirSync(folder, { recursive: true }).map(String).sort();
  const [kept, made] = [names(join(root, "dist")), names(built)];
  for (const name of new Set([...kept, ...made])) {
    if (!kept.includes(name)) faults.push(`${name} is not in dist`);
    else if (!made.includes(name)) faults.push(`${name} is in dist, and the source does not build it`);
    else if (!readFileSync(join(root, "dist", name)).equals(readFileSync(join(built, name))))
      faults.push(`${name} differs`);
  }
} finally {
  rmSync(built, { recursive: true });
}
if (faults.length > 0) {
  console.error(
    `dist is not what the source builds:\n  ${faults.join("\n  ")}\nRun \`npm run build\` and commit dist.`,
  );
  process.exit(1);
}
console.log("dist is what the source builds");
