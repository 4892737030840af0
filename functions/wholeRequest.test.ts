import type { InvocationContext } from "@azure/functions";
import { expect, test } from "vitest";
import type { ChatError } from "../shared/platform/errors.js";
import { wholeBodyOf } from "./http.js";
import {
  type Core,
  type CoreContext,
  type InvocationModel,
  type ProgrammingModel,
  takeWhole,
  WholeRequest,
} from "./wholeRequest.js";

const bytes = Buffer.from("SEND\n\n\0");
const http = {
  method: "POST",
  nullableHeaders: { "Content-Type": { value: "text/plain" }, "CE-Id": { value: "1" }, empty: null },
  body: { bytes },
};

/** The context of a call, as a class with private parts: the worker's is one. */
class Context implements CoreContext {
  readonly #lines: unknown[][] = [];
  readonly invocationId = "1";
  readonly metadata: { name: string };
  state: unknown = "preInvocationHooks";
  readonly request: { inputData: { data: object }[] };
  constructor(name: string, data: object) {
    this.metadata = { name };
    this.request = { inputData: [{ data }] };
  }
  log(...line: unknown[]): void {
    this.#lines.push(line);
  }
  get lines(): unknown[][] {
    return this.#lines;
  }
}

/** What a worker gets from a library that counts the inputs it has been given. */
class Library implements ProgrammingModel {
  readonly name = "library";
  getInvocationModel(context: CoreContext): InvocationModel {
    return {
      async getArguments() {
        context.log("information", context.invocationId, context.state);
        return { context: {} as InvocationContext, inputs: [...(context.request.inputData ?? [])] };
      },
      invokeFunction: async (_context, inputs, handler) =>
        (handler as (input: unknown) => unknown)(inputs[0]),
      getResponse: async (_context, result) => ({ returned: result }),
    };
  }
}

function core(): Core & { readonly model: ProgrammingModel } {
  let model: ProgrammingModel = new Library();
  return {
    get model() {
      return model;
    },
    getProgrammingModel: () => model,
    setProgrammingModel(given) {
      model = given;
    },
  };
}

test("the named function gets the request as the worker has it; the library does the rest", async () => {
  const worker = core();
  takeWhole("events", worker);
  const context = new Context("events", { http });
  const invocation = worker.model.getInvocationModel(context);
  context.state = "invocation";
  const { context: given, inputs } = await invocation.getArguments();
  expect(inputs).toHaveLength(1);
  expect(inputs[0]).toBeInstanceOf(WholeRequest);
  expect(inputs[0]).toEqual({
    method: "POST",
    headers: { "content-type": "text/plain", "ce-id": "1", empty: "" },
    body: bytes,
  });
  expect(context.lines).toEqual([["information", "1", "invocation"]]);
  const result = await invocation.invokeFunction(given, inputs, (one: WholeRequest) => one.method);
  expect(await invocation.getResponse(given, result)).toEqual({ returned: "POST" });
  expect(Reflect.get(worker.model, "name")).toBe("library");
});

test.each([
  ["another function", new Context("calls", { http })],
  ["a call without a request in it", new Context("events", {})],
])("the library does all of %s", async (_, context) => {
  const worker = core();
  takeWhole("events", worker);
  const { inputs } = await worker.model.getInvocationModel(context).getArguments();
  expect(inputs).toEqual(context.request.inputData);
});

test("a text, no body and the headers of older hosts are taken, too", () => {
  const { headers, body } = new WholeRequest({ headers: { "X-A": "1" }, body: { string: "한" } });
  expect([headers, Buffer.from(body).toString()]).toEqual([{ "x-a": "1" }, "한"]);
  expect(new WholeRequest({ body: null }).body).toHaveLength(0);
});

test("a function that is not registered yet is an error", () => {
  const none: Core = { getProgrammingModel: () => undefined, setProgrammingModel: () => {} };
  expect(() => takeWhole("events", none)).toThrow("register the function first");
});

const whole = (headers: Record<string, string>, body: string): WholeRequest =>
  new WholeRequest({ method: "POST", headers, body: { string: body } });

test.each([
  ["12345678901", "MESSAGE_TOO_LARGE", { "content-length": "11" }],
  ["", "MESSAGE_TOO_LARGE", { "content-length": "11" }],
  ["1234", "INVALID_REQUEST", { "content-length": "5" }],
  ["", "INVALID_REQUEST", { "transfer-encoding": "chunked" }],
])("the body %j is refused with %s where it was announced by %j", (body, code, headers) => {
  expect(() => wholeBodyOf(whole(headers, body), 10)).toThrow(expect.objectContaining({ code }) as ChatError);
});

test.each([{ "content-length": "5" }, {}])("a whole body announced by %j is taken", (headers) => {
  expect(Buffer.from(wholeBodyOf(whole(headers, "12345"), 10)).toString()).toBe("12345");
});
