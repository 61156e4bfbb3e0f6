/**
 * Asks the lookup service for a trace of one tenant that ClickHouse does not have (workers/lookup.ts). It
 * decides nothing about who may see it.
 */
import { TidemarkError } from '../../schemas/errors.ts';
import { lookupTimeoutMs } from '../../schemas/limits/lookup.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { ReadTools } from './read.ts';
import type { Row } from './resource.ts';

export type LookupSettings = Pick<Settings, 'TIDEMARK_LOOKUP_URL' | 'TIDEMARK_LOOKUP_TOKEN'>;

/**
 * The rows of a trace from the archive, with `layer` archive; none where nobody is to be asked or there is no
 * such trace. Throws CAPACITY for one that is too large, and SINK_FAILED, retryable, when nobody answers.
 */
export async function lookUp(
  traceId: string,
  tenantId: string,
  { TIDEMARK_LOOKUP_URL, TIDEMARK_LOOKUP_TOKEN }: LookupSettings,
  tools: ReadTools,
): Promise<Row[]> {
  if (TIDEMARK_LOOKUP_URL === '') return [];
  const url = `${TIDEMARK_LOOKUP_URL.replace(/\/$/, '')}/traces/${traceId.toLowerCase()}`;
  try {
    const answer = await tools.fetch(url, {
      headers: { authorization: `Bearer ${TIDEMARK_LOOKUP_TOKEN}`, 'tidemark-tenant': tenantId },
      redirect: 'manual',
      signal: tools.timeout(lookupTimeoutMs),
    });
    if (answer.status === 422) throw tooLarge();
    const { data } = await answer.json<{ data?: Row[] }>();
    if (answer.status === 404) return [];
    if (answer.status !== 200 || !Array.isArray(data)) throw failed(`status ${answer.status}`);
    return data.map((row) => ({ ...row, layer: 'archive' }));
  } catch (cause) {
    throw cause instanceof TidemarkError ? cause : failed('it did not answer', cause);
  }
}

function tooLarge(): TidemarkError {
  return new TidemarkError('CAPACITY', 'Cannot answer: the trace is too large to be shown');
}

function failed(why: string, cause?: unknown): TidemarkError {
  return new TidemarkError('SINK_FAILED', `Cannot look into the archive: ${why}`, {
    cause,
    retryable: true,
  });
}
