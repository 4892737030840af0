import Module from "node:module";
import type { FunctionMetadata, Handler, Hook, ProgrammingModel } from "./rpc.js";

/** The functions and hooks that an app registers while its files load. */
export interface Registrations {
  registerFunction(metadata: FunctionMetadata, handler: Handler): void;
  removeFunction(metadata: FunctionMetadata): void;
  hooks: Map<string, Hook[]>;
  log(level: string, category: string, message: string): void;
}

interface Requiring {
  require(this: unknown, id: string): unknown;
}

/** Undoes a registration once; the library expects this class from its host. */
class Disposable {
  #undo: (() => void) | undefined;
  constructor(undo?: () => void) {
    this.#undo = undo;
  }
  static from(...several: { dispose?(): unknown }[]): Disposable {
    return new Disposable(() => {
      for (const one of several) one?.dispose?.();
    });
  }
  dispose(): void {
    this.#undo?.();
    this.#undo = undefined;
  }
}

let receiver: Registrations | undefined;
let model: ProgrammingModel | undefined;
let installed = false;

/**
 * Makes the module `@azure/functions-core` available to every `require`, and sends everything that is
 * registered with it to `to`. The library asks for the module once per process and keeps it. So a process has
 * one such module, and one app at a time behind it. Throws when another app is running here. Returns a
 * function that ends the connection.
 */
export function provideCoreModule(to: Registrations): () => void {
  if (receiver !== undefined)
    throw new Error(
      "one process runs one Functions app: close the other one, or start this one in its own process",
    );
  receiver = to;
  if (!installed) install();
  return () => {
    receiver = undefined;
  };
}

/** The library's own part, which exists once the app has registered something. */
export function programmingModel(): ProgrammingModel | undefined {
  return model;
}

/**
 * This is a require hook and not a file in node_modules: in Azure, too, the worker provides this module, and
 * an app that finds one on its disk would behave differently there.
 */
function install(): void {
  installed = true;
  const prototype = Module.prototype as unknown as Requiring;
  const original = prototype.require;
  prototype.require = function (id) {
    return id === "@azure/functions-core" ? core : original.call(this, id);
  };
}

function current(): Registrations {
  if (receiver === undefined)
    throw new Error("functions and hooks can be registered only while the app is loaded");
  return receiver;
}

const HOOK_NAMES = ["preInvocation", "postInvocation", "appStart", "appTerminate", "log"];

const core = {
  version: "3.99.0",
  hostVersion: "4.99.0",
  Disposable,
  registerFunction(metadata: FunctionMetadata, handler: Handler) {
    const registrations = current();
    registrations.registerFunction(metadata, handler);
    return new Disposable(() => registrations.removeFunction(metadata));
  },
  registerHook(name: string, hook: Hook) {
    if (!HOOK_NAMES.includes(name)) throw new RangeError(`there is no hook "${name}"`);
    const { hooks } = current();
    hooks.set(name, [...(hooks.get(name) ?? []), hook]);
    return new Disposable(() => hooks.set(name, hooks.get(name)?.filter((one) => one !== hook) ?? []));
  },
  setProgrammingModel(given: ProgrammingModel) {
    model = given;
  },
  getProgrammingModel: () => model,
  log(level: string, category: string, message: string) {
    receiver?.log(level, category, message);
  },
};
