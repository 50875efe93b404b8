import { readBounded } from '../../os/files/read.ts';
import { Failure } from '../../protocol/failure.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';
import type { OpenId } from '../access/openid.ts';
import type { Config } from './config.ts';
import { issuerOf } from './origin.ts';

/** What the configuration says; undefined without an issuer. @throws Failure `config.bad-openid`, `os.…` */
export async function readOpenId({ openid, console }: Config): Promise<OpenId | undefined> {
  const { issuer, clientId, secretFile, claim, domains, domainClaim, role, name } = openid;
  if (issuer === '') return undefined;
  if (clientId === '')
    throw badOpenId('openid.client-id is missing', 'Give the id that the issuer knows the console by.');
  if (console.origin === '') {
    throw badOpenId(
      'console.origin is missing: the issuer sends people back to one address',
      'Give the address at which browsers find the console.',
    );
  }
  if (domains.length > 0 && claim !== 'email')
    throw badOpenId(
      'openid.domains are of e-mail addresses',
      'Set openid.claim to "email", or leave the domains out.',
    );
  const needed = OPEN_TO_ALL.get(new URL(issuer).hostname);
  if (domains.length > 0 && domainClaim === '' && needed !== undefined)
    throw badOpenId(
      'openid.domain-claim is missing: at this issuer anybody has an account with any address',
      `Set openid.domain-claim to "${needed}", or leave the domains out.`,
    );
  const secret = secretFile === '' ? undefined : await readSecret(secretFile);
  return {
    ...{ issuer: issuerOf(issuer)!, clientId, claim, domains, role },
    name: name === '' ? new URL(issuer).hostname : name,
    ...(domainClaim !== '' && { domainClaim }),
    ...(secret !== undefined && { secret }),
  };
}

/** Issuers that give accounts to everybody, also with an address of somebody's domain, by host; and the claim that names the domain of an organisation's. */
const OPEN_TO_ALL: ReadonlyMap<string, string> = new Map([['accounts.google.com', 'hd']]);

async function readSecret(path: string): Promise<string> {
  const secret = decodeUtf8(await readBounded(path, 'secret of the OpenID client'))?.trim() ?? '';
  if (/^[\x20-\x7e]{1,512}$/.test(secret)) return secret;
  throw badOpenId(
    `${path} has no secret in one line`,
    'Write the secret that the issuer gave for the client into it.',
  );
}

const badOpenId = (message: string, action: string): Failure =>
  new Failure('config.bad-openid', 'operator', message, { action });
