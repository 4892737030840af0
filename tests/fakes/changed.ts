/** The same thing with some of its methods replaced. */
export const changed = <T extends object>(thing: T, methods: Partial<T>): T =>
  new Proxy(thing, {
    get(target, name) {
      const value: unknown = Reflect.get(name in methods ? methods : target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
