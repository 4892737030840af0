import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const list = (...patterns: readonly string[]): string[] =>
  execFileSync("git", ["ls-files", ...patterns], { cwd: root, encoding: "utf8" })
    .split("\n")
    .filter(Boolean);
const pages = list("*.md").map((path) => [path, readFileSync(join(root, path), "utf8")] as const);

/** The anchor of a heading, as GitHub makes it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

const anchorsOf = (page: string): string[] =>
  [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading!));

test.each(pages)("the links of %s lead to something", (path, page) => {
  const links = [...page.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!);
  const dead = links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [file = "", anchor] = link.split("#");
    const target = file === "" ? path : join(dirname(path), file);
    if (!existsSync(join(root, target))) return true;
    return anchor !== undefined && !anchorsOf(readFileSync(join(root, target), "utf8")).includes(anchor);
  });
  expect(dead).toEqual([]);
});

test.each(pages)("the sources that %s names exist", (path, page) => {
  const named = [
    ...page.matchAll(/`((?:shared|functions|local|tests|bench|client|web|infra)\/[\w./-]+\.\w+)`/g),
  ];
  // A word in capitals stands for another one.
  const missing = named
    .map(([, file]) => file!)
    .filter((file) => !/\/[A-Z]{4,}[_.]/.test(file) && !existsSync(join(root, file)));
  expect([path, missing]).toEqual([path, []]);
});
