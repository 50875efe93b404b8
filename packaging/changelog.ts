/** The changelog as Debian wants it, from CHANGELOG.md. `when` is an RFC 2822 date. */
export function debianChangelog(
  markdown: string,
  name: string,
  version: string,
  maintainer: string,
  when: string,
): string {
  const start = new RegExp(`^## ${version.replace(/[.+]/g, '\\$&')}\\b.*$`, 'm').exec(markdown);
  if (start === null) throw new Error(`CHANGELOG.md has no section for ${version}`);
  const body = markdown.slice(start.index + start[0].length).split(/^## /m)[0]!;
  const lines = body.split('\n').filter((line) => line.startsWith('- '));
  const entries = lines.map((line) => wrap(line.slice(2), 74).join('\n    '));
  return `${name} (${debianVersion(version)}) stable; urgency=medium\n\n${entries.map((text) => `  * ${text}\n`).join('')}\n -- ${maintainer}  ${when}\n`;
}

/** Words in lines of at most `width` characters, but for a longer word. */
function wrap(text: string, width: number): string[] {
  const lines = text.match(new RegExp(`(?:\\S{${width},}|.{1,${width}})(?:\\s|$)`, 'g')) ?? [];
  return lines.map((line) => line.trimEnd());
}

/** A pre-release sorts before its release: 1.0.0-rc.1 is 1.0.0~rc.1. */
export const debianVersion = (version: string): string => version.replace('-', '~');
