/** A serial number: 1 to 64 letters, digits, spaces and `. _ : / + -`, no space at an end. */
export const SERIAL = /^[A-Za-z0-9][A-Za-z0-9 ._:/+-]{0,62}[A-Za-z0-9]$|^[A-Za-z0-9]$/;

/**
 * What serial numbers are ordered by, compared byte by byte: numbers in them count as numbers, so that GW-9 is before GW-10, and zeros before
 * a number do not count. Each run of digits becomes its length in two digits, and itself.
 */
export const serialKey = (serial: string): string =>
  serial.replace(/\d+/g, (run) => {
    const digits = run.replace(/^0+/, '');
    return `${String(digits.length).padStart(2, '0')}${digits}`;
  });

const LONGEST_NAME = 63;

/** A serial number as the name of a device, a DNS label in lower case. */
export const serialName = (serial: string): string =>
  serial
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, LONGEST_NAME)
    .replace(/-+$/, '');
