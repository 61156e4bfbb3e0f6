/** Reads JSON that others wrote: what is none is judged by the schema that it is held against. */

/** The value, or `undefined` for what is no JSON. */
export function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
