/** The stretches of time that the batch has published, as charts draw them. Only reads. */
import type { Band } from './chart.ts';
import { read } from './read.ts';

interface Period {
  readonly signal: string;
  readonly period: string;
  readonly periodKind: 'day' | 'hour';
  readonly isFinal: boolean;
}

/** The hours and days of the range of which runs of the signal are current. */
export async function bandsOf(
  signal: 'traces' | 'logs' | 'metrics',
  asked: { readonly from: number; readonly to: number },
  abort: AbortSignal,
): Promise<Band[]> {
  const { data } = await read<Period>('completeness', { ...asked, signal, limit: 1000 }, abort);
  return data.map(({ period, periodKind, isFinal }) => {
    const from = Date.parse(period) / 1000;
    const standing = isFinal ? 'exact' : 'provisional';
    return { from, to: from + (periodKind === 'day' ? 86_400 : 3600), standing };
  });
}
