import { createRequire } from "node:module";
import type { InvocationContext } from "@azure/functions";

/**
 * Requests whose bytes are all there. Of each the Functions library makes a `Request` of the web platform, with
 * `Headers` and a stream, which is a fifth of what a client's frame costs the process that answers. The worker hands
 * over a method, a map of headers and the bytes, and the function behind the socket service needs nothing else. So
 * for that function they are taken as they come; the library does all the rest, and all of every other function.
 */

/** A request as a function gets it that `takeWhole` has named. */
export class WholeRequest {
  readonly method: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;

  constructor({ method, nullableHeaders, headers, body }: RpcHttp) {
    this.method = method ?? "";
    this.headers = plainHeaders(nullableHeaders, headers);
    this.body = body?.bytes ?? Buffer.from(body?.string ?? "");
  }
}

/** A request in the worker's protocol (FunctionRpc.proto, `RpcHttp`), as far as it is needed. */
interface RpcHttp {
  readonly method?: string;
  readonly nullableHeaders?: Readonly<Record<string, { readonly value?: string | null } | null>> | null;
  /** Of older hosts. */
  readonly headers?: Readonly<Record<string, string>> | null;
  readonly body?: { readonly bytes?: Uint8Array | null; readonly string?: string | null } | null;
}

/** What the worker calls a function with, and the library's part of that: see `@azure/functions-core`. */
export interface CoreContext {
  readonly invocationId: string;
  readonly metadata: { readonly name?: string | null };
  readonly request: CoreRequest;
  /** Of the invocation; the worker changes it. */
  readonly state?: unknown;
  log(...args: unknown[]): void;
}

interface CoreRequest {
  readonly inputData?: readonly { readonly data?: { readonly http?: RpcHttp | null } | null }[] | null;
  readonly invocationId?: unknown;
  readonly functionId?: unknown;
  readonly triggerMetadata?: unknown;
  readonly traceContext?: unknown;
  readonly retryContext?: unknown;
}

export interface InvocationModel {
  getArguments(): Promise<{ context: InvocationContext; inputs: unknown[] }>;
  invokeFunction(context: InvocationContext, inputs: unknown[], handler: unknown): Promise<unknown>;
  getResponse(context: InvocationContext, result: unknown): Promise<unknown>;
}

export interface ProgrammingModel {
  getInvocationModel(context: CoreContext): InvocationModel;
}

/** The module `@azure/functions-core`, which the worker gives to an app. */
export interface Core {
  getProgrammingModel(): ProgrammingModel | null | undefined;
  setProgrammingModel(model: ProgrammingModel): void;
}

/** Has a function get a `WholeRequest` in place of the library's. Called after it has been registered. */
export function takeWhole(name: string, core = coreModule()): void {
  if (!core) return;
  const library = core.getProgrammingModel();
  if (!library) throw new Error(`takeWhole("${name}") comes too early: register the function first`);
  const getInvocationModel = (context: CoreContext): InvocationModel => {
    const http = context.metadata.name === name ? context.request.inputData?.[0]?.data?.http : undefined;
    return http ? wholeModel(library, context, http) : library.getInvocationModel(context);
  };
  core.setProgrammingModel(Object.create(library, { getInvocationModel: { value: getInvocationModel } }));
}

/** Only a worker has this module. Without one nothing is called, either. */
function coreModule(): Core | undefined {
  try {
    return createRequire(import.meta.url)("@azure/functions-core") as Core;
  } catch {
    return undefined;
  }
}

/** A call as the library is to see it: without the input. */
class WithoutInput implements CoreContext {
  readonly #context: CoreContext;
  readonly invocationId: string;
  readonly metadata: CoreContext["metadata"];
  readonly request: CoreRequest;

  constructor(context: CoreContext) {
    const { invocationId, functionId, triggerMetadata, traceContext, retryContext } = context.request;
    this.#context = context;
    this.invocationId = context.invocationId;
    this.metadata = context.metadata;
    this.request = { inputData: [], invocationId, functionId, triggerMetadata, traceContext, retryContext };
  }

  get state(): unknown {
    return this.#context.state;
  }

  log(...args: unknown[]): void {
    this.#context.log(...args);
  }
}

/** The library's model of an invocation without input, to which the request is added. */
function wholeModel(library: ProgrammingModel, context: CoreContext, http: RpcHttp): InvocationModel {
  const model = library.getInvocationModel(new WithoutInput(context));
  return {
    async getArguments() {
      return { ...(await model.getArguments()), inputs: [new WholeRequest(http)] };
    },
    invokeFunction: (...args) => model.invokeFunction(...args),
    getResponse: (...args) => model.getResponse(...args),
  };
}

function plainHeaders(
  nullable: RpcHttp["nullableHeaders"],
  given: RpcHttp["headers"],
): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  let isEmpty = true;
  for (const name in nullable) {
    headers[name.toLowerCase()] = nullable[name]?.value ?? "";
    isEmpty = false;
  }
  if (isEmpty) for (const name in given) headers[name.toLowerCase()] = given[name] ?? "";
  return headers;
}
