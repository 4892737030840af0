import { appendFileSync } from "node:fs";
import { app } from "@azure/functions";

const note = (text) => process.env.HOOK_LOG && appendFileSync(process.env.HOOK_LOG, `${text}\n`);

app.hook.appStart(() => note("appStart"));
app.hook.appTerminate(async () => {
  await new Promise((resolve) => setTimeout(resolve, Number(process.env.TERMINATE_MS ?? 0)));
  note("appTerminate");
});
app.hook.preInvocation((context) => {
  if (context.invocationContext.functionName !== "hooks") return;
  note("preInvocation");
  context.functionHandler = () => ({ body: "replaced by the hook" });
});
app.hook.postInvocation((context) => {
  if (context.invocationContext.functionName !== "hooks") return;
  note(`postInvocation ${JSON.stringify(context.result)}`);
  context.result = { ...context.result, status: 202 };
});
app.hook.log((context) => {
  context.invocationContext?.debug("a log line of the log hook");
  if (context.message.includes("password")) context.message = "(hidden)";
});
