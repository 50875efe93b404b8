import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { Command, Invocation } from '../../../cli/program.ts';
import { readBounded } from '../../../os/files/read.ts';
import { Failure } from '../../../protocol/failure.ts';
import { encodeBase64 } from '../../../protocol/identity/base64.ts';
import { revocationListIn } from '../../../protocol/identity/revocation-list.ts';
import { counted } from '../../../protocol/words.ts';
import {
  certificatesIn,
  LISTED_AT_ONCE,
  type ListedRow,
  readListed,
  type WrongLine,
} from '../../operations/contract/ca-files.ts';
import {
  addAnchor,
  fetchCrlFrom,
  importListed,
  listAnchors,
  removeAnchor,
  revokeCertificate,
  setEnrols,
  takeCrl,
  unknownCa,
} from '../../operations/pki/cas.ts';
import { registerKey } from '../../operations/pki/keys.ts';
import type { AnchorView } from '../../operations/views/pki.ts';
import { ADMITS } from '../../registry/pki.ts';
import { requireYes, YES } from '../common/confirm.ts';
import { type Fabric, OWNED, withFabric } from '../common/context.ts';
import { when } from '../common/list.ts';

/** A list of devices may have some 100,000 rows. */
const LARGEST_FILE = 16 * 1024 * 1024;

const pkiAdd: Command = {
  name: 'pki add',
  summary: 'Adds a CA of your own: machines with its certificates are devices.',
  arguments: '<file>',
  options: [
    { name: 'name', value: 'TEXT', help: 'what people call it', required: true },
    {
      name: 'network',
      value: 'PREFIX',
      help: 'networks for whose addresses it may vouch, with commas between them',
      required: true,
    },
    {
      name: 'admit',
      value: 'WHOM',
      help: '"listed": devices that you list; "anybody": whoever it gave an address in these networks',
      default: 'listed',
    },
    ...OWNED,
  ],
  examples: [
    'enf-fabric pki add ca.pem --name "plant CA" --network fd00:8f80:8000:1::/64',
    'enf-fabric pki add ca.pem --name "plant CA" --network plant --admit anybody',
  ],
  async run(invocation) {
    const path = invocation.positionals[0]!;
    const certificates = certificatesIn(await readBounded(path, 'CA', LARGEST_FILE), path);
    const admits = ADMITS.find((each) => each === invocation.option('admit'));
    if (admits === undefined) throw badOption(`--admit expects ${ADMITS.join(' or ')}`);
    const input = {
      name: invocation.required('name'),
      certificates: certificates.map(encodeBase64),
      networks: invocation.required('network').split(','),
      admits,
    };
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(addAnchor, input));
    const next = admits === 'listed' ? `; next: enf-fabric pki import ${view.id} devices.csv` : '';
    invocation.print(
      view,
      () => `CA ${view.id} "${view.name}" (SHA-256 ${view.fingerprint}) is added (${effect})${next}`,
    );
    return undefined;
  },
};

const pkiList: Command = {
  name: 'pki list',
  summary: 'Lists your CAs, their networks and how many of their certificates are revoked.',
  options: [...OWNED],
  examples: ['enf-fabric pki list'],
  async run(invocation) {
    const { rows } = await withFabric(invocation, (fabric) => fabric.run(listAnchors, {}));
    invocation.print(rows, () =>
      rows.length === 0
        ? 'No CAs; add one with "enf-fabric pki add".'
        : rows
            .map(
              (each) =>
                `${each.id}  ${each.name}: ${each.issueDays === null ? each.admits : `issues certificates for ${counted(each.issueDays, 'day')}`}, ${each.networks.join(', ')}; ${each.listed} listed, ${each.devices} came, ${each.revoked} revoked; until ${when(each.notAfter)}\n   ${each.subject}, SHA-256 ${each.fingerprint}`,
            )
            .join('\n'),
    );
    return undefined;
  },
};

const pkiShow: Command = {
  name: 'pki show',
  summary: 'Shows one CA, its networks, and how new its lists of revoked certificates are.',
  arguments: '<id>',
  options: [...OWNED],
  examples: ['enf-fabric pki show 1'],
  async run(invocation) {
    const id = idOf(invocation);
    const { rows } = await withFabric(invocation, (fabric) => fabric.run(listAnchors, {}));
    const view = rows.find((row) => row.id === id);
    if (view === undefined) throw unknownCa(id);
    invocation.print(view, () => linesOf(view).join('\n'));
    return undefined;
  },
};

const linesOf = (ca: AnchorView): readonly string[] => [
  `CA ${ca.id} "${ca.name}" of ${ca.owner}, added ${when(ca.created)}`,
  `subject:   ${ca.subject}`,
  `SHA-256:   ${ca.fingerprint}`,
  `until:     ${when(ca.notAfter)}`,
  `admits:    ${ca.admits}; ${ca.listed} listed, ${ca.devices} came, ${ca.revoked} certificates revoked`,
  ...(ca.enrols === null ? [] : [`enrols:    its machines in ${ca.enrols}, without a code`]),
  ...ca.groups.map(
    ({ network, devices, connected }) => `network:   ${network}: ${devices} came, ${connected} with a tunnel`,
  ),
  ...ca.lists.map(
    ({ issued, next }) =>
      `list:      issued ${when(issued)}, ${next === null ? 'does not say when the next one is due' : `the next one due ${when(next)}`}`,
  ),
  ...(ca.crl === null
    ? ['fetched:   no list; "enf-fabric pki crl-from" has it fetched']
    : fetchLines(ca.crl)),
];

