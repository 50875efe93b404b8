/** What is offered to the router: the best that both know, or enftun's frames in any case (docs/wire.md). */
export const WIRE_CHOICES = ['auto', 'legacy'] as const;
export type WireChoice = (typeof WIRE_CHOICES)[number];

/** What two ends may settle on, each with all that the one before has: by its name in ALPN, or `enftun` without one. */
export const WIRES = ['enftun', 'enf/1', 'enf/2'] as const;
export type Wire = (typeof WIRES)[number];
