/**
 * Goes through the partials of a period's shards of metrics in the order of their series, one partial in
 * memory at a time. No two shards have points of one series, so nothing is added up but the overflow.
 */
import {
  decodePointPartial,
  firstSeriesOf,
  pointOrderBytes,
  pointPreamble,
  type OverflowHour,
  type Series,
} from '../../schemas/partials/points.ts';
import { mapBounded, mergeLimits, readHeader, type PartialReader } from '../merge/ranges.ts';
import { SeriesLimit } from './limit.ts';

/** A period's series, which can be gone through again and again. */
export class MergedSeries {
  readonly #readers: readonly PartialReader[];
  readonly #seriesMax: number;

  private constructor(readers: readonly PartialReader[], seriesMax: number) {
    this.#readers = readers;
    this.#seriesMax = seriesMax;
  }

  /** Reads which series each partial begins with. Throws what the readers throw, and CORRUPT_ARCHIVE. */
  static async open(readers: readonly PartialReader[], seriesMax: number): Promise<MergedSeries> {
    const firsts = await mapBounded(readers, mergeLimits.readsInFlight, async (reader) => ({
      reader,
      first: firstSeriesOf(await reader.read(0, pointOrderBytes)),
    }));
    const ordered = firsts.toSorted((a, b) => (a.first < b.first ? -1 : Number(a.first > b.first)));
    return new MergedSeries(
      ordered.map(({ reader }) => reader),
      seriesMax,
    );
  }

  /**
   * The series within their services' limit, ascending, a partial's at a time; returns what is past the
   * limit.
   */
  async *parts(): AsyncGenerator<readonly Series[], OverflowHour[]> {
    const limit = new SeriesLimit(this.#seriesMax);
    for (const reader of this.#readers) {
      const { series, overflow } = decodePointPartial(await readHeader(reader, pointPreamble));
      for (const hour of overflow) limit.add(hour);
      yield series.filter((each) => limit.keeps(each));
    }
    return limit.overflow();
  }
}
