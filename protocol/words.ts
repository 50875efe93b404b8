/** A number of things: `1 device`, `2 devices`, `1 entry`, `1,000 entries`. */
export const counted = (number: number, one: string, several = `${one}s`): string =>
  `${number.toLocaleString('en')} ${number === 1 ? one : several}`;
