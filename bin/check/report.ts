/** Writes a scorecard for people and for programs. Only formats. */
import { levels, verdicts } from './row.ts';
import type { Level, Verdict } from './row.ts';
import type { Outcome } from './run.ts';

/** What a level is called in a scorecard. */
const levelNames: Readonly<Record<Level, string>> = {
  MUST: 'MUST',
  SHOULD: 'SHOULD',
  MAY: 'MAY',
  proto: 'proto',
  collector: 'as Collector',
  tidemark: 'Tidemark',
};

export type Summary = Readonly<Record<Level, Readonly<Record<Verdict, number>>>>;

/** Whether no MUST is broken. */
export function conforms(outcomes: readonly Outcome[]): boolean {
  return outcomes.every(({ verdict, level }) => verdict !== 'fail' || level !== 'MUST');
}

/** How many rows of each level have each verdict. */
export function summarizeByLevel(outcomes: readonly Outcome[]): Summary {
  const count = (level: Level, verdict: Verdict): number =>
    outcomes.filter((outcome) => outcome.level === level && outcome.verdict === verdict).length;
  return Object.fromEntries(
    levels.map((level) => [
      level,
      Object.fromEntries(verdicts.map((verdict) => [verdict, count(level, verdict)])),
    ]),
  ) as Summary;
}

/** The scorecard as one line of JSON. */
export function scorecardJson(url: string, outcomes: readonly Outcome[]): string {
  const summary = summarizeByLevel(outcomes);
  return `${JSON.stringify({ url, conforms: conforms(outcomes), summary, rows: outcomes })}\n`;
}

/** The scorecard as text: a block for each row, and a table of levels. */
export function scorecard(name: string, outcomes: readonly Outcome[]): string {
  const verdict = conforms(outcomes)
    ? 'Every MUST that can be seen from outside holds.'
    : `Broken: ${outcomes
        .filter((outcome) => outcome.verdict === 'fail' && outcome.level === 'MUST')
        .map(({ row }) => `row ${row}`)
        .join(', ')}.`;
  return [
    `OTLP/HTTP 1.11 scorecard of ${name}\n\n`,
    ...outcomes.map(block),
    `\n${table(outcomes)}\n${verdict}\n`,
  ].join('');
}

function block({ row, level, title, verdict, expected, seen }: Outcome): string {
  const head = `${String(row).padStart(2)}  ${verdict.padEnd(7)}  ${levelNames[level].padEnd(12)}  `;
  const indent = ' '.repeat(head.length);
  const lines = [title];
  if (verdict === 'fail' || verdict === 'differs') lines.push(`expected: ${expected}`);
  if (verdict !== 'skipped') lines.push(`${verdict === 'n/a' ? 'because' : 'seen'}: ${seen}`);
  return `${head}${lines.flatMap(wrap).join(`\n${indent}`)}\n`;
}

const columns = 100;

/** Breaks a line between words; the lines that follow are set in. */
function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length >= columns - 28) {
      lines.push(line);
      line = ' ';
    }
    line += line === '' || line === ' ' ? word : ` ${word}`;
  }
  return [...lines, line];
}

function table(outcomes: readonly Outcome[]): string {
  const summary = summarizeByLevel(outcomes);
  const lines = levels.map((level) =>
    tableLine([
      levelNames[level],
      ...verdicts.map((verdict) => String(summary[level][verdict] || '·')),
    ]),
  );
  return `${[tableLine(['level', ...verdicts]), ...lines].join('\n')}\n`;
}

function tableLine(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(14) : cell.padStart(9))).join('');
}
