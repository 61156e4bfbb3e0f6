/** All rows of the scorecard, in the order of their numbers. */
import type { Row } from './row.ts';
import { dataRows } from './rows/data.ts';
import { encodingRows } from './rows/encoding.ts';
import { jsonRows } from './rows/json.ts';
import { responseRows } from './rows/response.ts';
import { retryRows } from './rows/retry.ts';
import { routingRows } from './rows/routing.ts';

export const rows: readonly Row[] = [
  ...routingRows,
  ...encodingRows,
  ...responseRows,
  ...retryRows,
  ...jsonRows,
  ...dataRows,
];
