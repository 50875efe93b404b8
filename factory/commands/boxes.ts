import type { Command } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';
import { ZPL_DPI, type ZplDpi } from '../label/zpl.ts';
import { drawBoxLabels } from '../operations.ts';
import { GROUP_OPTION } from './group.ts';
import { DEFAULT_WIDTH_MM, parseWidth } from './label.ts';

const DEFAULT_DPI = '300';
const MOST_IN_A_BOX = 100_000;

export const batchLabels: Command = {
  name: 'batch labels',
  summary: "one label for each box: the batch's code, the number of the box and its serial numbers",
  options: [
    GROUP_OPTION,
    { name: 'per-box', value: 'N', help: 'devices in a box, in the order in which they were made' },
    { name: 'pdf', value: 'FILE', help: 'sheets of A4, in millimetres' },
    { name: 'zpl', value: 'FILE', help: 'for label printers that speak ZPL II' },
    { name: 'dpi', value: ZPL_DPI.join('|'), help: 'dots per inch of that printer', default: DEFAULT_DPI },
    { name: 'width-mm', value: 'MM', help: 'largest width of the code', default: DEFAULT_WIDTH_MM },
  ],
  examples: [
    'enf-factory batch labels --group groups/march --per-box 20 --pdf boxes.pdf',
    'enf-factory batch labels --group groups/march --per-box 20 --zpl boxes.zpl --dpi 203',
  ],
  async run(invocation) {
    const size = readSize(invocation.required('per-box'));
    const widthMm = parseWidth(invocation.required('width-mm'));
    const dpi = readDpi(invocation.required('dpi'));
    const [pdf, zpl] = [invocation.option('pdf'), invocation.option('zpl')];
    if (pdf === undefined && zpl === undefined) {
      throw new Failure('cli.missing-option', 'operator', '--pdf or --zpl is required', {
        action: 'Say where the labels go.',
      });
    }
    const files = { pdf, zpl: zpl === undefined ? undefined : { file: zpl, dpi } };
    const boxes = await drawBoxLabels(invocation.required('group'), size, widthMm, files);
    invocation.print(
      { boxes, pdf, zpl },
      () =>
        `${boxes} labels are in ${[pdf, zpl].filter((each) => each !== undefined).join(' and ')}. Each admits the whole batch: keep them secret.`,
    );
    return undefined;
  },
};

function readSize(text: string): number {
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
