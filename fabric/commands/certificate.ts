import { X509Certificate } from 'node:crypto';
import type { Command, Invocation, Option } from '../../cli/program.ts';
import { table } from '../../cli/table.ts';
import { createFile } from '../../os/files/create.ts';
import { readBounded } from '../../os/files/read.ts';
import { Failure } from '../../protocol/failure.ts';
import { counted } from '../../protocol/words.ts';
import { installCertificate, listCertificates, rotateCertificate } from '../operations/certificates.ts';
import type { CertificateView, RotationView } from '../operations/views/certificates.ts';
import { type Asked, asked, parseRequest } from '../pki/signing.ts';
import { FABRIC, withFabric } from './common/context.ts';
import { CONFIG, readConfig } from './common/settings.ts';

const DAY_MS = 86_400_000;

export const REQUEST: Option = {
  name: 'request',
  value: 'FILE',
  help: 'write what the keys of a root have to sign, which are kept elsewhere',
};

/** What the command line knows of the console's certificate, which is not the fabric's. */
interface ConsoleView {
  readonly name: 'console';
  readonly file: string;
  readonly ends: string;
}

const certificateList: Command = {
  name: 'certificate list',
  summary:
    'Lists the certificates and roots of the fabric, when they end, and how many devices know of the newest.',
  options: [CONFIG, ...FABRIC],
  examples: ['enf-fabric certificate list', 'enf-fabric certificate list --json'],
  async run(invocation) {
    const view = await withFabric(invocation, (fabric) => fabric.run(listCertificates, {}));
    const ofConsole = await consoleCertificate(invocation);
    const all = { ...view, console: ofConsole ?? null };
    invocation.print(all, () => {
      const rows = view.certificates.map(cells);
      if (ofConsole !== undefined)
        rows.push(['console', '', until(ofConsole.ends), ofConsole.file, 'in use']);
      const known = view.devices;
      const version = `Version ${view.version} of the roots`;
      const learned =
        known === null
          ? 'no fabric is serving'
          : `of the devices with a tunnel ${known.newest} know it, ${known.older} do not yet, and ${known.c} C devices cannot`;
      return `${table(['CERTIFICATE', 'ROOT', 'ENDS', 'SHA-256', 'STATE'], rows, '')}\n${version}: ${learned}.`;
    });
    return undefined;
  },
};

const certificateRotate: Command = {
  name: 'certificate rotate',
  summary: 'Makes a new key and certificate; a running fabric takes them at once, and no tunnel ends.',
  arguments: '<xtt-server|router|console>',
  options: [
    { name: 'days', value: 'N', help: "end the router's certificate after so many days (default: never)" },
    REQUEST,
    CONFIG,
    ...FABRIC,
  ],
  examples: [
    'enf-fabric certificate rotate router',
    'enf-fabric certificate rotate router --days 365',
    'enf-fabric certificate rotate xtt-server --request /media/stick/request.json',
  ],
  async run(invocation) {
    const what = invocation.positionals[0]!;
    if (what === 'console') throw ofAnotherProgram((await readConfig(invocation)).console.certificate);
    if (what !== 'xtt-server' && what !== 'router') throw unknownCertificate(what);
    const days = invocation.option('days');
    const file = invocation.option('request');
    const view = await withFabric(invocation, (fabric) =>
      fabric.run(rotateCertificate, {
        what,
        ...(days !== undefined && { days: parseDays(days) }),
        ...(file !== undefined && { request: true }),
      }),
    );
    await printRotation(invocation, view, file, `The ${what} has a new key and certificate`);
    return undefined;
  },
};

const certificateInstall: Command = {
  name: 'certificate install',
  summary: 'Installs what "enf-fabric root sign" has signed elsewhere.',
  arguments: '<answer>',
  options: [...FABRIC],
  examples: ['enf-fabric certificate install /media/stick/answer.json'],
  async run(invocation) {
    const lines = await readLines(invocation.positionals[0]!, 'answer');
    const views = await withFabric(invocation, async (fabric) => {
      const installed: RotationView[] = [];
      for (const answer of lines) installed.push(await fabric.run(installCertificate, { answer }));
      return installed;
    });
    const view = views.at(-1)!;
    invocation.print(view, () => `${done(view, 'It is installed')}`);
    return undefined;
  },
};

