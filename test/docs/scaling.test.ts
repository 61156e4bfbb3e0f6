/** docs/SCALING.md against the model that its figures are of. */
import { describe, expect, it } from 'vitest';
import { assume } from '../../bin/cost/assume.ts';
import { describeCost } from '../../bin/cost/describe.ts';
import { costOf } from '../../bin/cost/price.ts';
import type { Load } from '../../bin/cost/size.ts';
import { readGuide } from '../support/guides.ts';

const guide = readGuide('docs/SCALING.md');

function loadOf(traces: number, kafka = true): Load {
  const kept = { archiveDays: 30, speedDays: 7, kafkaDays: 7 };
  return { items: { traces, logs: 0, metrics: 0 }, ...kept, kafka, group: false };
}

/** Cells of the lines, with # for figures: those move a little with every measurement. */
function words(text: string): string[][] {
  return text
    .split('\n')
    .map((line) => line.replaceAll(/[\d.,]+( [kMGT])?\b/g, '#').split(/ {2,}/));
}

describe('docs/SCALING.md', () => {
  it('has the figures of the model, within a tenth', () => {
    const rows = [...guide.matchAll(/^\| 10\^(\d+) +\|(.*)\|$/gm)];
    expect(rows.map(([, power]) => power)).toEqual(['7', '8', '9', '10', '11']);
    for (const [, power, rest = ''] of rows) {
      const items = 10 ** Number(power);
      const cells = rest.split('|').map((cell) => Number(cell.replaceAll(',', '').trim()));
      const usd = [true, false].map((kafka) => costOf(loadOf(items, kafka), assume()));
      const told = [cells[0], cells[1], cells.at(-2), cells.at(-1)];
      const known = [items / 86_400, usd[0]?.cells, usd[0]?.usdMonth, usd[1]?.usdMonth];
      for (const [index, figure] of known.entries()) {
        const off = Math.abs((told[index] ?? 0) / (figure ?? 0) - 1);
        expect(off, `10^${power}: ${told[index]} is told, ${figure} is so`).toBeLessThan(0.1);
      }
    }
  });

  it('shows what the command prints', () => {
    const shown = /<!-- cost: 1e11 -->\n+```text\n([\s\S]*?)```/.exec(guide)?.[1] ?? '';
    const printed = describeCost(costOf(loadOf(1e11), assume()));
    expect(words(shown).slice(0, 26)).toEqual(words(printed).slice(0, 26));
  });
});
