/**
 * Reads just enough of a ClickHouse statement to know what the front must do with it: whether it is
 * one statement, whether it carries data, and in which format. It never judges the SQL itself.
 * Text is Latin-1 (one character a byte), so that data which follows a statement keeps its offsets.
 */
import { ClickHouseError } from '../../schemas/errors.ts';

export interface Statement {
  /** `insert` carries data in its body; `read` changes nothing in the session; `other` is the rest. */
  readonly kind: 'insert' | 'read' | 'other';
  /** The statement without its data, trailing semicolons and FORMAT clause of an insert. */
  readonly text: string;
  /** Of an insert: the SETTINGS clause, or empty. It stands after `FROM INFILE`, not before. */
  readonly settingsClause: string;
  /** Name after FORMAT, `Values` for INSERT … VALUES, undefined if the statement names none. */
  readonly format: string | undefined;
  /** Of an insert: where its data begins in the text that was read. */
  readonly dataStart: number;
}

interface Token {
  readonly kind: 'word' | 'mark' | 'text';
  /** Upper case for words. */
  readonly value: string;
  readonly start: number;
  readonly end: number;
  readonly depth: number;
}

const opening = new Set(['(', '[', '{']);
const closing = new Set([')', ']', '}']);
const readWords = new Set(['SELECT', 'WITH', 'SHOW', 'EXISTS', 'DESCRIBE', 'DESC', 'EXPLAIN']);
const sourceWords = new Set(['VALUES', 'FORMAT', 'SELECT', 'WITH', 'FROM', 'WATCH', 'EXPLAIN']);

/**
 * Reads the statement at the start of `text`. Throws `ClickHouseError` 62 for an empty or a second
 * statement, 344 for INTO OUTFILE and FROM INFILE, which would touch the server's own files.
 */
export function readStatement(text: string): Statement {
  const tokens: Token[] = [];
  let ended = false;
  for (const token of readTokens(text)) {
    if (token.value === ';' && token.kind === 'mark') {
      ended = true;
      continue;
    }
    if (ended) throw syntaxError('Multi-statements are not allowed');
    tokens.push(token);
    if (tokens[0]?.value !== 'INSERT') continue;
    const insert = insertWithData(text, tokens);
    if (insert !== undefined) return insert;
  }
  const [first] = tokens;
  const last = tokens.at(-1);
  if (first === undefined || last === undefined) throw syntaxError('Empty query');
  refuseFiles(tokens);
  return {
    kind: readWords.has(first.value) || first.value === '(' ? 'read' : 'other',
    text: text.slice(0, last.end),
    settingsClause: '',
    format: outputFormat(text, tokens),
    dataStart: text.length,
  };
}

/** The insert, once its last token says that data follows; undefined while that is open. */
function insertWithData(text: string, tokens: readonly Token[]): Statement | undefined {
  const last = tokens.at(-1);
  if (last === undefined) return undefined;
  const source = tokens.find((token, index) => isSource(token, index, tokens));
  if (source === undefined) return undefined;
  const isValues = source.value === 'VALUES';
  const isFormat = source.value === 'FORMAT';
  if (!isValues && !(isFormat && last !== source)) return undefined;
  refuseFiles(tokens);
  const settings = tokens.find((token) => token.depth === 0 && token.value === 'SETTINGS');
  return {
    kind: 'insert',
    text: text.slice(0, (settings ?? source).start).trimEnd(),
    settingsClause: settings === undefined ? '' : text.slice(settings.start, source.start).trim(),
    format: isValues ? 'Values' : text.slice(last.start, last.end),
    dataStart: isValues ? last.end : startOfData(text, last.end),
  };
}

/** Whether the token names where the rows come from; the table's own name is never taken for it. */
function isSource(token: Token, index: number, tokens: readonly Token[]): boolean {
  if (token.depth !== 0 || token.kind !== 'word' || !sourceWords.has(token.value)) return false;
  const before = tokens[index - 1]?.value ?? '';
  return index > 1 && !['INTO', 'TABLE', 'FUNCTION', '.'].includes(before);
}

/**
 * Data begins after the format's name, blanks and one line feed (as in ParserInsertQuery). A lone
 * semicolon stands for no data; before data it is an error, as it is in ClickHouse.
 */
function startOfData(text: string, end: number): number {
  const blanks = /^[ \t\f]*(;\s*$|\r?\n|)/.exec(text.slice(end, end + 4096));
  const start = end + (blanks?.[0].length ?? 0);
  if (text[start] !== ';') return start;
  throw new ClickHouseError(
    103,
    "Code: 103. DB::Exception: You have excessive ';' symbol before data for INSERT. (INVALID_USAGE_OF_INPUT)",
  );
}

