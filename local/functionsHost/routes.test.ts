import { describe, expect, test } from "vitest";
import { RouteTable } from "./routes.js";

function tableOf(...templates: string[]): RouteTable<string> {
  const table = new RouteTable<string>();
  for (const template of templates) table.add(template, ["get"], template);
  return table;
}

describe("a route table", () => {
  test("takes the first that fits, and knows no better one", () => {
    const table = tableOf("a/{x:int}", "a/{x}", "a/b", "a/{*rest}");
    expect(table.find("GET", "/a/1")?.target).toBe("a/{x:int}");
    expect(table.find("GET", "/a/b")?.target).toBe("a/{x}");
    expect(table.find("GET", "/a/b/c")?.target).toBe("a/{*rest}");
  });

  test.each([
    ["{id:guid}", "/6f9619ff-8b86-d011-b42d-00cf4fc964ff", true],
    ["{id:guid}", "/6f9619ff", false],
    ["{id:int}", "/12", true],
    ["{id:int}", "/1.2", false],
    ["{id:alpha}", "/ab", true],
    ["{id:alpha}", "/a1", false],
    ["{id:bool}", "/TRUE", true],
    ["{id:int}", "/", false],
    ["{id:int?}", "/", true],
    ["x.y+z", "/X.Y+Z", true],
    ["x.y", "/xzy", false],
    ["", "/", true],
  ])("%s and %s: %s", (template, path, fits) => {
    expect(tableOf(template).find("GET", path) !== undefined).toBe(fits);
  });

  test("keeps a parameter named like a property of every object apart", () => {
    expect(tableOf("{constructor}/{toString?}").find("GET", "/a")?.params).toEqual({ constructor: "a" });
  });

  test.each([
    ["a{x}b", '"a{x}b" is not understood'],
    ["{x=5}", "is not understood"],
    ["{x:colour}", 'no constraint "colour"'],
    ["{x?}/y", "only the last segment"],
    ["{*x}/y", "only the last segment"],
  ])("refuses %s", (template, message) => {
    expect(() => tableOf(template)).toThrow(message);
  });
});
