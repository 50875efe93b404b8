import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { Failure } from '../../protocol/failure.ts';

/** OWASP's choice for 32 MiB: N = 2^15, r = 8, p = 3. A hash holds its own numbers, so that they may change. */
const COST = { ln: 15, r: 8, p: 3 } as const;
const SALT_LENGTH = 16;
const HASH_LENGTH = 32;
const PASSWORD = { least: 12, most: 256 } as const;

/** Computations at the same time, each of half a second of a core, and those that may wait for one. */
const AT_ONCE = 2;
const WAITING = 20;

/** `$scrypt$ln=15,r=8,p=3$SALT$HASH` in base64 without padding (PHC string format). */
const PHC = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/;

/** Hashes passwords of people and checks them; no more at a time than the machine can do beside its work. */
export interface Passwords {
  /** The hash of a new password, as it is stored. @throws Failure `access.weak-password`, `access.busy` */
  hash(password: string): Promise<string>;
  /** Is it the password of this hash? Without a hash (nobody of that name) it takes as long, and it is not. @throws Failure `access.busy` */
  verify(password: string, hash: string | undefined): Promise<boolean>;
}

export function passwords(): Passwords {
  const gate = turns(AT_ONCE, WAITING);
  const nobody = format(COST, Buffer.alloc(SALT_LENGTH), Buffer.alloc(HASH_LENGTH));
  return {
    async hash(password) {
      checkPassword(password);
      const salt = randomBytes(SALT_LENGTH);
      return format(COST, salt, await gate(() => derive(password, salt, COST)));
    },
    async verify(password, hash) {
      const stored = PHC.exec(hash ?? nobody);
      if (stored === null || password.length > PASSWORD.most) return false;
      const [ln, r, p] = stored.slice(1, 4).map(Number) as [number, number, number];
      if (ln > 17 || r > 16 || p > 8) return false;
      const [salt, expected] = stored.slice(4).map((text) => Buffer.from(text, 'base64')) as [Buffer, Buffer];
      const computed = await gate(() => derive(password, salt, { ln, r, p }));
      return timingSafeEqual(computed, expected) && hash !== undefined;
    },
  };
}

/** @throws Failure `access.weak-password` */
export function checkPassword(password: string): void {
  if (password.length >= PASSWORD.least && password.length <= PASSWORD.most) return;
  throw new Failure(
    'access.weak-password',
    'operator',
    `a password has ${PASSWORD.least} to ${PASSWORD.most} characters, got ${password.length}`,
    { action: 'Choose a longer one, e.g. four words; a passkey needs none.' },
  );
}

interface Cost {
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

function derive(password: string, salt: Uint8Array, { ln, r, p }: Cost): Promise<Buffer> {
  const options = { N: 2 ** ln, r, p, maxmem: 2 * 128 * r * 2 ** ln };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, HASH_LENGTH, options, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

function format({ ln, r, p }: Cost, salt: Buffer, hash: Buffer): string {
  const text = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');
  return `$scrypt$ln=${ln},r=${r},p=${p}$${text(salt)}$${text(hash)}`;
}

/** Runs `atOnce` works at a time; `waiting` more wait for their turn. */
function turns(atOnce: number, waiting: number): <T>(work: () => Promise<T>) => Promise<T> {
  const queue: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= atOnce) {
      if (queue.length >= waiting) throw busy();
      await new Promise<void>((resolve) => queue.push(resolve));
    } else {
      running++;
    }
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

function busy(): Failure {
  return new Failure('access.busy', 'retry', 'too many people sign in at this moment', {
    action: 'Try again in a few seconds.',
  });
}
