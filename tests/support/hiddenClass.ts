import { setFlagsFromString } from "node:v8";

setFlagsFromString("--allow-natives-syntax");
const haveSameMap = new Function("one", "other", "return %HaveSameMap(one, other)") as (
  one: object,
  other: object,
) => boolean;

/**
 * Whether all that `make` makes has one hidden class of V8. On Node 20 an object that begins with the few members of
 * another one, and gets more behind them, has a class of its own: then all that reads such objects looks their members
 * up anew each time. Later versions give them one class in either order.
 */
export async function haveOneHiddenClass(make: () => object | Promise<object>): Promise<boolean> {
  // As often as it takes until V8 knows what it makes.
  for (let made = 0; made < 1_000; made += 1) await make();
  const [one, other] = [await make(), await make()];
  if (typeof one !== "object" || typeof other !== "object") throw new Error("nothing was made");
  return haveSameMap(one, other);
}
