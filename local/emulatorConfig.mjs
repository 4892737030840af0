/**
 * Writes what the vendor's Event Hubs emulator is told (docker-compose.yml), made of the table of hubs:
 *
 *   node local/emulatorConfig.mjs
 *
 * Plain JavaScript without packages.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const TABLE = new URL("hubs.json", import.meta.url);
const TARGET = new URL("eventHubsEmulator.json", import.meta.url);

/** The emulator's configuration. It has one namespace, of this name, keeps events for an hour, and has `$Default`. */
export function emulatorConfig({ hubs }) {
  const entities = Object.entries(hubs).map(([name, { partitions, consumerGroups }]) => ({
    Name: name,
    PartitionCount: partitions,
    ConsumerGroups: consumerGroups.map((group) => ({ Name: group })),
  }));
  const namespace = { Type: "EventHub", Name: "emulatorNs1", Entities: entities };
  return { UserConfig: { NamespaceConfig: [namespace], LoggingConfig: { Type: "File" } } };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const config = emulatorConfig(JSON.parse(readFileSync(TABLE, "utf8")));
  writeFileSync(TARGET, `${JSON.stringify(config, null, 2)}\n`);
}
