import { join } from 'node:path';
import type { Command } from '../../cli/program.ts';
import { createFile, createFolder } from '../../os/files/create.ts';
import { exists } from '../../os/files/folder.ts';
import { readBounded } from '../../os/files/read.ts';
import { toHex, wipe } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { dropKeys, endRoot, listCertificates, rotateRoots } from '../operations/certificates.ts';
import { rootKeyDigests } from '../pki/changes.ts';
import { FILES, rootFolder } from '../pki/files.ts';
import { type RootKeys, readRootKeys } from '../pki/keys.ts';
import { asked, encodeSigning, parseRequest, type SigningRequest, sign } from '../pki/signing.ts';
import { listAsked, printRotation, REQUEST, readLines } from './certificate.ts';
import { requireYes, YES } from './common/confirm.ts';
import { DATA, FABRIC, withFabric, withLocalFabric } from './common/context.ts';

const rootRotate: Command = {
  name: 'root rotate',
  summary:
    'Makes the next pair of roots beside the present one; agents learn of it over their tunnels, C devices go on with the old one.',
  options: [REQUEST, ...FABRIC],
  examples: ['enf-fabric root rotate', 'enf-fabric root rotate --request /media/stick/request.json'],
  async run(invocation) {
    const file = invocation.option('request');
    const input = file === undefined ? {} : { request: true };
    const view = await withFabric(invocation, (fabric) => fabric.run(rotateRoots, input));
    await printRotation(invocation, view, file, 'There is a new root beside the old one');
    return undefined;
  },
};

const rootEnd: Command = {
  name: 'root end',
  summary:
    'Declares the end of an older root: agents trust it no more, C devices are served with the next one.',
  arguments: '<number>',
  options: [
    YES,
    { name: 'anyway', help: 'although agents have not learned of the newest root, or C devices cannot' },
    REQUEST,
    ...FABRIC,
  ],
  examples: ['enf-fabric root end 1', 'enf-fabric root end 1 --anyway'],
  async run(invocation) {
    const number = parseNumber(invocation.positionals[0]!);
    await requireYes(invocation, `This ends root ${number}, and cannot be undone`);
    const file = invocation.option('request');
    const input = {
      number,
      ...(file !== undefined && { request: true }),
      ...(invocation.flag('anyway') && { anyway: true }),
    };
    const view = await withFabric(invocation, (fabric) => fabric.run(endRoot, input));
    await printRotation(invocation, view, file, `Root ${number} is not trusted any more`);
    return undefined;
  },
};

const rootExport: Command = {
  name: 'root export',
  summary: 'Moves the private keys of a root into a folder on another disk; the fabric serves without them.',
  arguments: '<folder>',
  options: [{ name: 'root', value: 'N', help: 'which root (the newest)' }, DATA],
  examples: ['enf-fabric root export /media/stick/root-1'],
  async run(invocation) {
    const folder = invocation.positionals[0]!;
    const data = invocation.required('data');
    const number = await withLocalFabric(invocation, async (fabric) => {
      const asked = invocation.option('root');
      const { certificates } = await fabric.run(listCertificates, {});
      const root = asked === undefined ? certificates.at(-1)!.root : parseNumber(asked);
      // A folder that has them already, because the power went before, is taken as it is: the fabric compares.
      if (!(await exists(join(folder, FILES.xttRootKey)))) await copyKeys(rootFolder(data, root), folder);
      const copies = await rootKeyDigests(folder);
      await fabric.run(dropKeys, { number: root, ...copies });
      return root;
    });
    invocation.print(
      { root: number, folder },
      () =>
        `The keys of root ${number} are in ${folder}, and not in ${data} any more. Backups made before still have them.\n` +
        'Whatever they have to sign: --request FILE, then "enf-fabric root sign" where they are.',
    );
    return undefined;
  },
};

const rootSign: Command = {
  name: 'root sign',
  summary: 'Signs what a fabric asks for with the keys of its root, on a machine that needs no network.',
  arguments: '<request> <answer>',
  options: [
    {
      name: 'keys',
      value: 'FOLDER',
      help: 'where "enf-fabric root export" has put the keys',
      required: true,
    },
  ],
  examples: ['enf-fabric root sign request.json answer.json --keys /media/stick/root-1'],
  async run(invocation) {
    const [from, to] = invocation.positionals as [string, string];
    const folder = invocation.required('keys');
    const keys = await readRootKeys(folder);
    const requests = (await readLines(from, 'request')).map(parseRequest);
    const own = requests.filter((request) => isOf(request, keys));
    if (own.length === 0) throw otherRoot(folder);
    const answers: string[] = [];
    for (const request of own) answers.push(`${encodeSigning(await sign(request, keys))}\n`);
    await createFile(to, answers.join(''));
    const signed = own.map(asked);
    const view = { answers: answers.length, others: requests.length - own.length, signed };
    invocation.print(view, () => {
      const rest = view.others === 0 ? '' : `\n${view.others} are for the keys of another root.`;
      return `${to} has what was signed:\n${listAsked(signed)}${rest}\nOn the fabric: enf-fabric certificate install ${to}`;
    });
    return undefined;
  },
};

export const rootCommands: readonly Command[] = [rootRotate, rootEnd, rootExport, rootSign];

/** Copies the keys and what says whose they are. @throws Failure `os.…` */
async function copyKeys(from: string, to: string): Promise<void> {
  const secret = [FILES.xttRootKey, FILES.tlsRootKey];
  const files = await Promise.all(
    [...secret, FILES.xttRoot, FILES.tlsRoot].map(async (name) => ({
      name,
      content: await readBounded(join(from, name), 'file of the root'),
      mode: secret.includes(name as never) ? 0o600 : 0o644,
    })),
  );
  try {
    await createFolder(to, files);
  } finally {
    for (const { content } of files) wipe(content);
  }
}

/** Whether these keys are the root's that is asked, as far as the request tells. */
const isOf = (request: SigningRequest, keys: RootKeys): boolean =>
  keys.id === undefined || request.rootId === toHex(keys.id);

function parseNumber(text: string): number {
  const number = Number(text);
  if (/^\d{1,3}$/.test(text) && number > 0) return number;
  throw new Failure(
    'cli.bad-arguments',
    'operator',
    `expected the number of a root, got ${JSON.stringify(text.slice(0, 40))}`,
    {
      action: 'See the numbers: "enf-fabric certificate list".',
    },
  );
}

function otherRoot(folder: string): Failure {
  return new Failure(
    'signing.other-root',
    'operator',
    `the request is for the keys of another root than ${folder} has`,
    {
      action: 'Name with --keys the folder of the root that the request names.',
    },
  );
}
