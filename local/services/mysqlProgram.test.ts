import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { appArmorAdvice, findServer, requireOwnFiles } from "./mysqlProgram.js";

const root = mkdtempSync(join(tmpdir(), "nonstop-mysqld-"));
beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A program that says its version, and can do nothing else. */
function program(name: string, version: string): string {
  const path = join(root, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho "${path}  ${version}"\n`, { mode: 0o755 });
  return path;
}

describe("MYSQLD", () => {
  test("names the server that is run, whatever else is on the machine", async () => {
    const server = program("oracle/mysqld", "Ver 9.7.0 for Linux on x86_64 (MySQL Community Server - GPL)");
    expect(await findServer({ ...process.env, MYSQLD: server })).toMatchObject({ server, isMariaDb: false });
  });

  test("may be a MariaDB, prepared by the program of its own version", async () => {
    const server = program("sbin/mariadbd", "Ver 11.4.2-MariaDB");
    const install = program("bin/mariadb-install-db", "");
    expect(await findServer({ PATH: process.env["PATH"], MYSQLD: server })).toEqual({
      server,
      install,
      isMariaDb: true,
      version: "11.4.2-MariaDB",
    });
  });

  test("is known by what it says of its version, wherever it lies", async () => {
    const server = program(
      "mariadb-and-others/mysqld",
      "Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)",
    );
    expect(await findServer({ ...process.env, MYSQLD: server })).toMatchObject({ isMariaDb: false });
  });

  test("must be a database server", async () => {
    const server = program("bin/other", "1.0");
    await expect(findServer({ ...process.env, MYSQLD: server })).rejects.toThrow(
      `${server} is no MySQL or MariaDB server: asked for its version it says`,
    );
  });

  test("must be a path: a name alone is not looked for", async () => {
    await expect(findServer({ ...process.env, MYSQLD: "mysqld" })).rejects.toThrow("give the full path");
  });

  test.each(["missing/mysqld", "."])("must be a program that can be run: %s", async (name) => {
    const path = join(root, name);
    await expect(findServer({ ...process.env, MYSQLD: path })).rejects.toThrow(
      `MYSQLD=${path}: there is no program that can be run; give the full path of a mysqld or mariadbd`,
    );
  });
});

describe("a data folder", () => {
  const mysql = { server: "/usr/sbin/mysqld", isMariaDb: false };
  const mariadb = { server: "/usr/sbin/mariadbd", isMariaDb: true };

  test("of MySQL is not given to MariaDB, nor the other way round", () => {
    writeFileSync(join(root, "mysql.ibd"), "");
    requireOwnFiles(root, mysql);
    expect(() => requireOwnFiles(root, mariadb)).toThrow(
      `${root} was made by MySQL, and /usr/sbin/mariadbd can't use it: choose another folder with --data DIR, or MySQL's program with MYSQLD`,
    );
    rmSync(join(root, "mysql.ibd"));
    requireOwnFiles(root, mariadb);
    expect(() => requireOwnFiles(root, mysql)).toThrow("was made by MariaDB");
  });
});

describe("AppArmor", () => {
  beforeEach(() => mkdirSync(join(root, "etc/apparmor.d/disable"), { recursive: true }));

  test("is named where a profile is there for the program", () => {
    writeFileSync(join(root, "etc/apparmor.d/usr.sbin.mysqld"), "");
    expect(appArmorAdvice("/usr/sbin/mysqld", root)).toContain(
      `sudo ln -s ${join(root, "etc/apparmor.d/usr.sbin.mysqld")} /etc/apparmor.d/disable/`,
    );
    expect(appArmorAdvice("/opt/mysql/bin/mysqld", root)).toBeUndefined();
  });

  test("is not, where the profile is turned off", () => {
    writeFileSync(join(root, "etc/apparmor.d/usr.sbin.mysqld"), "");
    symlinkSync("../usr.sbin.mysqld", join(root, "etc/apparmor.d/disable/usr.sbin.mysqld"));
    expect(appArmorAdvice("/usr/sbin/mysqld", root)).toBeUndefined();
  });
});
