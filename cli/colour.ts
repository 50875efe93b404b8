/** Colours are shown on a terminal, unless its user wants none (no-color.org). */
export const inColour = (): boolean => process.stdout.isTTY === true && !process.env.NO_COLOR;
