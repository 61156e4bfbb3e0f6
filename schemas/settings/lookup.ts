/** Settings of the service that finds traces in the archive, and of the Worker that asks it. */
import { integer, row } from './row.ts';

export const lookupSettings = {
  TIDEMARK_LOOKUP_URL: row(
    'string',
    '',
    'Where `tidemark lookup` answers, for traces that ClickHouse does not have; empty: nobody is asked',
    ['edge'],
  ),
  TIDEMARK_LOOKUP_TOKEN: row(
    'secret',
    '',
    'Bearer token between the Worker and `tidemark lookup`; may be empty on loopback addresses alone',
    ['edge', 'lookup'],
  ),
  TIDEMARK_LOOKUP_HOST: row(
    'string',
    '127.0.0.1',
    'Address that `tidemark lookup` listens on; others than loopback need a token',
    ['lookup'],
  ),
  TIDEMARK_LOOKUP_PORT: integer(
    '',
    8124,
    'Port of `tidemark lookup`; 0 takes any free one, as `tidemark start` does',
    ['lookup'],
    0,
    65_535,
  ),
} as const;
