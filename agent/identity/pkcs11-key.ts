import { loadPkcs11, type Pkcs11Answer, type Pkcs11Key } from '../../crypto/pkcs11.ts';
import { readBounded, versionIfThere } from '../../os/files/read.ts';
import { namesIn } from '../../os/linux/machine.ts';
import { wipe } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Pkcs11Uri } from '../config/pkcs11-uri.ts';

/** What the provider takes. */
const LONGEST_PIN = 32;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

/** Opens keys in PKCS#11 tokens for one run of the agent. */
export interface Pkcs11Keys {
  /**
   * The key, which belongs to the certificate (DER). A PIN that the token has refused is not given to it again before its file has changed.
   * @throws Failure `pkcs11.…`, `os.…`
   */
  load(uri: Pkcs11Uri, certificate: Uint8Array): Promise<Pkcs11Key>;
}

export function pkcs11Keys(): Pkcs11Keys {
  /** The PIN file that was refused, as it was then. */
  let refused: { readonly version: string; readonly failure: Failure } | undefined;
  return {
    async load(uri, certificate) {
      const provider = await checkPkcs11(uri);
      const version = `${uri.pinFile} ${await versionOf(uri.pinFile)}`;
      if (refused?.version === version) throw refused.failure;
      const pin = await readPin(uri.pinFile);
      const answer = await loadPkcs11(uri.key, uri.token, provider, uri.modulePath, pin, certificate);
      wipe(pin);
      if ('key' in answer) return answer.key;
      const failure = failureOf(uri, answer);
      refused = answer.wrong === 'pin' ? { version, failure } : undefined;
      throw failure;
    },
  };
}

/**
 * What can be seen without the token: the provider, the module and the PIN's file. Returns the path of the provider.
 * @throws Failure `pkcs11.no-provider`, `pkcs11.no-module`, `pkcs11.bad-pin-file`, `os.…`
 */
export async function checkPkcs11({ pinFile, modulePath }: Pkcs11Uri): Promise<string> {
  if (modulePath !== '' && (await versionOf(modulePath)) === undefined)
    throw new Failure('pkcs11.no-module', 'operator', `there is no PKCS#11 module ${modulePath}`, {
      action: 'Install it, or correct module-path in identity.key.',
    });
  wipe(await readPin(pinFile));
  return findProvider(await moduleFolders());
}

/** The provider's shared object in the first of these folders that has one. @throws Failure `pkcs11.no-provider` */
export async function findProvider(folders: readonly string[]): Promise<string> {
  for (const folder of folders) {
    const path = `${folder}/ossl-modules/pkcs11.so`;
    if ((await versionOf(path)) !== undefined) return path;
  }
  throw new Failure('pkcs11.no-provider', 'operator', 'OpenSSL has no provider for PKCS#11 on this machine', {
    action:
      'Install it: apt-get install pkcs11-provider (in Debian 12 it is among the backports: -t bookworm-backports).',
  });
}

const versionOf = (path: string): Promise<string | undefined> =>
  path === '' ? Promise.resolve(undefined) : versionIfThere(path, 'file');

/** Where a distribution has OpenSSL's modules: node's own OpenSSL looks elsewhere. */
const moduleFolders = async (): Promise<string[]> => [
  ...(await namesIn('/usr/lib', /-linux-(?:gnu|musl)/)).map((name) => `/usr/lib/${name}`),
  '/usr/lib64',
  '/usr/lib',
];

/** One line; empty where no file is named. */
async function readPin(path: string): Promise<Uint8Array> {
  if (path === '') return new Uint8Array(0);
  const bytes = await readBounded(path, 'PIN', 256);
  let length = bytes.length;
  if (bytes[length - 1] === LINE_FEED) length--;
  if (bytes[length - 1] === CARRIAGE_RETURN) length--;
  const pin = bytes.slice(0, length);
  wipe(bytes);
  if (length >= 1 && length <= LONGEST_PIN && !pin.some((byte) => byte < 32)) return pin;
  wipe(pin);
  throw new Failure(
    'pkcs11.bad-pin-file',
    'operator',
    `${path}: expected a PIN of 1 to ${LONGEST_PIN} bytes on one line`,
    { action: 'Write the PIN of the token there, readable by the user of the agent alone.' },
  );
}

function failureOf(uri: Pkcs11Uri, { wrong, text }: Extract<Pkcs11Answer, { wrong: string }>): Failure {
  const { shown, pinFile } = uri;
  const why = text === '' ? '' : ` (${text})`;
  switch (wrong) {
    case 'provider':
      return new Failure(
        'pkcs11.provider-failed',
        'operator',
        `OpenSSL does not load its provider for PKCS#11${why}`,
        {
          action: 'Check that pkcs11-provider is of the same distribution as OpenSSL, and install it again.',
        },
      );
    case 'token':
      return new Failure(
        'pkcs11.no-token',
        'retry',
        `no PKCS#11 token answers to "${shown}"${why}, or its PIN is locked`,
        {
          action:
            'Check that it is connected, that the user of the agent may use it, and that its module is known to p11-kit (package p11-kit-modules) or named by module-path; "p11tool --list-tokens" or "pkcs11-tool -L" shows what there is.',
        },
      );
    case 'no-pin':
      return new Failure(
        'pkcs11.no-pin',
        'operator',
        `the token of "${shown}" wants a PIN, and none is configured`,
        {
          action: 'Add "?pin-source=file:/etc/enf/pin" to identity.key, and write the PIN there.',
        },
      );
    case 'pin':
      return new Failure(
        'pkcs11.wrong-pin',
        'operator',
        `the token of "${shown}" was given the PIN in ${pinFile} and refused it, or failed${why}`,
        {
          action:
            'It is not tried again, so that the token does not lock itself: correct the file, or restart the agent if the PIN is right.',
        },
      );
    case 'key':
      return new Failure('pkcs11.no-key', 'operator', `the token has no private key "${shown}"`, {
        action: 'Correct object or id in identity.key; "pkcs11-tool --login -O" lists the objects.',
      });
    case 'several':
      return new Failure('pkcs11.several-keys', 'operator', `the token has several private keys "${shown}"`, {
        action: 'Add the id of the key to identity.key.',
      });
    case 'certificate':
      return new Failure(
        'pkcs11.other-key',
        'operator',
        `the private key "${shown}" does not belong to the certificate, or the token has no public key beside it`,
        {
          action:
            'Correct identity.certificate or identity.key; a public key or certificate with the same id has to be in the token, too.',
        },
      );
  }
}
