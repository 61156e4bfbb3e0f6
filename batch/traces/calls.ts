/**
 * Collects calls one by one and gives them as partials of edges. Holds 8 bytes of a call until there are
 * many, then what a partial needs for it, three or four.
 */
import { encodePartial, type PartialGroup } from '../../schemas/partials/spans.ts';
import type { Names } from '../shard/names.ts';
import { edgeKey } from './edges.ts';

interface Edge {
  readonly tenant: number;
  readonly caller: number;
  readonly callee: number;
  readonly connection: number;
  errors: number;
  count: number;
  durations: BigUint64Array;
}

/** What is known of a call beside its ends. */
export interface Call {
  readonly tenant: number;
  readonly durationNs: bigint;
  readonly isError: boolean;
}

const roomAtFirst = 16;

export class Calls {
  readonly #names: Names;
  readonly #max: number;
  readonly #edges = new Map<string, Edge>();
  readonly #partials: Uint8Array[] = [];
  #count = 0;

  /** Numbers of tenants and nodes are those of `names`; past `max` calls those so far become a partial. */
  constructor(names: Names, max: number) {
    this.#names = names;
    this.#max = max;
  }

  add(caller: number, callee: number, connection: number, call: Call): void {
    const edge = this.#edge(call.tenant, caller, callee, connection);
    if (edge.count === edge.durations.length) {
      const larger = new BigUint64Array(2 * edge.count);
      larger.set(edge.durations);
      edge.durations = larger;
    }
    edge.durations[edge.count] = call.durationNs;
    edge.count += 1;
    edge.errors += Number(call.isError);
    this.#count += 1;
    if (this.#count >= this.#max) this.#flush();
  }

  /** The partials of all calls. */
  partials(): Uint8Array[] {
    this.#flush();
    return this.#partials;
  }

  #edge(tenant: number, caller: number, callee: number, connection: number): Edge {
    const key = `${tenant} ${caller} ${callee} ${connection}`;
    const known = this.#edges.get(key);
    if (known !== undefined) return known;
    const durations = new BigUint64Array(roomAtFirst);
    const edge = { tenant, caller, callee, connection, errors: 0, count: 0, durations };
    this.#edges.set(key, edge);
    return edge;
  }

  #flush(): void {
    if (this.#count === 0) return;
    const names = this.#names.values();
    this.#partials.push(
      encodePartial(Array.from(this.#edges.values(), (edge) => groupOf(edge, names))),
    );
    this.#edges.clear();
    this.#count = 0;
  }
}

function groupOf(edge: Edge, names: readonly string[]): PartialGroup {
  const { tenant, caller, callee, connection, count, errors } = edge;
  const durations = edge.durations.subarray(0, count).toSorted();
  const key = edgeKey(names[tenant] ?? '', names[caller] ?? '', names[callee] ?? '', connection);
  return {
    ...key,
    rawCount: count,
    count,
    errorCount: errors,
    uniqueTraces: 0,
    conflicts: 0,
    durationMinNs: durations[0] ?? 0n,
    durationMaxNs: durations.at(-1) ?? 0n,
    durationSumNs: durations.reduce((sum, duration) => sum + duration, 0n),
    durations,
  };
}
