// Makes collections for Postman and Bruno of openapi.yaml: node collections.js FOLDER. The same
// contract gives the same bytes.
import { readFile, writeFile, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { contract, run, tool } from "./kit.js";

const url = "http://127.0.0.1:8080";
const folder = resolve(process.argv[2]);
await mkdir(folder, { recursive: true });
const path = (name) => join(folder, `apikeyd.${name}_collection.json`);

/** Without the ids that both tools invent, and invent again when they import. */
function settled(value) {
  if (Array.isArray(value)) return value.map(settled);
  if (!value || typeof value !== "object") return value;
  const random = (name) =>
    ["_postman_id", "uid", "itemUid"].includes(name) || (name === "id" && ("request" in value || "originalRequest" in value));
  return Object.fromEntries(
    Object.entries(value).filter(([name]) => !random(name)).map(([name, inner]) => [name, settled(inner)]),
  );
}

async function finish(name, change) {
  const collection = settled(JSON.parse(await readFile(path(name), "utf8")));
  change(collection);
  await writeFile(path(name), JSON.stringify(collection) + "\n");
}

await run(tool("openapi2postmanv2"), [
  "-s", contract, "-o", path("postman"), "-O", "folderStrategy=Tags,parametersResolution=Example,enableOptionalParameters=false",
]);
await finish("postman", (collection) => {
  collection.variable = [{ key: "baseUrl", value: url }, { key: "apiKey", value: "" }, { key: "bearerToken", value: "" }];
});

await run(tool("bru"), ["import", "openapi", "--source", contract, "--output-file", path("bruno"), "--collection-name", "apikeyd"]);
await finish("bruno", (collection) => {
  collection.environments = [{
    name: "local",
    variables: [
      { name: "baseUrl", value: url, type: "text", enabled: true, secret: false },
      { name: "apiKey", value: "", type: "text", enabled: true, secret: true },
    ],
  }];
});
