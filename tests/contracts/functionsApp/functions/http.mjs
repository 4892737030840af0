import functions, { app } from "@azure/functions";

app.http("echo", {
  methods: ["GET", "POST", "OPTIONS", "HEAD"],
  handler: async (request) => ({
    status: request.method === "OPTIONS" ? 200 : 201,
    headers: { "x-method": request.method, "x-query": request.query.toString(), "x-url": request.url },
    jsonBody: {
      headers: Object.fromEntries(request.headers),
      body: Buffer.from(await request.arrayBuffer()).toString("hex"),
    },
  }),
});

app.http("cookies", {
  methods: ["GET"],
  handler: () => ({
    cookies: [
      { name: "a", value: "1 2", httpOnly: true, secure: true, sameSite: "Strict", path: "/", maxAge: 60 },
      { name: "b", value: "2", expires: new Date("2030-01-01T00:00:00Z"), domain: "example.test" },
    ],
  }),
});

app.http("binary", {
  methods: ["GET"],
  handler: () => ({
    headers: { "content-type": "application/octet-stream" },
    body: Buffer.from([0, 255, 128, 10]),
  }),
});

app.http("stream", {
  methods: ["GET"],
  handler: () => ({
    body: new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("first,"));
        controller.enqueue(new TextEncoder().encode("second"));
        controller.close();
      },
    }),
  }),
});

app.http("headers", {
  methods: ["GET"],
  handler: (request) => ({
    headers: { "x-own": request.query.get("value"), ETag: '"1"', "www-authenticate": "Basic" },
    body: "read them",
  }),
});
app.http("trace", { methods: ["GET"], handler: (_, context) => ({ jsonBody: context.traceContext }) });
app.http("locked", { methods: ["GET"], authLevel: "function", handler: () => ({ body: "open" }) });
app.http("ownLeave", {
  methods: ["GET"],
  handler: () => ({
    headers: { vary: "Accept", "access-control-allow-origin": "https://app.example.com" },
    body: "read me",
  }),
});
app.http("nothing", { methods: ["GET"], handler: () => undefined });
app.http("throws", {
  methods: ["GET"],
  handler: () => {
    throw new Error("a secret detail");
  },
});
app.http("rejectsUnseen", {
  methods: ["GET"],
  handler: async () => {
    Promise.reject(new Error("nobody waits for this"));
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  },
});
app.http("throwsLater", {
  methods: ["GET"],
  handler: async () => {
    setTimeout(() => {
      throw new Error("nobody catches this");
    }, 1);
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  },
});
app.http("settings", {
  methods: ["GET"],
  handler: () => ({ jsonBody: { greeting: process.env.GREETING, overridden: process.env.OVERRIDDEN } }),
});
app.http("hooks", { methods: ["GET"], handler: () => ({ body: "not replaced" }) });
app.http("responseClass", {
  methods: ["GET"],
  handler: () => new functions.HttpResponse({ status: 418, body: "tea" }),
});
app.http("slow", {
  methods: ["GET"],
  handler: async () => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    return { body: "done" };
  },
});
app.http("tooSlow", { methods: ["GET"], handler: () => new Promise(() => {}) });