export const certificateCommands: readonly Command[] = [
  certificateList,
  certificateRotate,
  certificateInstall,
];

/** Says what was done, or writes the request. @throws Failure `os.exists`, `os.write-failed` */
export async function printRotation(
  invocation: Invocation,
  view: RotationView,
  file: string | undefined,
  what: string,
): Promise<void> {
  if (file !== undefined) await createFile(file, view.requests.map((each) => `${each}\n`).join(''));
  invocation.print(view, () =>
    file === undefined
      ? done(view, what)
      : `${file} has what is to be signed:\n${listAsked(view.requests.map((each) => asked(parseRequest(each))))}\n` +
        `Take it to the keys: enf-fabric root sign ${file} ANSWER --keys FOLDER`,
  );
}

/** A line for each thing that is asked for, and one for each root: who signs compares them with what the fabric showed. */
export const listAsked = (all: readonly Asked[]): string =>
  all
    .flatMap(({ kind, root, until: end, roots }) => {
      if (kind === 'xtt-server') return [`  a certificate of root ${root} for the identity server`];
      if (roots === null)
        return [`  a certificate of root ${root} for the router, until ${end?.slice(0, 10) ?? '9999'}`];
      const named = roots.fingerprints.map(
        ({ xttRoot, tlsRoot }) => `    xtt-root ${xttRoot}\n    tls-root ${tlsRoot}`,
      );
      return [`  version ${roots.version} of the roots: devices trust these and no others`, ...named];
    })
    .join('\n');

const done = ({ version, effect }: RotationView, what: string): string =>
  `${what} (${effect}); version ${version} of the roots. Make a backup now: an older one has none of it.`;

/** The lines of a request or an answer. @throws Failure `os.…`, `signing.bad-text` */
export async function readLines(path: string, what: string): Promise<readonly string[]> {
  const text = new TextDecoder().decode(await readBounded(path, what));
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0 || lines.length > 16) {
    throw new Failure(
      'signing.bad-text',
      'operator',
      `${path}: expected 1 to 16 lines of JSON, got ${lines.length}`,
      {
        action: `Take the ${what} as it was written.`,
      },
    );
  }
  return lines;
}

function cells({ name, root, inForce, ends, fingerprint, key }: CertificateView): string[] {
  const state = `${inForce ? 'in force' : 'ended'}${key === 'here' ? '' : ', key elsewhere'}`;
  return [name, String(root), until(ends), `${fingerprint.slice(0, 16)}…`, state];
}

function until(ends: string | null): string {
  if (ends === null) return 'never';
  const days = Math.floor((Date.parse(ends) - Date.now()) / DAY_MS);
  return days < 0 ? `${ends.slice(0, 10)} (ended)` : `${ends.slice(0, 10)} (${counted(days, 'day')})`;
}

/** The console's certificate as the configuration names it, if this user may read it. */
async function consoleCertificate(invocation: Invocation): Promise<ConsoleView | undefined> {
  try {
    const { certificate: file } = (await readConfig(invocation)).console;
    if (file === '') return undefined;
    const { validTo } = new X509Certificate(await readBounded(file, 'certificate'));
    return { name: 'console', file, ends: new Date(Date.parse(validTo)).toISOString() };
  } catch {
    return undefined;
  }
}

function parseDays(text: string): number {
  const days = Number(text);
  if (/^\d{1,5}$/.test(text) && days > 0 && days <= 36_500) return days;
  throw new Failure('cli.bad-option', 'operator', `--days expects 1 to 36500, got ${JSON.stringify(text)}`, {
    action: 'Give --days a whole number, or leave it out.',
  });
}

function ofAnotherProgram(file: string): Failure {
  return new Failure(
    'certificate.not-ours',
    'operator',
    file === ''
      ? "the console has no certificate: it serves HTTP to this host's loopback"
      : `the console's certificate is made elsewhere, it is read from ${file}`,
    {
      action:
        'Put the new certificate and key into the files that [console] names, as certbot does: the console takes them within a minute.',
    },
  );
}

function unknownCertificate(what: string): Failure {
  return new Failure(
    'cli.bad-arguments',
    'operator',
    `expected xtt-server, router or console, got ${JSON.stringify(what.slice(0, 40))}`,
    { action: 'Roots are replaced by "enf-fabric root rotate".' },
  );
}
