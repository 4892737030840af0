import { app } from "@azure/functions";
import { loggingTo } from "../shared/log.js";

/** Every invocation's lines go through its own context, whose levels reach the host, and with them whoever is to be woken. */
app.hook.preInvocation((hook) => {
  const { functionHandler, invocationContext } = hook;
  const sink = {
    info: (line: string) => invocationContext.info(line),
    warn: (line: string) => invocationContext.warn(line),
    error: (line: string) => invocationContext.error(line),
  };
  hook.functionHandler = (...inputs) => loggingTo(sink, () => functionHandler(...inputs));
});
