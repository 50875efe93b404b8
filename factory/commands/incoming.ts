import type { Command, Option } from '../../cli/program.ts';
import { askLine } from '../../cli/prompt.ts';
import { wipe } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { basenameText } from '../../protocol/label.ts';
import { counted } from '../../protocol/words.ts';
import { wipeTpm } from '../../tpm/wipe.ts';
import { memberNameOf } from '../device/member.ts';
import { requireConfirmed, verifyDevice } from '../device/verify.ts';
import { openGroup } from '../group/group.ts';
import { shortGid } from '../group/names.ts';
import { withTpm } from '../operations.ts';
import { EK_OPTIONS, HIERARCHY_AUTH_OPTION, readHierarchyAuth, readPolicy } from './device.ts';
import { TPM_OPTION } from './group.ts';

export const deviceVerify: Command = {
  name: 'device verify',
  summary: 'incoming inspection: is this TPM a whole device, of which batch, and genuine?',
  options: [
    TPM_OPTION,
    { name: 'group', value: 'DIR', help: 'folder of the batch that it should be in' },
    ...EK_OPTIONS,
  ],
  examples: [
    'enf-factory device verify',
    'enf-factory device verify --group groups/march --ek-roots makers --require-ek --json',
  ],
  async run(invocation) {
    const folder = invocation.option('group');
    const group = folder === undefined ? undefined : await openGroup(folder);
    const policy = await readPolicy(invocation);
    const found = await withTpm(invocation.option(TPM_OPTION.name), (tpm) =>
      verifyDevice(tpm, policy, group),
    );
    const { gid, basename, member, hierarchy, resident, ek, ekText, entry } = found;
    const view = { ...found, basename: basenameText(basename) };
    invocation.print(view, () =>
      [
        'PASS: key and credential belong together, and sign.',
        `Group     ${shortGid(gid)}, basename ${basenameText(basename)}`,
        `Member    ${member}`,
        `Resident  ${resident ? 'yes: the TPM made the key, and keeps it' : "no: the member's secret is sealed in the TPM"}`,
        `TPM       ${hierarchy} hierarchy, endorsement key ${ek}: ${ekText}`,
        ...(entry === undefined
          ? []
          : [
              `Batch     ${group!.name}, since ${entry.time}${entry.serial === undefined ? '' : `, serial number ${entry.serial}`}`,
            ]),
      ].join('\n'),
    );
    return undefined;
  },
};

const MEMBER: Option = {
  name: 'member',
  value: 'HEX',
  help: 'with --yes: the first 8 or more digits of its member name, or none if it has no key',
};

export const deviceWipe: Command = {
  name: 'device wipe',
  summary: 'take out of a TPM all that personalising wrote; the device is none any more',
  options: [TPM_OPTION, HIERARCHY_AUTH_OPTION, { name: 'yes', help: 'do not ask; needs --member' }, MEMBER],
  examples: ['enf-factory device wipe', 'enf-factory device wipe --yes --member 1f2e3d4c'],
  async run(invocation) {
    const hierarchyAuth = await readHierarchyAuth(invocation);
    const typed = invocation.option(MEMBER.name);
    if (invocation.flag('yes') !== (typed !== undefined)) {
      throw new Failure('cli.bad-arguments', 'operator', '--yes and --member go together', {
        action:
          'Name the device that is to be wiped: --yes --member and the first 8 digits of its member name.',
      });
    }
    try {
      await withTpm(invocation.option(TPM_OPTION.name), async (tpm) => {
        const member = await memberNameOf(tpm);
        const named = typed ?? (await ask(member));
        requireConfirmed(member, named);
        const removed = await wipeTpm(tpm, hierarchyAuth);
        invocation.print(
          { member: member ?? null, removed },
          () =>
            `${counted(removed, 'object was', 'objects were')} removed. The entry in the journal stays; ban the device at its fabric if it was ever there.`,
        );
      });
    } finally {
      if (hierarchyAuth) wipe(hierarchyAuth);
    }
    return undefined;
  },
};

/** Twice: whether, and which. */
async function ask(member: string | undefined): Promise<string> {
  const what = member === undefined ? 'this TPM, which has no key of ours' : `the device ${member}`;
  const answer = await askLine(`This ends ${what}: its credential cannot be restored. Go on? (yes/no) `);
  if (answer !== 'yes') return '';
  return askLine(member === undefined ? 'Type "none": ' : 'Type the first 8 digits of its member name: ');
}
