import type { Command } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';
import { counted } from '../../protocol/words.ts';
import { changePrivacy, showPrivacy } from '../operations/privacy.ts';
import type { PrivacyView } from '../operations/views/privacy.ts';
import { KEPT_ADDRESSES, type KeptAddresses } from '../registry/privacy.ts';
import { requireYes, YES } from './common/confirm.ts';
import { OWNED, withFabric } from './common/context.ts';
import { when } from './common/list.ts';

const KEPT: Readonly<Record<KeptAddresses, string>> = {
  whole: 'whole addresses',
  cut: 'networks of addresses, /24 and /48',
  none: 'no addresses',
};

function privacyText({ addresses, days, chosen }: PrivacyView): string {
  const long = days === null ? 'as long as handshakes are kept' : `for ${counted(days, 'day')}`;
  const by =
    chosen === null ? '' : ` ${chosen.by ?? 'Whoever runs the fabric'} has chosen that ${when(chosen.at)}.`;
  return `Of handshakes ${KEPT[addresses]} are kept, ${long}.${by}`;
}

const privacyShow: Command = {
  name: 'privacy show',
  summary: 'Says what is kept of where devices come from.',
  options: [...OWNED],
  examples: ['enf-fabric privacy show', 'enf-fabric privacy show --owner acme'],
  async run(invocation) {
    const view = await withFabric(invocation, (fabric) => fabric.run(showPrivacy, {}));
    invocation.print(view, () => privacyText(view));
    return undefined;
  },
};

const privacySet: Command = {
  name: 'privacy set',
  summary:
    'Chooses what is kept of where devices come from, also of what is there: for one owner, or without --owner for all who have not chosen. What is forgotten does not come back.',
  options: [
    {
      name: 'addresses',
      value: 'KEPT',
      help: 'of the addresses of handshakes: whole, cut (/24, /48) or none',
    },
    { name: 'days', value: 'N', help: 'after so many days handshakes are only counted; 0: they stay' },
    YES,
    ...OWNED,
  ],
  examples: [
    'enf-fabric privacy set --addresses cut --days 90',
    'enf-fabric privacy set --owner acme --days 0',
  ],
  async run(invocation) {
    const [addresses, days] = [invocation.option('addresses'), invocation.option('days')];
    const input = {
      ...(addresses !== undefined && { addresses: keptOf(addresses) }),
      ...(days !== undefined && { days: daysOf(days) }),
    };
    if ((input.addresses ?? 'whole') !== 'whole' || (input.days ?? 0) > 0)
      await requireYes(invocation, 'This also forgets what is kept already, which does not come back');
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(changePrivacy, input));
    invocation.print(view, () => `${privacyText(view)} (${effect})`);
    return undefined;
  },
};

/** @throws Failure `cli.bad-option` */
function keptOf(word: string): KeptAddresses {
  const kept = KEPT_ADDRESSES.find((each) => each === word);
  if (kept === undefined) throw badOption(`--addresses is ${KEPT_ADDRESSES.join(', ')}`, word);
  return kept;
}

/** @throws Failure `cli.bad-option` */
function daysOf(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw badOption('--days is a number of days', text);
  return Number(text);
}

const badOption = (expected: string, given: string): Failure =>
  new Failure('cli.bad-option', 'operator', `${expected}, got ${JSON.stringify(given.slice(0, 40))}`, {
    action: 'See "enf-fabric privacy set --help".',
  });

export const privacyCommands: readonly Command[] = [privacyShow, privacySet];
