import type { Command } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';
import { MOST_IN_A_BOX } from '../../protocol/roster.ts';
import { counted } from '../../protocol/words.ts';
import { drawBoxLabels } from '../box-labels.ts';
import { ZPL_DPI, type ZplDpi } from '../label/zpl.ts';
import { GROUP_OPTION } from './group.ts';
import { DEFAULT_WIDTH_MM, parseWidth } from './label.ts';
import { readSigner, SIGNER_OPTIONS } from './maker.ts';

const DEFAULT_DPI = '300';

export const batchLabels: Command = {
  name: 'batch labels',
  summary: "one label for each box: the batch's code, the number of the box and its serial numbers",
  options: [
    GROUP_OPTION,
    {
      name: 'per-box',
      value: 'N',
      help: 'devices in a box, in the order in which they were made',
      required: true,
    },
    { name: 'pdf', value: 'FILE', help: 'sheets of A4, in millimetres' },
    { name: 'zpl', value: 'FILE', help: 'for label printers that speak ZPL II' },
    { name: 'dpi', value: ZPL_DPI.join('|'), help: 'dots per inch of that printer', default: DEFAULT_DPI },
    {
      name: 'svg',
      value: 'DIR',
      help: 'a new folder with a file for each box: code and text, in millimetres',
    },
    { name: 'png', value: 'DIR', help: 'a new folder with a file for each box: the code alone, at 300 dpi' },
    { name: 'width-mm', value: 'MM', help: 'largest width of the code', default: DEFAULT_WIDTH_MM },
    {
      name: 'count',
      help: 'say in each code which box it is of, and how many devices box and batch have; a fabric that does not know of this yet refuses the labels (label.unknown-flags)',
    },
    ...SIGNER_OPTIONS,
  ],
  examples: [
    'enf-factory batch labels --group groups/march --per-box 20 --pdf boxes.pdf',
    'enf-factory batch labels --group groups/march --per-box 20 --zpl boxes.zpl --dpi 203',
    'enf-factory batch labels --group groups/march --per-box 20 --svg boxes --count --maker maker',
  ],
  async run(invocation) {
    const size = readSize(invocation.required('per-box'));
    const widthMm = parseWidth(invocation.required('width-mm'));
    const dpi = readDpi(invocation.required('dpi'));
    const [pdf, zpl] = [invocation.option('pdf'), invocation.option('zpl')];
    const [svg, png] = [invocation.option('svg'), invocation.option('png')];
    const written = [pdf, zpl, svg, png].filter((each) => each !== undefined);
    if (written.length === 0) {
      throw new Failure('cli.missing-option', 'operator', '--pdf, --zpl, --svg or --png is required', {
        action: 'Say where the labels go.',
      });
    }
    const files = { pdf, zpl: zpl === undefined ? undefined : { file: zpl, dpi }, svg, png };
    const codes = { numbers: invocation.flag('count'), signer: await readSigner(invocation) };
    const boxes = await drawBoxLabels(invocation.required('group'), size, widthMm, files, codes);
    invocation.print(
      { boxes, pdf, zpl, svg, png },
      () =>
        `${counted(boxes, 'label is', 'labels are')} in ${written.join(', ')}. Each admits the whole batch: keep them secret.`,
    );
    return undefined;
  },
};

export function readSize(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text) && Number(text) <= MOST_IN_A_BOX) return Number(text);
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--per-box: expected 1 to ${MOST_IN_A_BOX}, got ${JSON.stringify(text)}`,
    {
      action: 'Give a number such as 20.',
    },
  );
}

function readDpi(text: string): ZplDpi {
  const dpi = ZPL_DPI.find((each) => String(each) === text);
  if (dpi !== undefined) return dpi;
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--dpi: expected ${ZPL_DPI.join(', ')}, got ${JSON.stringify(text)}`,
    {
      action: 'Look it up in the manual of the printer.',
    },
  );
}
