/** What the WebAssembly module of the batch kernel of spans exports: see `assembly/aggregate.ts`. */

/** A global of the module. */
export interface Word {
  readonly value: number;
}

export interface SpanExports {
  readonly memory: WebAssembly.Memory;
  readonly wanted: Word;
  readonly wantedBlock: Word;
  readonly cutFrom: Word;
  readonly cutTo: Word;
  readonly headerBytes: Word;
  readonly bucketsFound: Word;
  readonly stretchCount: Word;
  readonly runsAt: Word;
  readonly groupCount: Word;
  readonly firstGroup: Word;
  readonly rowsBegun: Word;
  readonly linkTotal: Word;
  readonly linksTaken: Word;
  readonly endNames: Word;
  readonly endNameCount: Word;
  reset(pagesMax: number, byKind: number, graph: number): number;
  begin(runs: number): number;
  roomForPage(bytes: number): number;
  openBlock(
    ids: number,
    rows: number,
    fromHigh: bigint,
    fromLow: bigint,
    toHigh: bigint,
    toLow: bigint,
  ): number;
  dropBlock(at: number): void;
  orderBlock(at: number): void;
  orderParents(at: number): void;
  feed(run: number, at: number, tag: number): number;
  roomForPlaces(at: number): number;
  lookUp(codes: number, count: number, dictionary: number, width: number, out: number): void;
  merge(): number;
  absorbGroup(into: number, from: number): void;
  writeGroup(at: number): number;
  codesAt(column: number): number;
  findGroup(tenant: number, service: number, operation: number, kind: number): number;
  nameAt(column: number, name: number): number;
  nameBytes(column: number, name: number): number;
  nameCount(column: number): number;
  nameOf(column: number, entry: number): number;
  readNames(column: number, at: number, end: number, count: number): number;
  unpack(
    at: number,
    end: number,
    width: number,
    skip: number,
    count: number,
    out: number,
    limit: number,
  ): number;
  roomForQuantiles(count: number): number;
  headerAt(): number;
  stretchesAt(): number;
  leastDuration(): bigint;
  greatestDuration(): bigint;
  durationSumLow(): bigint;
  durationSumHigh(): bigint;
  roomForLevels(bytes: number): number;
  countPresent(definitions: number, count: number, most: number): number;
  takeParents(
    definitions: number,
    skip: number,
    count: number,
    values: number,
    end: number,
    out: number,
  ): number;
  beginLinks(at: number, from: number, to: number): number;
  countLinks(repetitions: number, definitions: number, count: number, most: number): number;
  makeLinks(): number;
  roomForLinks(at: number, count: number): number;
  beginHalves(): void;
  takeHalves(
    repetitions: number,
    definitions: number,
    count: number,
    most: number,
    values: number,
    end: number,
    width: number,
  ): number;
  closeEnds(): number;
  producerCount(): number;
  linkCount(): number;
  consumerCount(): number;
  firstProducers(): number;
  firstConsumers(): number;
  linksFrom(first: number): number;
}
