import { type Command, EXIT } from '../../cli/program.ts';
import { table } from '../../cli/table.ts';
import { createFile } from '../../os/files/create.ts';
import { parseListen } from '../../os/net/listen.ts';
import { type Level, stderrLog } from '../../os/service/log.ts';
import { askedToStop } from '../../os/service/process.ts';
import { wipe } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { counted } from '../../protocol/words.ts';
import { withJournal } from '../batch/journal.ts';
import { openGroup } from '../group/group.ts';
import { readTrust, unlockOpenBatch } from '../operations.ts';
import { openEnrolment } from '../station/enrolment.ts';
import { openIdentity } from '../station/identity.ts';
import { type StationEvent, serveBoards } from '../station/serve.ts';
import { createToken, readTokens, revokeToken } from '../station/token.ts';
import { ALLOW_SEALED_OPTION, readPolicy } from './device.ts';
import {
  askPassphrase,
  GROUP_OPTION,
  PASSPHRASE_OPTION,
  STATION_TPM_OPTION,
  stationTpm,
  TRUST_OPTION,
} from './group.ts';
import { OPERATOR_OPTIONS, RECORD_EK_OPTION, readOperator } from './marks.ts';

const DEFAULT_LISTEN = '[::]:8443';
const DEFAULT_BOARDS = '64';
const MOST_BOARDS = 1_024;
const DEFAULT_HOURS = '12';
const MOST_HOURS = 24 * 31;
const MOST_COUNT = 1_000_000;

