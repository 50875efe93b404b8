import type { Command, Invocation } from '../../../cli/program.ts';
import { Failure } from '../../../protocol/failure.ts';
import { counted } from '../../../protocol/words.ts';
import {
  addCodes,
  createCa,
  listCodes,
  listIssued,
  MOST_CODES_AT_ONCE,
  renewCa,
  withdrawCode,
} from '../../operations/pki/issuing.ts';
import { CURVES } from '../../pki/issuing.ts';
import { OWNED, withFabric } from '../common/context.ts';
import { AFTER, ALL, CSV, LIMIT, printList, when } from '../common/list.ts';

const DAYS = { name: 'days', value: 'N', help: 'how long its certificate holds (3650)' };
const CERTIFICATE_DAYS = {
  name: 'certificate-days',
  value: 'N',
  help: 'how long the certificates hold that it issues, 1 to 397 (90)',
};

const pkiCreate: Command = {
  name: 'pki create',
  summary: 'Makes a CA whose key the fabric has: it issues certificates of machines, by EST.',
  options: [
    { name: 'name', value: 'TEXT', help: 'what people call it, and its subject', required: true },
    {
      name: 'network',
      value: 'PREFIX',
      help: 'networks for whose addresses it may issue certificates, with commas between them',
      required: true,
    },
    { name: 'curve', value: 'CURVE', help: CURVES.join(' or '), default: CURVES[0] },
    DAYS,
    CERTIFICATE_DAYS,
    ...OWNED,
  ],
  examples: [
    'enf-fabric pki create --name "plant devices" --network plant',
    'enf-fabric pki create --name "plant devices" --network plant,depot --curve P-384 --certificate-days 30',
  ],
  async run(invocation) {
    const curve = CURVES.find((each) => each === invocation.option('curve'));
    if (curve === undefined) throw badOption(`--curve expects ${CURVES.join(' or ')}`);
    const input = {
      ...{ name: invocation.required('name'), networks: invocation.required('network').split(','), curve },
      ...lifetimes(invocation),
    };
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(createCa, input));
    invocation.print(
      view,
      () =>
        `CA ${view.ca.id} "${view.ca.name}" (SHA-256 ${view.ca.fingerprint}) issues certificates until ${when(view.ca.notAfter)} (${effect}); ` +
        `next: enf-fabric code add --network ${view.ca.networks[0]}\n\n${view.certificate.trimEnd()}`,
    );
    return undefined;
  },
};

const pkiRenew: Command = {
  name: 'pki renew',
  summary: 'Makes another certificate for the key of an issuing CA, before it ends or for further networks.',
  arguments: '<id>',
  options: [
    { name: 'network', value: 'PREFIX', help: 'networks beside those that it has, with commas between them' },
    DAYS,
    CERTIFICATE_DAYS,
    ...OWNED,
  ],
  examples: ['enf-fabric pki renew 3', 'enf-fabric pki renew 3 --network depot'],
  async run(invocation) {
    const networks = invocation.option('network')?.split(',');
    const input = {
      ...{ id: idOf(invocation, 'a CA'), ...lifetimes(invocation) },
      ...(networks !== undefined && { networks }),
    };
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(renewCa, input));
    invocation.print(
      view,
      () =>
        `CA ${view.ca.id} "${view.ca.name}" (SHA-256 ${view.ca.fingerprint}) issues certificates for ${view.ca.networks.join(', ')} until ${when(view.ca.notAfter)} (${effect}).`,
    );
    return undefined;
  },
};

function lifetimes(invocation: Invocation): { days?: number; certificateDays?: number } {
  const days = numberOf(invocation, 'days');
  const certificateDays = numberOf(invocation, 'certificate-days');
  return {
    ...(days !== undefined && { days }),
    ...(certificateDays !== undefined && { certificateDays }),
  };
}

const pkiIssued: Command = {
  name: 'pki issued',
  summary: 'Lists the certificates that the fabric has issued, newest first.',
  options: [
    { name: 'ca', value: 'ID', help: 'only those of this CA' },
    { name: 'address', value: 'ADDRESS', help: 'only those of this device' },
    LIMIT,
    AFTER,
    ALL,
    CSV,
    ...OWNED,
  ],
  examples: ['enf-fabric pki issued', 'enf-fabric pki issued --address fd00:8f80:8000:1:a::1'],
  async run(invocation) {
    const [ca, address] = [numberOf(invocation, 'ca'), invocation.option('address')];
    const filter = { ...(ca !== undefined && { ca }), ...(address !== undefined && { address }) };
    await withFabric(invocation, (fabric) =>
      printList(
        invocation,
        fabric,
        listIssued,
        {
          header: ['SERIAL', 'CA', 'ADDRESS', 'BY', 'ISSUED', 'ENDS'],
          cells: ({ serial, parent, ca: by, address: whose, code, created, notAfter, revoked }) => [
            serial,
            String(by),
            whose,
            code !== null ? `code ${code}` : parent === null ? 'certificate' : 'renewal',
            when(created),
            revoked === null ? when(notAfter) : `revoked ${when(revoked.at)}`,
          ],
          things: ['certificate', 'certificates'],
          none: 'No certificates yet; a machine gets one for a code of "enf-fabric code add".',
        },
        filter,
      ),
    );
    return undefined;
  },
};

