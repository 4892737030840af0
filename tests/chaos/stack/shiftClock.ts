// Loaded by a process before all else (`NODE_OPTIONS=--import`): its clock is off by CHAOS_CLOCK_MS.

const off = Number(process.env["CHAOS_CLOCK_MS"] ?? 0);
const RealDate = globalThis.Date;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [target.now() + off] : args, newTarget),
  apply: (target) => new target(target.now() + off).toString(),
  get: (target, name) => (name === "now" ? () => target.now() + off : Reflect.get(target, name, target)),
});