export const stationServe: Command = {
  name: 'station serve',
  summary: "make devices of boards on the factory's network; the issuer's key stays here",
  options: [
    GROUP_OPTION,
    TRUST_OPTION,
    PASSPHRASE_OPTION,
    STATION_TPM_OPTION,
    {
      name: 'identity',
      value: 'DIR',
      help: "folder of the station's certificate and key; made if it is missing",
      required: true,
    },
    { name: 'listen', value: 'ADDRESS:PORT', help: 'where to listen', default: DEFAULT_LISTEN },
    { name: 'boards', value: 'N', help: 'boards at a time', default: DEFAULT_BOARDS },
    {
      name: 'ek-roots',
      value: 'DIR',
      help: "certificates of the TPMs' makers, PEM or DER: proves that keys are inside genuine TPMs",
    },
    { name: 'require-ek', help: 'refuse a board that is not proved genuine; needs --ek-roots' },
    {
      ...ALLOW_SEALED_OPTION,
      help: 'boards whose TPM cannot do ECDAA may keep the secret sealed in it (resident: no)',
    },
    RECORD_EK_OPTION,
    ...OPERATOR_OPTIONS,
  ],
  examples: [
    'enf-factory station serve --group groups/march --trust trust.json --identity station --listen 192.0.2.1:8443',
    'enf-factory station serve --group groups/march --trust trust.json --identity station --ek-roots makers --require-ek --json',
  ],
  async run(invocation) {
    const group = await openGroup(invocation.required('group'));
    const trust = await readTrust(invocation.required('trust'));
    const address = parseListen(invocation.required('listen'));
    const boards = readNumber('boards', invocation.required('boards'), MOST_BOARDS);
    const operator = readOperator(invocation);
    const endorsement = await readPolicy(invocation);
    const identity = await openIdentity(invocation.required('identity'));
    const issuerSecret = await unlockOpenBatch(
      group,
      askPassphrase(invocation, group),
      stationTpm(invocation),
    );
    const now = (): Date => new Date();
    const log = stderrLog();
    const json = invocation.flag('json');
    const allowSealed = invocation.flag(ALLOW_SEALED_OPTION.name);
    const emit = (event: StationEvent | { readonly event: 'listening'; readonly port: number }): void => {
      if (json) process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`);
      else if (event.event !== 'listening') log(LEVELS[event.event] ?? 'info', eventText(event));
    };
    try {
      const enrolment = openEnrolment({
        ...{ group, trust, issuerSecret, endorsement, operator, allowSealed, boards, now },
        recordEk: invocation.flag(RECORD_EK_OPTION.name),
      });
      const wantsCertificate = endorsement.authorities.length > 0;
      const station = await serveBoards({
        ...{ enrolment, group, trust, identity, address, wantsCertificate, allowSealed, boards, emit, now },
      });
      emit({ event: 'listening', port: station.port });
      log(
        'info',
        `the station of ${group.name} listens on port ${station.port}; boards know it by --station-fingerprint ${identity.fingerprint}`,
      );
      await askedToStop();
      await station.close();
      return EXIT.ok;
    } finally {
      wipe(issuerSecret);
    }
  },
};

const LEVELS: Readonly<Record<string, Level>> = { refused: 'warning', error: 'error' };

function eventText(event: StationEvent): string {
  switch (event.event) {
    case 'board':
      return `a board at ${event.source}${event.serial === undefined ? '' : `, ${event.serial}`}; ${event.open} at work`;
    case 'pass':
      return `PASS ${event.serial ?? ''} ${event.member?.slice(0, 16)} at ${event.source}`;
    case 'refused':
      return `refused at ${event.source}: ${event.message} [${event.code}]${event.more === 0 ? '' : ` (and ${event.more} more)`}`;
    case 'error':
      return `a mistake in the station, met by ${event.source}: ${event.message}`;
  }
}

export const stationToken: Command = {
  name: 'station token',
  summary: "make a token for boards, revoke one, or list the batch's",
  options: [
    GROUP_OPTION,
    { name: 'count', value: 'N', help: 'how many boards may use it', required: 'for a new token' },
    { name: 'hours', value: 'N', help: 'for how long', default: DEFAULT_HOURS },
    {
      name: 'out',
      value: 'FILE',
      help: 'the new file with the token (mode 0600); it is nowhere else',
      required: 'for a new token',
    },
    { name: 'revoke', value: 'ID', help: 'end this token now' },
  ],
  examples: [
    'enf-factory station token --group groups/march --count 500 --hours 8 --out march.token',
    'enf-factory station token --group groups/march --revoke 1f2e3d4c',
    'enf-factory station token --group groups/march',
  ],
  async run(invocation) {
    const group = await openGroup(invocation.required('group'));
    const revoked = invocation.option('revoke');
    if (revoked !== undefined) {
      await revokeToken(group, revoked);
      invocation.print({ revoked }, () => `The token ${revoked} admits no board any more.`);
      return undefined;
    }
    if (invocation.option('count') === undefined && invocation.option('out') === undefined) {
      const { tokens: used } = await withJournal(group, async ({ tally }) => tally);
      const rows = (await readTokens(group)).map(({ id, count, expires }) => ({
        id,
        count,
        used: used[id] ?? 0,
        expires,
      }));
      invocation.print(rows, () =>
        table(
          ['TOKEN', 'BOARDS', 'EXPIRES'],
          rows.map(({ id, count, used: boards, expires }) => [id, `${boards} of ${count}`, expires]),
          'No tokens.',
        ),
      );
      return undefined;
    }
    const count = readNumber('count', invocation.required('count'), MOST_COUNT);
    const hours = readNumber('hours', invocation.required('hours'), MOST_HOURS);
    const out = invocation.required('out');
    const { token, text } = await createToken(group, count, new Date(Date.now() + hours * 3_600_000));
    try {
      await createFile(out, `${text}\n`);
    } catch (error) {
      // Nobody has its text.
      await revokeToken(group, token.id);
      throw error;
    }
    const { id, expires } = token;
    invocation.print(
      { id, count, expires, file: out },
      () => `The token ${id} is in ${out}, for ${counted(count, 'board')} until ${expires}.`,
    );
    return undefined;
  },
};

function readNumber(option: string, text: string, most: number): number {
  const number = Number(text);
  if (/^[1-9]\d*$/.test(text) && number <= most) return number;
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--${option}: expected 1 to ${most}, got ${JSON.stringify(text.slice(0, 40))}`,
    {
      action: 'Give a whole number.',
    },
  );
}