const codeAdd: Command = {
  name: 'code add',
  summary: 'Makes codes, for each of which one machine gets its first certificate. They are shown once.',
  options: [
    {
      name: 'network',
      value: 'PREFIX',
      help: 'in which network the machine gets an address',
      required: true,
    },
    { name: 'name', value: 'NAME', help: 'what the machine will be called' },
    {
      name: 'address',
      value: 'ADDRESS',
      help: 'which address it gets, also that of a device which it replaces',
    },
    { name: 'count', value: 'N', help: `how many codes, 1 to ${MOST_CODES_AT_ONCE}`, default: '1' },
    { name: 'hours', value: 'N', help: 'how long they may be used, 1 to 2160 hours', default: '24' },
    ...OWNED,
  ],
  examples: [
    'enf-fabric code add --network plant --name pump-1',
    'enf-fabric code add --network plant --address fd00:8f80:8000:1:a::1',
    'enf-fabric code add --network plant --count 20 --hours 168',
  ],
  async run(invocation) {
    const [name, address] = [invocation.option('name'), invocation.option('address')];
    const input = {
      ...{ network: invocation.required('network'), count: numberOf(invocation, 'count')! },
      ...{ hours: numberOf(invocation, 'hours')! },
      ...(name !== undefined && { name }),
      ...(address !== undefined && { address }),
    };
    const view = await withFabric(invocation, (fabric) => fabric.run(addCodes, input));
    const { codes } = view;
    invocation.print(
      view,
      () =>
        `${codes.map(({ code }) => code).join('\n')}\n\n${counted(codes.length, 'code')} for ${codes[0]!.network} until ${when(codes[0]!.expires)}. Nobody can read ${codes.length === 1 ? 'it' : 'them'} again.`,
    );
    return undefined;
  },
};

const codeList: Command = {
  name: 'code list',
  summary: 'Lists codes for enrolment, newest first: not their texts.',
  options: [LIMIT, AFTER, ALL, CSV, ...OWNED],
  examples: ['enf-fabric code list'],
  async run(invocation) {
    await withFabric(invocation, (fabric) =>
      printList(invocation, fabric, listCodes, {
        header: ['ID', 'NETWORK', 'NAME', 'ADDRESS', 'STATE', 'EXPIRES', 'BY'],
        cells: ({ id, network, name, address, state, expires, createdBy }) => [
          String(id),
          network,
          name ?? '',
          address ?? '',
          state,
          when(expires),
          createdBy,
        ],
        things: ['code', 'codes'],
        none: 'No codes; make one with "enf-fabric code add".',
      }),
    );
    return undefined;
  },
};

const codeWithdraw: Command = {
  name: 'code withdraw',
  summary: 'Withdraws a code: nobody gets a certificate for it any more.',
  arguments: '<id>',
  options: [...OWNED],
  examples: ['enf-fabric code withdraw 7'],
  async run(invocation) {
    const id = idOf(invocation, 'a code');
    const view = await withFabric(invocation, (fabric) => fabric.run(withdrawCode, { id }));
    invocation.print(view, () =>
      view.changed ? `Code ${id} is withdrawn.` : `Code ${id} was used or withdrawn already.`,
    );
    return undefined;
  },
};

function idOf(invocation: Invocation, what: string): number {
  const id = invocation.positionals[0]!;
  if (/^\d{1,15}$/.test(id)) return Number(id);
  throw badOption(`${what} has a number, got ${JSON.stringify(id)}`);
}

function numberOf(invocation: Invocation, name: string): number | undefined {
  const given = invocation.option(name);
  if (given === undefined || /^\d{1,15}$/.test(given)) return given === undefined ? undefined : Number(given);
  throw badOption(`--${name} expects a whole number, got ${JSON.stringify(given)}`);
}

const badOption = (message: string): Failure =>
  new Failure('cli.bad-option', 'operator', message, {
    action: 'See "enf-fabric pki list", "enf-fabric code list" and --help.',
  });

export const issuingCommands: readonly Command[] = [
  pkiCreate,
  pkiRenew,
  pkiIssued,
  codeAdd,
  codeList,
  codeWithdraw,
];
