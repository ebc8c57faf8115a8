// What generators make of openapi.yaml: each client compiles with tsc --strict and does what
// generators/program.ts asks of it, against the service.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { contract, run, service, tool } from "./kit.js";

const here = import.meta.dirname;
const generated = join(here, "generated");
const at = (name) => join(generated, name);

const orval = (version, client) => async () => {
  const config = at(`orval${version}.config.mjs`);
  await writeFile(config, `export default { api: { input: ${JSON.stringify(contract)}, output: {
    target: ${JSON.stringify(join(at(`orval${version}`), "api.ts"))}, client: "${client}",
    urlEncodeParameters: true } } };`); // else 8 writes path parameters as they are; 7 always does
  await run("node", [join(here, `node_modules/orval${version}/dist/bin/orval.${version === 7 ? "js" : "mjs"}`), "--config", config]);
};

const kubb = async () => {
  const config = at("kubb.config.mjs");
  await writeFile(config, `
    import { defineConfig } from "@kubb/core";
    import { pluginClient } from "@kubb/plugin-client";
    import { pluginOas } from "@kubb/plugin-oas";
    import { pluginTs } from "@kubb/plugin-ts";
    export default defineConfig({
      root: ${JSON.stringify(here)}, input: { path: ${JSON.stringify(contract)} },
      output: { path: ${JSON.stringify(at("kubb"))}, format: false },
      plugins: [pluginOas(), pluginTs(), pluginClient({ importPath: "../../../generators/kubb-client" })],
    });`);
  await run(tool("kubb"), ["generate", "--config", config]);
};

const generators = {
  "hey-api": () => run(tool("openapi-ts"), ["-i", contract, "-o", at("hey-api"), "-c", "@hey-api/client-fetch"]),
  "openapi-typescript": () => run(tool("openapi-typescript"), [contract, "-o", join(at("openapi-typescript"), "api.ts")]),
  orval7: orval(7, "axios-functions"),
  orval8: orval(8, "fetch"),
  "openapi-zod-client": () => run(tool("openapi-zod-client"), [contract, "-o", join(at("openapi-zod-client"), "api.ts")]),
  "swagger-typescript-api": () => run(tool("swagger-typescript-api"), ["generate", "-p", contract, "-o", at("swagger-typescript-api"), "-n", "api.ts"]),
  // Its command is called openapi, and so is one of Redocly's: which of them .bin has is up to npm.
  "openapi-typescript-codegen": () => run("node", [join(here, "node_modules/openapi-typescript-codegen/bin/index.js"), "--input", contract, "--output", at("openapi-typescript-codegen"), "--useOptions"]),
  kubb,
};

before(() => rm(generated, { recursive: true, force: true }));
after(() => rm(generated, { recursive: true, force: true }));

for (const [name, generate] of Object.entries(generators)) {
  test(name, async (t) => {
    await mkdir(at(name), { recursive: true });
    await generate();
    const project = at(`${name}.tsconfig.json`);
    await writeFile(project, JSON.stringify({ extends: "../generators/tsconfig.json", files: [`../generators/${name}.ts`] }));
    await run(tool("tsc"), ["-p", project]);
    const program = at(`${name}.mjs`);
    await run(tool("esbuild"), [
      `generators/${name}.ts`, "--bundle", "--platform=node", "--format=esm", "--packages=external", `--outfile=${program}`,
    ]);
    const { url, key } = await service(t);
    await run("node", [program], { env: { URL: url, KEY: key } });
  });
}

// Go's generators are pinned in generators/go/go.mod.
const go = { cwd: join(here, "generators/go"), env: { CGO_ENABLED: "0", GOFLAGS: "-mod=readonly -trimpath", GOWORK: "off" } };
for (const [name, ...generate] of [
  ["ogen", "ogen", "--target", "generated/ogen", "--package", "api", "--clean", contract],
  ["oapi", "oapi-codegen", "--config", "oapi-codegen.yaml", contract],
]) {
  test(`${name}, in Go`, async (t) => {
    await mkdir(join(go.cwd, "generated", name), { recursive: true });
    await run("go", ["tool", ...generate], go);
    await run("go", ["vet", `./${name}`, `./generated/${name}`], go);
    const { url, key } = await service(t);
    await run("go", ["run", `./${name}`], { ...go, env: { ...go.env, URL: url, KEY: key } });
  });
}

// Perl's OpenAPI::Client is Debian's libopenapi-client-perl.
test("OpenAPI::Client, in Perl", async (t) => {
  const missing = await run("perl", ["-MOpenAPI::Client", "-e", "1"]).then(() => false, () => true);
  if (missing && !process.env.CI) return t.skip("libopenapi-client-perl is missing");
  const { url, key } = await service(t);
  await run("perl", ["generators/openapi-client.pl"], { env: { CONTRACT: contract, URL: url, KEY: key } });
});
