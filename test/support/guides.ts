/**
 * The commands of the guides: what stands in blocks of shell and in backticks of README.md and docs/, and whether
 * `tidemark` knows it. Runs nothing.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { CommanderError } from 'commander';
import type { Command } from 'commander';
import type { Context } from '../../bin/context.ts';
import { allCommands, program } from '../../bin/main.ts';

export const root = path.join(import.meta.dirname, '../..');

export interface Block {
  /** `docs/FLEET.md`. */
  readonly file: string;
  /** Of the first line of the block. */
  readonly line: number;
  readonly text: string;
  /** Of the comment before it: `run`, `run by` or `not run`, and what stands behind the colon. */
  readonly note: readonly [kind: string, text: string] | undefined;
}

/** README.md and the guides. */
export function guides(): string[] {
  const docs = readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md'));
  return ['README.md', ...docs.map((name) => `docs/${name}`)];
}

export function readGuide(file: string): string {
  return readFileSync(path.join(root, file), 'utf8');
}

const shells = ['sh', 'bash', 'shell', 'console'];

/** The blocks of shell commands, in their order; and of those that name no language, what looks like commands. */
export function blocksOf(file: string): { blocks: Block[]; unnamed: string[] } {
  const [blocks, unnamed]: [Block[], string[]] = [[], []];
  const fence = /^( *)```(\w*)\n([\s\S]*?)^ *```$/gm;
  const guide = readGuide(file);
  for (const match of guide.matchAll(fence)) {
    const [, indent = '', language = '', inner = ''] = match;
    const before = guide.slice(0, match.index);
    const text = inner.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
    const line = before.split('\n').length + 1;
    const note = /<!-- (run|run by|not run): ([^>]*?) -->\s*$/.exec(before);
    if (shells.includes(language)) {
      blocks.push({ file, line, text, note: note ? [note[1] ?? '', note[2] ?? ''] : undefined });
    } else if (language === '' && /^(\$ )?(npx|npm|tidemark|curl|node) /m.test(text)) {
      unnamed.push(`${file}:${line}`);
    }
  }
  return { blocks, unnamed };
}

/** Commands in backticks: those of `tidemark` and of npm's scripts. */
export function inlineOf(file: string): string[] {
  const text = readGuide(file).replaceAll(/^ *```[\s\S]*?^ *```$/gm, '');
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
  return spans.filter((span) => /^(npx tidemark|tidemark|npm run|npm start|npm test)\b/.test(span));
}

/** The commands of a block, each in words, without what assigns variables or follows a pipe's first word. */
export function commandsIn(text: string): string[][] {
  const joined = text.replaceAll(/\\\n/g, ' ');
  const commands: string[][] = [];
  let words: string[] = [];
  const token =
    /[^\S\n]*(?:(#[^\n]*)|(\n|&&|\|\||[;|&])|((?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s;|&'"])+))/gy;
  for (const [, , operator, word] of joined.matchAll(token)) {
    if (word !== undefined) words.push(word);
    if (operator === undefined) continue;
    commands.push(words);
    words = [];
  }
  commands.push(words);
  return commands
    .map((all) => all.slice(all.findIndex((word) => !/^[A-Z][A-Z0-9_]*=/.test(word))))
    .filter((all) => all.length > 0);
}

/** Why a command cannot be what was meant; `undefined` where nothing is wrong or it is none of ours. */
export async function faultOf(
  words: readonly string[],
  isWhole: boolean,
): Promise<string | undefined> {
  const [first, second, third] = words;
  if (first === 'npx' && second !== 'tidemark') return undefined;
  if (first === 'npm') return faultOfScript(second === 'run' ? third : second);
  if (first === 'node')
    return existsSync(path.join(root, second ?? '')) ? undefined : 'no such file';
  if (first !== 'tidemark' && first !== 'npx') return undefined;
  const args = words.slice(first === 'npx' ? 2 : 1).map(unquoted);
  return faultOfTidemark(args, isWhole);
}

function faultOfScript(name = ''): string | undefined {
  const { scripts } = JSON.parse(readGuide('package.json')) as { scripts: Record<string, string> };
  const own = ['ci', 'init', 'install', 'i', 'start', 'test', ...Object.keys(scripts)];
  return own.includes(name) ? undefined : `package.json has no script "${name}"`;
}

function unquoted(word: string): string {
  return word.replaceAll(
    /'([^']*)'|"((?:\\.|[^"\\])*)"/g,
    (_, a?: string, b?: string) => a ?? b ?? '',
  );
}

const placeholder = /…|<\w|\$|^[A-Z]+$/;

/** A command that is whole is parsed with all its values; of others the names have to be known. */
async function faultOfTidemark(
  args: readonly string[],
  isWhole: boolean,
): Promise<string | undefined> {
  const all = program(silent);
  const command = leafOf(all, args);
  const options = args.filter((arg) => /^--\w/.test(arg)).map((arg) => arg.split('=')[0] ?? '');
  // `key … --put` is any of them.
  const meant = args.includes('…') ? allCommands(command) : [command];
  const own = meant.flatMap((each) => each.options.map(({ long }) => long ?? ''));
  const known = ['--help', '--version', ...own];
  const foreign = options.filter((option) => !known.includes(option));
  if (foreign.length > 0) return `${command.name()} has no ${foreign.join(', ')}`;
  const [name] = args.filter((arg) => /^[a-z][a-z-]*$/.test(arg));
  if (command === all && name !== undefined) return `there is no command ${name}`;
  if (!isWhole || args.some((arg) => placeholder.test(arg))) return undefined;
  for (const each of allCommands(all)) each.action(() => undefined);
  try {
    await all.parseAsync([...args], { from: 'user' });
    return undefined;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return undefined;
    return error instanceof Error ? error.message : String(error);
  }
}

const silent: Context = {
  environment: {},
  stdout: { write: () => true },
  stderr: { write: () => true },
  now: () => 0,
  signal: new AbortController().signal,
};

/** The command that the words name, as deep as they go. */
function leafOf(command: Command, args: readonly string[]): Command {
  const [name, ...rest] = args;
  const under = command.commands.find((each) => each.name() === name);
  return under ? leafOf(under, rest) : command;
}

/** The shell commands that follow `<!-- run: name -->` in a guide. */
export function commandsOf(file: string, name: string): string {
  const found = blocksOf(file).blocks.find(({ note }) => note?.[0] === 'run' && note[1] === name);
  if (found === undefined) throw new Error(`Bug: ${file} has no commands "${name}"`);
  return found.text;
}
