import { inColour } from '../../cli/colour.ts';
import type { Command } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';
import { drawTerminal } from '../label/label.ts';
import { drawLabel } from '../operations.ts';
import { GROUP_OPTION } from './group.ts';
import { readSigner, SIGNER_OPTIONS } from './maker.ts';

export const DEFAULT_WIDTH_MM = '34';
const MAX_WIDTH_MM = 300;

export const label: Command = {
  name: 'label',
  summary: "draw the group's label, whose QR code admits its devices to a fabric",
  options: [
    GROUP_OPTION,
    { name: 'svg', value: 'FILE', help: 'write the code with its text as SVG, in millimetres' },
    { name: 'png', value: 'FILE', help: 'write the code alone as PNG, at 300 dpi' },
    { name: 'terminal', help: 'show the code on the terminal (the default without --svg and --png)' },
    {
      name: 'width-mm',
      value: 'MM',
      help: 'largest width of the code; from 32 mm on it has more error correction',
      default: DEFAULT_WIDTH_MM,
    },
    {
      name: 'count',
      value: 'N',
      help: 'say on the label how many devices the batch has, so that the fabric expects them; a fabric that does not know of this yet refuses the label (label.unknown-flags)',
    },
    ...SIGNER_OPTIONS,
  ],
  examples: [
    'enf-factory label --group groups/march --svg march.svg --png march.png',
    'enf-factory label --group groups/march --svg march.svg --count 500 --maker maker',
  ],
  async run(invocation) {
    const widthMm = parseWidth(invocation.required('width-mm'));
    const [svg, png] = [invocation.option('svg'), invocation.option('png')];
    const given = invocation.option('count');
    const count = given === undefined ? undefined : parseCount(given);
    const { group, devices, code, screen, text } = await drawLabel(invocation.required('group'), widthMm, {
      svg,
      png,
      count,
      signer: await readSigner(invocation),
    });
    const shown = invocation.flag('terminal') || (svg === undefined && png === undefined);
    const { version, level } = code;
    invocation.print(
      { name: group.name, gid: group.gid, devices, count, qr: { version, level }, svg, png },
      () =>
        [
          ...(shown ? [drawTerminal(screen, inColour()), ''] : []),
          ...text,
          ...[svg, png].flatMap((file) => (file === undefined ? [] : [`Written: ${file}`])),
        ].join('\n'),
    );
    return undefined;
  },
};

export function parseWidth(text: string): number {
  const width = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && width > 0 && width <= MAX_WIDTH_MM) return width;
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--width-mm: expected a width of at most ${MAX_WIDTH_MM} millimetres, got ${JSON.stringify(text)}`,
    { action: `Give a number such as ${DEFAULT_WIDTH_MM}.` },
  );
}

function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--count: expected the number of devices, got ${JSON.stringify(text)}`,
    { action: 'Give a number such as 500, or leave --count out.' },
  );
}
