import type { EcdaaFace } from '../native/ecdaa/ecdaa.ts';
import { Failure } from '../protocol/failure.ts';

/** A signature made by libecdaa: test/vectors/ecdaa.json, issuer 0, signature 12. */
const KNOWN = {
  gpk: base64(
    'BJF6QC2SAetfaH+MIO4XdhaHahZJAOEQKH5ccgKcXRjEWC4lt+fxFqD0+5564TNqr9W5ktvmSIR+puqOLCmTqHzGcce6TCQ5' +
      '8wJe9P7ICkTuLGWJToIp2XYxvY3QwgNsr2jSleq/2riFYdgwcIDko7b1mjUPraNRtyCQwi5HOTq6BBVj+SvHnMYRbP8QR46j' +
      'tUPuhrC/pqOt2rAqEeENB+afqNW8ub7BzgVlyFShsol6HcIKNOpQ4PxvOTZmQkpsczmoxzK7BZNJnL9BPfBkxP5l3C8IYDor' +
      '0eqB4hiCCV5+Tzf3/r75KB9D2ebPXnLt2cZBjuNhl7I+r5p6QiOFj8kO',
  ),
  basename: Buffer.from('b'),
  message: Buffer.from('Test message'),
  signature: base64(
    'bW63DN+berGxTgMptq8LjorgHIb+S3oDjDMwNlZtVk/34hccbxr4dhmIDcwFpkszP4MTL5l7o+xB68DmUrFw3wRK4l9CUOvT' +
      'KT7ZE/DXuAgz2j5mM0CuSrPhTQ+CQQTKplkeCs/848EVWVAfms3Ka8oxAnEncE+2CLq2u4QuAUNMBALLHEdOV5IMs0VCpOBp' +
      'uN2qaQ0j0vEZdlLQr5p5WzCfl8mKmJ3qiXxnOmklxBQPhDj1g1TJ91v+U9BVqWYhy/QEInqvXpnu/GYYTGs3O23LRYq48e6w' +
      'wgbbJLK0HGuXn6wWcZr4BLyCeJmUPS6CuXQ7/m+g85RcErHx2ZITewSgIQQYFtLui8A0/pbU2LhYinZ1jllgiBeDVJoX/RWs' +
      'yYBApajVp+Uj349z3ocfXRrDzKjQ6+TSIuqtnJqVYQ29D+9QJco0YgmqCBzmTZgOtLFzsqx+TNTTjwjfl1PpFNiMpKQEvGlr' +
      'B1R3huZQfGI/XgBmZSS//GnowUKXB7/MgUMndnCvFJvbu9+GJsLzYuEPvH/Pv9J5cuaFK9YQcTwaLlw/2Q==',
  ),
};
const ANOTHER_MESSAGE = Buffer.from('Test massage');

/** Threads of libuv's pool, unless UV_THREADPOOL_SIZE says otherwise. */
const THREADS = 4;
/** With a forgery in it, a batch exercises each path: all together, in halves, and each signature by itself. */
const MESSAGES = [...Array.from({ length: 7 }, () => KNOWN.message), ANOTHER_MESSAGE];

/**
 * Lets the addon verify a known signature and a forged one on all threads of the pool: a real or emulated processor that computes
 * wrong results is detected before the first device connects. It also allocates the memory that each thread needs for it. Takes some milliseconds.
 * @throws Failure `ecdaa.wrong-arithmetic`
 */
export async function selfTestArithmetic(
  face: Pick<EcdaaFace, 'ecdaaArithmetic' | 'ecdaaGroup' | 'ecdaaVerify'>,
): Promise<void> {
  const none = new Uint8Array(0);
  const group = face.ecdaaGroup(KNOWN.gpk, KNOWN.basename, none, none);
  const signatures = MESSAGES.map(() => KNOWN.signature);
  const batches = Array.from({ length: group === undefined ? 0 : THREADS }, () =>
    face.ecdaaVerify(group!, signatures, MESSAGES),
  );
  const verdicts = await Promise.all(batches);
  const right = (each: Uint8Array) =>
    each.every((accepted, i) => (accepted === 1) === (MESSAGES[i] === KNOWN.message));
  if (group !== undefined && verdicts.every(right)) return;
  throw new Failure(
    'ecdaa.wrong-arithmetic',
    'operator',
    `the self-test of ECDAA failed: this processor computes wrong results with the arithmetic "${face.ecdaaArithmetic()}"`,
    { action: 'Run the fabric on another processor or emulator, and report this one with /proc/cpuinfo.' },
  );
}

function base64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
