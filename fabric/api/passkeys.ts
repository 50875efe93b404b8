import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { fromHex, toHex } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { oneOf, optional, text } from '../operations/contract/input.ts';
import { challenges } from './signing-in/challenges.ts';
import type { Site } from './site.ts';

/** Shown by browsers. */
const CONSOLE_NAME = 'Edge Network Fabric';
/** ES256, EdDSA, RS256. */
const ALGORITHMS = [-7, -8, -257];
const TIMEOUT_MS = 120_000;
const ANSWER = text(32_768);

/** What an authenticator answers, as `PublicKeyCredential.toJSON()` gives it. */
export const PASSKEY_ANSWER = Type.Object({
  id: text(2_048),
  rawId: text(2_048),
  type: oneOf('public-key'),
  response: Type.Object({
    clientDataJSON: ANSWER,
    attestationObject: optional(ANSWER),
    authenticatorData: optional(ANSWER),
    signature: optional(ANSWER),
  }),
});

/** A credential with its public key (COSE), hex, and how often it was used. */
export interface Credential {
  readonly credential: string;
  readonly publicKey: string;
  readonly counter: number;
}

/** Passkeys (WebAuthn), bound to the host name of the console; what is verified here was signed by an authenticator that has verified its user. */
export interface Passkeys {
  /** Options for `navigator.credentials.create()`. @throws Failure `access.no-host-name` */
  creation(
    request: FastifyRequest,
    person: { readonly id: number; readonly name: string },
    existing: readonly string[],
  ): Promise<object>;
  /** The new credential. @throws Failure `access.bad-passkey` */
  created(request: FastifyRequest, person: number, answer: unknown): Promise<Credential>;
  /** Options for `navigator.credentials.get()`: for whoever has a passkey for this console, or for a person with its own. @throws Failure `access.no-host-name` */
  signIn(
    request: FastifyRequest,
    by?: { readonly person: number; readonly own: readonly string[] },
  ): Promise<object>;
  /** The credential that has signed, with its new count; `find` looks up what is known of it; `person`: the options were for that one. @throws Failure `access.bad-passkey` */
  signedIn(
    request: FastifyRequest,
    answer: unknown,
    find: (credential: string) => Promise<Pick<Credential, 'publicKey' | 'counter'> | null>,
    person?: number,
  ): Promise<Pick<Credential, 'credential' | 'counter'>>;
}

export function passkeys(site: Site, now: () => number): Passkeys {
  const open = challenges(now);
  /** The library is loaded when somebody has a passkey. */
  const library = () => import('@simplewebauthn/server');

  /** What an answer has to be for; the challenge is used up once all else is right. */
  function expected(request: FastifyRequest, purpose: string) {
    const origin = site.originOf(request);
    let challenge = '';
    return {
      options: {
        expectedChallenge: (given: string) => {
          challenge = given;
          return open.isOpen(given, purpose);
        },
        expectedOrigin: origin,
        expectedRPID: hostOf(origin),
        requireUserVerification: true,
      },
      use: () => open.use(challenge, purpose),
    };
  }

  return {
    async creation(request, { id, name }, existing) {
      const { generateRegistrationOptions } = await library();
      return generateRegistrationOptions({
        rpName: CONSOLE_NAME,
        rpID: hostOf(site.originOf(request)),
        userName: name,
        userID: new Uint8Array(Buffer.from(`person ${id}`)),
        challenge: new Uint8Array(Buffer.from(open.issue(`add ${id}`), 'base64url')),
        timeout: TIMEOUT_MS,
        attestationType: 'none',
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        supportedAlgorithmIDs: ALGORITHMS,
        excludeCredentials: existing.map((credential) => ({ id: base64url(credential) })),
      });
    },
    created: (request, person, answer) =>
      refusing(async () => {
        const { verifyRegistrationResponse } = await library();
        const { options, use } = expected(request, `add ${person}`);
        await requireNoCertificates(answer);
        const verified = await verifyRegistrationResponse({
          response: answer as never,
          ...options,
          supportedAlgorithmIDs: ALGORITHMS,
        });
        if (!verified.verified || !use()) return undefined;
        const { id, publicKey, counter } = verified.registrationInfo.credential;
        return { credential: hex(id), publicKey: toHex(publicKey), counter };
      }),
    async signIn(request, by) {
      const { generateAuthenticationOptions } = await library();
      return generateAuthenticationOptions({
        rpID: hostOf(site.originOf(request)),
        challenge: new Uint8Array(Buffer.from(open.issue(signingPurpose(by?.person)), 'base64url')),
        timeout: TIMEOUT_MS,
        userVerification: 'required',
        ...(by === undefined
          ? {}
          : { allowCredentials: by.own.map((credential) => ({ id: base64url(credential) })) }),
      });
    },
    signedIn: (request, answer, find, person) =>
      refusing(async () => {
        const { id } = answer as { id: string };
        const known = await find(hex(id));
        if (known === null) return undefined;
        const { verifyAuthenticationResponse } = await library();
        const { options, use } = expected(request, signingPurpose(person));
        const { verified, authenticationInfo } = await verifyAuthenticationResponse({
          response: answer as never,
          ...options,
          credential: { id, publicKey: fromHex(known.publicKey) as never, counter: known.counter },
        });
        return verified && use()
          ? { credential: hex(id), counter: authenticationInfo.newCounter }
          : undefined;
      }),
  };
}

const signingPurpose = (person: number | undefined): string =>
  person === undefined ? 'sign in' : `confirm ${person}`;

const hex = (base64: string): string => Buffer.from(base64, 'base64url').toString('hex');
const base64url = (text: string): string => Buffer.from(text, 'hex').toString('base64url');

/** We ask for no certificates of the authenticator's maker: to verify some, the library would fetch from addresses that are in them. */
async function requireNoCertificates(answer: unknown): Promise<void> {
  const { decodeAttestationObject } = await import('@simplewebauthn/server/helpers');
  const { attestationObject = '' } = (answer as { response: { attestationObject?: string } }).response;
  const decoded = decodeAttestationObject(new Uint8Array(Buffer.from(attestationObject, 'base64url')));
  const isPlain = decoded.get('fmt') === 'none' || decoded.get('fmt') === 'packed';
  if (!isPlain || decoded.get('attStmt').get('x5c') !== undefined)
    throw new Error('attestation not asked for');
}

/** The host name to which passkeys are bound. @throws Failure `access.no-host-name` */
function hostOf(origin: string): string {
  const host = new URL(origin).hostname;
  if (isIP(host.replace(/^\[|\]$/g, '')) === 0) return host;
  throw new Failure(
    'access.no-host-name',
    'operator',
    `passkeys are bound to a host name, and ${host} is an address`,
    {
      action: 'Open the console by its name, such as localhost.',
    },
  );
}

/** What the work resolves to; whatever the library finds wrong in an answer is one failure. */
async function refusing<T>(work: () => Promise<T | undefined>): Promise<T> {
  let cause: unknown;
  try {
    const result = await work();
    if (result !== undefined) return result;
  } catch (error) {
    if (isFailure(error)) throw error;
    cause = error;
  }
  throw new Failure(
    'access.bad-passkey',
    'operator',
    'the answer of the passkey is not right, or came too late',
    {
      action: 'Try again, or sign in by password.',
      cause,
    },
  );
}
