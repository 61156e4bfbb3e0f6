/**
 * Chooses which files of an hour are worth merging. A pure decision over what is known of files: it
 * reads nothing.
 */
import type { CommitFile } from '../../schemas/commit.ts';
import { parseOutputKey } from '../../schemas/replacement.ts';

/** Files whose ids ascend from one to the next, and that are merged together or not at all. */
export interface FileRun<File extends CommitFile = CommitFile> {
  readonly files: readonly File[];
  readonly bytes: number;
  readonly quarantined: boolean;
}

/**
 * The sorted runs of an hour's files, smallest first: outputs of one replacement are one run where
 * their ids ascend from file to file, and any other file is one by itself. The result does not
 * depend on the order of `files`.
 */
export function runsOf<File extends CommitFile>(files: readonly File[]): FileRun<File>[] {
  const groups = Map.groupBy(files, (file) => {
    const sequence = parseOutputKey(file.key)?.sequence;
    return sequence === undefined ? file.key : `${sequence} ${file.quarantined}`;
  });
  return [...groups.values()]
    .flatMap(splitRuns)
    .toSorted((a, b) => a.bytes - b.bytes || (keyOf(a) < keyOf(b) ? -1 : 1));
}

function splitRuns<File extends CommitFile>(files: readonly File[]): FileRun<File>[] {
  const sorted = files.toSorted((a, b) => (idMin(a) < idMin(b) ? -1 : 1));
  const doAscend = sorted.every((file, index) => {
    const before = sorted[index - 1];
    return before === undefined || idMax(before) <= idMin(file);
  });
  return doAscend ? [runOf(sorted)] : sorted.map((file) => runOf([file]));
}

function runOf<File extends CommitFile>(files: readonly File[]): FileRun<File> {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return { files, bytes, quarantined: files[0]?.quarantined ?? false };
}

function idMin(file: CommitFile): string {
  return file.rowGroups[0]?.idMin ?? '';
}

function idMax(file: CommitFile): string {
  return file.rowGroups.at(-1)?.idMax ?? '';
}

function keyOf(run: FileRun): string {
  return run.files[0]?.key ?? '';
}

/**
 * The runs to merge next, smallest first; none when it is not worth it. As many of the smallest as
 * are at least `runsMin` and of which the largest is at most `runsMin` times the others together: so
 * a few late rows do not make a large file be written again, and a byte is rewritten a number of
 * times that grows with the logarithm of the hour's size. Good rows and quarantined ones never mix.
 */
export function chooseRuns<File extends CommitFile>(
  runs: readonly FileRun<File>[],
  runsMin: number,
): FileRun<File>[] {
  for (const quarantined of [false, true]) {
    const own = runs.filter((run) => run.quarantined === quarantined);
    const chosen = longestPrefix(own, runsMin);
    if (chosen.length > 0) return chosen;
  }
  return [];
}

function longestPrefix<File extends CommitFile>(
  runs: readonly FileRun<File>[],
  runsMin: number,
): FileRun<File>[] {
  let count = 0;
  let bytesBefore = 0;
  for (const [index, { bytes }] of runs.entries()) {
    if (index + 1 >= runsMin && bytes <= runsMin * bytesBefore) count = index + 1;
    bytesBefore += bytes;
  }
  return runs.slice(0, count);
}
