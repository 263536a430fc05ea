import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

const main = fileURLToPath(new URL("../tests/browser/shots.ts", import.meta.url));
const { module } = await runnerImport(main);
await module.main(process.argv.slice(2));