const fetchLines = ({ from, due, fetched, error }: NonNullable<AnchorView['crl']>): readonly string[] => [
  `fetched:   ${fetched === null ? 'not yet' : when(fetched)} from ${from}, next ${when(due)}`,
  ...(error === null ? [] : [`           the last attempt failed: ${error}`]),
];

const pkiRemove: Command = {
  name: 'pki remove',
  summary:
    'Removes a CA: its devices are cut, and come in no more. The key of one that issues is gone for good.',
  arguments: '<id>',
  options: [YES, ...OWNED],
  examples: ['enf-fabric pki remove 1', 'enf-fabric pki remove 1 --yes'],
  async run(invocation) {
    const id = idOf(invocation);
    await requireYes(
      invocation,
      `This cuts all devices of CA ${id}, and removes its key if the fabric has it`,
    );
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(removeAnchor, { id }));
    invocation.print(view, () => `CA ${view.id} "${view.name}" is removed (${effect}).`);
    return undefined;
  },
};

const pkiImport: Command = {
  name: 'pki import',
  summary: 'Puts devices on the list of a CA: which certificate has which address.',
  arguments: '<id> <file.csv>',
  options: [...OWNED],
  examples: ['enf-fabric pki import 1 devices.csv'],
  async run(invocation) {
    const id = idOf(invocation);
    const path = invocation.positionals[1]!;
    const devices = parseListed(
      new TextDecoder().decode(await readBounded(path, 'list of devices', LARGEST_FILE)),
      path,
    );
    const view = await withFabric(invocation, (fabric) => importAll(fabric, id, devices));
    invocation.print(
      view,
      () => `${counted(view.devices, 'device')} of CA ${id} ${view.devices === 1 ? 'is' : 'are'} listed.`,
    );
    return undefined;
  },
};

async function importAll(
  fabric: Fabric,
  id: number,
  devices: readonly ListedRow[],
): Promise<{ readonly id: number; readonly devices: number }> {
  for (let at = 0; at < devices.length; at += LISTED_AT_ONCE)
    await fabric.run(importListed, { id, devices: devices.slice(at, at + LISTED_AT_ONCE) });
  return { id, devices: devices.length };
}

/** The devices that a file lists. @throws Failure `pki.bad-mapping` */
export function parseListed(text: string, path: string): readonly ListedRow[] {
  const { rows, wrong } = readListed(text);
  if (wrong[0] !== undefined) throw badFile(path, wrong[0]);
  return rows;
}

const badFile = (path: string, { line, what }: WrongLine): Failure =>
  new Failure('pki.bad-mapping', 'operator', `${path}, line ${line}: ${what}`, {
    action: 'Correct the file; nothing of it was taken.',
  });

const pkiCrl: Command = {
  name: 'pki crl',
  summary: 'Takes a list of revoked certificates of a CA; who is on it is cut.',
  arguments: '<id> <file>',
  options: [...OWNED],
  examples: ['enf-fabric pki crl 1 ca.crl'],
  async run(invocation) {
    const id = idOf(invocation);
    const file = await readBounded(invocation.positionals[1]!, 'list of revoked certificates', LARGEST_FILE);
    // What is none the operation refuses.
    const crl = encodeBase64(revocationListIn(file) ?? file);
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(takeCrl, { id, crl }));
    invocation.print(view, () =>
      view.changed
        ? `The list of CA ${id} is taken (${effect}).`
        : `A list of CA ${id} that is as new is there already.`,
    );
    return undefined;
  },
};

const pkiCrlFrom: Command = {
  name: 'pki crl-from',
  summary: 'Has the list of revoked certificates of a CA fetched from an address; "none" ends that.',
  arguments: '<id> <address>',
  options: [...OWNED],
  examples: ['enf-fabric pki crl-from 1 http://crl.example.org/ca.crl', 'enf-fabric pki crl-from 1 none'],
  async run(invocation) {
    const [id, given] = [idOf(invocation), invocation.positionals[1]!];
    const input = { id, url: given === 'none' ? '' : given };
    const { view } = await withFabric(invocation, (fabric) => fabric.run(fetchCrlFrom, input));
    invocation.print(view, () =>
      view.crl === null
        ? `The list of CA ${id} is fetched no more; the last one goes on counting.`
        : `The list of CA ${id} is fetched from ${view.crl.from}; what became of it: enf-fabric pki show ${id}`,
    );
    return undefined;
  },
};

