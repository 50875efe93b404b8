import { Failure } from '../../protocol/failure.ts';

/** The values of libconfig, the format of enftun's configuration. Groups have no prototype. */
export type LibconfigValue = string | number | boolean | LibconfigList | LibconfigGroup;
export interface LibconfigList extends ReadonlyArray<LibconfigValue> {}
export interface LibconfigGroup {
  readonly [name: string]: LibconfigValue;
}

/** Longer texts and deeper nesting than this are refused. */
const MAX_TEXT = 65_536;
const MAX_DEPTH = 32;

const NAME = /[A-Za-z*][A-Za-z0-9_*-]*/y;
const NUMBER = /[-+]?(?:0[xX][0-9A-Fa-f]+L{0,2}|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?L{0,2})/y;
const BOOLEAN = /(true|false)(?![A-Za-z0-9_*-])/iy;
const SPACE = /(?:\s|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y;
const STRING = /"((?:[^"\\]|\\[\s\S])*)"/y;
const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', f: '\f', '"': '"', '\\': '\\' };

/**
 * Reads a libconfig text. Whole numbers beyond 2^53, duplicate names and `@include` are refused.
 * @throws Failure `enftun.bad-config`
 */
export function parseLibconfig(text: string): LibconfigGroup {
  if (text.length > MAX_TEXT) throw bad(`more than ${MAX_TEXT} characters`, 1);
  const reader = new Reader(text);
  const group = reader.settings(undefined, 0);
  return group;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Settings up to `end`, or up to the end of the text. */
  settings(end: '}' | undefined, depth: number): LibconfigGroup {
    const group: Record<string, LibconfigValue> = Object.create(null);
    for (;;) {
      this.#space();
      if (this.#at === this.#text.length) {
        if (end === undefined) return group;
        throw this.#expected(`"${end}"`);
      }
      if (end !== undefined && this.#take(end)) return group;
      const name = this.#match(NAME)?.[0];
      if (name === undefined) throw this.#expected('a name');
      if (name in group) throw this.#bad(`"${name}" a second time`);
      this.#space();
      if (!this.#take('=') && !this.#take(':')) throw this.#expected('"=" or ":"');
      group[name] = this.#value(depth);
      this.#space();
      if (!this.#take(';')) this.#take(',');
    }
  }

  #value(depth: number): LibconfigValue {
    if (depth === MAX_DEPTH) throw this.#bad(`groups nested more than ${MAX_DEPTH} deep`);
    this.#space();
    if (this.#take('{')) return this.settings('}', depth + 1);
    if (this.#take('[')) return this.#items(']', depth + 1);
    if (this.#take('(')) return this.#items(')', depth + 1);
    const truth = this.#match(BOOLEAN)?.[1];
    if (truth !== undefined) return truth.toLowerCase() === 'true';
    return this.#string() ?? this.#number();
  }

  #items(end: ']' | ')', depth: number): LibconfigList {
    const items: LibconfigValue[] = [];
    for (;;) {
      this.#space();
      if (this.#take(end)) return items;
      items.push(this.#value(depth));
      this.#space();
      if (!this.#take(',') && this.#text[this.#at] !== end) throw this.#expected(`"," or "${end}"`);
    }
  }

  /** Strings that follow each other are one. */
  #string(): string | undefined {
    let text: string | undefined;
    for (;;) {
      const found = this.#match(STRING)?.[1];
      if (found === undefined) return text;
      text = (text ?? '') + this.#unescape(found);
      this.#space();
    }
  }

  #unescape(raw: string): string {
    return raw.replace(/\\(x[0-9A-Fa-f]{2}|[\s\S])/g, (_, sequence: string) => {
      if (sequence.length === 3) return String.fromCharCode(Number.parseInt(sequence.slice(1), 16));
      const character = ESCAPES[sequence];
      if (character === undefined) throw this.#bad(`the escape "\\${sequence}"`);
      return character;
    });
  }

  #number(): number {
    const digits = this.#match(NUMBER)?.[0];
    if (digits === undefined) throw this.#expected('a value');
    const plain = digits.replace(/L+$/, '');
    const negative = plain.startsWith('-');
    const value = Number(plain.replace(/^[-+]/, '')) * (negative ? -1 : 1);
    if (Number.isInteger(value) ? !Number.isSafeInteger(value) : !Number.isFinite(value)) {
      throw this.#bad(`the number ${digits}`);
    }
    return value;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) return undefined;
    this.#at = pattern.lastIndex;
    return found;
  }

  #space(): void {
    this.#match(SPACE);
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #expected(what: string): Failure {
    return this.#bad(`${JSON.stringify(this.#text[this.#at] ?? 'the end')} where ${what} should be`);
  }

  #bad(what: string): Failure {
    return bad(what, this.#text.slice(0, this.#at).split('\n').length);
  }
}

function bad(what: string, line: number): Failure {
  return new Failure('enftun.bad-config', 'operator', `enftun configuration, line ${line}: got ${what}`, {
    action: 'Give the file that enftun itself reads with -c.',
  });
}
