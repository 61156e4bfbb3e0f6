/** Reads HTTP headers that people type, for options that may be repeated. */
import { InvalidArgumentError } from 'commander';

/** `name=value` or `name: value`, added to those before it. Throws commander's error for others. */
export function header(
  text: string,
  others?: Readonly<Record<string, string>>,
): Record<string, string> {
  const [, name = '', value = ''] = /^([\w!#$%&'*+.^`|~-]+)\s*[=:]\s*(.*)$/.exec(text) ?? [];
  if (name !== '') return { ...others, [name.toLowerCase()]: value };
  throw new InvalidArgumentError('It is not a header such as "x-api-key=…"');
}
