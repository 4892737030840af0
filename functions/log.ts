import { app } from "@azure/functions";
import { loggingTo } from "../shared/platform/log.js";

/**
 * Log lines go through the context of their invocation. So their levels reach the host, and the alerts that
 * are set on levels.
 */
app.hook.preInvocation((hook) => {
  const { functionHandler, invocationContext } = hook;
  hook.functionHandler = (...inputs) => loggingTo(invocationContext, () => functionHandler(...inputs));
});
