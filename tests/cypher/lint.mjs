// Lints Cypher files with Neo4j's own language support: node lint.mjs FILE…
// Prints one line a finding and exits with 1 where there is one. Knows the header's parameters line, so that an
// undeclared parameter is a finding. Two unique look-ups side by side are meant, and so is id(), by which paths are
// counted a quarter cheaper than by node (suggestions.cypher); those warnings are left out.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { lintCypherQuery } from "@neo4j-cypher/language-support";

const EXPECTED = [/cartesian product/i, /deprecated function\. \('id' has been replaced/];
const SCHEMA = {
  labels: ["User", "Online", "Outbox", "__Neo4jMigration", "__FriendsMigrationLock"],
  relationshipTypes: ["FRIEND", "REQUESTED", "BLOCKED", "MIGRATED_TO"],
};

function declared(text) {
  const header = text.split("\n").filter((line) => line.startsWith("//")).map((line) => line.slice(2).trim());
  const start = header.findIndex((line) => line.startsWith("parameters:"));
  if (start < 0) return {};
  const end = header.findIndex((line, index) => index > start && /^(returns|locks|plan):/.test(line));
  const words = header.slice(start, end < 0 ? undefined : end).join(" ").slice("parameters:".length);
  return Object.fromEntries([...words.matchAll(/\b(\w+)\b/g)].map(([, name]) => [name, ""]));
}

let findings = 0;
if (process.argv.length === 2) {
  console.log("no query files were given");
  process.exit(2);
}
for (const file of process.argv.slice(2)) {
  const text = readFileSync(file, "utf8");
  const { diagnostics } = lintCypherQuery(text, { ...SCHEMA, parameters: declared(text) });
  for (const { message, range } of diagnostics) {
    if (EXPECTED.some((pattern) => pattern.test(message))) continue;
    findings += 1;
    console.log(`${basename(file)}:${range.start.line + 1}: ${message}`);
  }
}
console.log(`${process.argv.length - 2} files, ${findings} findings`);
process.exit(findings ? 1 : 0);
