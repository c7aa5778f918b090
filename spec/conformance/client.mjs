// The client under test of the suites' client scenarios: does with lunette's own commands what the scenario named in
// the environment asks for. Called with the URL of the scenario's server; LUNETTE_BIN is the binary.
// `client.mjs --scenarios` prints the names of those it knows.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

function lunette(...args) {
  const run = spawnSync(process.env.LUNETTE_BIN, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  process.stdout.write(run.stdout);
  if (run.status !== 0) throw new Error(`lunette ${args[0]} ended with ${run.status ?? run.signal}`);
  return run.stdout;
}

const accepting = fileURLToPath(new URL("accept.lua", import.meta.url));

const scenarios = {
  initialize: (url) => lunette("list", url),
  tools_call: (url) => lunette("call", url, "add_numbers", "a=5", "b=3"),
  "elicitation-sep1034-client-defaults": (url) => lunette("call", url, "test_client_elicitation_defaults", "--policy", accepting),
  "sse-retry": (url) => lunette("call", url, "test_reconnection"),
  "json-schema-2020-12-preservation": (url) => {
    const { tools } = JSON.parse(lunette("list", url, "--json"));
    const [{ inputSchema: schema }, { name }] = ["$schema", "properties"].map((key, i) =>
      tools.find(({ inputSchema }) => key in inputSchema && ("$schema" in inputSchema) === (i === 0)));
    lunette("call", url, name, "--args", JSON.stringify({ schema }));
  },
};

const [argument] = process.argv.slice(2);
if (argument === "--scenarios") {
  console.log(Object.keys(scenarios).join("\n"));
} else {
  scenarios[process.env.MCP_CONFORMANCE_SCENARIO](argument);
}
