/**
 * Makes the folder that is deployed: the app compiled anew, the files it reads, and its packages without
 * those for developers. Plain JavaScript without packages.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { productionLock, productionManifest } from "./packageLock.mjs";
import { npmCi } from "./setupBuild.mjs";
import { SetupError, say } from "./setupLock.mjs";
import { run } from "./setupRun.mjs";

/** Of the sources, what the app reads as it is (`shared/platform/sourceFolder.ts`). */
const READ_AS_IS = /\.(sql|lua)$/;
/**
 * What Node never loads: maps, which only a debugger reads, and sources and types of TypeScript. They are two
 * thirds of the packages' size.
 */
const NEVER_LOADED = /\.(map|[cm]?ts)$/;

/** Makes `target` anew. What lay there stays until all of it is ready. */
export async function stagePackage(root, target) {
  const unfinished = `${target}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  await compile(root, unfinished);
  for (const file of ["host.json", ...filesBelow(join(root, "shared"), READ_AS_IS)])
    cpSync(join(root, file), join(unfinished, file), { recursive: true });
  writeManifests(root, unfinished);
  await installPackages(unfinished);
  prune(unfinished);
  rmSync(target, { recursive: true, force: true });
  renameSync(unfinished, target);
}

/** Every file of the package, by its path with slashes, in an order that no machine changes. */
export function listPackage(folder) {
  return filesBelow(folder, /./, folder).map((file) => file.split(sep).join("/"));
}

/** The files below a folder of the project, from its top folder on. */
function filesBelow(folder, name, root = dirname(folder)) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && name.test(entry.name));
  return files.map((entry) => relative(root, join(entry.parentPath, entry.name))).sort();
}

/** Not `dist` as it is: output whose source is gone would be loaded and deployed. */
async function compile(root, folder) {
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const project = ["-p", "tsconfig.build.json", "--noEmitOnError", "--outDir", join(folder, "dist")];
  const alone = ["--composite", "false", "--incremental", "false", "--tsBuildInfoFile", "null"];
  const bare = ["--declaration", "false", "--sourceMap", "false"];
  say("package: compiling the app...");
  const args = [compiler, ...project, ...alone, ...bare];
  if ((await run(process.execPath, args, { cwd: root, name: "the compiler" })) !== 0)
    throw new SetupError("the app can't be compiled: correct the errors above");
}

function writeManifests(root, folder) {
  const read = (name) => JSON.parse(readFileSync(join(root, name), "utf8"));
  const manifest = productionManifest(read("package.json"));
  const lock = productionLock(read("package-lock.json"), manifest);
  const write = (name, content) => writeFileSync(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
  write("package.json", manifest);
  write("package-lock.json", lock);
}

async function installPackages(folder) {
  say("package: installing what the app needs...");
  // What is optional is programs of one kind of machine, in place of code that runs on each.
  const options = [
    "--omit=dev",
    "--omit=optional",
    "--ignore-scripts",
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
  ];
  // An npm that runs this command has said with which settings it runs. They are not meant for this folder.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  if ((await npmCi(options, { cwd: folder, env })) !== 0)
    throw new SetupError("npm ci failed in the package, its messages above say why");
}

/** Takes out what the app never loads, and npm's links to commands and its note. */
function prune(folder) {
  const modules = join(folder, "node_modules");
  rmSync(join(modules, ".package-lock.json"));
  for (const entry of readdirSync(modules, { recursive: true, withFileTypes: true }))
    if (entry.name === ".bin") rmSync(join(entry.parentPath, entry.name), { recursive: true });
  for (const file of filesBelow(modules, NEVER_LOADED)) rmSync(join(folder, file));
  for (const file of filesBelow(modules, /\.node$/))
    throw new SetupError(
      `${file} is made for this machine, so it may not run in Azure: take another package`,
    );
  if (!existsSync(join(folder, "dist/functions"))) throw new SetupError("the compiler made no functions");
}
