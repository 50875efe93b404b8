import type { Part } from './parts.ts';

/** The licence texts of everything that is in the bundle, for people. */
export function thirdParty(parts: readonly Part[]): string {
  const texts = parts.map(
    (part) =>
      `${part.name} ${part.version}\nLicence: ${part.licence}\nFrom: ${part.source}\n\n${part.licenceText}\n`,
  );
  return ['The programs contain parts of these packages, which have licences of their own:\n', ...texts].join(
    `\n${'-'.repeat(78)}\n\n`,
  );
}

/** debian/copyright, machine-readable (DEP-5). */
export function copyright(parts: readonly Part[]): string {
  const indent = (text: string): string =>
    text
      .split('\n')
      .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`))
      .join('\n');
  const notice = (part: Part): string =>
    /^.*copyright.*\d{4}.*$/im.exec(part.licenceText)?.[0].trim() ?? part.author;
  const files = parts.map(
    (part) =>
      `Files: node_modules/${part.name}/*\nCopyright: ${notice(part)}\nLicense: ${part.licence}\nComment: bundled into the program\n`,
  );
  const texts = new Map(
    [...parts].map((part) => [part.licence, indent(part.licenceText.replace(notice(part), ''))]),
  );
  return [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: enf\n',
    'Files: *\nCopyright: the enf authors\nLicense: Apache-2.0\n',
    ...files,
    'License: Apache-2.0\n On Debian systems the full text is in /usr/share/common-licenses/Apache-2.0.\n',
    ...[...texts].map(([licence, text]) => `License: ${licence}\n${text}\n`),
  ].join('\n');
}

/** The bill of materials of the package, as SPDX 2.3 JSON. `created` is an ISO 8601 time to the second. */
export function sbom(
  program: { readonly name: string; readonly version: string },
  parts: readonly Part[],
  created: string,
): string {
  const id = (name: string): string => `SPDXRef-${name.replace(/[^A-Za-z0-9.-]/g, '-')}`;
  const partId = ({ name, version }: Part): string => id(`${name}-${version}`);
  const purl = (part: Part): string => `pkg:npm/${part.name.replace('@', '%40')}@${part.version}`;
  const own = id(program.name);
  return `${JSON.stringify(
    {
      spdxVersion: 'SPDX-2.3',
      dataLicense: 'CC0-1.0',
      SPDXID: 'SPDXRef-DOCUMENT',
      name: `${program.name}-${program.version}`,
      documentNamespace: `urn:enf:sbom:${program.name}:${program.version}`,
      creationInfo: { created, creators: ['Organization: enf'] },
      packages: [
        {
          SPDXID: own,
          name: program.name,
          versionInfo: program.version,
          downloadLocation: 'NOASSERTION',
          filesAnalyzed: false,
          licenseConcluded: 'Apache-2.0',
          licenseDeclared: 'Apache-2.0',
          copyrightText: 'NOASSERTION',
        },
        ...parts.map((part) => ({
          SPDXID: partId(part),
          name: part.name,
          versionInfo: part.version,
          downloadLocation: part.source,
          filesAnalyzed: false,
          licenseConcluded: part.licence,
          licenseDeclared: part.licence,
          copyrightText: 'NOASSERTION',
          checksums: [{ algorithm: 'SHA512', checksumValue: part.sha512 }],
          externalRefs: [
            {
              referenceCategory: 'PACKAGE-MANAGER',
              referenceType: 'purl',
              referenceLocator: purl(part),
            },
          ],
        })),
      ],
      relationships: [
        { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: own },
        ...parts.map((part) => ({
          spdxElementId: own,
          relationshipType: 'CONTAINS',
          relatedSpdxElement: partId(part),
        })),
      ],
    },
    null,
    1,
  )}\n`;
}
