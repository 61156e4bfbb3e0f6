/** Reads a number of bytes from a command's option. Only parses. */
import { InvalidArgumentError } from 'commander';

const units: Readonly<Record<string, number>> = {
  '': 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
};

/** Bytes of a text such as 512MiB, 2GB or 1.5GiB. Throws commander's `InvalidArgumentError`. */
export function sizeBytes(text: string): number {
  const [, count, unit = ''] = /^(\d{1,15}(?:\.\d{1,3})?)([A-Za-z]*)$/.exec(text) ?? [];
  const bytes = Math.floor(Number(count) * (units[unit] ?? Number.NaN));
  if (bytes > 0) return bytes;
  throw new InvalidArgumentError('It is not a size such as 512MiB, 2GB or 1.5GiB');
}
