// Reads objects of the Prometheus operator as a JSON list on the standard input, and holds them to its schemas.
// node operator.mjs DIRECTORY, which has node_modules.
import { readFileSync } from "node:fs";

const models = await import(
  `${process.argv[2]}/node_modules/@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/index.js`
);

let failed = false;
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const Model = models[object.kind];
  if (!Model) throw new Error(`the operator has no ${object.kind}`);
  try {
    new Model(object).validate();
  } catch (error) {
    failed = true;
    console.error(`${object.kind} ${object.metadata.name}: ${error.message}`);
  }
}
process.exit(failed ? 1 : 0);
