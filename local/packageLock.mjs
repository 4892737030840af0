/**
 * The deployed app's own `package.json` and `package-lock.json`, made of the project's. Plain JavaScript
 * without packages.
 */

/** What the Functions host and npm need to know of the app. */
const KEPT = ["name", "version", "private", "license", "type", "main", "engines", "dependencies"];

/**
 * The project's `package.json` without what is for developers: workspaces, scripts, their dependencies, and
 * the optional ones (Core Tools, some hundred megabytes).
 */
export function productionManifest(manifest) {
  return Object.fromEntries(KEPT.filter((key) => key in manifest).map((key) => [key, manifest[key]]));
}

/**
 * The part of `lock` that `manifest` needs, so that `npm ci` takes the two together. Throws where the lock
 * lacks a package that another one needs.
 */
export function productionLock(lock, manifest) {
  const { name, version, license, engines, dependencies } = manifest;
  const kept = { "": { name, version, license, dependencies, engines } };
  const waiting = Object.keys(dependencies).map((wanted) => ["", wanted, true]);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [from, wanted, isNeeded] = next;
    const path = resolve(lock.packages, from, wanted);
    if (path === undefined && isNeeded)
      throw new Error(
        `package-lock.json has no ${wanted}, which ${from || "the app"} needs: run npm install`,
      );
    if (path === undefined || path in kept) continue;
    const { dev: _, devOptional: __, ...entry } = lock.packages[path];
    kept[path] = entry;
    for (const [dependency, needed] of wantedBy(entry)) waiting.push([path, dependency, needed]);
  }
  const packages = Object.fromEntries(Object.entries(kept).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { name, version, lockfileVersion: lock.lockfileVersion, requires: true, packages };
}

/** The dependencies of a package, each with whether it must be there. */
function wantedBy({
  dependencies = {},
  peerDependencies = {},
  peerDependenciesMeta = {},
  optionalDependencies = {},
}) {
  const peers = Object.keys(peerDependencies).filter((peer) => !peerDependenciesMeta[peer]?.optional);
  return [
    ...[...Object.keys(dependencies), ...peers].map((wanted) => [wanted, true]),
    ...Object.keys(optionalDependencies).map((wanted) => [wanted, false]),
  ];
}

/** Where Node finds `wanted` from the package at `from`: beside it, or in the folders above. */
function resolve(packages, from, wanted) {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    const path = `${folder && `${folder}/`}node_modules/${wanted}`;
    if (path in packages) return path;
    if (folder === "") return undefined;
  }
}
