/**
 * The guard against too many operations: of each service the biggest stand for themselves, by distinct spans and
 * then by name, and the others are one, `__overflow__`, for each kind of span. Which are kept depends on the
 * period's counts only, never on how they were cut into shards. Adds no figures up.
 */
import type { GroupNames } from '../../schemas/partials/spans.ts';
import { overflowNode } from './edges.ts';
import type { GroupLimit } from './groups.ts';

/** Stands for the operations past the limit. */
export const overflowOperation = overflowNode;

interface Operation {
  readonly name: string;
  readonly spans: number;
}

export class OperationLimit implements GroupLimit {
  /** Operations past the limit, over all services. */
  folded = 0;
  readonly #max: number;
  /** Names that are kept, of the services that are past the limit. */
  readonly #kept = new Map<string, ReadonlySet<string>>();
  #service: Biggest | undefined;
  #lookedUp: { service: string; tenant: string; kept: ReadonlySet<string> | undefined } | undefined;

  /** `max` operations of one tenant's service are kept. */
  constructor(max: number) {
    this.#max = max;
  }

  get isPassed(): boolean {
    return this.#kept.size > 0;
  }

  see(key: GroupNames, count: number): void {
    const { tenantId, serviceName, operationName } = key;
    if (this.#service?.tenantId !== tenantId || this.#service.serviceName !== serviceName) {
      this.end();
      this.#service = new Biggest(tenantId, serviceName, this.#max);
    }
    this.#service.add(operationName, count);
  }

  end(): void {
    const service = this.#service;
    if (service === undefined) return;
    this.#service = undefined;
    const kept = service.names();
    if (kept === undefined) return;
    this.folded += service.operations - kept.size;
    this.#kept.set(serviceText(service), kept);
  }

  foldOf(key: GroupNames): GroupNames | undefined {
    const { tenantId, serviceName, operationName } = key;
    const kept = this.#keptOf(tenantId, serviceName);
    if (kept === undefined) return undefined;
    if (kept.has(operationName) && operationName !== overflowOperation) return undefined;
    return { tenantId, serviceName, operationName: overflowOperation, spanKind: key.spanKind };
  }

  /** Keys come service by service. */
  #keptOf(tenant: string, service: string): ReadonlySet<string> | undefined {
    const known = this.#lookedUp;
    if (known?.tenant === tenant && known.service === service) return known.kept;
    const kept = this.#kept.get(serviceText({ tenantId: tenant, serviceName: service }));
    this.#lookedUp = { tenant, service, kept };
    return kept;
  }
}

function serviceText({ tenantId, serviceName }: Pick<GroupNames, 'tenantId' | 'serviceName'>) {
  return JSON.stringify([tenantId, serviceName]);
}

/** The biggest operations of one service, which are told in the order of their names. */
class Biggest {
  readonly tenantId: string;
  readonly serviceName: string;
  operations = 0;
  readonly #max: number;
  #candidates: Operation[] = [];
  /** The last of the biggest, once there are so many: who comes after it is not among them. */
  #last: Operation | undefined;
  #open: { readonly name: string; spans: number } | undefined;

  constructor(tenantId: string, serviceName: string, max: number) {
    this.tenantId = tenantId;
    this.serviceName = serviceName;
    this.#max = max;
  }

  /** Adds spans of a kind of an operation. */
  add(name: string, spans: number): void {
    if (this.#open?.name === name) {
      this.#open.spans += spans;
      return;
    }
    this.#close();
    this.#open = { name, spans };
  }

  /** The names of the biggest, if there are others. */
  names(): ReadonlySet<string> | undefined {
    this.#close();
    if (this.operations <= this.#max) return undefined;
    this.#cut();
    return new Set(this.#candidates.map(({ name }) => name));
  }

  #close(): void {
    const operation = this.#open;
    if (operation === undefined) return;
    this.#open = undefined;
    this.operations += 1;
    if (this.#last && compareOperations(operation, this.#last) > 0) return;
    this.#candidates.push(operation);
    if (this.#candidates.length >= 2 * this.#max + candidatesMore) this.#cut();
  }

  #cut(): void {
    this.#candidates = this.#candidates.toSorted(compareOperations).slice(0, this.#max);
    this.#last = this.#candidates[this.#max - 1];
  }
}

/** Candidates beyond twice the limit: sorting a few each time would cost too much. */
const candidatesMore = 64;

/** The bigger one first; of equal ones the first by the bytes of its name. */
export function compareOperations(a: Operation, b: Operation): number {
  return b.spans - a.spans || compareUtf8(a.name, b.name);
}

/** Order of texts by the bytes of their UTF-8, as databases have it: UTF-16 has surrogates before U+E000. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (left !== right) return rankOf(left) - rankOf(right);
  }
  return a.length - b.length;
}

function rankOf(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
