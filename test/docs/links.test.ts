/** What Markdown files, sources, manifests and alerts say stands in another file does: the file, and its heading. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { guides, readGuide, root } from '../support/guides.ts';

const pages = [...guides(), 'CONTRIBUTING.md', 'CHANGELOG.md'];

/** Folders whose files may name a guide. */
const folders = 'aggregator-as batch bench bin deploy dev edge schemas test workers'.split(' ');

/** What blocks of code hold is no link and no heading. */
function proseOf(file: string): string {
  return readGuide(file).replaceAll(/^ *```[\s\S]*?^ *```$/gm, '');
}

/** Ids of a page's headings as GitHub makes them: lower case, no punctuation, a number when there are two. */
function headingsOf(file: string): Set<string> {
  const seen = new Map<string, number>();
  const ids = [...proseOf(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => {
    const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const id = words.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(/\s/g, '-');
    const count = seen.get(id) ?? 0;
    seen.set(id, count + 1);
    return count === 0 ? id : `${id}-${count}`;
  });
  return new Set(ids);
}

/** What is wrong with a link, of which `file` is from the root; `undefined` when it leads somewhere. */
function faultOf(file: string, heading: string | undefined): string | undefined {
  if (!existsSync(path.join(root, file))) return 'no such file';
  const isThere = heading === undefined || (file.endsWith('.md') && headingsOf(file).has(heading));
  return isThere ? undefined : 'no such heading';
}

describe('links', () => {
  it.each(pages)('of %s lead somewhere', (file) => {
    const links = [
      ...proseOf(file).matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)/g),
    ];
    const faults = links.map(([whole, to = '', heading]) => {
      const target = to === '' ? file : path.join(path.dirname(file), to);
      return [whole, faultOf(target, heading)];
    });
    expect(faults.filter(([, fault]) => fault !== undefined)).toEqual([]);
  });

  it('lead to every guide', () => {
    const orphans = guides().filter((file) => {
      const link = new RegExp(`\\]\\((docs/)?${path.basename(file)}[)#]`);
      return !guides().some((other) => other !== file && link.test(readGuide(other)));
    });
    expect(orphans.filter((file) => file !== 'README.md')).toEqual([]);
  });

  it('of sources, manifests and alerts name guides that there are', () => {
    const files = folders.flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && /\.(ts|yaml|sql|json|py)$/.test(entry.name))
        .map((entry) => path.join(entry.parentPath, entry.name)),
    );
    const named = files.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/\b(docs\/[A-Z]+\.md)(?:#([a-z0-9-]+))?/g)].map(
        ([whole, guide = '', heading]) => ({ file, whole, fault: faultOf(guide, heading) }),
      ),
    );
    expect(named.length).toBeGreaterThan(100);
    expect(named.filter(({ fault }) => fault !== undefined)).toEqual([]);
  });
});
