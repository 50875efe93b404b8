import type { Command, Invocation } from '../../cli/program.ts';
import { askHidden, inputLines } from '../../cli/prompt.ts';
import { readBounded } from '../../os/files/read.ts';
import { wipe } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { deserializeFailure } from '../../protocol/failure-message.ts';
import { type Config, isEnrolled } from '../config/config.ts';
import type { CertificateView } from '../identity/session.ts';
import type { Enrolled, EnrollOrder } from '../status/api.ts';
import { ask, isRunning } from '../status/client.ts';
import { CONFIG, readConfig } from './options.ts';

/** A TPM may take a minute to make a key, and a server as long as a proxy and two handshakes take. */
const PATIENCE_MS = 180_000;
/** As the value of `--code`: standard input. */
const STANDARD_INPUT = '-';

export const enroll: Command = {
  name: 'enroll',
  summary:
    'Gets the certificate of this device with a one-time code, by EST (RFC 7030), for a key that is made here; an agent that runs connects at once',
  options: [
    CONFIG,
    {
      name: 'code',
      value: '-',
      help: 'read the code from standard input; without it and --code-file it is asked for',
    },
    { name: 'code-file', value: 'FILE', help: 'read the code from the first line of a file' },
    { name: 'force', help: 'do it even if the device has a certificate, which is replaced' },
  ],
  examples: [
    'enf-agent enroll',
    'enf-agent enroll --code-file /run/credentials/code',
    'ssh owner.example enf-fabric code add --network plant --json | jq -r .codes[0].code | enf-agent enroll --code -',
  ],
  async run(invocation) {
    const config = await readConfig(invocation);
    if (!isEnrolled(config)) throw (await import('../identity/enrolled.ts')).noEnrolment();
    const order = { code: await readCode(invocation), again: invocation.flag('force') };
    const there = await isRunning(config.control.socket);
    const certificate = await (there ? enrollThere(config, order) : enrollHere(config, order));
    const running = there || (await tellOne(config));
    invocation.print({ ...certificate, running }, () => describe(certificate, running));
    return undefined;
  },
};

/** The running agent has the state and the keys. @throws Failure of `EnrolledSession.enroll` */
async function enrollThere({ control }: Config, order: EnrollOrder): Promise<CertificateView> {
  const answer = (await ask(control.socket, 'POST', '/v1/enroll', PATIENCE_MS, order)) as Enrolled;
  if ('failure' in answer) throw deserializeFailure(answer.failure);
  return answer.certificate;
}

async function enrollHere(config: Config, { code, again }: EnrollOrder): Promise<CertificateView> {
  const { openEnrollment } = await import('../service/enrollment.ts');
  const session = await openEnrollment(config);
  try {
    return await session.enroll(code, again);
  } finally {
    await session.close();
  }
}

/**
 * Tells an agent that has started meanwhile, and waits for the state: it listens before it asks for that, so that it is found here. False if none
 * runs: the next one reads what is there. @throws Failure `control.…`
 */
async function tellOne({ control }: Config): Promise<boolean> {
  try {
    await ask(control.socket, 'POST', '/v1/enrolled');
    return true;
  } catch (error) {
    if (isFailure(error, 'agent.not-running')) return false;
    throw error;
  }
}

/** The code is never an argument: those can be read by every program on the machine. @throws Failure `cli.bad-arguments`, `cli.bad-value`, `os.…` */
async function readCode(invocation: Invocation): Promise<string> {
  const [given, file] = [invocation.option('code'), invocation.option('code-file')];
  if (given !== undefined && file !== undefined) {
    throw new Failure('cli.bad-arguments', 'operator', '--code and --code-file exclude each other', {
      action: 'Give one of them.',
    });
  }
  if (given !== undefined && given !== STANDARD_INPUT) {
    throw new Failure('cli.bad-value', 'operator', '--code: expected "-"', {
      action:
        'Every program on this machine can read the arguments of this one. Write the code to standard input (--code -) or a file (--code-file), or leave the option out and type it.',
    });
  }
  return (await readLine(given, file)).trim();
}

async function readLine(given: string | undefined, file: string | undefined): Promise<string> {
  if (given !== undefined) {
    const lines = inputLines();
    try {
      return (await lines.next()) ?? '';
    } finally {
      lines.close();
    }
  }
  const bytes = file === undefined ? await askHidden('Code: ') : await readBounded(file, 'code file', 1_024);
  const text = new TextDecoder().decode(bytes);
  wipe(bytes);
  return text.split(/\r?\n/)[0]!;
}

function describe({ subject, address, notAfter, key }: CertificateView, running: boolean): string {
  return [
    `This device has a certificate, ${subject} for ${address}, until ${notAfter}; its key is in ${key === 'tpm' ? 'the TPM' : 'a file of the state folder'}.`,
    running
      ? 'The agent connects with it now, and renews it by itself: see "enf-agent status".'
      : 'An agent that is started connects with it, and renews it by itself: systemctl start enf-agent',
  ].join('\n');
}
