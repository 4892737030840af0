/** The fields without those that are `undefined`, for optional ones (`exactOptionalPropertyTypes`). */
export function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const known = { ...fields };
  for (const key in known) if (known[key] === undefined) delete known[key];
  return known as { [K in keyof T]?: Exclude<T[K], undefined> };
}
