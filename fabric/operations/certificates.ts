import { join } from 'node:path';
import { exists } from '../../os/files/folder.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { toPem } from '../../protocol/identity/roots.ts';
import { type Authority, certificateIn, newestRoot, type Root } from '../pki/authority.ts';
import {
  dropRootKeys,
  install,
  prepareEnd,
  prepareRoots,
  prepareRouter,
  prepareServer,
} from '../pki/changes.ts';
import { FILES, rootFolder } from '../pki/files.ts';
import type { AuthorityKeeper } from '../pki/keeper.ts';
import { type RootKeys, readRootKeys } from '../pki/keys.ts';
import { encodeSigning, parseAnswer, type SigningRequest, sign } from '../pki/signing.ts';
import { fingerprint } from '../pki/x509.ts';
import { flag, oneOf, optional, text, whole } from './contract/input.ts';
import { type Context, operation, wholeOf } from './contract/operation.ts';
import type {
  CertificatesView,
  CertificateView,
  DroppedKeysView,
  RotationView,
} from './views/certificates.ts';

const FOR_EVER = '9999';
/** An update of two roots and a cross certificate have some 4,000 characters. */
const LONGEST_ANSWER = 4_900;
const MOST_DAYS = 36_500;
const DAY_MS = 86_400_000;

export const listCertificates = operation<object, CertificatesView>(
  'certificate-list',
  {},
  async (context) => {
    const { authority } = await keysOf(context);
    return {
      version: authority.version,
      certificates: await viewsOf(context, authority),
      devices: (await context.running.learned?.()) ?? null,
    };
  },
);

/**
 * Makes a new key and certificate for the router, or for the identity server under each root whose keys are here.
 * @throws Failure `roots.keys-elsewhere`, `os.…`
 */
export const rotateCertificate = operation<
  { what: 'xtt-server' | 'router'; days?: number | undefined; request?: boolean | undefined },
  RotationView
>(
  'certificate-rotate',
  {
    what: oneOf('xtt-server', 'router'),
    days: optional(whole(1, MOST_DAYS)),
    request: optional(flag),
  },
  async (context, { what, days, request = false }) => {
    const keeper = await keysOf(context);
    const untilMs = days === undefined ? undefined : context.now() + days * DAY_MS;
    const requests: SigningRequest[] = [];
    await keeper.change(async (authority) => {
      const { data } = keeper;
      const roots = what === 'router' ? [newestRoot(authority)] : await rootsToSign(data, authority, request);
      let now = authority;
      for (const root of roots) {
        // Before anything is made: without the keys nothing changes.
        const keys = request ? undefined : await rootKeys(data, root.number);
        const asked =
          what === 'router' ? await prepareRouter(data, now, untilMs) : await prepareServer(data, root);
        if (keys === undefined) requests.push(asked);
        else now = await install(data, now, await sign(asked, keys));
      }
      return now;
    });
    return rotated(context, { action: 'certificate.rotate', subject: what, requests });
  },
);

/** Installs what the keys of a root have signed elsewhere. @throws Failure `signing.bad-text`, `signing.not-expected` */
export const installCertificate = operation<{ answer: string }, RotationView>(
  'certificate-install',
  { answer: text(LONGEST_ANSWER) },
  async (context, { answer }) => {
    const keeper = await keysOf(context);
    const parsed = parseAnswer(answer);
    await keeper.change((authority) => install(keeper.data, authority, parsed));
    const action = parsed.kind === 'roots' ? 'roots.change' : 'certificate.rotate';
    return rotated(context, { action, subject: parsed.kind, requests: [] });
  },
);

/**
 * Makes the next pair of roots, and a server and a router under it; devices learn of it over their tunnels.
 * @throws Failure `roots.too-many`, `roots.keys-elsewhere`, `os.…`
 */
export const rotateRoots = operation<{ request?: boolean | undefined }, RotationView>(
  'root-rotate',
  { request: optional(flag) },
  (context, { request = false }) => changeRoots(context, request, prepareRoots, 'root.add'),
);

/**
 * Declares the end of an older root: devices are told not to trust it any more, and C devices are served with the next one.
 * @throws Failure `roots.not-in-force`, `roots.newest`, `roots.not-learned`, `roots.keys-elsewhere`
 */
export const endRoot = operation<
  { number: number; request?: boolean | undefined; anyway?: boolean | undefined },
  RotationView
>(
  'root-end',
  { number: whole(1, 1_000), request: optional(flag), anyway: optional(flag) },
  async (context, { number, request = false, anyway = false }) => {
    const learned = await context.running.learned?.();
    if (!anyway && learned !== undefined && learned.older + learned.c > 0) throw notLearned(number, learned);
    return changeRoots(context, request, async (_, authority) => prepareEnd(authority, number), 'root.end');
  },
);

/** Takes the keys of a root out of the data folder, of which the owner has copies. @throws Failure `roots.keys-differ`, `roots.keys-elsewhere` */
export const dropKeys = operation<
  { number: number; xtt?: string | undefined; tls?: string | undefined },
  DroppedKeysView