const pkiEnrols: Command = {
  name: 'pki enrols',
  summary:
    'Lets machines with certificates of a CA of yours get one of the fabric without a code, in one network; "none" ends that.',
  arguments: '<id> <network>',
  options: [...OWNED],
  examples: ['enf-fabric pki enrols 1 plant', 'enf-fabric pki enrols 1 none'],
  async run(invocation) {
    const [id, given] = [idOf(invocation), invocation.positionals[1]!];
    const input = { id, network: given === 'none' ? '' : given };
    const { view } = await withFabric(invocation, (fabric) => fabric.run(setEnrols, input));
    invocation.print(view, () =>
      view.enrols === null
        ? `Machines of CA ${id} need a code; what they have got goes on counting.`
        : `Machines of CA ${id} that ${view.admits === 'listed' ? 'are listed' : 'show its certificates'} get certificates for addresses in ${view.enrols} without a code.`,
    );
    return undefined;
  },
};

const pkiRevoke: Command = {
  name: 'pki revoke',
  summary: 'Revokes a certificate by its serial number; its device is cut.',
  arguments: '<id> <serial>',
  options: [
    { name: 'reason', value: 'TEXT', help: 'why; stands in the audit trail', required: true },
    {
      name: 'lineage',
      help: 'of a certificate that the fabric has issued: also those that renew it, and that it renews',
    },
    ...OWNED,
  ],
  examples: [
    'enf-fabric pki revoke 1 4f:02:9a --reason "stolen from the depot"',
    'enf-fabric pki revoke 3 6b1f02c49d0e7a5518f3c2b4a6907d12 --reason "stolen from the depot" --lineage',
  ],
  async run(invocation) {
    const id = idOf(invocation);
    const input = {
      ...{ id, serial: invocation.positionals[1]!, reason: invocation.required('reason') },
      lineage: invocation.flag('lineage'),
    };
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(revokeCertificate, input));
    invocation.print(view, () =>
      [
        view.changed
          ? `The certificate ${input.serial} of CA ${id} is revoked (${effect}).`
          : `The certificate ${input.serial} of CA ${id} was revoked already.`,
        ...view.revoked.map((serial) => `Revoked with it: ${serial}`),
        ...view.valid.map(
          (serial) => `Still valid, of the same lineage: ${serial} (--lineage revokes it, too)`,
        ),
      ].join('\n'),
    );
    return undefined;
  },
};

function idOf(invocation: Invocation): number {
  const id = invocation.positionals[0]!;
  if (/^\d{1,15}$/.test(id)) return Number(id);
  throw badOption(`a CA has a number, got ${JSON.stringify(id)}`);
}

const badOption = (message: string): Failure =>
  new Failure('cli.bad-option', 'operator', message, { action: 'See "enf-fabric pki list".' });

const pkiRegister: Command = {
  name: 'pki register',
  summary: 'Registers the public key of a machine without a TPM and without a CA: it is a device by that.',
  arguments: '<network> <file>',
  options: [
    {
      name: 'address',
      value: 'ADDRESS',
      help: 'the address that it gets; the fabric chooses one unless given',
    },
    ...OWNED,
  ],
  examples: [
    'enf-fabric pki register plant machine.pub',
    'enf-fabric pki register plant machine.pub --address fd00:8f80:8000:1:a::1',
  ],
  async run(invocation) {
    const [network, path] = invocation.positionals as [string, string];
    const key = pointOf(await readBounded(path, 'public key', LARGEST_KEY), path);
    const address = invocation.option('address');
    const input = { network, key, ...(address !== undefined && { address }) };
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(registerKey, input));
    invocation.print(view, () => `The key in ${path} has the address ${view.address} (${effect}).`);
    return undefined;
  },
};

const LARGEST_KEY = 16 * 1024;

/** The point of a public key in PEM, in hex. @throws Failure `fabric.bad-key` */
function pointOf(file: Uint8Array, path: string): string {
  try {
    // OpenSSL would take the public half of a private key, which has no business here.
    createPrivateKey(Buffer.from(file));
  } catch {
    return publicPointOf(file, path);
  }
  throw new Failure('fabric.bad-key', 'operator', `${path} has the private key of a machine`, {
    action: 'Leave that on the machine, and give what "openssl pkey -in machine.key -pubout" writes.',
  });
}

function publicPointOf(file: Uint8Array, path: string): string {
  try {
    const { crv, x, y } = createPublicKey(Buffer.from(file)).export({ format: 'jwk' });
    if (crv === 'P-256')
      return `04${[x, y].map((each) => Buffer.from(each!, 'base64url').toString('hex')).join('')}`;
  } catch {
    // What OpenSSL cannot read is no key, either.
  }
  throw new Failure('fabric.bad-key', 'operator', `${path} is no public key of P-256 in PEM`, {
    action: 'Write it with "openssl pkey -in machine.key -pubout".',
  });
}

export const pkiCommands: readonly Command[] = [
  pkiAdd,
  pkiList,
  pkiShow,
  pkiRemove,
  pkiImport,
  pkiCrl,
  pkiCrlFrom,
  pkiEnrols,
  pkiRevoke,
  pkiRegister,
];
