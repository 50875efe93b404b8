/** Text for man(7) pages: requests and escapes are escaped, hyphens of options stay hyphens. */
export function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('–', '\\(en')
    .replaceAll('→', '\\(->')
    .replaceAll('…', '...')
    .replace(/^(['.])/gm, '\\&$1')
    .replace(/`([^`]+)`/g, '\\fB$1\\fP');
}

/** One .TP entry: a term in bold and its explanation. */
export const entry = (term: string, explanation: string): string =>
  `.TP\n.B ${roff(term)}\n${roff(explanation)}\n`;

/** A section with its body already in roff. */
export const section = (title: string, body: string): string => `.SH ${title}\n${body}`;

/** Lines that keep their breaks. */
export const example = (lines: readonly string[]): string =>
  `.PP\n.nf\n.RS\n${lines.map(roff).join('\n')}\n.RE\n.fi\n`;

/** The page's first line. `date` is YYYY-MM-DD. */
export const heading = (name: string, volume: number, date: string, version: string): string =>
  `.TH ${roff(name.toUpperCase())} ${volume} ${date} "enf ${roff(version)}"\n`;
