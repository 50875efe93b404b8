import { fork } from 'node:child_process';
import { Failure } from '../../protocol/failure.ts';
import {
  deserializeFailure,
  type SerializedFailure,
  serializeFailure,
} from '../../protocol/failure-message.ts';
import { checkPicture } from './picture.ts';
import { checkCompression } from './png.ts';

/** The argument by which the program decodes one picture, which it gets from the process that has started it. */
export const PICTURE_PROCESS = 'picture-process';

/** Of data: a picture of 50 million pixels takes less than half. */
const MOST_MEMORY = 1 << 30;
const DEADLINE_MS = 20_000;

interface Picture {
  readonly bytes: Uint8Array;
  readonly name: string;
}

type Answer = { readonly texts: readonly string[] } | { readonly failure: SerializedFailure };

/**
 * The text of the one QR code in a picture (PNG or JPEG). A process of its own decodes it, with little memory and little time: whoever made the
 * picture may have made it for the decoder. `name` names it in the failure, `script` is the program, by default the running one.
 * @throws Failure `label.not-a-picture`, `label.picture-too-large`, `label.not-decoded`, `label.no-code`, `label.many-codes`
 */
export async function readQrCode(
  bytes: Uint8Array,
  name: string,
  script = process.argv[1]!,
): Promise<string> {
  checkPicture(bytes, name);
  const answer = await decode({ bytes, name }, script);
  if ('failure' in answer) throw deserializeFailure(answer.failure);
  const [text, ...others] = answer.texts;
  if (others.length > 0) {
    throw new Failure('label.many-codes', 'operator', `${name} shows ${answer.texts.length} QR codes`, {
      action: 'Cut the picture so that only the label of the batch is on it.',
    });
  }
  if (text === undefined) {
    throw new Failure('label.no-code', 'operator', `no QR code can be read in ${name}`, {
      action: 'Take a sharper or closer picture, or give the text that came with the shipment.',
    });
  }
  return text;
}

function decode(picture: Picture, script: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = fork(script, [PICTURE_PROCESS], {
      execPath: 'prlimit',
      execArgv: [`--data=${MOST_MEMORY}`, '--core=0', process.execPath],
      serialization: 'advanced',
      timeout: DEADLINE_MS,
      killSignal: 'SIGKILL',
      // What the decoder says at its end, e.g. that it has no memory, is of no use to anybody.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    child.once('message', (answer: Answer) => {
      resolve(answer);
      child.kill('SIGKILL');
    });
    child.once('error', (cause) => reject(notDecoded(picture.name, cause.message, cause)));
    child.once('exit', (code, signal) =>
      reject(notDecoded(picture.name, `the decoder ended (${signal ?? code})`)),
    );
    child.send(picture, () => {});
  });
}

function notDecoded(name: string, why: string, cause?: unknown): Failure {
  return new Failure(
    'label.not-decoded',
    'operator',
    `${name} cannot be decoded within ${DEADLINE_MS / 1_000} s and ${MOST_MEMORY >> 20} MiB: ${why}`,
    { action: 'Take another picture, or give the text that came with the shipment.', cause },
  );
}

/** The main function of the process that decodes: one picture, one answer. Always the exit code 0: the answer says what is wrong. */
export async function runPictureProcess(): Promise<number> {
  if (process.send === undefined) {
    throw new Failure(
      'fabric.not-by-hand',
      'operator',
      'this is a part of "enf-fabric group add --label PICTURE"',
      {
        action: 'Run "enf-fabric group add --label PICTURE".',
      },
    );
  }
  const picture = await new Promise<Picture>((resolve) => process.once('message', resolve));
  const answer = await texts(picture);
  await new Promise((sent) => process.send?.(answer, sent));
  return 0;
}

async function texts({ bytes, name }: Picture): Promise<Answer> {
  try {
    await checkCompression(bytes, name);
    const { readQrCodes } = await import('./qr.ts');
    return { texts: await readQrCodes(bytes) };
  } catch (error) {
    return { failure: serializeFailure(error) };
  }
}