function outputFormat(text: string, tokens: readonly Token[]): string | undefined {
  const index = tokens.findLastIndex((token) => token.depth === 0 && token.value === 'FORMAT');
  const name = tokens[index + 1];
  return index > 0 && name?.kind === 'word' ? text.slice(name.start, name.end) : undefined;
}

function refuseFiles(tokens: readonly Token[]): void {
  for (const [index, token] of tokens.entries()) {
    const pair = `${tokens[index - 1]?.value ?? ''} ${token.value}`;
    if (token.kind === 'word' && (pair === 'INTO OUTFILE' || pair === 'FROM INFILE')) {
      throw new ClickHouseError(
        344,
        `Code: 344. DB::Exception: ${pair} is for the command line client. (SUPPORT_IS_DISABLED)`,
      );
    }
  }
}

/** Tokens in order, comments and blanks left out. An unclosed quote runs to the end of the text. */
function* readTokens(text: string): Generator<Token> {
  let position = 0;
  let depth = 0;
  while (position < text.length) {
    const start = position;
    position = endOfBlank(text, start);
    if (position > start) continue;
    const quoted = endOfQuoted(text, start);
    const word = quoted > start ? start : endOfWord(text, start);
    const mark = text[start] ?? '';
    if (quoted > start) {
      position = quoted;
      yield { kind: 'text', value: '', start, end: position, depth };
    } else if (word > start) {
      position = word;
      yield { kind: 'word', value: text.slice(start, word).toUpperCase(), start, end: word, depth };
    } else {
      position = start + 1;
      if (closing.has(mark)) depth -= 1;
      yield { kind: 'mark', value: mark, start, end: position, depth };
      if (opening.has(mark)) depth += 1;
    }
  }
}

/** End of the white space or comment at `start`: `--`, `//`, `# `, `#!`, and nested block comments. */
function endOfBlank(text: string, start: number): number {
  const pair = text.slice(start, start + 2);
  if (/^\s/.test(pair)) return start + 1;
  if (pair === '--' || pair === '//' || /^#[\s!]/.test(pair)) {
    const end = text.indexOf('\n', start);
    return end < 0 ? text.length : end + 1;
  }
  if (pair !== '/*') return start;
  let level = 1;
  const edge = /\/\*|\*\//g;
  edge.lastIndex = start + 2;
  while (level > 0) {
    const match = edge.exec(text);
    if (match === null) return text.length;
    level += match[0] === '/*' ? 1 : -1;
  }
  return edge.lastIndex;
}

/** Quotes of word processors, in UTF-8 bytes: ClickHouse takes them for quotes too. */
const curly: Readonly<Record<string, string>> = {
  '\u00e2\u0080\u0098': '\u00e2\u0080\u0099',
  '\u00e2\u0080\u009c': '\u00e2\u0080\u009d',
};

/** End of the string, quoted identifier or heredoc at `start`, or `start` if there is none. */
function endOfQuoted(text: string, start: number): number {
  const mark = text[start] ?? '';
  if (mark === "'" || mark === '"' || mark === '`') return endOfQuote(text, mark, start + 1);
  const closer = curly[text.slice(start, start + 3)];
  if (closer !== undefined) return endAfter(text, closer, start + 3);
  if (mark !== '$') return start;
  const tag = /\$\w*\$/y;
  tag.lastIndex = start;
  const open = tag.exec(text)?.[0];
  const end = open === undefined ? -1 : text.indexOf(open, start + open.length);
  return open === undefined || end < 0 ? start : end + open.length;
}

/** A quote ends at its own mark; a backslash or a second mark takes the next character along. */
function endOfQuote(text: string, mark: string, from: number): number {
  let position = from;
  while (position < text.length) {
    const isPair = text[position] === mark && text[position + 1] === mark;
    if (text[position] === mark && !isPair) return position + 1;
    position += isPair || text[position] === '\\' ? 2 : 1;
  }
  return text.length;
}

function endAfter(text: string, closer: string, from: number): number {
  const end = text.indexOf(closer, from);
  return end < 0 ? text.length : end + closer.length;
}

function endOfWord(text: string, start: number): number {
  const word = /[\w$]+/y;
  word.lastIndex = start;
  return word.test(text) ? word.lastIndex : start;
}

function syntaxError(what: string): ClickHouseError {
  return new ClickHouseError(62, `Code: 62. DB::Exception: Syntax error: ${what}. (SYNTAX_ERROR)`);
}
