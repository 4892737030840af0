/**
 * The part of the Functions host's message protocol (FunctionRpc.proto) that crosses between this host and
 * the library `@azure/functions`: HTTP, Event Hub, Kafka and timer triggers, the hooks and the log.
 */

export interface TypedData {
  string?: string;
  json?: string;
  bytes?: Uint8Array;
  int?: number;
  double?: number;
  http?: HttpData;
  collectionBytes?: { bytes: Uint8Array[] };
  collectionString?: { string: string[] };
  collectionSint64?: { sint64: number[] };
}

interface Nullable<T> {
  value: T;
}

export interface HttpData {
  method?: string;
  url?: string;
  nullableHeaders?: Record<string, Nullable<string>>;
  nullableQuery?: Record<string, Nullable<string>>;
  nullableParams?: Record<string, Nullable<string>>;
  body?: TypedData | null;
  statusCode?: string;
  headers?: Record<string, string>;
  cookies?: Cookie[];
}

export interface Cookie {
  name: string;
  value: string;
  domain?: Nullable<string>;
  path?: Nullable<string>;
  expires?: Nullable<{ seconds: number; nanos?: number }>;
  secure?: Nullable<boolean>;
  httpOnly?: Nullable<boolean>;
  sameSite?: "none" | "lax" | "strict" | "explicitNone";
  maxAge?: Nullable<number>;
}

export interface Duration {
  seconds?: number;
}

export interface RetryOptions {
  maxRetryCount: number;
  retryStrategy: "fixedDelay" | "exponentialBackoff";
  delayInterval?: Duration;
  minimumInterval?: Duration;
  maximumInterval?: Duration;
}

export interface RetryContext {
  retryCount: number;
  maxRetryCount: number;
  exception?: { message: string; source: string; stackTrace: string };
}

export interface Binding {
  type: string;
  direction: string;
  dataType?: string;
  // httpTrigger
  authLevel?: string;
  route?: string;
  methods?: string[];
  // eventHubTrigger
  connection?: string;
  eventHubName?: string;
  consumerGroup?: string;
  cardinality?: string;
  // kafkaTrigger; of an app's own making, so they can be anything
  brokerList?: unknown;
  topic?: unknown;
  protocol?: unknown;
  authenticationMode?: unknown;
  username?: unknown;
  password?: unknown;
  eventHubConnectionString?: unknown;
  keyDataType?: unknown;
  // timerTrigger; from a handler in plain JavaScript they can be anything
  schedule?: unknown;
  runOnStartup?: unknown;
  useMonitor?: unknown;
}

export interface FunctionMetadata {
  name: string;
  functionId?: string;
  bindings: Record<string, Binding>;
  retryOptions?: RetryOptions;
}

export interface TraceContext {
  traceParent: string;
  traceState: string;
  attributes: Readonly<Record<string, string>>;
}

/**
 * The trace context that the real host gives while no Application Insights is connected, whatever the
 * request's headers are.
 */
export const unmonitored: TraceContext = { traceParent: "", traceState: "", attributes: {} };

export interface InvocationRequest {
  invocationId: string;
  functionId: string;
  inputData: { name: string; data: TypedData }[];
  triggerMetadata: Record<string, TypedData>;
  traceContext: TraceContext;
  retryContext?: RetryContext;
}

export interface InvocationResponse {
  returnValue?: TypedData | null;
  outputData?: { name: string; data: TypedData }[];
}

/** The object that the library gives to `setProgrammingModel`. */
export interface ProgrammingModel {
  name: string;
  version: string;
  getInvocationModel(context: CoreContext): InvocationModel;
  getCapabilities(capabilities: Record<string, string>): Promise<Record<string, string>>;
}

export interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>;
  invokeFunction(context: unknown, inputs: unknown[], handler: Handler): Promise<unknown>;
  getResponse(context: unknown, result: unknown): Promise<InvocationResponse>;
}

export interface CoreContext {
  invocationId: string;
  request: InvocationRequest;
  metadata: FunctionMetadata;
  state: "preInvocationHooks" | "invocation" | "postInvocationHooks" | undefined;
  log(level: string, category: string, message: string): void;
}

export type Handler = (...inputs: unknown[]) => unknown;
export type Hook = (context: Record<string, unknown>) => unknown;

/** Whether a function has a trigger of this type. */
export const hasTrigger = ({ metadata }: RegisteredFunction, trigger: string): boolean =>
  Object.values(metadata.bindings).some(({ type }) => type === trigger);

/** A function as the app registered it. */
export interface RegisteredFunction {
  readonly id: string;
  readonly metadata: FunctionMetadata;
  readonly handler: Handler;
}
