/** What azd tells the hooks: the outputs of the templates, as environment variables. */
import { HookError } from "./programs.mjs";

/** The values of these variables. Throws one error that names all that are missing. */
export function required(env, names) {
  const missing = names.filter((name) => !env[name]);
  if (missing.length > 0)
    throw new HookError(
      `not set: ${missing.join(", ")}. They come from azd's environment: run this by azd (azd hooks run NAME), after azd provision`,
    );
  return names.map((name) => env[name]);
}
