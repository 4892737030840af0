import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

/** What these tests read of an OpenAPI 3.1 document. */
export interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> };
  readonly security?: readonly object[];
}

export interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
  /** An empty list: nobody needs a token. */
  readonly security?: readonly object[];
}

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
}

type Content = Readonly<Record<string, { readonly schema?: unknown }>>;

/** One operation and where it stands in the document. */
export interface Located {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
  readonly pointer: readonly string[];
}

export interface Request {
  readonly method: string;
  /** With its query, without the server's prefix. */
  readonly path: string;
  readonly hasToken: boolean;
  /** Besides the token. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface Answer {
  readonly status: number;
  readonly contentType: string | null;
  readonly body: unknown;
}

/** All operations of a document. */
export const operationsOf = ({ paths }: OpenApi): Located[] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation,
      pointer: ["paths", path, method],
    })),
  );

/**
 * Compiles the schema at a place of a document. Throws when it is no JSON Schema 2020-12, or refers to
 * nothing.
 */
export function schemasOf(document: OpenApi): (pointer: readonly string[]) => ValidateFunction {
  // `strict` also refuses keywords that nobody knows, and formats that nobody checks.
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
  addFormats.default(ajv);
  for (const keyword of ["openapi", "info", "servers", "paths", "components", "security"])
    ajv.addKeyword(keyword);
  ajv.addSchema(document, "openapi");
  return (pointer) => {
    const fragment = pointer.map((part) => part.replaceAll("~", "~0").replaceAll("/", "~1"));
    const id = `openapi#/${fragment.map(encodeURIComponent).join("/")}`;
    const validate = ajv.getSchema(id);
    if (!validate) throw new Error(`the document has no schema at ${id}`);
    return validate as ValidateFunction;
  };
}

/**
 * Returns a check that throws where a call or its answer differs from a document. The answer must have a
 * documented status, media type and body. A call that succeeded must be documented, with its parameters, body
 * and token.
 */
export function checkerOf(document: OpenApi): (request: Request, answer: Answer) => void {
  const operations = operationsOf(document);
  const schemaAt = schemasOf(document);
  const validate = (pointer: readonly string[], value: unknown, what: string): void => {
    const schema = schemaAt(pointer);
    if (!schema(value))
      throw new Error(
        `${what} is not as documented: ${JSON.stringify(schema.errors)}\n${JSON.stringify(value)}`,
      );
  };
  return (request, answer) => {
    const { pathname, searchParams } = new URL(request.path, "http://api");
    const call = `${request.method} ${request.path}`;
    const found = findOperation(operations, request.method, pathname);
    if (!found) throw new Error(`${call} is not in the document`);
    const { operation, pointer, values } = found;
    const response = operation.responses[answer.status];
    if (!response) throw new Error(`${call}: the document knows no answer ${answer.status}`);
    const media = answer.contentType?.split(";")[0] ?? "";
    const content = response.content?.[media];
    if (!content) throw new Error(`${call}: the document knows no ${media} with status ${answer.status}`);
    const answerAt = [...pointer, "responses", String(answer.status), "content", media, "schema"];
    if (content.schema) validate(answerAt, answer.body, `the answer ${answer.status} to ${call}`);
    if (answer.status >= 300) return;

    const isOpen = (operation.security ?? document.security ?? []).length === 0;
    if (!isOpen && !request.hasToken) throw new Error(`${call} succeeded without a token`);
    for (const [index, parameter] of (operation.parameters ?? []).entries()) {
      const given = {
        path: values[parameter.name],
        query: searchParams.get(parameter.name),
        header: request.headers?.[parameter.name],
      };
      const text = given[parameter.in];
      if (text === null || text === undefined) {
        if (parameter.required) throw new Error(`${call} succeeded without ${parameter.name}`);
      } else
        validate(
          [...pointer, "parameters", String(index), "schema"],
          parameter.in === "header" ? text : parameterValue(text),
          `${call}: ${parameter.name}`,
        );
    }
    if (operation.requestBody && (operation.requestBody.required || request.body !== undefined))
      validate(
        [...pointer, "requestBody", "content", "application/json", "schema"],
        request.body,
        `the body of ${call}`,
      );
  };
}

/** What the text of a parameter stands for: a number only when it is written as JSON writes one. */
const parameterValue = (text: string): unknown => (/^-?(0|[1-9]\d*)$/.test(text) ? Number(text) : text);

function findOperation(
  operations: readonly Located[],
  method: string,
  pathname: string,
): (Located & { readonly values: Readonly<Record<string, string>> }) | undefined {
  const parts = pathname.split("/");
  // A literal segment goes before a parameter.
  const sorted = operations.toSorted((a, b) => a.path.split("{").length - b.path.split("{").length);
  for (const located of sorted) {
    const template = located.path.split("/");
    if (located.method !== method || template.length !== parts.length) continue;
    const fits = template.every((segment, index) => segment.startsWith("{") || segment === parts[index]);
    if (!fits) continue;
    const named = template.flatMap((segment, index) =>
      segment.startsWith("{") ? [[segment.slice(1, -1), decodeURIComponent(parts[index]!)]] : [],
    );
    return { ...located, values: Object.fromEntries(named) };
  }
  return undefined;
}

const checkers = new Map<string, Promise<ReturnType<typeof checkerOf>>>();

/** The check by the document that an API itself gives out, fetched once. */
export function checkerOfApi(prefix: string): Promise<ReturnType<typeof checkerOf>> {
  const known = checkers.get(prefix);
  if (known) return known;
  const fetched = fetchOpenApi(prefix).then(checkerOf);
  checkers.set(prefix, fetched);
  // An API that is away now may be there the next time.
  fetched.catch(() => checkers.delete(prefix));
  return fetched;
}

/** The document that an API gives out. */
export async function fetchOpenApi(prefix: string): Promise<OpenApi> {
  const response = await fetch(`${prefix}/openapi.json`);
  if (response.status !== 200) throw new Error(`no OpenAPI document: ${response.status}`);
  return (await response.json()) as OpenApi;
}
