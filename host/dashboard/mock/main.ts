import { fileURLToPath } from "node:url";
import { serve } from "./server.ts";
import { World } from "./world.ts";

const USAGE = "npm run mock -- [--port N] [--token TOKEN [--role read|operate|deploy]]";
const ROLES = ["read", "operate", "deploy"] as const;

/** `npm run mock`: the built page over a simulated host. */
export async function main(args: string[]): Promise<void> {
  const value = (name: string) => {
    const at = args.indexOf(name);
    return at < 0 ? undefined : args[at + 1];
  };
  if (args.includes("--help")) return console.log(USAGE);
  const token = value("--token");
  const role = ROLES.find((one) => one === value("--role"));
  const dist = fileURLToPath(new URL("../dist", import.meta.url));
  const mock = await serve(
    new World(),
    { dist, ...(token ? { token } : {}), ...(role ? { role } : {}) },
    Number(value("--port") ?? 7171),
  );
  console.log(`${mock.url}  a simulated host${token ? `, token ${token}` : ""}; Ctrl-C ends it`);
}
