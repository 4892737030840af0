import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { programmingModel, provideCoreModule } from "./coreModule.js";
import { describe, type Level, type Log, parseLevel } from "./log.js";
import type {
  CoreContext,
  FunctionMetadata,
  Handler,
  Hook,
  InvocationRequest,
  InvocationResponse,
  RegisteredFunction,
} from "./rpc.js";

export interface WorkerOptions {
  readonly app: string;
  readonly files: readonly string[];
  readonly log: Log;
  /** Milliseconds. `undefined` is no limit. */
  readonly functionTimeout: number | undefined;
  /** Called once a function ran past `functionTimeout`. The process must end then, as it does in Azure. */
  readonly onTimeout: (message: string) => void;
}

let loads = 0;

/** One loaded app: its functions and hooks, and the way to call them. */
export class Worker {
  readonly functions = new Map<string, RegisteredFunction>();
  /** The address where the app serves HTTP itself, when it asked for HTTP streams. */
  httpUri: string | undefined;
  readonly #options: WorkerOptions;
  readonly #hooks = new Map<string, Hook[]>();
  readonly #appHookData = {};
  readonly #release: () => void;
  readonly #running = new Set<Promise<unknown>>();
  #loaded = false;
  #inLogHook = false;

  private constructor(options: WorkerOptions) {
    this.#options = options;
    this.#release = provideCoreModule({
      registerFunction: (metadata, handler) => this.#register(metadata, handler),
      removeFunction: (metadata) => void this.functions.delete(metadata.functionId ?? metadata.name),
      hooks: this.#hooks,
      log: (level, category, message) => this.#log(level, category, message),
    });
  }

  /**
   * Loads the files in order and runs the appStart hooks. Throws an error that names the file when one of
   * them throws.
   */
  static async load(options: WorkerOptions): Promise<Worker> {
    const worker = new Worker(options);
    try {
      for (const file of options.files) await importFresh(file);
      const model = programmingModel();
      if (worker.functions.size === 0 || model === undefined)
        throw new Error(
          `no function was registered by ${options.files.join(", ")}: call app.http, app.eventHub or app.timer there`,
        );
      const { HttpUri } = await model.getCapabilities({ ...WORKER_CAPABILITIES });
      worker.httpUri = HttpUri;
      await worker.#runHooks("appStart", {
        hookData: {},
        appHookData: worker.#appHookData,
        functionAppDirectory: options.app,
      });
      worker.#loaded = true;
      return worker;
    } catch (error) {
      worker.#release();
      throw error;
    }
  }

  /**
   * Calls a function once, with its hooks around it, and resolves to its result in the host's own form.
   * Rejects with the error of the function, of a hook or of converting the result.
   */
  invoke(fn: RegisteredFunction, request: InvocationRequest): Promise<InvocationResponse> {
    const { log, functionTimeout } = this.#options;
    const started = performance.now();
    const timer =
      functionTimeout === undefined
        ? undefined
        : setTimeout(() => this.#timedOut(fn, request), functionTimeout);
    const id = request.invocationId.slice(0, 8);
    const took = () => `${(performance.now() - started).toFixed(1)} ms`;
    const run = this.#invoke(fn, request)
      .then(
        (response) => {
          if (log.enabled("debug")) log.write("debug", `${fn.metadata.name} ${id} succeeded in ${took()}`);
          return response;
        },
        (error) => {
          log.write("error", `${fn.metadata.name} ${id} failed after ${took()}: ${describe(error, true)}`);
          throw error;
        },
      )
      .finally(() => {
        clearTimeout(timer);
        this.#running.delete(run);
      });
    this.#running.add(run);
    return run;
  }

  /**
   * Waits until no call is running, but no longer than `milliseconds`. Resolves to the number of calls that
   * still run.
   */
  async drain(milliseconds: number): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    await Promise.race([Promise.allSettled(this.#running), limit]);
    clearTimeout(timer);
    return this.#running.size;
  }

  /** Runs the appTerminate hooks, for at most `milliseconds`, and lets another app be loaded. */
  async terminate(milliseconds: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    const hooks = this.#runHooks("appTerminate", { hookData: {}, appHookData: this.#appHookData });
    try {
      await Promise.race([hooks, limit]);
    } catch (error) {
      this.#options.log.write("error", `an appTerminate hook failed: ${describe(error, true)}`);
    } finally {
      clearTimeout(timer);
      this.#release();
    }
  }

  #register(metadata: FunctionMetadata, handler: Handler): void {
    const id = metadata.functionId ?? metadata.name;
    if (this.#loaded)
      throw new Error(`function "${id}" comes too late: register functions while the app is loaded`);
    if (this.functions.has(id))
      throw new Error(`a function "${id}" has already been registered: names must differ`);
    this.functions.set(id, { id, metadata: { ...metadata, functionId: id }, handler });
  }

  async #invoke(fn: RegisteredFunction, request: InvocationRequest): Promise<InvocationResponse> {
    const context: CoreContext = {
      invocationId: request.invocationId,
      request,
      metadata: fn.metadata,
      state: undefined,
      log: (level, category, message) => this.#log(level, category, message, fn, invocationContext),
    };
    let invocationContext: unknown;
    const invocation = programmingModel()!.getInvocationModel(context);
    const given = await invocation.getArguments();
    invocationContext = given.context;
    // Hooks may replace the inputs, the handler, the result and the error, so they work on these very
    // objects.
    const shared = { hookData: {}, appHookData: this.#appHookData, invocationContext };
    const pre = { functionCallback: fn.handler, inputs: given.inputs, ...shared };
    context.state = "preInvocationHooks";
    await this.#runHooks("preInvocation", pre);
    const post: { result: unknown; error: unknown } & typeof shared & { inputs: unknown[] } = {
      inputs: pre.inputs,
      result: null,
      error: null,
      ...shared,
    };
    context.state = "invocation";
    try {
      post.result = await invocation.invokeFunction(invocationContext, pre.inputs, pre.functionCallback);
    } catch (error) {
      post.error = error ?? new Error(`the function threw ${error}`);
    }
    context.state = "postInvocationHooks";
    await this.#runHooks("postInvocation", post);
    context.state = undefined;
    if (post.error !== null && post.error !== undefined) throw post.error;
    return invocation.getResponse(invocationContext, post.result);
  }

  async #runHooks(name: string, context: Record<string, unknown>): Promise<void> {
    const hooks = this.#hooks.get(name);
    if (hooks) for (const hook of hooks) await hook(context);
  }

  #log(
    level: string,
    category: string,
    message: string,
    fn?: RegisteredFunction,
    invocationContext?: unknown,
  ): void {
    const context: Record<string, unknown> = { level, message, category, invocationContext, hookData: {} };
    // A line that a log hook logs must not call the log hooks again.
    if (category === "user" && !this.#inLogHook) {
      this.#inLogHook = true;
      try {
        for (const hook of this.#hooks.get("log") ?? []) hook(context);
      } finally {
        this.#inLogHook = false;
      }
    }
    const known: Level = parseLevel(String(context["level"])) ?? "information";
    this.#options.log.write(
      known,
      fn ? `[${fn.metadata.name}] ${context["message"]}` : String(context["message"]),
    );
  }

  #timedOut(fn: RegisteredFunction, request: InvocationRequest): void {
    const limit = (this.#options.functionTimeout ?? 0) / 1000;
    const message = `${fn.metadata.name} ${request.invocationId.slice(0, 8)} ran past functionTimeout (${limit} s): the process ends`;
    this.#options.log.write("error", message);
    this.#options.onTimeout(message);
  }
}

/** The capabilities of the public Node worker that concern HTTP and collections. */
const WORKER_CAPABILITIES = {
  RawHttpBodyBytes: "true",
  RpcHttpTriggerMetadataRemoved: "true",
  RpcHttpBodyOnly: "true",
  IgnoreEmptyValuedRpcHttpHeaders: "true",
  UseNullableValueDictionaryForHttp: "true",
  WorkerStatus: "true",
  TypedDataCollection: "true",
  HandlesWorkerTerminateMessage: "true",
};

/**
 * `import` loads CommonJS as well. A second app in the same process (as in tests) must run the file again: so
 * the address differs each time, and a CommonJS file is removed from the cache first.
 */
async function importFresh(file: string): Promise<void> {
  const { href } = pathToFileURL(file);
  delete createRequire(import.meta.url).cache[file];
  try {
    await import(loads === 0 ? href : `${href}?load=${loads}`);
  } catch (cause) {
    throw new Error(`${file} failed while it was loaded: ${describe(cause, true)}`, { cause });
  } finally {
    loads += 1;
  }
}