>(
  'root-keys-drop',
  { number: whole(1, 1_000), xtt: optional(text(64)), tls: optional(text(64)) },
  async (context, { number, xtt, tls }) => {
    const keeper = await keysOf(context);
    await keeper.change(async (authority) => {
      if (!authority.roots.some((root) => root.number === number)) throw elsewhere(number);
      if (!(await dropRootKeys(keeper.data, number, { xtt, tls }))) throw elsewhere(number);
      return authority;
    });
    await wholeOf(context).record(context.actor, 'root.export', `root ${number}`);
    return { number };
  },
);

/** Which all owners depend on. @throws Failure `access.not-whole` */
function keysOf(context: Context): Promise<AuthorityKeeper> {
  wholeOf(context);
  const { keys } = context;
  if (keys === undefined) throw new Error('an operation on keys beside a registry alone');
  return keys();
}

async function changeRoots(
  context: Context,
  request: boolean,
  prepare: (data: string, authority: Authority) => Promise<SigningRequest>,
  action: 'root.add' | 'root.end',
): Promise<RotationView> {
  const keeper = await keysOf(context);
  const { data } = keeper;
  const requests: SigningRequest[] = [];
  await keeper.change(async (authority) => {
    const keys = request ? undefined : await rootKeys(data, newestRoot(authority).number);
    const asked = await prepare(data, authority);
    if (keys !== undefined) return install(data, authority, await sign(asked, keys));
    requests.push(asked);
    return authority;
  });
  return rotated(context, { action, subject: 'roots', requests });
}

async function rotated(
  context: Context,
  {
    action,
    subject,
    requests,
  }: { readonly action: string; readonly subject: string; readonly requests: readonly SigningRequest[] },
): Promise<RotationView> {
  const { authority } = await keysOf(context);
  const { version } = authority;
  const asked = requests.length > 0;
  await wholeOf(context).record(context.actor, asked ? `${action}-request` : action, subject, {
    version,
  });
  return {
    version: asked ? null : version,
    certificates: await viewsOf(context, authority),
    requests: requests.map(encodeSigning),
    effect: await context.running.notify(),
  };
}

/** Those whose keys are here, or all that are in force if they are to be asked. @throws Failure `roots.keys-elsewhere` */
async function rootsToSign(data: string, authority: Authority, request: boolean): Promise<readonly Root[]> {
  if (request) return authority.roots.filter(({ inForce }) => inForce);
  const here = await Promise.all(authority.roots.map(({ number }) => hasKeys(data, number)));
  const found = authority.roots.filter((_, i) => here[i]);
  if (found.length === 0) throw elsewhere(newestRoot(authority).number);
  return found;
}

/** Also if a power cut has left one of the two. */
async function hasKeys(data: string, number: number): Promise<boolean> {
  const folder = rootFolder(data, number);
  return (await exists(join(folder, FILES.xttRootKey))) || exists(join(folder, FILES.tlsRootKey));
}

async function rootKeys(data: string, number: number): Promise<RootKeys> {
  try {
    return await readRootKeys(rootFolder(data, number));
  } catch (error) {
    throw isFailure(error, 'os.no-file') ? elsewhere(number) : error;
  }
}

async function viewsOf(context: Context, authority: Authority): Promise<CertificateView[]> {
  const { data } = await keysOf(context);
  const views: CertificateView[] = [];
  for (const { number, pair, inForce, server } of authority.roots) {
    const key = (await hasKeys(data, number)) ? ('here' as const) : ('elsewhere' as const);
    views.push(
      { name: 'xtt-root', root: number, inForce, ends: null, fingerprint: fingerprint(pair.xttRoot), key },
      { name: 'tls-root', root: number, inForce, ...timed(toPem(pair.tlsRoot)), key },
      {
        ...({ name: 'xtt-server', root: number, inForce, ends: null } as const),
        fingerprint: fingerprint(server.certificate),
        key: 'here',
      },
    );
  }
  const { number } = newestRoot(authority);
  views.push({
    ...({ name: 'router', root: number, inForce: true } as const),
    ...timed(authority.router.certificate),
    key: 'here',
  });
  return views;
}

function timed(pem: string): { readonly ends: string | null; readonly fingerprint: string } {
  const { validTo, raw } = certificateIn(pem, 'certificate');
  const ends = new Date(Date.parse(validTo)).toISOString();
  return { ends: ends.startsWith(FOR_EVER) ? null : ends, fingerprint: fingerprint(raw) };
}

function elsewhere(number: number): Failure {
  return new Failure(
    'roots.keys-elsewhere',
    'operator',
    `the keys of root ${number} are not in the data folder`,
    {
      action:
        'Repeat the command with --request FILE, sign that file where the keys are ("enf-fabric root sign"), and install the answer ("enf-fabric certificate install").',
    },
  );
}

function notLearned(number: number, { older, c }: { readonly older: number; readonly c: number }): Failure {
  return new Failure(
    'roots.not-learned',
    'operator',
    `${older} agents with a tunnel have not learned of the newest roots yet, and ${c} C devices never will`,
    {
      action: `Wait until "enf-fabric certificate list" shows none, or declare the end of root ${number} with --anyway: agents still find their way, C devices cannot provision any more.`,
    },
  );
}
