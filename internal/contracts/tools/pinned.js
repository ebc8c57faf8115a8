// Prints the program of a package of node_modules: node pinned.js NAME@VERSION. It fails if
// package-lock.json pins another version.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [, name, version] = /^(.+)@(.+)$/.exec(process.argv[2]);
const folder = join(import.meta.dirname, "node_modules", name);
const { bin, version: pinned } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
if (pinned !== version) throw new Error(`${name} is pinned to ${pinned}, not ${version}`);
console.log(join(folder, typeof bin === "string" ? bin : (bin[name.split("/").pop()] ?? Object.values(bin)[0])));
