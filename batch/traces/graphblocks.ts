/**
 * Fills in what the service graph needs of a block beside its groups: parents, peers and links, from the
 * pages of a row group. It makes no value of any.
 */
import type { LevelPage, SpanGraph } from '../../aggregator-as/spangraph.ts';
import type { OpenBlock, SpanKernel } from '../../aggregator-as/spankernel.ts';
import { UnknownLayout, type Pages } from '../parquet/pages.ts';
import {
  byteArray,
  chunkOf,
  codedPages,
  columnOf,
  fixedLength,
  overlap,
  putCodes,
  type Chunks,
  type CodedPages,
} from './columns.ts';

/** The columns of a block that only the graph needs. */
export const graphColumns: readonly string[] = [
  'ParentSpanId',
  'Links.TraceId',
  'Links.SpanId',
  'PeerKind',
  'PeerName',
];

const [traceIdBytes, spanIdBytes] = [16, 8];

interface LinkPages extends Pages {
  readonly most: number;
}

export interface GraphPages {
  readonly parents: Pages;
  readonly peerNames: CodedPages;
  readonly peerKinds: CodedPages;
  readonly linkTraces: LinkPages;
  readonly linkSpans: LinkPages;
}

/** The pages of those columns. Throws `UnknownLayout` for what is stored in a way not known here. */
export function graphPages(chunks: Chunks): GraphPages {
  const { leaf, ...parents } = chunkOf(chunks, 'ParentSpanId', fixedLength, spanIdBytes);
  if (leaf.isList || leaf.most !== 1) throw new UnknownLayout('ParentSpanId is not optional');
  return {
    parents,
    peerNames: codedPages(columnOf(chunks, 'PeerName', byteArray)),
    peerKinds: codedPages(columnOf(chunks, 'PeerKind', byteArray)),
    linkTraces: linkPages(chunks, 'Links.TraceId', traceIdBytes),
    linkSpans: linkPages(chunks, 'Links.SpanId', spanIdBytes),
  };
}

function linkPages(chunks: Chunks, name: string, width: number): LinkPages {
  const { leaf, ...pages } = chunkOf(chunks, name, fixedLength, width);
  if (!leaf.isList) throw new UnknownLayout(`${name} is no list`);
  return { ...pages, most: leaf.most };
}

/**
 * Fills in a block of a row group of so many rows; the codes of kinds must be there. Throws `TidemarkError`
 * CAPACITY and CORRUPT_ARCHIVE.
 */
export function fillGraph(
  kernel: SpanKernel,
  pages: GraphPages,
  rows: number,
  block: OpenBlock,
): void {
  const { graph } = kernel;
  if (graph === undefined) return;
  putParents(graph, pages.parents, block);
  const [names, kinds] = graph.peerColumns;
  putCodes(kernel, names, pages.peerNames, block);
  putCodes(kernel, kinds, pages.peerKinds, block);
  const traces = { pages: levelPages(pages.linkTraces), most: pages.linkTraces.most };
  const spans = { pages: levelPages(pages.linkSpans), most: pages.linkSpans.most };
  graph.takeLinks(block, rows, traces, spans);
}

function putParents(graph: SpanGraph, { dictionary, pages }: Pages, block: OpenBlock): void {
  for (const page of pages) {
    const { from, to } = overlap(page, block);
    if (from >= to) continue;
    const leveled = levelPage(page, dictionary);
    const out = block.parents + spanIdBytes * (from - block.from);
    graph.takeParents(leveled, from - page.first, to - from, out);
  }
}

/** Inflates each page when it is asked for, and again when it is asked for again. */
function levelPages({ dictionary, pages }: Pages): Iterable<LevelPage> {
  return {
    *[Symbol.iterator]() {
      for (const page of pages) yield levelPage(page, dictionary);
    },
  };
}

function levelPage(page: Pages['pages'][number], dictionary: Pages['dictionary']): LevelPage {
  return {
    body: page.body,
    levels: page.values,
    dictionary:
      page.isCoded && dictionary !== undefined
        ? { body: dictionary.body, values: dictionary.values }
        : undefined,
  };
}
