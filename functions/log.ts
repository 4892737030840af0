import { app } from "@azure/functions";
import { loggingTo } from "../shared/platform/log.js";

/** Every invocation's lines go through its own context, whose levels reach the host, and with them whoever is to be woken. */
app.hook.preInvocation((hook) => {
  const { functionHandler, invocationContext } = hook;
  hook.functionHandler = (...inputs) => loggingTo(invocationContext, () => functionHandler(...inputs));
});
